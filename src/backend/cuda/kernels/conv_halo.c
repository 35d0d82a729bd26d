// SPDX-License-Identifier: Apache-2.0
// The shapes of conv_halo.cu on the host: what each takes, how its blocks walk, what it should
// cost.
#include "conv_kernels.h"

enum { TILE_W = 16, STEP_BYTES = SAC__CONV_STEP * 2, PROCESSOR_BYTES = 227 * 1024 };

struct shape {
    int channels, columns, window, stride, tile_h;
};

static const struct shape shapes[] = {
#define SHAPE(channels, columns, window, stride, tile_h)                                           \
    {channels, columns, window, stride, tile_h},
    SAC__CONV_HALO_SHAPES(SHAPE)
#undef SHAPE
};

static int tile_h(const struct sac_conv_kernel *self)
{
    return shapes[self->variant].tile_h;
}

static int halo_side(const struct sac_conv *c, int tile)
{
    return (tile - 1) * c->stride[0] + c->kernel[0];
}

static int halo_bytes(const struct sac_conv_kernel *self, const struct sac_conv *c)
{
    int pixel = c->channels == 48 ? 128 : c->channels * 2; // powers of two, for the swizzle
    return halo_side(c, tile_h(self)) * halo_side(c, TILE_W) * pixel;
}

int sac__conv_halo_shared(const struct sac_conv_kernel *self, const struct sac_conv *c)
{
    return sac__conv_steps(c) * self->columns * STEP_BYTES + 2 * halo_bytes(self, c);
}

/// Blocks of one processor: by shared memory, and by the registers of 512 threads.
static int resident(const struct sac_conv_kernel *self, const struct sac_conv *c)
{
    int by_shared = PROCESSOR_BYTES / (sac__conv_halo_shared(self, c) + 1024);
    int by_threads = 512 / (self->columns * tile_h(self) / 2);
    int most = by_shared < by_threads ? by_shared : by_threads;
    return most ? most : 1;
}

static int processors(void)
{
    int device = 0, count = 0;
    if (cudaGetDevice(&device) ||
        cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device) || count < 1)
        return 1;
    return count;
}

int sac__conv_walk_fill(struct sac_conv_walk *walk, const struct sac_conv_kernel *self,
                        const struct sac_conv *c, int down, int across, int blocks)
{
    int columns = (c->out_channels + self->columns - 1) / self->columns;
    int tiles_down = (c->out_height + down - 1) / down;
    int tiles_across = (c->out_width + across - 1) / across;
    *walk = (struct sac_conv_walk){.by_across = sac__conv_divisor(tiles_across),
                                   .by_down = sac__conv_divisor(tiles_down),
                                   .tiles = c->n * tiles_down * tiles_across};
    // All the room there is: no processor then has two tiles more than another.
    int room = processors() * blocks / columns;
    if (room < 1) return 1;
    return walk->tiles < room ? walk->tiles : room;
}

int sac__conv_halo_walk(struct sac_conv_walk *walk, const struct sac_conv_kernel *self,
                        const struct sac_conv *c)
{
    return sac__conv_walk_fill(walk, self, c, tile_h(self), TILE_W, resident(self, c));
}

static int usable(const struct sac_conv_kernel *self, const struct sac_conv *c,
                  const struct sac_conv_device *device, int split)
{
    const struct shape *s = &shapes[self->variant];
    return sac__conv_is_square(c, s->channels, s->window, s->stride) && split == 1 &&
           device->capability >= 80 &&
           (self->columns <= 32 || self->columns < 2 * c->out_channels) &&
           sac__conv_halo_shared(self, c) <= device->shared && sac__conv_addressable(c);
}

static size_t workspace(const struct sac_conv_kernel *self, const struct sac_conv *conv, int split)
{
    (void)self, (void)conv, (void)split;
    return 0;
}

/// As in conv_mma.c; a tile's fetching and writing overlap with the arithmetic of others.
static double cost(const struct sac_conv_kernel *self, const struct sac_conv *c,
                   const struct sac_conv_device *device, int split)
{
    const double flop_us = 4.0e6, fetch_us = 55e3, shared_us = 200e3, out_us = 30e3, latency = 1.6;
    double depth = (double)c->kernel[0] * c->kernel[1] * c->channels, area = self->rows;
    double flop = 2 * area * self->columns * depth / flop_us;
    double halo = halo_bytes(self, c), out = area * self->columns * 2;
    double shared = halo + area * depth * 2 * self->columns / 32 + self->columns * depth * 2 * 4;
    double tile = halo / fetch_us + out / out_us;
    (void)split;
    if (flop > tile) tile = flop;
    if (shared / shared_us > tile) tile = shared / shared_us;
    int64_t tiles = (int64_t)c->n * ((c->out_height + tile_h(self) - 1) / tile_h(self)) *
                    ((c->out_width + TILE_W - 1) / TILE_W) *
                    ((c->out_channels + self->columns - 1) / self->columns);
    double rounds = (double)((tiles + device->processors - 1) / device->processors);
    return latency + rounds * tile; // the weights were fetched while the layer before ran
}

enum {
#define INDEX(channels, columns, window, stride, tile_h)                                           \
    SHAPE_##channels##_##columns##_##window##_##stride##_##tile_h,
    SAC__CONV_HALO_SHAPES(INDEX)
#undef INDEX
};

const struct sac_conv_kernel sac__conv_halo_kernels[] = {
#define KERNEL(channels, columns, window, stride, tile_h)                                          \
    {"halo " #window "x" #window "/" #stride " " #channels ">" #columns "x" #tile_h,               \
     SAC__CONV_STEPS,                                                                              \
     tile_h * TILE_W,                                                                              \
     columns,                                                                                      \
     1,                                                                                            \
     SHAPE_##channels##_##columns##_##window##_##stride##_##tile_h,                                \
     0,                                                                                            \
     usable,                                                                                       \
     workspace,                                                                                    \
     cost,                                                                                         \
     sac__conv_halo_launch},
    SAC__CONV_HALO_SHAPES(KERNEL)
#undef KERNEL
        {.name = NULL}};
