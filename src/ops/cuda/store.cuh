// SPDX-License-Identifier: Apache-2.0
// Pixels into the network's input, 16 bytes at a time. A thread has a unit: a few pixels of a row.
//   NCHW    4 pixels of three planes
//   NHWC    1 pixel, 8 elements
//   FOLDED  2 pixels, half of a cell, 8 elements; even units are the cell's upper row
#ifndef SAC_OPS_CUDA_STORE_CUH
#define SAC_OPS_CUDA_STORE_CUH

#include "cuda/ptx.cuh"
#include "ops/math/half.h"
#include "ops/cuda/ops.h"

/// An element of the input: float, half's bits, or a byte.
template <class T, class Value> SAC__DEVICE T sac__element(Value value)
{
    if constexpr (sizeof(T) == 2) return sac__float_half(value);
    else return (T)value;
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
SAC__DEVICE void sac__store_planes(const sac__input &input, int n, int y, int x,
                                   const T (*values)[3])
{
    const size_t plane = (size_t)input.height * input.width;
    T *to = (T *)input.data + 3 * n * plane + (size_t)y * input.width + x;
    const bool whole = input.width % 4 == 0 && (uintptr_t)input.data % (4 * sizeof(T)) == 0;
#pragma unroll
    for (int c = 0; c < 3; c++, to += plane) {
        if (whole) {
            *(sac__four<T> *)to = {values[0][c], values[1][c], values[2][c], values[3][c]};
            continue;
        }
#pragma unroll
        for (int k = 0; k < 4; k++)
            if (x + k < input.width) to[k] = values[k][c];
    }
}

/// A unit of the input's line.
template <int LAYOUT, class T>
SAC__DEVICE void sac__store_unit(const sac__input &input, int n, int line, int unit,
                                 const T (*values)[3])
{
    using units = sac__units<LAYOUT>;
    if constexpr (LAYOUT == SAC__INPUT_NCHW) {
        sac__store_planes(input, n, line, units::x(unit), values);
    } else {
        const size_t lines = input.height / units::rows;
        T *to = (T *)input.data + ((n * lines + line) * input.width + unit) * 8;
        sac__eight<T> eight = {};
#pragma unroll
        for (int k = 0; k < units::pixels; k++)
#pragma unroll
            for (int c = 0; c < 3; c++) eight.at[4 * k + c] = values[k][c];
        *(sac__eight<T> *)to = eight;
    }
}

#endif
