// SPDX-License-Identifier: Apache-2.0
// IEEE binary16 to float and back: exact one way, to the nearest even the other.
#ifndef SAC_OPS_MATH_HALF_H
#define SAC_OPS_MATH_HALF_H

#include "hd.h"

#if defined(__CUDACC__)
#include <cuda_fp16.h>
#endif

SAC_HD float sac__half_float(uint16_t half)
{
#if defined(__CUDA_ARCH__) // one instruction for the same function
    return __half2float(__ushort_as_half(half));
#else
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    const uint32_t rest = half & 0x7fffu;
    if (rest >= 0x7c00u) { // infinity; NaN, made quiet as the processor does
        const uint32_t quiet = rest > 0x7c00u ? 0x400000u : 0u;
        return sac__bits_float(sign | 0x7f800000u | (rest & 0x3ffu) << 13 | quiet);
    }
    if (rest >= 0x400u) return sac__bits_float(sign | ((rest << 13) + (112u << 23)));
    const float tiny = (float)rest * 5.9604644775390625e-8f; // subnormal: rest times 2^-24
    return sign ? -tiny : tiny;
#endif
}

SAC_HD uint16_t sac__float_half(float x)
{
#if defined(__CUDA_ARCH__)
    return __half_as_ushort(__float2half_rn(x));
#else
    const uint32_t bits = sac__float_bits(x);
    const uint32_t sign = bits >> 16 & 0x8000u;
    const uint32_t rest = bits & 0x7fffffffu;
    if (rest > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | (rest >> 13 & 0x3ffu));
    if (rest >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); // rounds beyond 65504
    if (rest < 0x38800000u) { // subnormal half: let float addition round at 2^-24
        const float shifted = sac__bits_float(rest) + 0.5f;
        return (uint16_t)(sign | (sac__float_bits(shifted) - 0x3f000000u));
    }
    const uint32_t even = rest >> 13 & 1u;
    return (uint16_t)(sign | ((rest - (112u << 23) + 0xfffu + even) >> 13));
#endif
}

#endif
