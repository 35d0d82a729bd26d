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

static int tiles_across(const struct sac_conv *c)
{
    return (c->out_width + TILE_W - 1) / TILE_W;
}

static int tile_h(const struct sac_conv_kernel *self)
{
    return shapes[self->variant].tile_h;
}

static int tiles_down(const struct sac_conv_kernel *self, const struct sac_conv *c)
{
    return (c->out_height + tile_h(self) - 1) / tile_h(self);
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

int sac__conv_halo_walk(struct sac_conv_walk *walk, const struct sac_conv_kernel *self,
                        const struct sac_conv *c)
{
    int columns = (c->out_channels + self->columns - 1) / self->columns;
    int room = processors() * resident(self, c) / columns;
    *walk = (struct sac_conv_walk){.by_across = sac__conv_divisor(tiles_across(c)),
                                   .by_down = sac__conv_divisor(tiles_down(self, c)),
                                   .tiles = c->n * tiles_down(self, c) * tiles_across(c)};
    // All the room there is: no processor then has two tiles more than another.
    if (room < 1) return 1;
    return walk->tiles < room ? walk->tiles : room;
}

static int usable(const struct sac_conv_kernel *self, const struct sac_conv *c,
                  const struct sac_conv_device *device, int split)
{
    const struct shape *s = &shapes[self->variant];
    int square = c->kernel[0] == s->window && c->kernel[1] == s->window &&
                 c->stride[0] == s->stride && c->stride[1] == s->stride && c->dilation[0] == 1 &&
                 c->dilation[1] == 1;
    return square && split == 1 && c->channels == s->channels && device->capability >= 80 &&
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
    double columns = (c->out_channels + self->columns - 1) / self->columns;
    double tiles = (double)c->n * tiles_down(self, c) * tiles_across(c) * columns;
    double rounds = (double)(((int64_t)tiles + device->processors - 1) / device->processors);
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
     usable,                                                                                       \
     workspace,                                                                                    \
     cost,                                                                                         \
     sac__conv_halo_launch},
    SAC__CONV_HALO_SHAPES(KERNEL)
#undef KERNEL
        {.name = NULL}};
