// SPDX-License-Identifier: Apache-2.0
// Head: raw output → candidates, in no order. First every thread looks whether its row is quiet;
// then four lanes share each row that is not: classes dealt out, a side of the box each.
// Bytes that must move: V5 the objectness logits' sectors (102000 rows: 3.3 MB), V8 all class
// logits; both lie in L2 after the last convolutions. Candidates are collected in shared memory and
// appended by one atomic a block.
#include <float.h>

#include "source.cuh"

namespace {

/// BATCH: class logits of a lane under way at once.
enum { THREADS = 256, LANES = 4, BATCH = 8 };

template <class Source> constexpr int items_of = THREADS / Source::slices;

/// What a block finds.
template <int ITEMS> struct Finds {
    uint64_t keys[ITEMS];
    int32_t hits[ITEMS]; ///< items that are not quiet
    uint32_t loud[ITEMS];
    uint32_t hit_count, key_count, nonfinite, most, base;
};

struct Verdict {
    sac__verdict verdict;
    float score;
    int32_t class_id;
};

/// The best of four lanes: highest score, then lowest class; `bad` if any is.
SAC__DEVICE void join_lanes(Verdict &best, bool &bad)
{
#pragma unroll
    for (int step = 1; step < LANES; step *= 2) {
        const float score = __shfl_xor_sync(~0u, best.score, step);
        const int32_t class_id = __shfl_xor_sync(~0u, best.class_id, step);
        if (score > best.score || (score == best.score && class_id < best.class_id)) {
            best.score = score;
            best.class_id = class_id;
        }
        bad = __shfl_xor_sync(~0u, (int)bad, step) || bad;
    }
}

/// All scores of a row compared, by four lanes.
template <class Source>
SAC__DEVICE Verdict find_best(const Source &source, int item, int lane, int classes,
                              float objectness, bool *bad_out)
{
    Verdict best = {SAC__BELOW, source.conf, INT32_MAX};
    bool bad = false;
    for (int first = lane; first < classes; first += LANES * BATCH) {
        float raw[BATCH];
#pragma unroll
        for (int k = 0; k < BATCH; k++)
            raw[k] = first + LANES * k < classes ? source.raw(item, first + LANES * k) : 0.f;
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            if (first + LANES * k >= classes) continue;
            const float value = source.score(raw[k]);
            bad = bad || !sac__finite(value);
            const float score = Source::has_objectness ? value * objectness : value;
            if (score > best.score) best = {SAC__BELOW, score, first + LANES * k};
        }
    }
    join_lanes(best, bad);
    *bad_out = bad;
    return best;
}

/// The class with the highest logit, the first of several.
struct Top {
    float logit, next; ///< next: the highest of those that differ
    int32_t class_id;
    bool bad; ///< whether any is not finite

    __device__ __forceinline__ void add(float x, float its_next, int32_t c)
    {
        const bool first = x > logit || (x == logit && c < class_id);
        next = fmaxf(fmaxf(next, its_next), x == logit ? x - INFINITY : fminf(x, logit));
        logit = fmaxf(logit, x);
        class_id = first ? c : class_id;
    }
};

/// Sigmoid never falls, so the highest logit has the best score; it is the only one with it, since
/// further than this below it or below 4 sigmoid has fallen by 1e-5 of itself, and rounding moves
/// scores by 1e-6. Else, and where scores may be subnormal, all scores are compared.
SAC__DEVICE bool alone(const Top &top, float limit)
{
    return top.next <= fminf(top.logit, 4.f) - 9.765625e-4f && limit > -FLT_MAX;
}

template <int LOGITS, class Source>
SAC__DEVICE Top find_top(const Source &source, int item, int lane, int classes)
{
    Top top = {-INFINITY, -INFINITY, INT32_MAX, false};
    const auto logits = source.raw(item);
    for (int first = lane; first < classes; first += LANES * LOGITS) {
        float raw[LOGITS];
#pragma unroll
        for (int k = 0; k < LOGITS; k++)
            raw[k] = first + LANES * k < classes ? logits[first + LANES * k] : -FLT_MAX;
#pragma unroll
        for (int k = 0; k < LOGITS; k++) {
            top.bad = top.bad || !sac__finite(raw[k]);
            top.add(raw[k], -INFINITY, first + LANES * k);
        }
    }
#pragma unroll
    for (int step = 1; step < LANES; step *= 2) {
        const float logit = __shfl_xor_sync(~0u, top.logit, step);
        const float next = __shfl_xor_sync(~0u, top.next, step);
        const int32_t class_id = __shfl_xor_sync(~0u, top.class_id, step);
        top.bad = __shfl_xor_sync(~0u, (int)top.bad, step) || top.bad;
        top.add(logit, next, class_id);
    }
    return top;
}

