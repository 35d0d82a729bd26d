// SPDX-License-Identifier: Apache-2.0
// The letterbox: where the picture lies, one byte of the padded picture, one value of the input,
// and the way back to source pixels.
#ifndef SAC_OPS_MATH_LETTERBOX_H
#define SAC_OPS_MATH_LETTERBOX_H

#include "nv12.h"
#include "resize.h"
#include "saccade/ops.h"

// ---- where the picture lies ---------------------------------------------------------------------

static inline double sac__fit_gain(int32_t width0, int32_t height0, int32_t width, int32_t height,
                            int no_upscale)
{
    const double x = (double)width / width0, y = (double)height / height0;
    const double gain = y < x ? y : x;
    return no_upscale && gain > 1. ? 1. : gain;
}

/// Extent of the resized picture: rounded half to even, or truncated as YOLOX does.
static inline int32_t sac__fit_extent(int32_t extent0, double gain, int truncate)
{
    const double extent = truncate ? floor(extent0 * gain) : rint(extent0 * gain);
    return extent < 1. ? 1 : (int32_t)extent;
}

/// Padding before the picture along one axis. extent_io: the input's extent, changed by
/// SAC_FIT_AUTO.
static inline int32_t sac__fit_before(int32_t *extent_io, int32_t inner, sac_fit fit,
                                      int32_t stride)
{
    if (fit == SAC_FIT_TOP_LEFT) return 0;
    double pad = *extent_io - inner;
    if (fit == SAC_FIT_AUTO) pad = fmod(pad, stride);
    const int32_t before = (int32_t)rint(pad / 2 - 0.1);
    *extent_io = inner + before + (int32_t)rint(pad / 2 + 0.1);
    return before;
}

/// sac_letterbox_fit for arguments that are known to be good; stride ≥ 1.
static inline sac_letterbox sac__fit(int32_t width0, int32_t height0, int32_t width, int32_t height,
                              sac_letterbox_options options)
{
    const double gain = sac__fit_gain(width0, height0, width, height, options.no_upscale);
    const int truncate = options.fit == SAC_FIT_TOP_LEFT;
    const int stretch = options.fit == SAC_FIT_STRETCH;
    sac_letterbox fit;
    fit.width0 = width0;
    fit.height0 = height0;
    fit.width = width;
    fit.height = height;
    fit.new_width = stretch ? width : sac__fit_extent(width0, gain, truncate);
    fit.new_height = stretch ? height : sac__fit_extent(height0, gain, truncate);
    fit.left = sac__fit_before(&fit.width, fit.new_width, options.fit, options.stride);
    fit.top = sac__fit_before(&fit.height, fit.new_height, options.fit, options.stride);
    fit.gain = sac__fit_gain(width0, height0, fit.width, fit.height, options.no_upscale);
    return fit;
}

// ---- pixels -------------------------------------------------------------------------------------

/// A source picture as the kernels see it.
struct sac__pixels {
    const uint8_t *data; ///< top-left pixel
    ptrdiff_t stride;    ///< bytes from a row to the next
    int32_t step;        ///< bytes from a pixel to the next: 1, 3 or 4
    int32_t byte[3];     ///< byte of a pixel that output channel 0, 1, 2 takes
    const uint8_t *chroma; ///< NV12: a pair U, V for 2×2 pixels; then byte[]: 0 is red, 2 blue
    ptrdiff_t chroma_stride;
};

/// How a format's pixels lie: step and byte[], with red first or, for `bgr`, blue. Zero for a
/// format that there is not.
static inline int sac__pixels_order(struct sac__pixels *pixels, sac_pixel_format format, int bgr)
{
    static const struct {
        int8_t step, red, green, blue;
    } formats[] = {{3, 2, 1, 0}, {3, 0, 1, 2}, {4, 2, 1, 0}, {4, 0, 1, 2}, {1, 0, 0, 0},
                   {1, 0, 1, 2}}; // in the order of sac_pixel_format
    if ((unsigned)format >= sizeof formats / sizeof *formats) return 0;
    const int red = formats[format].red, blue = formats[format].blue;
    pixels->step = formats[format].step;
    pixels->byte[0] = bgr ? blue : red;
    pixels->byte[1] = formats[format].green;
    pixels->byte[2] = bgr ? red : blue;
    return 1;
}

