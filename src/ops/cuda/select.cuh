// SPDX-License-Identifier: Apache-2.0
// Choosing and sorting keys by the blocks of a cluster. Each block has keys of its own; all of them
// come to the same results.
#ifndef SAC_OPS_CUDA_SELECT_CUH
#define SAC_OPS_CUDA_SELECT_CUH

#include "boxes.cuh"
#include "cluster.cuh"

enum {
    SAC__NMS_THREADS = SAC__CHUNK,
    SAC__NMS_WARPS = SAC__NMS_THREADS / 32
};

struct sac__select_shared {
    alignas(16) uint32_t histogram[2][SAC__BINS]; ///< used in turn
    uint32_t warp_sums[SAC__NMS_WARPS];
    uint32_t bin, before; ///< where the limit falls, and keys in the bins before
    int turn;
};

/// Sum over the threads before this one; *total_out: over all. All threads come.
SAC__DEVICE uint32_t sac__block_scan(uint32_t value, uint32_t *warp_sums, uint32_t *total_out)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    uint32_t sum = value;
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
        const uint32_t other = __shfl_up_sync(~0u, sum, step);
        if (lane >= step) sum += other;
    }
    __syncthreads(); // warp_sums of the scan before are read
    if (lane == 31) warp_sums[warp] = sum;
    __syncthreads();
    uint32_t before = 0, total = 0;
#pragma unroll
    for (int w = 0; w < SAC__NMS_WARPS; w++) {
        if (w == warp) before = total;
        total += warp_sums[w];
    }
    *total_out = total;
    return before + sum - value;
}

/// Every key of the block, four of a thread under way at once; ~0 where there are no more. Warps
/// stay together.
template <class Take>
SAC__DEVICE void sac__each_key(const uint64_t *keys, uint32_t count, Take take)
{
    const uint32_t lane = threadIdx.x % 32;
    for (uint32_t first = threadIdx.x - lane; first < count; first += 4 * SAC__NMS_THREADS) {
        uint64_t key[4];
#pragma unroll
        for (int k = 0; k < 4; k++) {
            const uint32_t at = first + lane + k * SAC__NMS_THREADS;
            key[k] = at < count ? keys[at] : ~(uint64_t)0;
        }
#pragma unroll
        for (int k = 0; k < 4; k++) take(key[k]);
    }
}

/// Counts the block's keys within [low,high) by bins of 2^shift; the other histogram is cleared for
/// the next time.
SAC__DEVICE void sac__count_bins(sac__select_shared &shared, const sac__cluster &cluster,
                                 const uint64_t *keys, uint32_t count, uint64_t low, uint64_t high,
                                 int shift)
{
    uint32_t *histogram = shared.histogram[shared.turn];
    sac__each_key(keys, count, [&](uint64_t key) {
        if (key >= low && key < high) atomicAdd(&histogram[(key - low) >> shift], 1u);
    });
    cluster.sync();
    *(uint4 *)&shared.histogram[!shared.turn][4 * threadIdx.x] = make_uint4(0, 0, 0, 0);
}

/// The last bin that may begin at or before `most` keys: shared.bin, shared.before; SAC__BINS where
/// all keys fit. `bins`: four of each thread.
SAC__DEVICE void sac__choose_bin(sac__select_shared &shared, uint4 bins, uint32_t most)
{
    uint32_t total;
    uint32_t before = sac__block_scan(bins.x + bins.y + bins.z + bins.w, shared.warp_sums, &total);
    const uint32_t each[4] = {bins.x, bins.y, bins.z, bins.w};
#pragma unroll
    for (int k = 0; k < 4; k++) {
        if (before <= most && most < before + each[k]) {
            shared.bin = 4 * threadIdx.x + k;
            shared.before = before;
        }
        before += each[k];
    }
    if (threadIdx.x == 0 && total <= most) {
        shared.bin = SAC__BINS;
        shared.before = total;
    }
    __syncthreads();
    // What follows begins with a barrier before anybody changes bin or before again.
}

/// The same for the sum of all blocks' histograms.
SAC__DEVICE void sac__find_bin(sac__select_shared &shared, const sac__cluster &cluster,
                               uint32_t most)
{
    const uint32_t *place = &shared.histogram[shared.turn][4 * threadIdx.x];
    uint4 bins = make_uint4(0, 0, 0, 0);
    for (uint32_t first = 0; first < cluster.size; first += 4) { // four loads under way
        uint4 other[4] = {};
#pragma unroll
        for (uint32_t k = 0; k < 4; k++)
            if (first + k < cluster.size) other[k] = cluster.read4(place, first + k);
#pragma unroll
        for (int k = 0; k < 4; k++)
            bins = make_uint4(bins.x + other[k].x, bins.y + other[k].y, bins.z + other[k].z,
                              bins.w + other[k].w);
    }
    sac__choose_bin(shared, bins, most);
    if (threadIdx.x == 0) shared.turn = !shared.turn;
}

/// A bound such that at most `most` keys of [low,high) of all blocks are below it: exactly `most`
/// of them (all, where there are fewer) if `exact`, else at least half as many. Their number goes
/// to *below_out.
SAC__DEVICE uint64_t sac__find_bound(sac__select_shared &shared, const sac__cluster &cluster,
                                     const uint64_t *keys, uint32_t count, uint64_t low,
                                     uint64_t high, uint32_t most, bool exact, uint32_t *below_out)
{
    uint32_t below = 0;
    while (low < high) {
        const int shift = sac__bin_shift(low, high);
        sac__count_bins(shared, cluster, keys, count, low, high, shift);
        sac__find_bin(shared, cluster, most - below);
        const uint32_t bin = shared.bin;
        below += shared.before;
        __syncthreads();
        if (bin == SAC__BINS) {
            low = high;
            break;
        }
        low += (uint64_t)bin << shift;
        if (below == most || (!exact && below >= most / 2)) break;
        const uint64_t width = (uint64_t)1 << shift;
        high = high - low < width ? high : low + width;
    }
    *below_out = below;
    return low;
}

/// How many keys are less than each of `count`: to `ranks` of all blocks, which share the work.
/// keys[count] to keys[SAC__CHUNK - 1] are ~0.
SAC__DEVICE void sac__rank_keys(uint32_t *ranks, const uint64_t *keys, const sac__cluster &cluster,
                                uint32_t count)
{
    const uint32_t lane = threadIdx.x % cluster.size; // as many lanes a key as there are blocks
    const uint32_t at = (cluster.rank * SAC__NMS_THREADS + threadIdx.x) / cluster.size;
    if (cluster.rank * SAC__NMS_THREADS / cluster.size >= count) return; // none for this block
    const uint64_t key = keys[at];
    uint32_t rank = 0;
#pragma unroll 4
    for (uint32_t k = 2 * lane; k < count; k += 2 * cluster.size) {
        const ulonglong2 pair = *(const ulonglong2 *)&keys[k];
        rank += (pair.x < key) + (pair.y < key);
    }
    for (uint32_t step = 1; step < cluster.size; step *= 2)
        rank += __shfl_xor_sync(~0u, rank, (int)step);
    if (at < count) cluster.write(&ranks[at], lane, rank);
}

#endif
