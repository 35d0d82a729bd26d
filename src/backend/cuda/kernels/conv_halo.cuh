// SPDX-License-Identifier: Apache-2.0
// What conv_halo.cu and conv_halo_wgmma.cu share: blocks that keep their weights in shared memory
// and walk over tiles. S says how: COLUMNS, STEPS of weights, THREADS, TILE_H and TILE_W.
#ifndef SAC_CUDA_CONV_HALO_CUH
#define SAC_CUDA_CONV_HALO_CUH

#include "cuda/ptx.cuh"

#include "conv.cuh"

namespace conv_device
{

constexpr int STEP_BYTES = SAC__CONV_STEP * 2;

/// Of every 32 channels those go together in a matrix of ldmatrix that give a lane of a quad 8
/// neighbouring channels of a pixel: row 8·i+2·t+e of the weights is channel 8·t+2·i+e. The pieces'
/// swizzle follows the row.
template <class S> __device__ void fetch_weights(uint32_t to, const sac_conv &c, int column)
{
    const char *from =
        static_cast<const char *>(c.weights) + static_cast<int64_t>(column) * STEP_BYTES;
    for (int i = static_cast<int>(threadIdx.x); i < S::COLUMNS * 8; i += S::THREADS) {
        int k = i / 8, row = (k & ~31) + (k >> 1 & 3) * 8 + (k >> 3 & 3) * 2 + (k & 1);
        uint32_t place = to + row * STEP_BYTES + (((i & 7) ^ (k & 7) ^ (row & 7)) << 4);
        bool inside = column + k < c.out_channels;
        const char *at = inside ? from + i * 16 : from;
        for (int step = 0; step < S::STEPS; step++, at += c.out_channels * STEP_BYTES)
            sac__cp_async<16>(place + step * S::COLUMNS * STEP_BYTES, inside ? at : from,
                              inside ? 16 : 0);
    }
}

/// A tile's first output pixel.
struct corner {
    int n, y, x;
};

template <class S> __device__ inline corner corner_of(const sac_conv_walk &walk, int tile)
{
    int line = divide(tile, walk.by_across), n = divide(line, walk.by_down);
    return {n, (line - n * walk.by_down.value) * S::TILE_H,
            (tile - line * walk.by_across.value) * S::TILE_W};
}

} // namespace conv_device

#endif