/// sac__row_best by four lanes; all lanes of the warp come.
template <class Source>
SAC__DEVICE Verdict judge(const Source &source, int item, int lane, int classes,
                          float *objectness_out)
{
    Verdict best = {};
    bool bad = false, done = false;
    if constexpr (Source::logits) {
        const Top top = classes <= 2 * LANES ? find_top<2>(source, item, lane, classes)
                                             : find_top<20>(source, item, lane, classes);
        done = __all_sync(~0u, alone(top, source.limit));
        best = {SAC__BELOW, source.score(top.logit), top.class_id};
        bad = top.bad;
    }
    const float objectness = *objectness_out = source.objectness(item);
    if (!done) best = find_best(source, item, lane, classes, objectness, &bad);
    else if (Source::has_objectness) best.score = best.score * objectness;
    if (Source::has_objectness && !sac__finite(objectness)) best.verdict = SAC__NONFINITE;
    else if (Source::has_objectness && !(objectness > source.conf)) best.verdict = SAC__BELOW;
    else if (bad) best.verdict = SAC__NONFINITE;
    else if (best.score > source.conf)
        best.verdict = sac__finite(best.score) ? SAC__ABOVE : SAC__NONFINITE;
    return best;
}

template <>
__device__ __forceinline__ Verdict judge(const sac__source_rows<SAC__ROWS_FINAL> &source,
                                         int item, int, int, float *)
{
    Verdict verdict = {SAC__BELOW, 0.f, 0};
    verdict.verdict =
        sac__row_final(source.rows, item, source.conf, &verdict.score, &verdict.class_id);
    return verdict;
}

/// One lane each that has something to say: straight to the list.
SAC__DEVICE void push_all(const sac__boxes_memory &memory, bool push, float score, uint32_t id,
                          float conf)
{
    const uint32_t pushing = __ballot_sync(~0u, push);
    if (!pushing) return;
    const uint32_t most = __reduce_max_sync(~0u, push ? sac__float_bits(score) : 0u);
    const int lane = threadIdx.x % 32, leader = __ffs((int)pushing) - 1;
    uint32_t base = 0;
    if (lane == leader) {
        base = atomicAdd(&memory.state->count, (uint32_t)__popc(pushing));
        atomicMax(&memory.state->most, most);
    }
    base = __shfl_sync(~0u, base, leader);
    if (!push) return;
    const uint64_t key = sac__boxes_key(score, id);
    memory.keys[base + __popc(pushing & ((1u << lane) - 1))] = key;
    atomicAdd(&memory.bins[sac__scale::of(conf).bin(key)], 1u);
}

/// A key for each class above conf, four lanes a row.
template <class Source>
SAC__DEVICE void push_labels(const Source &source, const sac__boxes_memory &memory,
                             const sac__batch *batch, int item, bool above, float objectness,
                             int classes)
{
    const uint8_t *wanted = batch->filtered ? sac__batch_wanted(batch) : nullptr;
    for (int first = 0; first < classes; first += LANES) {
        const int c = first + threadIdx.x % LANES;
        float score = 0.f;
        if (above && c < classes && (!wanted || wanted[c])) {
            score = source.score(source.raw(item, c));
            if (Source::has_objectness) score = score * objectness;
        }
        push_all(memory, score > source.conf, score,
                 (uint32_t)source.row(item) * (uint32_t)classes + (uint32_t)c, source.conf);
    }
}

/// A row that was not quiet, by four lanes; all lanes of the warp come. Not `valid`: nothing.
template <class Source, int ITEMS>
SAC__DEVICE void take(const Source &source, const sac__boxes_memory &memory,
                      const sac__batch *batch, Finds<ITEMS> &finds, int item, bool valid,
                      int classes)
{
    const int lane = threadIdx.x % LANES;
    float objectness = 1.f;
    const Verdict best = judge(source, item, lane, classes, &objectness);
    bool above = valid && best.verdict == SAC__ABOVE;
    bool nonfinite = valid && best.verdict == SAC__NONFINITE;
    if (__any_sync(~0u, above)) {
        float box[4];
        const float side = source.side(item, lane);
#pragma unroll
        for (int k = 0; k < 4; k++) box[k] = __shfl_sync(~0u, side, k, LANES);
        source.box(item, box);
        const bool finite = sac__finite(box[0]) && sac__finite(box[1]) && sac__finite(box[2]) &&
                            sac__finite(box[3]);
        nonfinite = nonfinite || (above && !finite);
        above = above && finite;
        if (above && lane == 0)
            memory.boxes[source.row(item)] = make_float4(box[0], box[1], box[2], box[3]);
    }
    if (nonfinite && lane == 0) atomicAdd(&finds.nonfinite, 1u);
    if (!Source::final && memory.multi_label && batch->multi_label) {
        push_labels(source, memory, batch, item, above, objectness, classes);
    } else if (above && lane == 0 &&
               (!batch->filtered || sac__batch_wanted(batch)[best.class_id])) {
        const uint32_t id =
            (uint32_t)source.row(item) * (uint32_t)classes + (uint32_t)best.class_id;
        finds.keys[atomicAdd(&finds.key_count, 1u)] = sac__boxes_key(best.score, id);
        atomicMax(&finds.most, sac__float_bits(best.score));
    }
}

