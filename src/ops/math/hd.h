// SPDX-License-Identifier: Apache-2.0
// What every header of this folder needs to be the same code in C and in CUDA. Files that include
// them are built with -ffp-contract=off (nvcc: --fmad=false), so that both round alike.
#ifndef SAC_OPS_MATH_HD_H
#define SAC_OPS_MATH_HD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__CUDACC__)
#define SAC_HD static inline __host__ __device__
#else
#define SAC_HD static inline
#endif
#if defined(__CUDA_ARCH__)
#define SAC_UNROLL _Pragma("unroll 8") // so that loads are under way together
#else
#define SAC_UNROLL
#endif

SAC_HD uint32_t sac__float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

SAC_HD float sac__bits_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/// Zero for NaN and the infinities.
SAC_HD int sac__finite(float x)
{
    return (sac__float_bits(x) & 0x7f800000u) != 0x7f800000u;
}

SAC_HD int32_t sac__clamp(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : x > high ? high : x;
}

#endif
