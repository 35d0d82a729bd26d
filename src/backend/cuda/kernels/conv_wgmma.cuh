// SPDX-License-Identifier: Apache-2.0
// What all parts of conv_wgmma.cu know: a tile, what a block is to do, its ring of stages.
#ifndef SAC_CUDA_CONV_WGMMA_CUH
#define SAC_CUDA_CONV_WGMMA_CUH

#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

#include "conv.cuh"
#include "conv_wgmma.h"

namespace wgmma_device
{

using namespace conv_device;

template <int ROWS_, int COLUMNS_, int GROUPS_, int STAGES_, int BLOCKS_, int PAIR_, int AFTER_>
struct shape {
    static constexpr int ROWS = ROWS_, COLUMNS = COLUMNS_, STAGES = STAGES_, BLOCKS = BLOCKS_;
    static constexpr int PAIR = PAIR_;   ///< 2: blocks come in pairs, else 1
    static constexpr int AFTER = AFTER_; ///< columns at once of a convolution after it, or 0
    static constexpr int CONSUMERS = 128 * GROUPS_, THREADS = CONSUMERS + 32;
    static constexpr int PRODUCTS = ROWS / 64 / GROUPS_; ///< of 64 rows each, a warpgroup
    static constexpr int SUMS = COLUMNS / 2;             ///< a thread and product
    static constexpr int PIXEL_BYTES = ROWS * SAC__WGMMA_ROW;
    static constexpr int STAGE_BYTES = PIXEL_BYTES + COLUMNS * SAC__WGMMA_ROW;
    static constexpr int PITCH = COLUMNS + SAC__WGMMA_PAD; ///< floats of a row of a split's sums
    static constexpr int SUM_BYTES = ROWS * PITCH * 4;
};

/// A convolution after the first one is problem 1, its map that of the channels beside.
struct parameters {
    sac_tensor_map map[SAC__CONV_GROUP];
    sac_conv_problems problems;
    int box[SAC__CONV_GROUP];
    int depth; ///< channels of the first one's results that it reads
};

/// What a block is to do.
struct task {
    const sac_conv_problem *problem;
    const sac_tensor_map *map;
    int box;                   ///< channels a load
    int tile, tiles, apart;    ///< the first one, the end, and from one to the next
    int first, last;           ///< steps of each
    int end;                   ///< the same, with those of the convolution after it
    int split;                 ///< blocks that share the steps
    int rank;                  ///< of this block among those of its cluster
    uint32_t memory, barriers; ///< shared addresses
    // Of the convolution after it.
    const sac_conv_problem *next;
    int depth;       ///< channels of the first one's results that it reads
    int own, beside; ///< steps over those, and over the channels beside them, for T::AFTER columns
};

template <class T> __device__ task task_of(const parameters &a, const unsigned char *memory)
{
    int block = static_cast<int>(blockIdx.x), k = 0, together = a.problems.split;
    while (k + 1 < a.problems.count && block >= a.problems.at[k + 1].first)
        k++;
    const sac_conv_problem &p = a.problems.at[k];
    task t;
    t.problem = &p;
    t.map = &a.map[k];
    t.box = a.box[k];
    t.split = T::PAIR == 2 ? 1 : together;
    t.tile = divide(block - p.first, p.by_split);
    t.rank = block - p.first - t.tile * together;
    t.tiles = (p.pixels + T::PAIR * T::ROWS - 1) / (T::PAIR * T::ROWS) * p.columns;
    t.apart = a.problems.count > 1 ? t.tiles : static_cast<int>(gridDim.x) / together;
    t.first = T::PAIR == 2 ? 0 : p.steps * t.rank / together;
    t.last = T::PAIR == 2 ? p.steps : p.steps * (t.rank + 1) / together;
    t.end = t.last;
    if (T::AFTER > 0) {
        t.next = &a.problems.at[1];
        t.depth = a.depth;
        t.own = (a.depth + SAC__CONV_STEP - 1) / SAC__CONV_STEP;
        t.beside = t.next->steps - t.own;
        t.end += t.next->steps * t.next->columns;
    }
    t.barriers = sac__shared_address(memory);
    t.memory = t.barriers + SAC__WGMMA_BARRIERS;
    return t;
}

/// The first output pixel of a tile; beyond the last one for the second block of a last pair.
template <class T> __device__ int first_pixel(const task &t, int tile)
{
    const int line = divide(tile, t.problem->by_columns);
    return (T::PAIR == 2 ? 2 * line + t.rank : line) * T::ROWS;
}

template <class T> __device__ int first_column(const task &t, int tile)
{
    return (tile - divide(tile, t.problem->by_columns) * t.problem->columns) * T::COLUMNS;
}

/// A place in the ring. A stage's two barriers, full and empty, change their phase once a round.
template <class T> struct ring {
    int slot = 0;
    uint32_t round = 0; ///< parity

    __device__ void next()
    {
        if (++slot < T::STAGES) return;
        slot = 0;
        round ^= 1;
    }
    __device__ uint32_t stage(const task &t) const
    {
        return t.memory + slot * T::STAGE_BYTES;
    }
    __device__ uint32_t full(const task &t) const
    {
        return t.barriers + slot * 16;
    }
    __device__ uint32_t empty(const task &t) const
    {
        return t.barriers + slot * 16 + 8;
    }
};

__device__ inline int warpgroup()
{
    return static_cast<int>(threadIdx.x) / 128;
}

/// The first of a warp's 16 rows of a tile, in its warpgroup's first product.
template <class T> __device__ int first_row()
{
    return warpgroup() * T::PRODUCTS * 64 + static_cast<int>(threadIdx.x) % 128 / 32 * 16;
}

} // namespace wgmma_device

#endif