/// Items of the block that are not quiet → finds.hits. `along`: slices of an item are neighbours.
template <class Source, int ITEMS>
SAC__DEVICE void find_hits(const Source &source, Finds<ITEMS> &finds, int first, bool along)
{
    const int thread = threadIdx.x;
    const int k = along ? thread / Source::slices : thread % ITEMS;
    const int slice = along ? thread % Source::slices : thread / ITEMS;
    bool loud = first + k < source.count() && !source.quiet(first + k, slice);
    if constexpr (Source::slices > 1) {
        if (thread < ITEMS) finds.loud[thread] = 0;
        __syncthreads();
        if (loud) atomicOr(&finds.loud[k], 1u);
        __syncthreads();
        loud = thread < ITEMS && finds.loud[thread] != 0;
    }
    if (loud) finds.hits[atomicAdd(&finds.hit_count, 1u)] = first + thread;
    __syncthreads();
}

/// All of a block: items first, first + 1, …
template <class Source>
SAC__DEVICE void scan(const Source &source, const sac__boxes_memory &memory,
                      const sac__batch *batch, int first, int classes, bool along)
{
    __shared__ Finds<items_of<Source>> finds;
    if (threadIdx.x == 0) finds.hit_count = finds.key_count = finds.nonfinite = finds.most = 0;
    __syncthreads();
    find_hits(source, finds, first, along);
    const int hits = finds.hit_count, groups = THREADS / LANES;
    if (hits == 0) return;
    for (int base = 0; base < hits; base += groups) {
        const int mine = base + (int)threadIdx.x / LANES;
        if (base + (int)(threadIdx.x & ~31u) / LANES >= hits) break; // the whole warp is done
        take(source, memory, batch, finds, finds.hits[mine < hits ? mine : 0], mine < hits,
             classes);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        if (finds.nonfinite) atomicAdd(&memory.state->nonfinite, finds.nonfinite);
        if (finds.key_count) {
            finds.base = atomicAdd(&memory.state->count, finds.key_count);
            atomicMax(&memory.state->most, finds.most);
        }
    }
    __syncthreads();
    const sac__scale scale = sac__scale::of(source.conf);
    for (uint32_t k = threadIdx.x; k < finds.key_count; k += THREADS) {
        memory.keys[finds.base + k] = finds.keys[k];
        atomicAdd(&memory.bins[scale.bin(finds.keys[k])], 1u);
    }
}

/// A level's map for picture n.
SAC__DEVICE void move_map(sac__raw_map &map, int half, int n)
{
    if (map.data)
        map.data = (const char *)map.data + n * map.picture_step * (half ? 2 : 4);
}

template <class Source>
__global__ void __launch_bounds__(THREADS, 3)
    head_maps(const __grid_constant__ sac__boxes_layout layout,
              const __grid_constant__ sac__maps maps, const sac__batch *batch)
{
    __shared__ sac__map_level level;
    const int n = blockIdx.y;
    int block = blockIdx.x, k = 0, first = 0;
    for (;; k++) { // which level's block it is
        const sac__map_level &here = maps.levels[k];
        const int items = here.anchor_count * here.width * here.height;
        const int blocks = (items + items_of<Source> - 1) / items_of<Source>;
        if (block < blocks) break;
        block -= blocks;
        first += items;
    }
    if (threadIdx.x == 0) {
        level = maps.levels[k];
        move_map(level.boxes, maps.half, n);
        move_map(level.scores, maps.half, n);
    }
    __syncthreads();
    sac__grid_wait();
    sac__grid_release();
    if (n >= batch->count) return;
    const Source source = {&maps, &level, first, batch->conf, batch->limit};
    scan(source, layout.part(n), batch, block * items_of<Source>, maps.head.classes,
         level.scores.channel_step == 1);
}

