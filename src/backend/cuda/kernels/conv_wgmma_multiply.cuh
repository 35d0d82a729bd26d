// SPDX-License-Identifier: Apache-2.0
// The products of conv_wgmma.cu: a warpgroup's part of a tile, step by step through the ring.
#ifndef SAC_CUDA_CONV_WGMMA_MULTIPLY_CUH
#define SAC_CUDA_CONV_WGMMA_MULTIPLY_CUH

#include "conv_wgmma.cuh"

namespace wgmma_device
{

template <class T> __device__ void give_back(const task &t, const ring<T> &at)
{
    const uint32_t lane = threadIdx.x % 32;
    if (T::PAIR == 1 && lane == 0) sac__mbarrier_arrive(at.empty(t));
    if (T::PAIR == 2 && lane < 2) sac__mbarrier_arrive_cluster(sac__mapa(at.empty(t), lane));
}

/// Both operands' descriptors at stage 0 in two words each, the low one with the address in units
/// of 16 bytes, and by how much the pixels' moves for 16 and 32 of depth and for 64 rows.
struct operands {
    uint32_t pixels, pixels_high, weights, weights_high;
    uint32_t near, far, rows;
};

/// Of pixels in runs of `box` channels.
template <class T> __device__ operands operands_of(const task &t, int box)
{
    const int row = box * 2; // bytes
    // The same in all lanes, which lets the compiler keep it in uniform registers.
    const int group = __shfl_sync(0xffffffffu, warpgroup(), 0);
    const int swizzle = box == 64   ? SAC__SWIZZLE_128
                        : box == 32 ? SAC__SWIZZLE_64
                                    : SAC__SWIZZLE_32;
    const uint64_t pixels =
        sac__wgmma_descriptor(t.memory + group * T::PRODUCTS * 64 * row, 16, 8 * row, swizzle);
    const uint64_t weights =
        sac__wgmma_descriptor(t.memory + T::PIXEL_BYTES, 16, 8 * SAC__WGMMA_ROW, SAC__SWIZZLE_128);
    operands o;
    o.pixels = static_cast<uint32_t>(pixels);
    o.pixels_high = static_cast<uint32_t>(pixels >> 32);
    o.weights = static_cast<uint32_t>(weights);
    o.weights_high = static_cast<uint32_t>(weights >> 32);
    o.near = static_cast<uint32_t>(box == 16 ? T::ROWS * row : 32) >> 4;
    o.far = static_cast<uint32_t>(box == 64 ? 64 : T::ROWS * row * (32 / box)) >> 4;
    o.rows = static_cast<uint32_t>(64 * row) >> 4;
    return o;
}

__device__ inline uint64_t join(uint32_t high, uint32_t low)
{
    return static_cast<uint64_t>(high) << 32 | low;
}

/// Adds up some steps of a tile. S: the columns.
template <class S, class T>
__device__ void multiply(float (&sums)[S::PRODUCTS][S::SUMS], const task &t, const operands &o,
                         ring<T> &at, int steps)
{
    ring<T> before = at;
    for (int step = 0; step < steps; step++, at.next()) {
        sac__mbarrier_wait(at.full(t), at.round);
        const uint32_t stage = static_cast<uint32_t>(at.slot) * (T::STAGE_BYTES >> 4);
        sac__wgmma_fence();
#pragma unroll
        for (int k = 0; k < SAC__CONV_STEP / 16; k++) {
            const uint32_t depth = (k & 1 ? o.near : 0) + (k & 2 ? o.far : 0);
#pragma unroll
            for (int m = 0; m < T::PRODUCTS; m++)
                sac__wgmma_f16<S::COLUMNS>(
                    sums[m], join(o.pixels_high, o.pixels + stage + depth + m * o.rows),
                    join(o.weights_high, o.weights + stage + 2 * k), 1);
        }
        sac__wgmma_commit();
        sac__wgmma_wait<1>();
        if (step > 0) give_back<T>(t, before);
        before = at;
    }
    sac__wgmma_wait<0>();
    give_back<T>(t, before);
#pragma unroll
    for (int m = 0; m < T::PRODUCTS; m++)
#pragma unroll
        for (int k = 0; k < T::SUMS; k++)
            sac__wgmma_pin(sums[m][k]);
}

} // namespace wgmma_device

#endif
