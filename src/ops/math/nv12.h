// SPDX-License-Identifier: Apache-2.0
// NV12 to red, green and blue: BT.601 of limited range in 20-bit fixed point, each pixel with the
// chroma of its 2×2 block; equal to OpenCV's COLOR_YUV2BGR_NV12 bit for bit (its constants).
#ifndef SAC_OPS_MATH_NV12_H
#define SAC_OPS_MATH_NV12_H

#include "hd.h"

enum {
    SAC__YUV_BITS = 20,
    SAC__YUV_Y = 1220542,   ///< 255/219
    SAC__YUV_UB = 2116026,  ///< 255/224 · 1.772
    SAC__YUV_UG = -409993,  ///< -255/224 · 0.344136
    SAC__YUV_VG = -852492,  ///< -255/224 · 0.714136
    SAC__YUV_VR = 1673527   ///< 255/224 · 1.402
};

/// What the chroma pair adds to channel 0 (red), 1 (green) or 2 (blue).
SAC_HD int32_t sac__yuv_chroma(int channel, uint8_t u, uint8_t v)
{
    const int32_t half = 1 << (SAC__YUV_BITS - 1); // 128 is no colour
    if (channel == 0) return SAC__YUV_VR * v + (half - 128 * SAC__YUV_VR);
    if (channel == 2) return SAC__YUV_UB * u + (half - 128 * SAC__YUV_UB);
    return SAC__YUV_VG * v + (SAC__YUV_UG * u + (half - 128 * (SAC__YUV_VG + SAC__YUV_UG)));
}

SAC_HD uint8_t sac__yuv_byte(uint8_t y, int32_t chroma)
{
    const int32_t luma = (y > 16 ? (int32_t)y - 16 : 0) * SAC__YUV_Y;
    return (uint8_t)sac__clamp((luma + chroma) >> SAC__YUV_BITS, 0, 255);
}

#endif
