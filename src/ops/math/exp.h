// SPDX-License-Identifier: Apache-2.0
// exp and sigmoid from additions and multiplications (sigmoid: and one division), so that C and
// CUDA agree to the last bit. Within 2 units in the last place of the true value.
#ifndef SAC_OPS_MATH_EXP_H
#define SAC_OPS_MATH_EXP_H

#include "hd.h"

/// 2^n for n in [-126, 127].
SAC_HD float sac__exp2i(int32_t n)
{
    return sac__bits_float((uint32_t)(n + 127) << 23);
}

/// e^r, |r| ≤ ln(2)/2.
SAC_HD float sac__exp_rest(float r)
{
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return p * (r * r) + r + 1.f;
}

/// e^x = 2^n · e^r with |r| ≤ ln(2)/2. Polynomial and the split of ln(2): Cephes library, expf
/// (S. Moshier).
SAC_HD float sac__expf(float x)
{
    if (x != x) return x;
    if (x > 88.72283935546875f) return sac__bits_float(0x7f800000u);
    if (x < -103.97208404541015625f) return 0.f;
    const float n = rintf(x * 1.44269504088896341f);
    const float y = sac__exp_rest((x - n * 0.693359375f) - n * -2.12194440e-4f);
    const int32_t half = (int32_t)n / 2; // two steps reach subnormals and 2^128
    return y * sac__exp2i(half) * sac__exp2i((int32_t)n - half);
}

/// e^-x for -88.7228 < x; for x > 80 anything that is too little to be seen beside 1. n is rounded
/// by an addition that leaves it in the low bits, and goes into the exponent as it is.
SAC_HD float sac__sigmoid_power(float x)
{
    const float t = x > 80.f ? -80.f : -x;
    const float shifted = t * 1.44269504088896341f + 12582912.f;
    const float n = shifted - 12582912.f;
    const float y = sac__exp_rest((t - n * 0.693359375f) - n * -2.12194440e-4f);
    return sac__bits_float(sac__float_bits(y) + (sac__float_bits(shifted) << 23));
}

/// 1 / (1 + e^-x), x finite: for every x what it would be with sac__expf.
SAC_HD float sac__sigmoidf(float x)
{
    if (x <= -88.72283935546875f) return 0.f;
    return 1.f / (1.f + sac__sigmoid_power(x));
}

#endif