/// A picture that has been checked.
static inline struct sac__pixels sac__pixels_of(const sac_image *image, int bgr)
{
    struct sac__pixels pixels;
    memset(&pixels, 0, sizeof pixels);
    sac__pixels_order(&pixels, image->format, bgr);
    pixels.data = image->data;
    pixels.stride = image->stride;
    if (image->format != SAC_NV12) return pixels;
    pixels.chroma = image->chroma;
    pixels.chroma_stride = image->chroma_stride;
    return pixels;
}

/// A byte of a pixel of an NV12 picture.
SAC_HD uint8_t sac__nv12_byte(const struct sac__pixels *src, int channel, int32_t x, int32_t y)
{
    const uint8_t *pair = src->chroma + (y / 2) * src->chroma_stride + x / 2 * 2;
    return sac__yuv_byte(src->data[y * src->stride + x],
                         sac__yuv_chroma(src->byte[channel], pair[0], pair[1]));
}

SAC_HD uint8_t sac__resized_nv12(const struct sac__pixels *src, int channel, struct sac__tap row,
                                 struct sac__tap column)
{
    uint8_t corner[4];
    for (int k = 0; k < 4; k++)
        corner[k] = sac__nv12_byte(src, channel, k & 1 ? column.second : column.first,
                                   k & 2 ? row.second : row.first);
    return sac__resize_down(sac__resize_across(corner[0], corner[1], column),
                            sac__resize_across(corner[2], corner[3], column), row);
}

/// One byte of the resized picture.
SAC_HD uint8_t sac__resized_byte(const struct sac__pixels *src, int channel, struct sac__tap row,
                                 struct sac__tap column)
{
    if (src->chroma) return sac__resized_nv12(src, channel, row, column);
    const uint8_t *upper = src->data + row.first * src->stride + src->byte[channel];
    const uint8_t *lower = src->data + row.second * src->stride + src->byte[channel];
    const ptrdiff_t first = (ptrdiff_t)column.first * src->step;
    const ptrdiff_t second = (ptrdiff_t)column.second * src->step;
    return sac__resize_down(sac__resize_across(upper[first], upper[second], column),
                            sac__resize_across(lower[first], lower[second], column), row);
}

/// The network's input value of a byte.
SAC_HD float sac__input_value(uint8_t byte, int scaled)
{
    const float scale = scaled ? 1 / 255.f : 1.f;
#if defined(__CUDA_ARCH__) // exact as well: additions are faster there than conversions
    return (sac__bits_float(0x4b000000u | byte) - 8388608.f) * scale;
#else
    return (float)byte * scale;
#endif
}

// ---- back to source pixels ----------------------------------------------------------------------

/// x0 = (x - left) / gain_x, clamped to [0,width]; y likewise.
struct sac__map {
    double left, top, gain_x, gain_y, width, height;
};

/// `whole`: one gain and no padding, as for a picture at the top left (YOLOX).
SAC_HD struct sac__map sac__map_make(const sac_letterbox *fit, sac_compat compat, int whole)
{
    struct sac__map map;
    map.width = fit->width0;
    map.height = fit->height0;
    map.left = fit->left;
    map.top = fit->top;
    map.gain_x = (double)fit->new_width / fit->width0;
    map.gain_y = (double)fit->new_height / fit->height0;
    if (whole || compat == SAC_COMPAT_YOLOV5) map.gain_x = map.gain_y = fit->gain;
    if (!whole && compat == SAC_COMPAT_YOLOV5) {
        map.left = (fit->width - fit->width0 * fit->gain) / 2;
        map.top = (fit->height - fit->height0 * fit->gain) / 2;
    }
    return map;
}

SAC_HD float sac__map_value(float x, double before, double gain, double most)
{
    const double value = ((double)x - before) / gain;
    return (float)(value > 0. ? value < most ? value : most : 0.);
}

/// box: x1,y1,x2,y2 in input pixels → source pixels.
SAC_HD void sac__map_box(const struct sac__map *map, float box[4])
{
    box[0] = sac__map_value(box[0], map->left, map->gain_x, map->width);
    box[1] = sac__map_value(box[1], map->top, map->gain_y, map->height);
    box[2] = sac__map_value(box[2], map->left, map->gain_x, map->width);
    box[3] = sac__map_value(box[3], map->top, map->gain_y, map->height);
}

#endif
