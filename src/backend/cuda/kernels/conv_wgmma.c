// SPDX-License-Identifier: Apache-2.0
// The tiles of conv_wgmma.cu on the host: when each can be used, what it should cost.
#include "conv_wgmma.h"

struct tile {
    int rows, columns, groups, stages, blocks, pair, after;
};

static const struct tile tiles[] = {
#define TILE(...) {__VA_ARGS__},
    SAC__CONV_WGMMA_TILES(TILE)
#undef TILE
};

static int shared_bytes(const struct tile *t)
{
    return SAC__WGMMA_SHARED(t->rows, t->columns, t->stages);
}

/// Steps of the convolution after it, over all columns.
static int steps_after(const struct tile *t, const struct sac_conv *conv)
{
    if (!t->after) return 0;
    const struct sac_conv second = sac__wgmma_second(conv);
    return sac__conv_steps(&second) * ((second.out_channels + t->after - 1) / t->after);
}

/// Whether the copy engine can fetch the pixels.
static int fetchable(const struct sac_conv_kernel *self, const struct sac_conv *conv)
{
    const int reach = 255; // of a tap's offset
    struct sac_im2col im2col = sac__wgmma_im2col(conv, tiles[self->variant].rows);
    return im2col.box && sac__im2col_fits(&im2col) &&
           (conv->kernel[0] - 1) * conv->dilation[0] <= reach &&
           (conv->kernel[1] - 1) * conv->dilation[1] <= reach;
}

/// A split is for maps that do not fill the processors, a pair for those that do.
static int blocks_fit(const struct sac_conv_kernel *self, const struct sac_conv *conv,
                      const struct sac_conv_device *device, int split)
{
    const struct tile *t = &tiles[self->variant];
    int64_t found = sac__conv_tiles(self, conv) * split * t->pair;
    int64_t wanted = (int64_t)device->processors * t->blocks;
    if (t->pair == 2) return split == 1 && 2 * found >= wanted;
    if (split == 1) return 1;
    return (split == 2 || split == 4 || split == 8) && split <= sac__conv_steps(conv) &&
           found <= 2 * wanted;
}

/// Whether a tile has all channels of the first one, whose results stay in registers.
static int chain_fits(const struct sac_conv_kernel *self, const struct sac_conv *conv, int split)
{
    const struct sac_conv_after *after = conv->after;
    return !after || (split == 1 && conv->out_channels <= self->columns &&
                      after->depth <= conv->out_channels);
}

static int usable(const struct sac_conv_kernel *self, const struct sac_conv *conv,
                  const struct sac_conv_device *device, int split)
{
    int narrow = self->columns <= 32 || self->columns < 2 * conv->out_channels;
    return conv->element_size == 2 && device->capability == 90 && narrow &&
           shared_bytes(&tiles[self->variant]) <= device->shared && sac__conv_addressable(conv) &&
           fetchable(self, conv) && chain_fits(self, conv, split) &&
           blocks_fit(self, conv, device, split);
}

static size_t workspace(const struct sac_conv_kernel *self, const struct sac_conv *conv, int split)
{
    (void)self, (void)conv, (void)split;
    return 0;
}

/// As in conv_mma.c: a step's µs on a processor are the most of what its matrix units, the shared
/// memory that feeds them and fetching need. Only the last tile of a processor is finished while
/// nothing else runs there. A cluster reads its other blocks' sums. Fitted to layers of yolov5s at
/// 640, batch 1, on an H200: within a tenth of most.
static double cost(const struct sac_conv_kernel *self, const struct sac_conv *conv,
                   const struct sac_conv_device *device, int split)
{
    const double flop_us = 6.5e6, fetch_us = 80e3, shared_us = 200e3, latency = 1.4;
    const double out_us = 30e3, cluster_us = 0.6, remote_us = 10e3;
    const struct tile *t = &tiles[self->variant];
    double area = (double)t->rows * t->columns;
    double fetch = (t->rows + (double)t->columns / t->pair) * SAC__WGMMA_ROW / fetch_us;
    double shared = (double)t->rows / 64 * (64 + t->columns) * SAC__WGMMA_ROW / shared_us;
    double step = 2 * area * SAC__CONV_STEP / flop_us;
    if (fetch > step) step = fetch;
    if (shared > step) step = shared;
    int64_t blocks = sac__conv_tiles(self, conv) * split * t->pair;
    int64_t most = (blocks + device->processors - 1) / device->processors;
    int steps = (sac__conv_steps(conv) + split - 1) / split + steps_after(t, conv);
    if (t->after) area += (double)t->rows * conv->after->out_channels;
    double finish = area * 2 / out_us / split, last = most < t->blocks ? (double)most : t->blocks;
    double remote = area * 4 * (split - 1) / split / remote_us;
    return latency + (double)most * steps * step + last * finish +
           (split > 1 ? cluster_us + remote : 0);
}

enum {
#define INDEX(rows, columns, groups, stages, blocks, pair, after)                                  \
    TILE_##rows##x##columns##_##pair##_##after,
    SAC__CONV_WGMMA_TILES(INDEX)
#undef INDEX
};

#define NAME_1 ""
#define NAME_2 " pair"
#define CHAIN_0 ""
#define CHAIN_64 " chain"
#define CHAIN_128 " chain"

const struct sac_conv_kernel sac__conv_wgmma_kernels[] = {
#define KERNEL(rows, columns, groups, stages, blocks, pair, after)                                 \
    {"wgmma " #rows "x" #columns NAME_##pair CHAIN_##after,                                        \
     SAC__CONV_WGMMA,                                                                              \
     rows * pair,                                                                                  \
     columns,                                                                                      \
     after ? 1 : SAC__CONV_GROUP,                                                                  \
     TILE_##rows##x##columns##_##pair##_##after,                                                   \
     after > 0,                                                                                    \
     usable,                                                                                       \
     workspace,                                                                                    \
     cost,                                                                                         \
     sac__conv_wgmma_launch},
    SAC__CONV_WGMMA_TILES(KERNEL)
#undef KERNEL
        {.name = NULL}};
