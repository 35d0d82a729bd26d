// SPDX-License-Identifier: Apache-2.0
// The shapes of conv_halo_wgmma.cu on the host: what each takes, how its warpgroups walk, what it
// should cost.
#include "conv_halo_wgmma.h"

enum { STEP_BYTES = SAC__CONV_STEP * 2, BARRIER_BYTES = 8 };

static const struct sac_halo_shape shapes[] = {
#define SHAPE(...) {__VA_ARGS__},
    SAC__CONV_HALO_WGMMA_SHAPES(SHAPE)
#undef SHAPE
};

const struct sac_halo_shape *sac__conv_halo_wgmma_shape(const struct sac_conv_kernel *self)
{
    return &shapes[self->variant];
}

static int tile_w(const struct sac_halo_shape *s)
{
    return SAC__HALO_TILE * s->wide;
}

int sac__halo_bytes(const struct sac_halo_shape *s)
{
    int box = SAC__HALO_BOX(s->channels);
    int pixels = SAC__HALO_ACROSS(tile_w(s), s->window, s->stride) *
                 SAC__HALO_DOWN(SAC__HALO_TILE, s->window, s->stride);
    return SAC__HALO_ROOM(pixels * box * 2) * (s->channels / box) * s->stride;
}

int sac__halo_weight_bytes(const struct sac_halo_shape *s)
{
    int steps = (s->window * s->window * s->channels + SAC__CONV_STEP - 1) / SAC__CONV_STEP;
    return steps * s->columns * STEP_BYTES;
}

int sac__conv_halo_wgmma_shared(const struct sac_conv_kernel *self)
{
    const struct sac_halo_shape *s = &shapes[self->variant];
    return sac__halo_weight_bytes(s) + s->workers * (sac__halo_bytes(s) + BARRIER_BYTES);
}

struct sac_tile sac__halo_tile(const struct sac_halo_shape *s, const struct sac_conv *conv)
{
    return (struct sac_tile){.data = conv->in,
                             .n = conv->n,
                             .height = conv->height,
                             .width = conv->width,
                             .channels = conv->channels,
                             .pitch = conv->in_pitch,
                             .box = SAC__HALO_BOX(s->channels),
                             .across = SAC__HALO_ACROSS(tile_w(s), s->window, s->stride),
                             .down = SAC__HALO_DOWN(SAC__HALO_TILE, s->window, s->stride),
                             .step = s->stride};
}

int sac__conv_halo_wgmma_walk(struct sac_conv_walk *walk, const struct sac_conv_kernel *self,
                              const struct sac_conv *conv)
{
    const struct sac_halo_shape *s = &shapes[self->variant];
    return sac__conv_walk_fill(walk, self, conv, SAC__HALO_TILE, tile_w(s), s->blocks);
}

static int usable(const struct sac_conv_kernel *self, const struct sac_conv *conv,
                  const struct sac_conv_device *device, int split)
{
    const struct sac_halo_shape *s = &shapes[self->variant];
    return sac__conv_is_square(conv, s->channels, s->window, s->stride) && split == 1 &&
           device->capability == 90 &&
           (self->columns <= 32 || self->columns < 2 * conv->out_channels) &&
           sac__conv_halo_wgmma_shared(self) <= device->shared && sac__conv_addressable(conv);
}

static size_t workspace(const struct sac_conv_kernel *self, const struct sac_conv *conv, int split)
{
    (void)self, (void)conv, (void)split;
    return 0;
}

struct sac_halo_work sac__halo_work(const struct sac_halo_shape *s)
{
    double depth = (double)s->window * s->window * s->channels, area = 64.0 * s->wide;
    return (struct sac_halo_work){.fetched = sac__halo_bytes(s),
                                  .written = area * s->columns * 2,
                                  .flop = 2 * area * s->columns * depth,
                                  .shared = area / 64 * (64 + s->columns) * depth * 2};
}

/// As in conv_wgmma.c, but weights are fetched once and before the layer begins; a tile's fetching
/// and writing overlap with the arithmetic of others.
double sac__halo_cost(const struct sac_halo_work *tile, int64_t tiles, int processors)
{
    const double flop_us = 4.0e6, fetch_us = 41e3, out_us = 22e3, shared_us = 200e3, latency = 1.6;
    double us = tile->fetched / fetch_us + tile->written / out_us;
    if (tile->flop / flop_us > us) us = tile->flop / flop_us;
    if (tile->shared / shared_us > us) us = tile->shared / shared_us;
    return latency + (double)((tiles + processors - 1) / processors) * us;
}

static double cost(const struct sac_conv_kernel *self, const struct sac_conv *conv,
                   const struct sac_conv_device *device, int split)
{
    struct sac_halo_work tile = sac__halo_work(&shapes[self->variant]);
    (void)split;
    return sac__halo_cost(&tile, sac__conv_tiles(self, conv), device->processors);
}

enum {
#define INDEX(channels, columns, window, stride, wide, workers, blocks)                            \
    SHAPE_##channels##_##columns##_##window##_##stride##_##wide##_##workers,
    SAC__CONV_HALO_WGMMA_SHAPES(INDEX)
#undef INDEX
};

const struct sac_conv_kernel sac__conv_halo_wgmma_kernels[] = {
#define KERNEL(channels, columns, window, stride, wide, workers, blocks)                           \
    {"wgmma halo " #window "x" #window "/" #stride " " #channels ">" #columns " " #wide            \
     "x" #workers,                                                                                 \
     SAC__CONV_STEPS,                                                                              \
     wide * 64,                                                                                    \
     columns,                                                                                      \
     1,                                                                                            \
     SHAPE_##channels##_##columns##_##window##_##stride##_##wide##_##workers,                      \
     0,                                                                                            \
     usable,                                                                                       \
     workspace,                                                                                    \
     cost,                                                                                         \
     sac__conv_halo_wgmma_launch},
    SAC__CONV_HALO_WGMMA_SHAPES(KERNEL)
#undef KERNEL
        {.name = NULL}};
