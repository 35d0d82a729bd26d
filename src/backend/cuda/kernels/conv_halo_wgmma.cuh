// SPDX-License-Identifier: Apache-2.0
// What conv_halo_wgmma.cu and conv_chain.cu share: warpgroups that walk over tiles of their own,
// each tile's input with its rim in shared memory, where wgmma reads every tap; and how a thread
// finishes its sums.
//
// Swizzles are a function of the address, so a tap's tile may begin at any pixel.
#ifndef SAC_CUDA_CONV_HALO_WGMMA_CUH
#define SAC_CUDA_CONV_HALO_WGMMA_CUH

#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

#include "conv_halo.cuh"
#include "conv_halo_wgmma.h"

namespace conv_device
{

constexpr int WORKER = 128; ///< threads of a warpgroup

/// WIDE: products of 64 pixels, 8x8, beside each other in a tile; WORKERS: warpgroups of a block.
template <int CHANNELS, int COLUMNS_, int WINDOW_, int STRIDE_, int WIDE_, int WORKERS_,
          int BLOCKS_>
struct halo_shape {
    static constexpr int COLUMNS = COLUMNS_, WINDOW = WINDOW_, STRIDE = STRIDE_, WIDE = WIDE_;
    static constexpr int WORKERS = WORKERS_, THREADS = WORKERS * WORKER, BLOCKS = BLOCKS_;
    static constexpr int TILE_W = WIDE * 8, TILE_H = 8;
    static constexpr int DEPTHS = CHANNELS / 16, SUMS = COLUMNS / 2, EIGHTS = COLUMNS / 32;
    static constexpr int STEPS = (WINDOW * WINDOW * DEPTHS + 3) / 4;
    static constexpr int WEIGHT_BYTES = STEPS * COLUMNS * STEP_BYTES;
    static constexpr int BOX = SAC__HALO_BOX(CHANNELS), BOXES = CHANNELS / BOX * STRIDE;
    static constexpr int PIXEL_BYTES = BOX * 2;
    static constexpr int ROW_BYTES = SAC__HALO_ACROSS(TILE_W, WINDOW, STRIDE) * PIXEL_BYTES;
    static constexpr int BOX_BYTES = SAC__HALO_DOWN(TILE_H, WINDOW, STRIDE) * ROW_BYTES;
    static constexpr int BOX_ROOM = SAC__HALO_ROOM(BOX_BYTES);
    static constexpr int HALO_BYTES = BOXES * BOX_ROOM;
    static constexpr int SWIZZLE = BOX == 64   ? SAC__SWIZZLE_128
                                   : BOX == 32 ? SAC__SWIZZLE_64
                                               : SAC__SWIZZLE_32;
};

/// What a worker has: shared addresses, its threads' number, the first column.
struct place_of_worker {
    uint32_t pixels, weights, barrier;
    unsigned thread;
    int column, bar; ///< bar: of its threads
};

/// One thread does it: `at` is the first pixel under the tile. With stride 2 even and odd columns
/// are loads of their own.
template <class S>
__device__ void fetch_pixels(uint32_t pixels, uint32_t barrier, const sac_tensor_map &map,
                             corner at)
{
    sac__mbarrier_expect_tx(barrier, S::BOXES * S::BOX_BYTES);
#pragma unroll
    for (int k = 0; k < S::BOXES; k++)
        sac__tma_load_4d(pixels + k * S::BOX_ROOM, &map, barrier, k / S::STRIDE * S::BOX,
                         at.x + k % S::STRIDE, at.y, at.n);
}

template <class S>
__device__ void fetch_halo(const place_of_worker &w, const sac_conv &c, const sac_tensor_map &map,
                           corner at)
{
    if (w.thread != 0) return;
    at.y = at.y * S::STRIDE - c.pad[0], at.x = at.x * S::STRIDE - c.pad[1];
    fetch_pixels<S>(w.pixels, w.barrier, map, at);
}

__device__ inline uint64_t join(uint32_t high, uint32_t low)
{
    return static_cast<uint64_t>(high) << 32 | low;
}

/// Both operands' descriptors at the first tap in two words each, the low one with the address in
/// units of 16 bytes.
struct operands {
    uint32_t pixels, pixels_high, weights, weights_high;
};

template <class S> __device__ operands operands_of(uint32_t pixels, uint32_t weights)
{
    const uint64_t a = sac__wgmma_descriptor(pixels, 16, S::STRIDE * S::ROW_BYTES, S::SWIZZLE);
    const uint64_t b = sac__wgmma_descriptor(weights, 16, 8 * STEP_BYTES, SAC__SWIZZLE_128);
    return {static_cast<uint32_t>(a), static_cast<uint32_t>(a >> 32), static_cast<uint32_t>(b),
            static_cast<uint32_t>(b >> 32)};
}

/// 16 channels of a tap: where they begin, of pixels and of weights, in units of 16 bytes.
template <class S> __device__ constexpr uint32_t pixels_at(int tap, int d)
{
    int y = tap / S::WINDOW, x = tap % S::WINDOW;
    int box = d * 16 / S::BOX * S::STRIDE + x % S::STRIDE;
    return static_cast<uint32_t>(box * S::BOX_ROOM + y * S::ROW_BYTES +
                                 x / S::STRIDE * S::PIXEL_BYTES + d * 32 % S::PIXEL_BYTES) >>
           4;
}

template <class S> __device__ constexpr uint32_t weights_at(int depth)
{
    return static_cast<uint32_t>(depth / 4 * S::COLUMNS * STEP_BYTES + depth % 4 * 32) >> 4;
}

template <class S> __device__ void multiply(float (&sums)[S::WIDE][S::SUMS], const operands &o)
{
    sac__wgmma_fence();
#pragma unroll
    for (int depth = 0; depth < S::WINDOW * S::WINDOW * S::DEPTHS; depth++)
#pragma unroll
        for (int m = 0; m < S::WIDE; m++)
            sac__wgmma_f16<S::COLUMNS>(
                sums[m],
                join(o.pixels_high, o.pixels + pixels_at<S>(depth / S::DEPTHS, depth % S::DEPTHS) +
                                        m * (8 * S::PIXEL_BYTES >> 4)),
                join(o.weights_high, o.weights + weights_at<S>(depth)), 1);
    sac__wgmma_commit();
    sac__wgmma_wait<0>();
#pragma unroll
    for (int i = 0; i < S::WIDE * S::SUMS; i++)
        sac__wgmma_pin(sums[i / S::SUMS][i % S::SUMS]);
}

/// Where a thread writes its eights of channels; NULL: nothing.
template <int EIGHTS> struct sink {
    part_place to[EIGHTS];
    int k; ///< of the first, 32 from one to the next

    __device__ bool has(int g) const
    {
        return to[g].data;
    }
};

/// Of a sac_conv or a sac_conv_after, from channel `column` on.
template <int EIGHTS, class Conv>
__device__ sink<EIGHTS> sink_of(const Conv &c, int column, unsigned thread)
{
    sink<EIGHTS> s = {};
    s.k = column + static_cast<int>(thread % 4 * 8);
#pragma unroll
    for (int g = 0; g < EIGHTS; g++)
        if (s.k + g * 32 < c.out_channels) s.to[g] = part_of(c, s.k + g * 32);
    return s;
}

/// Sums begin with the bias: read for each tile, which is cheaper than the registers.
template <int EIGHTS, int WIDE, class Conv, class Sink>
__device__ void start_sums(float (&sums)[WIDE][EIGHTS * 16], const Conv &c, const Sink &to)
{
#pragma unroll
    for (int g = 0; g < EIGHTS; g++) {
        float bias[8] = {};
        if (to.has(g)) add_bias(bias, c, to.k + g * 32);
#pragma unroll
        for (int i = 0; i < WIDE * 16; i++) {
            float &sum = sums[i / 16][g * 16 + i % 16];
            sum = bias[i % 16 / 4 * 2 + i % 2];
            sac__wgmma_pin(sum);
        }
    }
}

/// A thread's pixels of a tile: for each product two, one below the other.
template <class S> struct pixels {
    int x, y, row; ///< of the first; among all of the output

    __device__ pixels(const sac_conv &c, corner at, unsigned thread)
    {
        y = at.y + static_cast<int>(thread / 32 * 2);
        x = at.x + static_cast<int>(thread % 32 / 4);
        row = (at.n * c.out_height + y) * c.out_width + x;
    }
    __device__ bool has(const sac_conv &c, int product, int below) const
    {
        return x + product * 8 < c.out_width && y + below < c.out_height;
    }
};

/// What is added to a tile's sums: of the residual, else of the coarse map. Where registers can
/// hold it, it is asked for before the products. OTHERS: registers for all else.
template <class S, int OTHERS = 36> struct addends {
    static constexpr int REGISTERS = S::WIDE * (S::SUMS + S::EIGHTS * 8) + OTHERS;
    static constexpr bool EARLY = REGISTERS * S::THREADS * S::BLOCKS <= 65536;
    uint4 of[S::EIGHTS][S::WIDE][2];

    template <class Sink>
    __device__ void fetch(const sac_conv_problem &p, const pixels<S> &at, const Sink &to)
    {
        const sac_conv &c = p.conv;
        if (!c.residual && !c.coarse) return;
#pragma unroll
        for (int i = 0; i < S::EIGHTS * S::WIDE * 2; i++) {
            const int g = i / 2 / S::WIDE, m = i / 2 % S::WIDE, k = to.k + g * 32;
            const int row = at.row + m * 8 + i % 2 * c.out_width;
            if (to.has(g) && at.has(c, m, i % 2))
                of[g][m][i % 2] = c.residual ? residual_at(c, row, k) : coarse_at(p, row, k);
        }
    }
};

/// A thread's sums of 8 channels, the g-th, of two pixels, one below the other.
template <int SUMS>
__device__ inline void take_eight(float (&sum)[2][8], const float (&sums)[SUMS], int g)
{
#pragma unroll
    for (int i = 0; i < 16; i++)
        sum[i / 8][i % 8] = sums[g * 16 + i % 8 / 2 * 4 + i / 8 * 2 + i % 2];
}

/// Ends the work on 8 channels of two pixels, one below the other, the upper one being `row`.
/// `early`: addends, or NULL. use(which, halves) is told of each.
template <class Use>
__device__ inline void finish_pixels(const sac_conv_problem &p, int k, int row,
                                     const bool (&inside)[2], const uint4 *early,
                                     float (&sum)[2][8], const Use &use)
{
    const sac_conv &c = p.conv;
    uint4 residual[2] = {};
    if (c.residual)
#pragma unroll
        for (int i = 0; i < 2; i++)
            if (inside[i])
                residual[i] = early ? early[i] : residual_at(c, row + i * c.out_width, k);
    if (c.coarse)
#pragma unroll
        for (int i = 0; i < 2; i++)
            if (inside[i])
                add_halves(sum[i], early && !c.residual ? early[i]
                                                        : coarse_at(p, row + i * c.out_width, k));
    sac__device_activate_all<false, 16>(c.act, c.alpha, sum[0]);
#pragma unroll
    for (int i = 0; i < 2; i++) {
        if (c.residual) add_halves(sum[i], residual[i]);
        use(i, sum[i]);
    }
}

/// A launch of blocks of `workers` warpgroups.
inline sac_launch launch_of(dim3 grid, int workers, int shared, const sac_conv_launch &how)
{
    sac_launch launch = {};
    launch.grid = grid;
    launch.block = dim3(static_cast<unsigned>(workers * WORKER));
    launch.stream = how.stream;
    launch.shared = static_cast<size_t>(shared);
    launch.overlap = how.overlap != 0;
    return launch;
}

} // namespace conv_device

#endif
