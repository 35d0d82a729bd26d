// SPDX-License-Identifier: Apache-2.0
// 8-bit bilinear resize, equal to OpenCV's INTER_LINEAR bit for bit (11-bit weights; the rounding
// is that of its vertical pass on 16-bit values).
#ifndef SAC_OPS_MATH_RESIZE_H
#define SAC_OPS_MATH_RESIZE_H

#include "hd.h"

/// Where an output pixel comes from along one axis: two source pixels and their weights of 2048.
struct sac__tap {
    int32_t first, second;
    int16_t weight0, weight1;
};

SAC_HD struct sac__tap sac__resize_weights(int32_t first, int32_t second, float fraction)
{
    struct sac__tap tap;
    tap.first = first;
    tap.second = second;
    tap.weight0 = (int16_t)rintf((1.f - fraction) * 2048.f);
    tap.weight1 = (int16_t)rintf(fraction * 2048.f);
    return tap;
}

/// Source pixels an output pixel.
SAC_HD double sac__resize_scale(int32_t dst, int32_t src)
{
    return 1.0 / ((double)dst / src);
}

/// Source position of output pixel `d`; the part behind the point goes to fraction_out.
SAC_HD int32_t sac__resize_position(int32_t d, double scale, float *fraction_out)
{
    const float position = (float)((d + 0.5) * scale - 0.5);
    const float whole = floorf(position);
    *fraction_out = position - whole;
    return (int32_t)whole;
}

/// Output column d from `src` source columns: at the borders the nearest pixel alone.
SAC_HD struct sac__tap sac__resize_column(int32_t d, double scale, int32_t src)
{
    float fraction;
    const int32_t s = sac__resize_position(d, scale, &fraction);
    if (s < 0) return sac__resize_weights(0, src > 1 ? 1 : 0, 0.f);
    if (s >= src - 1) return sac__resize_weights(src - 1, src - 1, 0.f);
    return sac__resize_weights(s, s + 1, fraction);
}

/// Output row d from `src` source rows: at the borders the fraction stays and both rows are the
/// same one.
SAC_HD struct sac__tap sac__resize_row(int32_t d, double scale, int32_t src)
{
    float fraction;
    const int32_t s = sac__resize_position(d, scale, &fraction);
    return sac__resize_weights(sac__clamp(s, 0, src - 1), sac__clamp(s + 1, 0, src - 1), fraction);
}

/// Two neighbours of a row, weighted: 15 bits.
SAC_HD int32_t sac__resize_across(uint8_t first, uint8_t second, struct sac__tap column)
{
    return (first * column.weight0 + second * column.weight1) >> 4;
}

/// Two rows' values, weighted and rounded.
SAC_HD uint8_t sac__resize_down(int32_t upper, int32_t lower, struct sac__tap row)
{
    return (uint8_t)((((row.weight0 * upper) >> 16) + ((row.weight1 * lower) >> 16) + 2) >> 2);
}

#endif
