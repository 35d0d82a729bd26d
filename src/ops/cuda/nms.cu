// SPDX-License-Identifier: Apache-2.0
// NMS: candidates of a picture → boxes in source pixels, by one cluster a picture.
//
// In rounds: the best 512 candidates at most are chosen by histograms of their keys, sorted and
// compared with each other (a bit for each pair, the cluster's blocks share the rows), and those
// that stay are found word by word; what is left is compared with them, and only survivors go on.
// So each candidate meets each box that stays at most once, mostly none but the first round is
// needed, and max_det boxes end it all. Every block comes to the same decisions; block 0 writes the
// boxes. On GPUs without clusters the same runs in one block.
//
// Bound by latency: some 6 µs for a few hundred candidates. Most work is in comparing: for 30000
// candidates and 100 boxes 3 million pairs at 15 instructions, 25 µs for 8 blocks.
#include <stddef.h>

#include "select.cuh"

namespace {

enum { THREADS = SAC__NMS_THREADS, WARPS = SAC__NMS_WARPS, WORDS = SAC__CHUNK / 32 };

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
    Boxes kept;  ///< of this round
    sac__select_shared select;
    uint64_t sort[2 * SAC__CHUNK];
    union {
        uint32_t mask[SAC__CHUNK][WORDS + 1]; ///< earlier boxes that overlap; +1 for the banks
        uint32_t items[SAC__CHUNK * sizeof(sac_detection) / 4];
    };
    uint32_t words[WORDS];  ///< ranks that stay
    uint32_t before[WORDS]; ///< how many of them before a word
    uint32_t kept_count;
};

