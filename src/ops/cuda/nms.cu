// SPDX-License-Identifier: Apache-2.0
// NMS: candidates of a picture → boxes in source pixels, by one cluster a picture.
//
// In rounds: the best 512 candidates at most are chosen by the head's histogram, ranked and
// compared with each other (a bit for each pair; the cluster's blocks share ranks and pairs), and
// those that stay are found word by word. Mostly that is all. What follows is looked at window by
// window: candidates that one of the boxes so far suppresses leave, and rounds go on among the
// others until max_det boxes end it all. Every block comes to the same decisions; block 0 writes
// the boxes. On GPUs without clusters the same runs in one block.
//
// Bound by latency. Most work is in comparing: 22 instructions a pair.
#include <stddef.h>

#include "select.cuh"

namespace {

enum { THREADS = SAC__NMS_THREADS, WARPS = SAC__NMS_WARPS, WORDS = SAC__CHUNK / 32 };
enum { DEEP = 4 }; ///< boxes that stay that a candidate is compared with at once

/// Where boxes are compared, for vector loads.
struct Boxes {
    float4 corners[SAC__CHUNK];
    float areas[SAC__CHUNK];

    __device__ __forceinline__ void set(int at, const sac__shifted &box)
    {
        corners[at] = make_float4(box.x1, box.y1, box.x2, box.y2);
        areas[at] = box.area;
    }
    __device__ __forceinline__ sac__shifted get(int at) const
    {
        const float4 box = corners[at];
        return {box.x, box.y, box.z, box.w, areas[at]};
    }
};

struct Shared {
    Boxes boxes; ///< of the chunk, by rank
    Boxes kept;  ///< of this round; then up to DEEP that meet nothing
    sac__select_shared select;
    alignas(16) uint64_t own[SAC__CHUNK]; ///< the block's keys of the chunk
    uint32_t own_count;
    alignas(16) uint64_t keys[SAC__CHUNK]; ///< the chunk's keys, in no order, then ~0
    uint32_t ranks[SAC__CHUNK];
    union {
        uint32_t mask[SAC__CHUNK][WORDS + 1]; ///< earlier boxes that overlap; +1 for the banks
        uint32_t items[SAC__CHUNK * sizeof(sac_detection) / 4];
    };
    uint32_t words[WORDS];  ///< ranks that stay
    uint32_t before[WORDS]; ///< how many of them before a word
};

/// What does not change over the rounds.
struct Job {
    sac__boxes_memory memory;
    sac__cluster cluster;
    uint32_t classes;
    sac__scale scale;
    float iou, surely; ///< surely: so far above iou that rounding makes no difference
    int agnostic, final;
    __device__ __forceinline__ sac__shifted box(uint64_t key, float4 *plain_out) const
    {
        const uint32_t id = (uint32_t)key;
        *plain_out = memory.boxes[id / classes];
        const float corners[4] = {plain_out->x, plain_out->y, plain_out->z, plain_out->w};
        return sac__box_shifted(corners, (int32_t)(id % classes), agnostic);
    }
};

/// The block's own keys; those that are suppressed leave.
struct Keys {
    uint64_t *keys;
    uint32_t count;
};

/// sac__iou_above of boxes with finite corners, without a branch: `above`; close to iou, `near`.
struct Overlap {
    bool above, near;

