// SPDX-License-Identifier: Apache-2.0
// What the fp16 convolution kernels share on the device: finding a block's problem, pixels of a row
// index, and the end of the work: 8 channels of one pixel from fp32 sums to fp16 in memory.
#ifndef SAC_CUDA_CONV_CUH
#define SAC_CUDA_CONV_CUH

#include <cuda_fp16.h>

#include <string.h>

#include "activation.cuh"
#include "conv_kernels.h"

namespace conv_device {

/// n / d.value for 0 ≤ n < 2³¹.
__device__ inline int divide(int n, const sac_conv_divisor &d)
{
    uint32_t high = static_cast<uint32_t>((static_cast<uint64_t>(n) * d.mul) >> 32);
    return static_cast<int>((high + static_cast<uint32_t>(n)) >> d.shift);
}

struct pixel {
    int n, y, x;
};

/// Output pixel `row` of all N·out_height·out_width.
__device__ inline pixel pixel_at(const sac_conv_problem &p, int row)
{
    int line = divide(row, p.by_width), n = divide(line, p.by_height);
    return {n, line - n * p.by_height.value, row - line * p.by_width.value};
}

/// A block's place in a launch: rows share the input, so tiles of one row come one after the other.
struct place {
    int rank, tile, row, column;
};

__device__ inline const sac_conv_problem &problem_of(const sac_conv_problems &problems, int block)
{
    int k = 0;
    while (k + 1 < problems.count && block >= problems.at[k + 1].first)
        k++;
    return problems.at[k];
}

template <int ROWS, int COLUMNS>
__device__ inline place place_of(const sac_conv_problem &p, int split, int block)
{
    place at;
    at.tile = divide(block - p.first, p.by_split);
    at.rank = block - p.first - at.tile * split;
    at.row = divide(at.tile, p.by_columns);
    at.column = (at.tile - at.row * p.columns) * COLUMNS;
    at.row *= ROWS;
    return at;
}

/// `halves`: eight of them as uint4, or four as uint2.
template <class Vector> __device__ inline void add_halves(float *sum, const Vector &halves)
{
    constexpr int PAIRS = sizeof halves / 4;
    __half2 pair[PAIRS];
    memcpy(pair, &halves, sizeof halves);
#pragma unroll
    for (int i = 0; i < PAIRS; i++) {
        const float2 two = __half22float2(pair[i]);
        sum[2 * i] += two.x;
        sum[2 * i + 1] += two.y;
    }
}

__device__ inline uint2 to_four_halves(const float *value)
{
    uint2 four;
    const __half2 low = __floats2half2_rn(value[0], value[1]);
    const __half2 high = __floats2half2_rn(value[2], value[3]);
    memcpy(&four.x, &low, sizeof low);
    memcpy(&four.y, &high, sizeof high);
    return four;
}

__device__ inline uint4 to_halves(const float *value)
{
    uint4 eight;
    uint32_t word[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        __half2 halves = __floats2half2_rn(value[2 * i], value[2 * i + 1]);
        memcpy(&word[i], &halves, sizeof halves);
    }
    eight.x = word[0], eight.y = word[1], eight.z = word[2], eight.w = word[3];
    return eight;
}

/// Where channel k of pixel 0 is written, and the elements from pixel to pixel.
struct part_place {
    __half *data;
    int pitch;
};

/// Of a sac_conv or a sac_conv_after.
template <class Conv> __device__ inline part_place part_of(const Conv &c, int k)
{
    int part = 0;
    while (part + 1 < c.part_count && k >= c.part[part].channels)
        k -= c.part[part++].channels;
    return {static_cast<__half *>(c.part[part].data) + k, c.part[part].pitch};
}

/// Address of the place's channels of output pixel `row`.
__device__ inline __half *output_at(const part_place &place, int row)
{
    return place.data + static_cast<int64_t>(row) * place.pitch;
}

/// Address of channels k to k+7.
__device__ inline __half *output_at(const sac_conv &c, int row, int k)
{
    return output_at(part_of(c, k), row);
}

/// Channels from k on of the coarse map under output pixel `row`: 8, or 4 as uint2.
template <class Vector = uint4>
__device__ inline Vector coarse_at(const sac_conv_problem &p, int row, int k)
{
    const sac_conv &c = p.conv;
    pixel at = pixel_at(p, row);
    int64_t from =
        (static_cast<int64_t>(at.n) * c.coarse_height + at.y / 2) * c.coarse_width + at.x / 2;
    return *reinterpret_cast<const Vector *>(static_cast<const __half *>(c.coarse) +
                                             from * c.coarse_pitch + k);
}

template <class Vector = uint4>
__device__ inline Vector residual_at(const sac_conv &c, int row, int k)
{
    return *reinterpret_cast<const Vector *>(static_cast<const __half *>(c.residual) +
                                             static_cast<int64_t>(row) * c.residual_pitch + k);
}

template <class Conv> __device__ inline void add_bias(float *sum, const Conv &c, int k)
{
    const float4 *bias = reinterpret_cast<const float4 *>(c.bias + k);
    const float4 low = bias[0], high = bias[1];
    sum[0] += low.x, sum[1] += low.y, sum[2] += low.z, sum[3] += low.w;
    sum[4] += high.x, sum[5] += high.y, sum[6] += high.z, sum[7] += high.w;
}

/// out = act(sum + coarse) + residual for channels k to k+7 of output pixel `row`, the bias being
/// in `sum` already, which is used up. `residual` is residual_at() where there is one.
__device__ inline void finish_biased(const sac_conv_problem &p, int row, int k, uint4 residual,
                                     float *sum)
{
    const sac_conv &c = p.conv;
    if (c.coarse) add_halves(sum, coarse_at(p, row, k));
    sac__device_activate_all<false, 8>(c.act, c.alpha, sum);
    if (c.residual) add_halves(sum, residual);
    *reinterpret_cast<uint4 *>(output_at(c, row, k)) = to_halves(sum);
}

__device__ inline void finish(const sac_conv_problem &p, int row, int k, float *sum)
{
    uint4 residual = {};
    if (p.conv.residual) residual = residual_at(p.conv, row, k);
    add_bias(sum, p.conv, k);
    finish_biased(p, row, k, residual, sum);
}

} // namespace conv_device

#endif
