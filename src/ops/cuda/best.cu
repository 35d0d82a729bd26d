// SPDX-License-Identifier: Apache-2.0
// End-to-end outputs (v10, 26): of v8 rows the best anchors, then of their scores the best pairs of
// anchor and class, in order; sac__head_best is the specification. Score and place make one 64-bit
// key, larger is better and no two are equal, so a radix selection finds exactly the best and ties
// fall as TopK has them: the first wins. One block a picture; a few hundred of 8400 anchors.
#include <cuda_runtime.h>

#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"
#include "ops.h"
#include "ops/math/half.h"

namespace {

enum { ANCHORS = 128, THREADS = 1024, BUCKETS = 256 };

struct best {
    const float *rows;           ///< (N,4+classes,count)
    uint32_t *anchors, *pairs;   ///< (N,count), (N,kept·classes): scores as ordered integers
    int count, classes, kept;
};

/// Integers that are ordered as the floats are; a NaN with a clear sign is above all.
SAC__DEVICE uint32_t ordered(float x)
{
    const uint32_t bits = __float_as_uint(x);
    return bits ^ (bits >> 31 ? 0xffffffffu : 0x80000000u);
}

SAC__DEVICE const float *rows_of(const best &b, int n)
{
    return b.rows + (int64_t)n * (4 + b.classes) * b.count;
}

/// An anchor's best score.
__global__ void __launch_bounds__(ANCHORS) best_anchors(const best b)
{
    const int anchor = (int)(blockIdx.x * ANCHORS + threadIdx.x), n = (int)blockIdx.y;
    sac__grid_release();
    sac__grid_wait();
    if (anchor >= b.count) return;
    const float *scores = rows_of(b, n) + (int64_t)4 * b.count + anchor;
    uint32_t most = 0;
    for (int c = 0; c < b.classes; c++)
        most = max(most, ordered(scores[(int64_t)c * b.count]));
    b.anchors[(int64_t)n * b.count + anchor] = most;
}

SAC__DEVICE uint64_t key_of(const uint32_t *scores, int i)
{
    return (uint64_t)scores[i] << 32 | (0xffffffffu - (uint32_t)i);
}

SAC__DEVICE int place_of(uint64_t key)
{
    return (int)(0xffffffffu - (uint32_t)key);
}

/// How many of `count` keys fall in each bucket, of those that begin as `prefix`.
SAC__DEVICE void fill_buckets(int *buckets, const uint32_t *scores, int count, uint64_t prefix,
                              int shift)
{
    for (int k = (int)threadIdx.x; k < BUCKETS; k += THREADS) buckets[k] = 0;
    __syncthreads();
    for (int i = (int)threadIdx.x; i < count; i += THREADS) {
        const uint64_t key = key_of(scores, i);
        if (shift == 56 || key >> (shift + 8) == prefix)
            atomicAdd(&buckets[key >> shift & (BUCKETS - 1)], 1);
    }
    __syncthreads();
}

/// The bucket in which the `wanted` largest end, and how many of them lie there. Each warp finds
/// it: a lane has 8 buckets, the first lane the largest.
SAC__DEVICE int find_bucket(const int *buckets, int &wanted)
{
    const int lane = (int)threadIdx.x % 32, top = BUCKETS - 1 - 8 * lane;
    int mine = 0, bucket = top;
#pragma unroll
    for (int k = 0; k < 8; k++) mine += buckets[top - k];
    int sum = mine; // with the lanes before
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
        const int other = __shfl_up_sync(~0u, sum, step);
        if (lane >= step) sum += other;
    }
    int left = wanted - (sum - mine);
#pragma unroll
    for (int k = 0; k < 7; k++)
        if (bucket == top - k && buckets[bucket] < left) left -= buckets[bucket--];
    const int ends = __ffs((int)__ballot_sync(~0u, sum >= wanted)) - 1;
    wanted = __shfl_sync(~0u, left, ends);
    return __shfl_sync(~0u, bucket, ends);
}

/// The smallest of the `wanted` largest keys, or a number between it and the next one below.
SAC__DEVICE uint64_t find_limit(int *buckets, const uint32_t *scores, int count, int wanted)
{
    uint64_t prefix = 0;
    for (int shift = 56; shift >= 0; shift -= 8) {
        fill_buckets(buckets, scores, count, prefix, shift);
        const int bucket = find_bucket(buckets, wanted); // every thread the same
        prefix = prefix << 8 | (uint64_t)bucket;
        const bool all = buckets[bucket] == wanted;
        __syncthreads();
        if (all) return prefix << shift;
    }
    return prefix;
}