template <int KIND>
__global__ void __launch_bounds__(THREADS, 3)
    head_rows(const __grid_constant__ sac__boxes_layout layout,
              const __grid_constant__ sac__rows all, int64_t picture_step, const sac__batch *batch)
{
    using Source = sac__source_rows<KIND>;
    __shared__ sac__rows rows;
    const int n = blockIdx.y;
    if (threadIdx.x == 0) {
        rows = all;
        rows.data = (const char *)all.data + n * picture_step * (all.half ? 2 : 4);
    }
    __syncthreads();
    sac__grid_wait();
    sac__grid_release();
    if (n >= batch->count) return;
    const Source source = {&rows, batch->conf};
    scan(source, layout.part(n), batch, (int)blockIdx.x * items_of<Source>, all.head.classes,
         all.value_step == 1);
}

int check(const sac__boxes &boxes, int64_t rows, int classes)
{
    if (sac__boxes_workspace(boxes.n, rows, classes, boxes.multi_label)) return 0;
    return sac__fail(SAC_EUNSUPPORTED, "%lld rows of %d classes are beyond what the GPU counts",
                     (long long)rows, classes);
}

template <class Source>
int launch_maps(const sac__boxes &boxes, const sac__boxes_layout &layout, const sac__maps &maps,
                cudaStream_t stream, bool overlap)
{
    unsigned blocks = 0;
    for (int k = 0; k < maps.level_count; k++) {
        const sac__map_level &level = maps.levels[k];
        blocks += (level.anchor_count * level.width * level.height + items_of<Source> - 1) /
                  items_of<Source>;
    }
    const sac_launch how = {dim3(blocks, boxes.n), dim3(THREADS), stream, 0, 0, overlap};
    return sac__launch("head", how, head_maps<Source>, layout, maps, boxes.batch);
}

template <int KIND>
int launch_rows(const sac__boxes &boxes, const sac__boxes_layout &layout, const sac__rows &rows,
                int64_t picture_step, cudaStream_t stream, bool overlap)
{
    const int items = items_of<sac__source_rows<KIND>>;
    const unsigned blocks = rows.count > 0 ? (rows.count + items - 1) / items : 1;
    const sac_launch how = {dim3(blocks, boxes.n), dim3(THREADS), stream, 0, 0, overlap};
    return sac__launch("head", how, head_rows<KIND>, layout, rows, picture_step, boxes.batch);
}

} // namespace

extern "C" size_t sac__boxes_workspace(int n, int64_t rows, int classes, int multi_label)
{
    if (rows < 0 || rows > INT32_MAX / 2 || rows * classes > UINT32_MAX) return 0;
    return n * sac__boxes_layout::of(nullptr, rows, classes, multi_label).bytes;
}

extern "C" int sac__boxes_maps_cuda(const struct sac__boxes *boxes_out,
                                    const struct sac__maps *maps, cudaStream_t stream, int overlap)
{
    int64_t rows = 0;
    for (int k = 0; k < maps->level_count; k++)
        rows += (int64_t)maps->levels[k].anchor_count * maps->levels[k].width *
                maps->levels[k].height;
    int error = check(*boxes_out, rows, maps->head.classes);
    if (error) return error;
    const auto layout = sac__boxes_layout::of(boxes_out->workspace, rows, maps->head.classes,
                                              boxes_out->multi_label);
    const bool v5 = maps->head.family == SAC_HEAD_V5, half = maps->half != 0;
    auto *const launch = v5 && half ? launch_maps<sac__source_v5<uint16_t>>
                         : v5       ? launch_maps<sac__source_v5<float>>
                         : half     ? launch_maps<sac__source_v8<uint16_t>>
                                    : launch_maps<sac__source_v8<float>>;
    error = launch(*boxes_out, layout, *maps, stream, overlap);
    return error ? error : sac__nms_cuda(*boxes_out, layout, maps->head, stream);
}

extern "C" int sac__boxes_rows_cuda(const struct sac__boxes *boxes_out,
                                    const struct sac__rows *rows, int64_t picture_step,
                                    cudaStream_t stream, int overlap)
{
    int error = check(*boxes_out, rows->count, rows->head.classes);
    if (error) return error;
    const auto layout = sac__boxes_layout::of(boxes_out->workspace, rows->count,
                                              rows->head.classes, boxes_out->multi_label);
    auto *const launch = rows->head.family == SAC_HEAD_V8 ? launch_rows<SAC__ROWS_PLAIN>
                         : rows->head.family == SAC_HEAD_END2END
                             ? launch_rows<SAC__ROWS_FINAL>
                             : launch_rows<SAC__ROWS_OBJECTNESS>;
    error = launch(*boxes_out, layout, *rows, picture_step, stream, overlap);
    return error ? error : sac__nms_cuda(*boxes_out, layout, rows->head, stream);
}