/// What does not change over the rounds.
struct Job {
    sac__boxes_memory memory;
    sac__cluster cluster;
    uint32_t classes;
    float iou;
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

/// All keys of [low,bound), at most a chunk, into memory.chunk; `gathered`: in earlier rounds.
SAC__DEVICE void gather(const Job &job, const Keys &own, uint64_t low, uint64_t bound,
                        uint32_t gathered)
{
    const uint32_t lane = threadIdx.x % 32;
    sac__each_key(own.keys, own.count, [&](uint64_t key) {
        const bool take = key >= low && key < bound;
        const uint32_t taking = __ballot_sync(~0u, take);
        if (!taking) return;
        uint32_t slot = 0;
        if (lane == 0) slot = atomicAdd(&job.memory.state->gathered, (uint32_t)__popc(taking));
        slot = __shfl_sync(~0u, slot, 0) - gathered;
        if (take) __stcg(&job.memory.chunk[slot + __popc(taking & ((1u << lane) - 1))], key);
    });
    job.cluster.sync();
}

/// Bits of the pairs of the chunk, to all blocks; a warp has a row.
SAC__DEVICE void compare_pairs(Shared &shared, const Job &job, uint32_t count)
{
    const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (uint32_t row = job.cluster.rank * WARPS + warp; row < count;
         row += job.cluster.size * WARPS) {
        const sac__shifted box = shared.boxes.get((int)row);
        uint32_t mine = 0;
        for (uint32_t word = 0; word <= row / 32; word++) {
            const uint32_t other = 32 * word + lane;
            bool above = false;
            if (other < row) {
                const sac__shifted earlier = shared.boxes.get((int)other);
                above = sac__iou_above(&box, &earlier, job.iou);
            }
            const uint32_t bits = __ballot_sync(~0u, above);
            if (lane == word) mine = bits;
        }
        if (lane <= row / 32)
            for (uint32_t rank = 0; rank < job.cluster.size; rank++)
                job.cluster.write(&shared.mask[row][lane], rank, mine);
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

/// Which ranks of the chunk stay, at most `most`, by one warp.
SAC__DEVICE void resolve(Shared &shared, const Job &job, uint32_t count, uint32_t most)
{
    const uint32_t lane = threadIdx.x % 32;
    uint32_t words = 0, total = 0; // lane w has word w
    for (uint32_t word = 0; 32 * word < count && total < most; word++) {
        const uint32_t rank = 32 * word + lane;
        bool open = rank < count;
        uint32_t mine = 0;
        if (!job.final) {
            uint32_t met = 0;
            for (uint32_t w = 0; w < word; w++) {
                const uint32_t kept = __shfl_sync(~0u, words, (int)w);
                if (rank < count) met |= shared.mask[rank][w] & kept;
            }
            if (rank < count) mine = shared.mask[rank][word];
            open = open && !met;
        }
        uint32_t kept = settle(__ballot_sync(~0u, open), mine);
        while (total + (uint32_t)__popc(kept) > most) kept ^= 0x80000000u >> __clz((int)kept);
        if (lane == word) {
            words = kept;
            shared.before[lane] = total;
        }
        total += (uint32_t)__popc(kept);
    }
    if (lane < WORDS) shared.words[lane] = words;
    if (lane == 0) shared.kept_count = total;
}

/// Where boxes go.
struct Target {
    const sac__map *map;
    sac_detection *items;
};

/// The candidate of this thread's rank, if it stays: to shared.kept, and as an item.
SAC__DEVICE void emit(Shared &shared, const Job &job, const Target &target, uint64_t key,
                      float4 box, uint32_t kept_before)
{
    const uint32_t lane = threadIdx.x % 32, word = threadIdx.x / 32;
    if (shared.words[word] >> lane & 1) {
        const uint32_t at =
            shared.before[word] + __popc(shared.words[word] & ((1u << lane) - 1));
        shared.kept.set((int)at, shared.boxes.get((int)threadIdx.x));
        if (job.cluster.rank == 0) {
            const uint32_t id = (uint32_t)key;
            float corners[4] = {box.x, box.y, box.z, box.w};
            sac__map_box(target.map, corners);
            uint32_t *item = shared.items + at * (sizeof(sac_detection) / 4);
            for (int k = 0; k < 4; k++) item[k] = sac__float_bits(corners[k]);
            item[4] = sac__float_bits(sac__boxes_score(key));
            item[5] = id % job.classes;
            item[6] = id / job.classes;
        }
    }
    __syncthreads();
    if (job.cluster.rank != 0) return;
    uint32_t *to = (uint32_t *)(target.items + kept_before);
    for (uint32_t k = threadIdx.x; k < shared.kept_count * sizeof(sac_detection) / 4; k += THREADS)
        to[k] = shared.items[k];
}

/// Keys of a thread that are compared at once, so that a box that stays is fetched once for all.
enum { WIDE = 4 };

/// Clears those of `alive` that one of this round's boxes suppresses.
SAC__DEVICE void suppress(const Shared &shared, const Job &job, const uint64_t *keys, bool *alive)
{
    sac__shifted boxes[WIDE] = {};
    bool any = false;
#pragma unroll
    for (int k = 0; k < WIDE; k++) {
        float4 plain;
        if (alive[k]) boxes[k] = job.box(keys[k], &plain);
        any = any || alive[k];
    }
    for (uint32_t at = 0; any && at < shared.kept_count; at++) {
        const sac__shifted kept = shared.kept.get((int)at);
        any = false;
#pragma unroll
        for (int k = 0; k < WIDE; k++) {
            alive[k] = alive[k] && !sac__iou_above(&boxes[k], &kept, job.iou);
            any = any || alive[k];
        }
    }
}

/// Leaves those keys of [low,high) that none of this round's boxes suppresses.
SAC__DEVICE void filter(Shared &shared, const Job &job, Keys &own, uint64_t low, uint64_t high)
{
    uint32_t left = 0;
    for (uint32_t first = 0; first < own.count; first += WIDE * THREADS) {
        uint64_t keys[WIDE];
        bool alive[WIDE];
        uint32_t mine = 0, these;
#pragma unroll
        for (int k = 0; k < WIDE; k++) {
            const uint32_t at = first + k * THREADS + threadIdx.x;
            keys[k] = at < own.count ? own.keys[at] : ~(uint64_t)0;
            alive[k] = keys[k] >= low && keys[k] < high;
        }
        if (!job.final) suppress(shared, job, keys, alive);
#pragma unroll
        for (int k = 0; k < WIDE; k++) mine += alive[k];
        uint32_t at = left + sac__block_scan(mine, shared.select.warp_sums, &these);
#pragma unroll
        for (int k = 0; k < WIDE; k++)
            if (alive[k]) own.keys[at++] = keys[k]; // all have read theirs
        left += these;
    }
    own.count = left;
    __syncthreads();
}

/// One round on `count` sorted candidates, this thread's being `key`. Returns how many stay.
SAC__DEVICE uint32_t run_chunk(Shared &shared, const Job &job, const Target &target, uint64_t key,
                               uint32_t count, uint32_t kept, uint32_t most)
{
    float4 box = {};
    if (threadIdx.x < count) shared.boxes.set((int)threadIdx.x, job.box(key, &box));
    __syncthreads();
    if (!job.final) compare_pairs(shared, job, count);
    if (threadIdx.x < 32) resolve(shared, job, count, most - kept);
    __syncthreads();
    emit(shared, job, target, key, box, kept);
    return shared.kept_count;
}

/// All rounds. `low`, `high`: bounds of the keys, `total` of them. Returns how many boxes there
/// are.
SAC__DEVICE uint32_t run(Shared &shared, const Job &job, const Target &target, uint32_t total,
                         uint64_t low, uint64_t high, uint32_t most)
{
    const auto part = [&](uint32_t rank) {
        return (uint32_t)((uint64_t)total * rank / job.cluster.size);
    };
    Keys own = {job.memory.keys + part(job.cluster.rank),
                part(job.cluster.rank + 1) - part(job.cluster.rank)};
    uint32_t kept = 0, gathered = 0, count = total;
    bool limited = total <= SAC_MAX_CANDIDATES;
    for (uint64_t bound = high; kept < most && low < high; low = bound) {
        const uint64_t *chunk = job.memory.keys;
        if (total > SAC__CHUNK) {
            bound = sac__find_bound(shared.select, job.cluster, own.keys, own.count, low, high,
                                    SAC__CHUNK, false, &count);
            gather(job, own, low, bound, gathered);
            chunk = job.memory.chunk;
        }
        if (count == 0) break;
        gathered += count;
        uint64_t key = threadIdx.x < count ? __ldcg(&chunk[threadIdx.x]) : ~(uint64_t)0;
        key = sac__block_sort(key, shared.sort, count);
        kept += run_chunk(shared, job, target, key, count, kept, most);
        if (kept == most || bound == high) break;
        if (!limited) { // candidates beyond the best 30000 go; the chunk is among them
            uint32_t rest;
            high = sac__find_bound(shared.select, job.cluster, own.keys, own.count, low, high,
                                   SAC_MAX_CANDIDATES, true, &rest);
            limited = true;
        }
        filter(shared, job, own, bound, high);
    }
    return kept;
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
    const Job job = {layout.part(n), cluster, classes, batch->iou, batch->agnostic, final};
    const sac__boxes_state state = *job.memory.state;
    const Target target = {&((const sac__picture *)(batch + 1))[n].map,
                           boxes.items + (size_t)n * boxes.capacity};
    const uint64_t low = (uint64_t)~state.most << 32;
    const uint64_t high = (uint64_t)~sac__float_bits(batch->conf) << 32;
    const uint32_t most = (uint32_t)min(batch->max_det, boxes.capacity);
    cluster.wait_started();
    const uint32_t kept = run(*shared, job, target, state.count, low, high, most);
    cluster.meet(); // nobody ends while others read its shared memory; all have read the state
    if (cluster.rank == 0 && threadIdx.x == 0) {
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