    __device__ __forceinline__ Overlap(const Job &job, const sac__shifted &a, const sac__shifted &b)
    {
        const float width = fminf(a.x2, b.x2) - fmaxf(a.x1, b.x1);
        const float height = fminf(a.y2, b.y2) - fmaxf(a.y1, b.y1);
        const float common = fmaxf(width, 0.f) * fmaxf(height, 0.f);
        const float whole = a.area + b.area - common;
        above = (common > job.surely * whole) & (whole > 1e-30f);
        near = (common > 0.f) & !(common < job.iou * whole * 0.999999f) & !above;
    }
};

/// All keys of [low,bound) to `to`; `gathered`: how many were gathered before.
SAC__DEVICE void gather(const Job &job, const Keys &own, uint64_t low, uint64_t bound,
                        uint64_t *to, uint32_t gathered)
{
    const uint32_t lane = threadIdx.x % 32;
    sac__each_key(own.keys, own.count, [&](uint64_t key) {
        const bool take = key >= low && key < bound;
        const uint32_t taking = __ballot_sync(~0u, take);
        if (!taking) return;
        uint32_t slot = 0;
        if (lane == 0) slot = atomicAdd(&job.memory.state->gathered, (uint32_t)__popc(taking));
        slot = __shfl_sync(~0u, slot, 0) - gathered;
        if (take) __stcg(&to[slot + __popc(taking & ((1u << lane) - 1))], key);
    });
    job.cluster.sync();
}

/// All keys of [low,bound), at most a chunk, to all blocks' shared.keys. Returns this thread's.
SAC__DEVICE uint64_t gather_chunk(Shared &shared, const Job &job, const Keys &own, uint64_t low,
                                  uint64_t bound)
{
    const uint32_t lane = threadIdx.x % 32;
    if (threadIdx.x == 0) shared.own_count = 0;
    __syncthreads();
    sac__each_key(own.keys, own.count, [&](uint64_t key) {
        const bool take = key >= low && key < bound;
        const uint32_t taking = __ballot_sync(~0u, take);
        if (!taking) return;
        uint32_t slot = 0;
        if (lane == 0) slot = atomicAdd(&shared.own_count, (uint32_t)__popc(taking));
        slot = __shfl_sync(~0u, slot, 0);
        if (take) shared.own[slot + __popc(taking & ((1u << lane) - 1))] = key;
    });
    job.cluster.sync();
    uint32_t at = threadIdx.x, from = 0;
    bool found = false;
#pragma unroll 8
    for (uint32_t rank = 0; rank < job.cluster.size; rank++) {
        const uint32_t count = job.cluster.read(&shared.own_count, rank);
        const bool here = !found && at < count;
        from = here ? rank : from;
        found = found || here;
        at -= found ? 0 : count;
    }
    if (!found) return ~(uint64_t)0;
    const uint32_t *words = (const uint32_t *)&shared.own[at];
    return (uint64_t)job.cluster.read(words + 1, from) << 32 | job.cluster.read(words, from);
}

/// Bits of the pairs of the chunk, to all blocks. A warp takes 32 rows and a word of earlier ones.
SAC__DEVICE void compare_pairs(Shared &shared, const Job &job, uint32_t count)
{
    const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const uint32_t groups = (count + 31) / 32;
    uint32_t group = 0, first = 0; // of tiles, which are numbered group by group
    for (uint32_t tile = warp * job.cluster.size + job.cluster.rank;
         tile < groups * (groups + 1) / 2; tile += WARPS * job.cluster.size) {
        while (tile > first + group) first += ++group;
        const uint32_t word = tile - first, row = 32 * group + lane;
        const uint32_t earlier = word == group ? (1u << lane) - 1 : ~0u;
        const sac__shifted box = shared.boxes.get((int)row);
        uint32_t bits = 0, near = 0;
#pragma unroll 8
        for (int k = 0; k < 32; k++) {
            const Overlap overlap(job, box, shared.boxes.get((int)(32 * word) + k));
            bits |= (uint32_t)overlap.above << k;
            near |= (uint32_t)overlap.near << k;
        }
        bits &= earlier;
        for (near &= earlier; near; near &= near - 1) {
            const int k = __ffs((int)near) - 1;
            const sac__shifted other = shared.boxes.get((int)(32 * word) + k);
            bits |= (uint32_t)sac__iou_above(&box, &other, job.iou) << k;
        }
        for (uint32_t rank = 0; rank < job.cluster.size; rank++)
            job.cluster.write(&shared.mask[row][word], rank, bits);
    }
    job.cluster.sync();
}

/// Of 32 candidates: which stay, when those of `open` have not met an earlier word's box. `mine`:
/// earlier ones of the word that this lane's overlaps. Each turn settles at least the first.
SAC__DEVICE uint32_t settle(uint32_t open, uint32_t mine)
{
    const uint32_t lane = threadIdx.x % 32;
    uint32_t kept = 0;
    while (open) {
        open &= ~__ballot_sync(~0u, (mine & kept) != 0);
        const bool stays = (open >> lane & 1) && !(mine & open);
        const uint32_t staying = __ballot_sync(~0u, stays);
        kept |= staying;
        open &= ~staying;
    }
    return kept;
}

/// Which ranks of the chunk stay, at most `most`; returns how many. Word by word, by one warp each;
/// the others' candidates meet the boxes of a word as soon as they are known.
SAC__DEVICE uint32_t resolve(Shared &shared, const Job &job, uint32_t count, uint32_t most)
{
    const uint32_t rank = threadIdx.x, lane = rank % 32, warp = rank / 32;
    uint32_t total = 0;
    bool open = rank < count;
    if (rank < WORDS) shared.words[rank] = 0;
    __syncthreads();
    for (uint32_t word = 0; 32 * word < count && total < most; word++) {
        const uint32_t mine = job.final || warp < word || !open ? 0 : shared.mask[rank][word];
        if (warp == word) {
            uint32_t kept = settle(__ballot_sync(~0u, open), mine);
            while (total + (uint32_t)__popc(kept) > most) kept ^= 0x80000000u >> __clz((int)kept);
            if (lane == 0) {
                shared.words[word] = kept;
                shared.before[word] = total;
            }
        }
        __syncthreads();
        const uint32_t kept = shared.words[word];
        open = open && !(mine & kept);
        total += (uint32_t)__popc(kept);
    }
    return total;
}

/// Where boxes go.
struct Target {
    const sac__map *map;
    sac_detection *items;
};

/// A candidate of the chunk.
struct Candidate {
    uint64_t key;
    float4 box;
    uint32_t rank;
};

/// This thread's candidate, if it stays: to shared.kept, and as an item. `kept`: of this round.
SAC__DEVICE void emit(Shared &shared, const Job &job, const Target &target,
                      const Candidate &candidate, bool valid, uint32_t kept, uint32_t kept_before)
{
    const uint32_t word = candidate.rank / 32, bit = 1u << candidate.rank % 32;
    const bool stays = valid && (shared.words[word] & bit);
    if (threadIdx.x < DEEP && kept + threadIdx.x < SAC__CHUNK)
        shared.kept.set((int)(kept + threadIdx.x), {});
    if (stays) {
        const uint32_t at = shared.before[word] + __popc(shared.words[word] & (bit - 1));
        shared.kept.set((int)at, shared.boxes.get((int)candidate.rank));
        if (job.cluster.rank == 0) {
            const uint32_t id = (uint32_t)candidate.key;
            float corners[4] = {candidate.box.x, candidate.box.y, candidate.box.z, candidate.box.w};
            sac__map_box(target.map, corners);
            __stcg(&job.memory.kept[kept_before + at], candidate.key);
            uint32_t *item = shared.items + at * (sizeof(sac_detection) / 4);
            for (int k = 0; k < 4; k++) item[k] = sac__float_bits(corners[k]);
            item[4] = sac__float_bits(sac__boxes_score(candidate.key));
            item[5] = id % job.classes;
            item[6] = id / job.classes;
        }
    }
    __syncthreads();
    if (job.cluster.rank != 0) return;
    uint32_t *to = (uint32_t *)(target.items + kept_before);
    for (uint32_t k = threadIdx.x; k < kept * sizeof(sac_detection) / 4; k += THREADS)
        to[k] = shared.items[k];
}

/// Whether none of the `kept` boxes of shared.kept suppresses a candidate.
SAC__DEVICE bool survives(const Shared &shared, const Job &job, uint64_t key, uint32_t kept)
{
    float4 plain;
    bool alive = true;
    const sac__shifted box = job.box(key, &plain);
    for (uint32_t first = 0; alive && first < kept; first += DEEP) {
        bool near = false;
#pragma unroll
        for (int k = 0; k < DEEP; k++) {
            const Overlap overlap(job, box, shared.kept.get((int)first + k));
            alive = alive && !overlap.above;
            near = near || overlap.near;
        }
        for (int k = 0; near && alive && k < DEEP; k++) {
            const sac__shifted other = shared.kept.get((int)first + k);
            alive = !sac__iou_above(&box, &other, job.iou);
        }
    }
    return alive;
}

/// Leaves those keys of [low,high) that none of the `kept` boxes of shared.kept suppresses.
SAC__DEVICE void filter(Shared &shared, const Job &job, Keys &own, uint64_t low, uint64_t high,
                        uint32_t kept)
{
    uint32_t left = 0;
    for (uint32_t first = 0; first < own.count; first += THREADS) {
        const uint32_t at = first + threadIdx.x;
        const uint64_t key = at < own.count ? own.keys[at] : ~(uint64_t)0;
        const bool inside = at < own.count && key >= low && key < high;
        const bool stays = inside && (job.final || survives(shared, job, key, kept));
        uint32_t these;
        const uint32_t to = left + sac__block_scan(stays, shared.select.warp_sums, &these);
        if (stays) own.keys[to] = key; // all have read theirs
        left += these;
    }
    own.count = left;
    __syncthreads();
}

/// A picture's candidates while boxes are found among them.
struct Progress {
    uint32_t kept, most; ///< boxes; how many there may be
    uint32_t last;       ///< boxes of the last round: shared.kept
    uint32_t gathered;   ///< keys that went through memory.window
};

/// One round on `count` keys, one a thread, which are all before those not yet seen.
SAC__DEVICE void run_chunk(Shared &shared, const Job &job, const Target &target,
                           Progress &progress, uint64_t key, uint32_t count)
{
    const bool valid = threadIdx.x < count;
    Candidate candidate = {key, {}, 0};
    sac__shifted box = {};
    shared.keys[threadIdx.x] = key;
    if (valid) box = job.box(key, &candidate.box);
    __syncthreads();
    sac__rank_keys(shared.ranks, shared.keys, job.cluster, count);
    job.cluster.sync();
    if (valid) {
        candidate.rank = shared.ranks[threadIdx.x];
        shared.boxes.set((int)candidate.rank, box);
    }
    __syncthreads();
    if (!job.final) compare_pairs(shared, job, count);
    progress.last = resolve(shared, job, count, progress.most - progress.kept);
    emit(shared, job, target, candidate, valid, progress.last, progress.kept);
    progress.kept += progress.last;
    __syncthreads();
}

/// Rounds on the keys of [low,high). `count`: how many there are, if that is a chunk; else 0.
SAC__DEVICE void run_window(Shared &shared, const Job &job, const Target &target,
                            Progress &progress, Keys own, uint64_t low, uint64_t high,
                            uint32_t count)
{
    for (uint64_t bound = high; low < high; low = bound) {
        if (!count)
            bound = sac__find_bound(shared.select, job.cluster, own.keys, own.count, low, high,
                                    SAC__CHUNK, false, &count);
        if (!count) return;
        const uint64_t key = gather_chunk(shared, job, own, low, bound);
        run_chunk(shared, job, target, progress, key, count);
        if (progress.kept == progress.most || bound == high) return;
        filter(shared, job, own, bound, high, progress.last);
        count = 0;
    }
}

/// A block's share of a list.
SAC__DEVICE Keys share(const Job &job, uint64_t *keys, uint32_t count)
{
    const auto before = [&](uint32_t rank) {
        return (uint32_t)((uint64_t)count * rank / job.cluster.size);
    };
    const uint32_t first = before(job.cluster.rank);
    return {keys + first, before(job.cluster.rank + 1) - first};
}

/// Leaves those of [low,high) that no box so far suppresses.
SAC__DEVICE void filter_by_all(Shared &shared, const Job &job, const Progress &progress, Keys &own,
                               uint64_t low, uint64_t high)
{
    if (progress.kept == progress.last) { // they are all there still
        filter(shared, job, own, low, high, progress.last);
        return;
    }
    for (uint32_t first = 0; first < progress.kept; first += SAC__CHUNK) {
        const uint32_t count = min(progress.kept - first, (uint32_t)SAC__CHUNK);
        float4 box;
        if (threadIdx.x < count)
            shared.kept.set((int)threadIdx.x,
                            job.box(__ldcg(&job.memory.kept[first + threadIdx.x]), &box));
        else shared.kept.set((int)threadIdx.x, {});
        __syncthreads();
        filter(shared, job, own, low, high, count);
    }
}

/// How many candidates to look at next, after `last` of them: as many as can be compared with all
/// boxes so far in some 10 µs; if that is few, four times the last ones.
SAC__DEVICE uint32_t next_window(uint32_t last, uint32_t kept)
{
    return max(4 * last, (1u << 20) / max(kept, 1u));
}

/// A bound such that about `most` of the candidates from `low` on are below it, exactly so many if
/// `exact`, else at least half as many; `seen` are before low. By the head's histogram, and further
/// within a bin where that is too coarse.
SAC__DEVICE uint64_t find_window(Shared &shared, const Job &job, const Keys &all, uint64_t low,
                                 uint32_t seen, uint32_t most, bool exact, uint32_t *count_out)
{
    const uint4 bins = __ldcg((const uint4 *)job.memory.bins + threadIdx.x);
    sac__choose_bin(shared.select, bins, seen + most);
    const uint32_t bin = shared.select.bin, before = max(shared.select.before, seen);
    const uint64_t bound = max(job.scale.start(bin), low);
    __syncthreads();
    *count_out = before - seen;
    if (bin == SAC__BINS || *count_out == most || (!exact && *count_out >= most / 2)) return bound;
    uint32_t more;
    const uint64_t further =
        sac__find_bound(shared.select, job.cluster, all.keys, all.count, bound,
                        job.scale.start(bin + 1), most - *count_out, exact, &more);
    *count_out += more;
    return further;
}

/// Window by window, since mostly the first, a chunk, has all boxes. `low`: least key, `total` of
/// them. Returns how many boxes there are.
SAC__DEVICE uint32_t run(Shared &shared, const Job &job, const Target &target, uint32_t total,
                         uint64_t low, uint32_t most)
{
    Progress progress = {0, most, 0, 0};
    if (total == 0) return 0;
    if (total <= SAC__CHUNK) {
        const uint64_t key =
            threadIdx.x < total ? __ldcg(&job.memory.keys[threadIdx.x]) : ~(uint64_t)0;
        run_chunk(shared, job, target, progress, key, total);
        return progress.kept;
    }
    const Keys all = share(job, job.memory.keys, total);
    uint32_t seen = 0, limit = min(total, (uint32_t)SAC_MAX_CANDIDATES);
    for (uint32_t window = SAC__CHUNK; seen < limit && progress.kept < most;) {
        uint32_t count;
        const uint64_t bound = find_window(shared, job, all, low, seen, min(window, limit - seen),
                                           window >= limit - seen, &count);
        if (seen == 0) {
            run_window(shared, job, target, progress, all, low, bound, count);
        } else {
            gather(job, all, low, bound, job.memory.window, progress.gathered);
            progress.gathered += count;
            Keys own = share(job, job.memory.window, count);
            filter_by_all(shared, job, progress, own, low, bound);
            run_window(shared, job, target, progress, own, low, bound, 0);
        }
        seen += count;
        low = bound;
        window = next_window(window, progress.kept);
    }
    return progress.kept;
}

SAC__DEVICE void clear(Shared &shared)
{
    for (int k = threadIdx.x; k < 2 * SAC__BINS; k += THREADS)
        (&shared.select.histogram[0][0])[k] = 0;
    if (threadIdx.x == 0) shared.select.turn = 0;
    __syncthreads();
}

__global__ void __launch_bounds__(THREADS, 1)
    nms(const __grid_constant__ sac__boxes boxes, const __grid_constant__ sac__boxes_layout layout,
        uint32_t classes, int final)
{
    SAC__SHARED(Shared, shared);
    const sac__cluster cluster = sac__cluster::here();
    const int n = (int)(blockIdx.x / cluster.size);
    clear(*shared);
    cluster.start();
    sac__grid_wait();
    sac__grid_release();
    const sac__batch *batch = boxes.batch;
    const Job job = {layout.part(n), cluster, classes, sac__scale::of(batch->conf), batch->iou,
                     batch->iou >= 1e-3f ? batch->iou * 1.000001f : INFINITY, batch->agnostic,
                     final};
    const sac__boxes_state state = *job.memory.state;
    const Target target = {&((const sac__picture *)(batch + 1))[n].map,
                           boxes.items + (size_t)n * boxes.capacity};
    const uint64_t low = (uint64_t)~state.most << 32;
    const uint32_t most = (uint32_t)min(batch->max_det, boxes.capacity);
    cluster.wait_started();
    const uint32_t kept = run(*shared, job, target, state.count, low, most);
    cluster.meet(); // nobody ends while others read its shared memory; all have read the state
    if (cluster.rank != 0) return;
    ((uint4 *)job.memory.bins)[threadIdx.x] = make_uint4(0, 0, 0, 0);
    if (threadIdx.x == 0) {
        const int64_t over = (int64_t)state.count - SAC_MAX_CANDIDATES;
        boxes.found[n] = {kept, state.count, state.nonfinite, over > 0 ? over : 0};
        *job.memory.state = {};
    }
}

/// Blocks that share a picture: as many as every GPU with clusters has room for.
int cluster_size(int wanted)
{
    int device = 0, major = 0;
    if (cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) != cudaSuccess ||
        major < 9)
        return 1;
    return wanted > 0 ? wanted : 8;
}

} // namespace

int sac__nms_cuda(const sac__boxes &boxes, const sac__boxes_layout &layout, const sac_head &head,
                  cudaStream_t stream)
{
    const unsigned size = (unsigned)cluster_size(boxes.blocks);
    const sac_launch how = {
        dim3(size * boxes.n), dim3(THREADS), stream, sizeof(Shared), size, true};
    return sac__launch("nms", how, nms, boxes, layout, (uint32_t)head.classes,
                       (int)(head.family == SAC_HEAD_END2END));
}
