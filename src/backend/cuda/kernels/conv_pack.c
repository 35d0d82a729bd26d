// SPDX-License-Identifier: Apache-2.0
// Weights as the kernels want them: conv.h has the layouts.
#include "conv_kernels.h"

#include <string.h>

#include "ops/math/half.h"

/// Where depth i of row `row` of `rows` lies, swizzled.
static int64_t place_of(int64_t rows, int64_t row, int64_t depth)
{
    int64_t step = depth / SAC__CONV_STEP, i = depth % SAC__CONV_STEP;
    return (step * rows + row) * SAC__CONV_STEP + (i / 8 ^ (row & 7)) * 8 + i % 8;
}

static void pack_steps(uint16_t *packed, const struct sac_conv *conv, enum sac_conv_packing packing,
                       const float *weights)
{
    int64_t depth = (int64_t)conv->kernel[0] * conv->kernel[1] * conv->channels;
    int64_t rows = sac__conv_rows(conv, packing);
    for (int64_t step = 0; step < sac__conv_steps(conv); step++)
        for (int64_t row = 0; row < rows; row++)
            for (int64_t i = 0; i < SAC__CONV_STEP; i++) {
                int64_t d = step * SAC__CONV_STEP + i;
                int64_t k = packing == SAC__CONV_WGMMA ? sac__conv_channel((int)row) : row;
                int inside = d < depth && k < conv->out_channels;
                packed[place_of(rows, row, d)] =
                    inside ? sac__float_half(weights[k * depth + d]) : 0;
            }
}

size_t sac__conv_packed_bytes(const struct sac_conv *conv, enum sac_conv_packing packing)
{
    size_t depth = (size_t)conv->kernel[0] * (size_t)conv->kernel[1] * (size_t)conv->channels;
    size_t rows = (size_t)sac__conv_rows(conv, packing);
    if (packing == SAC__CONV_PLAIN) return depth * rows * sizeof(float);
    return (size_t)sac__conv_steps(conv) * SAC__CONV_STEP * rows * sizeof(uint16_t);
}

void sac__conv_pack(void *packed, const struct sac_conv *conv, enum sac_conv_packing packing,
                    const float *weights)
{
    if (packing == SAC__CONV_PLAIN)
        memcpy(packed, weights, sac__conv_packed_bytes(conv, packing));
    else
        pack_steps(packed, conv, packing, weights);
}

static int64_t after_rows(const struct sac_conv_after *after)
{
    return ((int64_t)after->out_channels + 31) / 32 * 32;
}

static int64_t after_depth(const struct sac_conv_after *after)
{
    int beside = after->beside ? after->beside_channels : 0;
    return ((int64_t)sac__conv_after_steps(after->depth) + sac__conv_after_steps(beside)) *
           SAC__CONV_STEP;
}

/// Where the plan's weights have a packed depth; negative: nowhere.
static int64_t after_channel(const struct sac_conv_after *after, int64_t d)
{
    int64_t first = (int64_t)sac__conv_after_steps(after->depth) * SAC__CONV_STEP, at = d - first;
    int leads = after->beside && after->beside_leads;
    if (d < first) {
        int channel = sac__conv_channel((int)d);
        if (channel >= after->depth) return -1;
        return channel + (leads ? after->beside_channels : 0);
    }
    if (at >= after->beside_channels) return -1;
    return at + (leads ? 0 : after->depth);
}

size_t sac__conv_after_bytes(const struct sac_conv_after *after)
{
    return (size_t)(after_depth(after) * after_rows(after)) * sizeof(uint16_t);
}

void sac__conv_after_pack(void *packed, const struct sac_conv_after *after, const float *weights)
{
    int64_t depth = after->depth + (after->beside ? after->beside_channels : 0);
    int64_t rows = after_rows(after);
    uint16_t *to = packed;
    for (int64_t row = 0; row < rows; row++)
        for (int64_t d = 0; d < after_depth(after); d++) {
            int64_t k = sac__conv_channel((int)row), from = after_channel(after, d);
            int inside = k < after->out_channels && from >= 0;
            to[place_of(rows, row, d)] = inside ? sac__float_half(weights[k * depth + from]) : 0;
        }
}
