// SPDX-License-Identifier: Apache-2.0
// The shapes of conv_halo_wgmma.cu on the host: what each takes, how its warpgroups walk, what it
// should cost.
#include "conv_halo_wgmma.h"

enum { TILE_H = 8, STEP_BYTES = SAC__CONV_STEP * 2, BARRIER_BYTES = 8 };

struct shape {
    int channels, columns, window, stride, wide, workers, blocks;
};

static const struct shape shapes[] = {
#define SHAPE(...) {__VA_ARGS__},
    SAC__CONV_HALO_WGMMA_SHAPES(SHAPE)
#undef SHAPE
};

static int tile_w(const struct shape *s)
{
    return 8 * s->wide;
}

static int halo_bytes(const struct shape *s)
{
    int box = SAC__HALO_BOX(s->channels);
    int pixels = SAC__HALO_ACROSS(tile_w(s), s->window, s->stride) *
                 SAC__HALO_DOWN(TILE_H, s->window, s->stride);
    return SAC__HALO_ROOM(pixels * box * 2) * (s->channels / box) * s->stride;
}

static int steps_of(const struct shape *s)
{
    return (s->window * s->window * s->channels + SAC__CONV_STEP - 1) / SAC__CONV_STEP;
}

int sac__conv_halo_wgmma_threads(const struct sac_conv_kernel *self)
{
    return shapes[self->variant].workers * 128;
}

int sac__conv_halo_wgmma_shared(const struct sac_conv_kernel *self)
{
    const struct shape *s = &shapes[self->variant];
    return steps_of(s) * s->columns * STEP_BYTES + s->workers * (halo_bytes(s) + BARRIER_BYTES);
}

struct sac_tile sac__conv_halo_wgmma_tile(const struct sac_conv_kernel *self,
                                          const struct sac_conv *conv)
{
    const struct shape *s = &shapes[self->variant];
    return (struct sac_tile){.data = conv->in,
                             .n = conv->n,
                             .height = conv->height,
                             .width = conv->width,
                             .channels = conv->channels,
                             .pitch = conv->in_pitch,
                             .box = SAC__HALO_BOX(s->channels),
                             .across = SAC__HALO_ACROSS(tile_w(s), s->window, s->stride),
                             .down = SAC__HALO_DOWN(TILE_H, s->window, s->stride),
                             .step = s->stride};
}

int sac__conv_halo_wgmma_walk(struct sac_conv_walk *walk, const struct sac_conv_kernel *self,
                              const struct sac_conv *conv)
{
    const struct shape *s = &shapes[self->variant];
    return sac__conv_walk_fill(walk, self, conv, TILE_H, tile_w(s), s->blocks);
}

static int usable(const struct sac_conv_kernel *self, const struct sac_conv *conv,
                  const struct sac_conv_device *device, int split)
{
    const struct shape *s = &shapes[self->variant];
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

/// As in conv_wgmma.c, but weights are fetched once and before the layer begins; a tile's fetching
/// and writing overlap with the arithmetic of others.
static double cost(const struct sac_conv_kernel *self, const struct sac_conv *conv,
                   const struct sac_conv_device *device, int split)
{
    const double flop_us = 4.0e6, fetch_us = 41e3, out_us = 22e3, shared_us = 200e3, latency = 1.6;
    const struct shape *s = &shapes[self->variant];
    double depth = (double)s->window * s->window * s->channels, area = self->rows;
    double tile = halo_bytes(s) / fetch_us + area * self->columns * 2 / out_us;
    double flop = 2 * area * self->columns * depth / flop_us;
    double shared = area / 64 * (64 + self->columns) * depth * 2 / shared_us;
    (void)split;
    if (flop > tile) tile = flop;
    if (shared > tile) tile = shared;
    int64_t rounds = (sac__conv_tiles(self, conv) + device->processors - 1) / device->processors;
    return latency + (double)rounds * tile;
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