/// The `wanted` largest keys, the largest first, into `sorted`; `found` has as much room.
SAC__DEVICE void select(uint64_t *sorted, uint64_t *found, int *buckets, const uint32_t *scores,
                        int count, int wanted)
{
    const uint64_t limit = find_limit(buckets, scores, count, wanted);
    int *next = buckets;
    if (threadIdx.x == 0) *next = 0;
    __syncthreads();
    for (int i = (int)threadIdx.x; i < count; i += THREADS)
        if (key_of(scores, i) >= limit) found[atomicAdd(next, 1)] = key_of(scores, i);
    __syncthreads();
    for (int i = (int)threadIdx.x; i < wanted; i += THREADS) {
        int rank = 0;
        for (int k = 0; k < wanted; k++) rank += found[k] > found[i];
        sorted[rank] = found[i];
    }
    __syncthreads();
}

SAC__DEVICE void put(float *to, float value)
{
    *to = value;
}
SAC__DEVICE void put(uint16_t *to, float value)
{
    *to = sac__float_half(value);
}

template <class T>
SAC__DEVICE void write_row(T *out, const float *rows, int count, int anchor, int class_id)
{
    const float x = rows[anchor], y = rows[(int64_t)count + anchor],
                w = rows[(int64_t)2 * count + anchor], h = rows[(int64_t)3 * count + anchor];
    put(out, x - w / 2);
    put(out + 1, y - h / 2);
    put(out + 2, x + w / 2);
    put(out + 3, y + h / 2);
    put(out + 4, rows[(int64_t)(4 + class_id) * count + anchor]);
    put(out + 5, (float)class_id);
}

template <class T> __global__ void __launch_bounds__(THREADS) best_pairs(T *out, const best b)
{
    SAC__SHARED(uint64_t, shared);
    uint64_t *anchors = shared, *chosen = anchors + b.kept, *found = chosen + b.kept;
    int *buckets = reinterpret_cast<int *>(found + b.kept);
    const int n = (int)blockIdx.x;
    const float *rows = rows_of(b, n);
    uint32_t *pairs = b.pairs + (int64_t)n * b.kept * b.classes;
    sac__grid_release();
    sac__grid_wait();
    select(anchors, found, buckets, b.anchors + (int64_t)n * b.count, b.count, b.kept);
    for (int k = (int)threadIdx.x; k < b.kept * b.classes; k += THREADS)
        pairs[k] = ordered(rows[(int64_t)(4 + k % b.classes) * b.count +
                                place_of(anchors[k / b.classes])]);
    __syncthreads();
    select(chosen, found, buckets, pairs, b.kept * b.classes, b.kept);
    for (int k = (int)threadIdx.x; k < b.kept; k += THREADS) {
        const int pair = place_of(chosen[k]);
        write_row(out + ((int64_t)n * b.kept + k) * 6, rows, b.count,
                  place_of(anchors[pair / b.classes]), pair % b.classes);
    }
}

template <class T> int launch(T *out, const best &b, int n, cudaStream_t stream, int overlap)
{
    sac_launch how = {dim3((b.count + ANCHORS - 1) / ANCHORS, n), dim3(ANCHORS), stream, 0, 0,
                      overlap != 0};
    int error = sac__launch("best anchors", how, best_anchors, b);
    if (error) return error;
    how = {dim3(n), dim3(THREADS), stream, 3 * b.kept * sizeof(uint64_t) + BUCKETS * sizeof(int),
           0, true};
    return sac__launch("best pairs", how, best_pairs<T>, out, b);
}

} // namespace

extern "C" size_t sac__best_scratch(int n, int64_t rows, int classes, int64_t best)
{
    return (size_t)n * (size_t)(rows * (4 + classes) + rows + best * classes) * sizeof(float);
}

extern "C" int sac__best_cuda(void *best_out, sac_dtype dtype, const struct sac__maps *maps, int n,
                              int64_t best_count, void *scratch, cudaStream_t stream, int overlap)
{
    int64_t count = 0;
    for (int k = 0; k < maps->level_count; k++)
        count += (int64_t)maps->levels[k].width * maps->levels[k].height;
    best b = {static_cast<float *>(scratch), nullptr, nullptr, (int)count, maps->head.classes,
              (int)best_count};
    b.anchors = static_cast<uint32_t *>(scratch) + n * count * (4 + b.classes);
    b.pairs = b.anchors + n * count;
    int error = sac__rows_cuda(scratch, SAC_F32, maps, n, stream, overlap);
    if (error) return error;
    if (dtype == SAC_F32) return launch(static_cast<float *>(best_out), b, n, stream, 1);
    if (dtype == SAC_F16) return launch(static_cast<uint16_t *>(best_out), b, n, stream, 1);
    return sac__fail(SAC_EUNSUPPORTED, "rows of type %d", (int)dtype);
}
