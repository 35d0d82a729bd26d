// SPDX-License-Identifier: Apache-2.0
// The producer of conv_wgmma.cu.
//
// At batch 1 a layer waits for who issues the loads, and a thread takes longer to work out a step
// than the matrix units to multiply it. So each lane of a warp works out another stage of the ring,
// and only the loads themselves come one after the other.
#ifndef SAC_CUDA_CONV_WGMMA_LOAD_CUH
#define SAC_CUDA_CONV_WGMMA_LOAD_CUH

#include "conv_wgmma.cuh"

namespace wgmma_device
{

/// A window's extents in pixels and from one tap to the next, and a load's channels.
struct window {
    int width, height, right, down, channels, box;

    __device__ explicit window(const task &t)
    {
        const sac_conv &c = t.problem->conv;
        right = c.dilation[1], down = c.dilation[0];
        width = c.kernel[1] * right, height = c.kernel[0] * down;
        channels = c.channels, box = t.box;
        sac__keep(width), sac__keep(height), sac__keep(right), sac__keep(down);
        sac__keep(channels), sac__keep(box);
    }
};

/// The step that a lane loads: where its operands come from.
template <class T> struct load {
    int tile, step;
    int x, y, n; ///< input pixel under tap (0,0) of the tile's first output pixel; or that one in x
    int right, down, channel;     ///< from there to the step's first tap, and its first channel
    const unsigned char *weights; ///< this block's share
    uint32_t bytes, told;         ///< of that share; that the stage gets, pixels too

    __device__ load(const task &t, int ahead) : tile(t.tile), step(t.first)
    {
        next(t, ahead);
    }
    /// `ahead` steps further. Nothing is there when tile ≥ t.tiles.
    __device__ void next(const task &t, int ahead)
    {
        for (step += ahead; step >= t.end && tile < t.tiles; tile += t.apart)
            step -= t.end - t.first;
        if (T::AFTER > 0 && step >= t.last) return find_next(t);
        find_pixels(t);
        find_weights(t, *t.problem, step, first_column<T>(t, tile), T::COLUMNS,
                     first_pixel<T>(t, tile) < t.problem->pixels ? T::PIXEL_BYTES : 0);
    }
    __device__ void find_pixels(const task &t)
    {
        const sac_conv &c = t.problem->conv;
        const pixel at = pixel_at(*t.problem, first_pixel<T>(t, tile));
        const int depth = step * SAC__CONV_STEP, tap = divide(depth, t.problem->by_channels);
        const int line = divide(tap, t.problem->by_window);
        x = at.x * c.stride[1] - c.pad[1];
        y = at.y * c.stride[0] - c.pad[0];
        n = at.n;
        right = (tap - line * c.kernel[1]) * c.dilation[1];
        down = line * c.dilation[0];
        channel = depth - tap * c.channels;
    }
    /// `k`: step of the weights. The stage then gets those of `columns` columns, and `pixels`
    /// bytes.
    __device__ void find_weights(const task &t, const sac_conv_problem &p, int k, int column,
                                 int columns, int pixels)
    {
        const int share = T::PAIR == 2 ? t.rank * columns / 2 : 0;
        const int rows = p.weight_rows, there = min(columns, rows - column);
        const int64_t row = static_cast<int64_t>(k) * rows + column + share;
        weights = static_cast<const unsigned char *>(p.conv.weights) + row * SAC__WGMMA_ROW;
        bytes = static_cast<uint32_t>(max(0, min(columns / T::PAIR, there - share)));
        bytes *= SAC__WGMMA_ROW;
        told = static_cast<uint32_t>(there * SAC__WGMMA_ROW + pixels);
    }
    /// Of the convolution after it: T::AFTER columns after the other, and for each the steps over
    /// the first one's results, which are weights only, before those beside.
    __device__ void find_next(const task &t)
    {
        const sac_conv_problem &p = *t.next;
        const int depth = (step - t.last) * SAC__CONV_STEP, chunk = divide(depth, p.by_channels);
        const int k = (step - t.last) - chunk * p.steps;
        channel = (k - t.own) * SAC__CONV_STEP; // negative: none
        x = first_pixel<T>(t, tile);
        find_weights(t, p, k, chunk * T::AFTER, T::AFTER, channel >= 0 ? T::PIXEL_BYTES : 0);
    }
};

/// The barrier of the stage then waits for a step's weights and pixels. Columns beyond the last
/// channel keep what was there: their sums are never used.
template <class T>
__device__ void load_weights(const task &t, const load<T> &from, const ring<T> &to)
{
    const int share = T::PAIR == 2 ? t.rank * T::COLUMNS / 2 * SAC__WGMMA_ROW : 0;
    const uint32_t stage = to.stage(t) + T::PIXEL_BYTES + share, full = to.full(t);
    sac__mbarrier_expect_tx(full, from.told);
    if (T::PAIR == 1)
        sac__bulk_load(stage, from.weights, from.bytes, full);
    else if (from.bytes > 0)
        sac__bulk_load_multicast(stage, from.weights, from.bytes, full, 3);
}

/// A step of pixels: one load for each run of `box` channels. Behind the last tap: zeros, from
/// channels that are not there. Nothing for the second block of a last pair.
template <class T>
__device__ void load_pixels(const task &t, const window &w, load<T> from, const ring<T> &to)
{
    uint32_t stage = to.stage(t), full = to.full(t);
    if (T::AFTER > 0 && from.step >= t.last) {
        if (from.channel >= 0) sac__tma_load_4d(stage, t.map + 1, full, from.channel, from.x, 0, 0);
        return;
    }
    if (from.n >= t.problem->conv.n) return;
    for (int depth = 0; depth < SAC__CONV_STEP; depth += w.box) {
        const bool tap = from.down < w.height;
        sac__tma_load_im2col(stage, t.map, full, tap ? from.channel : w.channels, from.x, from.y,
                             from.n, from.right, tap ? from.down : 0);
        stage += static_cast<uint32_t>(T::ROWS * 2 * w.box);
        from.channel += w.box;
        if (from.channel < w.channels) continue;
        from.channel = 0;
        from.right += w.right;
        if (from.right < w.width) continue;
        from.right = 0;
        from.down += w.down;
    }
}

/// By a whole warp.
template <class T> __device__ void produce(const task &t)
{
    const int lane = static_cast<int>(threadIdx.x) % 32;
    int left = (t.tiles - t.tile + t.apart - 1) / t.apart * (t.end - t.first);
    load<T> from(t, min(lane, T::STAGES - 1));
    const window w(t);
    ring<T> to;
    to.slot = lane;
    if (lane < min(left, T::STAGES)) load_weights<T>(t, from, to);
    sac__keep(from.x), sac__keep(from.right), sac__keep(from.channel); // not after the wait
    sac__grid_wait();
    if (lane < min(left, T::STAGES)) load_pixels<T>(t, w, from, to);
    for (left -= T::STAGES; left > 0; left -= T::STAGES) {
        from.next(t, T::STAGES);
        for (int slot = 0; slot < min(left, T::STAGES); slot++) {
            // Empty: read by the warps of all blocks that its weights go to.
            sac__mbarrier_wait(t.barriers + static_cast<uint32_t>(slot) * 16 + 8, to.round);
            if (lane != slot) continue;
            load_weights<T>(t, from, to);
            load_pixels<T>(t, w, from, to);
        }
        to.round ^= 1;
    }
}

} // namespace wgmma_device

#endif
