// SPDX-License-Identifier: Apache-2.0
// Pixels into the network's input, 16 bytes at a time. A thread has a unit: a few pixels of a row.
//   NCHW    4 pixels of three planes
//   NHWC    1 pixel, 8 elements
//   FOLDED  2 pixels, half of a cell, 8 elements; even units are the cell's upper row
#ifndef SAC_OPS_CUDA_STORE_CUH
#define SAC_OPS_CUDA_STORE_CUH

#include <cuda_fp16.h>

#include "cuda/ptx.cuh"
#include "ops/math/half.h"
#include "ops/cuda/ops.h"

/// Two halves, the first in the lower one.
SAC__DEVICE uint32_t sac__pack_half2(float first, float second)
{
    const __half2 both = __floats2half2_rn(first, second);
    uint32_t word;
    memcpy(&word, &both, sizeof word);
    return word;
}

/// An element of the input from a float: itself, half's bits, or the lowest byte of its bits.
template <class T> SAC__DEVICE T sac__element(float value)
{
    if constexpr (sizeof(T) == 4)
        return value;
    else if constexpr (sizeof(T) == 2)
        return sac__float_half(value);
    else
        return (T)sac__float_bits(value);
}

/// Where the units of a layout are. `line` counts what a unit's index runs over.
template <int LAYOUT> struct sac__units {
    static constexpr int pixels = LAYOUT == SAC__INPUT_NCHW     ? 4
                                  : LAYOUT == SAC__INPUT_FOLDED ? 2
                                                                : 1;
    static constexpr int rows = LAYOUT == SAC__INPUT_FOLDED ? 2 : 1; ///< of pixels, in a line

    static __device__ __forceinline__ int x(int unit)
    {
        return LAYOUT == SAC__INPUT_FOLDED ? unit / 2 * 2 : unit * pixels;
    }
    static __device__ __forceinline__ int y(int line, int unit)
    {
        return LAYOUT == SAC__INPUT_FOLDED ? line * 2 + unit % 2 : line;
    }
    /// Elements from a line to the next, in a plane.
    static __device__ __forceinline__ size_t step(int width)
    {
        return LAYOUT == SAC__INPUT_NCHW ? width : (size_t)width * 8;
    }
    static int line_units(int width)
    {
        return LAYOUT == SAC__INPUT_NCHW ? (width + 3) / 4 : width;
    }
};

template <class T> struct alignas(16) sac__eight {
    T at[8];
};

template <class T> struct alignas(4 * sizeof(T)) sac__four {
    T at[4];
};

/// Four pixels of each plane; one by one at the end of a row, or where rows are not aligned.
template <class T>
SAC__DEVICE void sac__store_planes(const sac__input &input, T *to, int x, const float (*values)[3])
{
    const size_t plane = (size_t)input.height * input.width;
    const bool whole = input.width % 4 == 0 && (uintptr_t)input.data % (4 * sizeof(T)) == 0;
#pragma unroll
    for (int c = 0; c < 3; c++, to += plane) {
        sac__four<T> four;
#pragma unroll
        for (int k = 0; k < 4; k++)
            four.at[k] = sac__element<T>(values[k][c]);
        if (whole) {
            *(sac__four<T> *)to = four;
            continue;
        }
#pragma unroll
        for (int k = 0; k < 4; k++)
            if (x + k < input.width) to[k] = four.at[k];
    }
}

/// Where a unit of the input's line lies; of planes: in the first.
template <int LAYOUT, class T>
SAC__DEVICE T *sac__unit_place(const sac__input &input, int n, int line, int unit)
{
    using units = sac__units<LAYOUT>;
    const size_t lines = input.height / units::rows, width = input.width;
    T *data = (T *)input.data;
    if (LAYOUT == SAC__INPUT_NCHW) return data + (3 * n * lines + line) * width + units::x(unit);
    return data + ((n * lines + line) * width + unit) * 8;
}

/// A unit at its place.
template <int LAYOUT, class T>
SAC__DEVICE void sac__store_unit(const sac__input &input, T *to, int unit, const float (*values)[3])
{
    using units = sac__units<LAYOUT>;
    if constexpr (LAYOUT == SAC__INPUT_NCHW) {
        sac__store_planes(input, to, units::x(unit), values);
    } else if constexpr (sizeof(T) == 2) {
        uint32_t words[4] = {};
#pragma unroll
        for (int k = 0; k < units::pixels; k++) {
            words[2 * k] = sac__pack_half2(values[k][0], values[k][1]);
            words[2 * k + 1] = sac__pack_half2(values[k][2], 0.f);
        }
        *(uint4 *)to = make_uint4(words[0], words[1], words[2], words[3]);
    } else {
        sac__eight<T> eight = {};
#pragma unroll
        for (int k = 0; k < units::pixels; k++)
#pragma unroll
            for (int c = 0; c < 3; c++)
                eight.at[4 * k + c] = sac__element<T>(values[k][c]);
        *(sac__eight<T> *)to = eight;
    }
}

#endif
