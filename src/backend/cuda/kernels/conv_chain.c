// SPDX-License-Identifier: Apache-2.0
// The shapes of conv_chain.cu on the host: what each takes, how its warpgroups walk, what it should
// cost.
#include "conv_chain.h"

enum { STEP_BYTES = SAC__CONV_STEP * 2, BARRIER_BYTES = 8 };

static const struct sac_chain_shape shapes[] = {
#define SHAPE(name, channels, columns, depth, beside, after, window, stride, wide, workers,        \
              blocks, then, last)                                                                  \
    {{channels, columns, window, stride, wide, workers, blocks}, depth, beside, after, then, last},
#define PAIR(...) SHAPE(__VA_ARGS__, 0, 0)
    SAC__CONV_CHAIN_SHAPES(PAIR) SAC__CONV_CHAIN_TRIPLES(SHAPE)
#undef PAIR
#undef SHAPE
};

const struct sac_chain_shape *sac__conv_chain_shape(const struct sac_conv_kernel *self)
{
    return &shapes[self->variant];
}

/// Beside's channels as the input of a 1x1 convolution.
static struct sac_halo_shape beside_of(const struct sac_chain_shape *s)
{
    return (struct sac_halo_shape){.channels = s->beside,
                                   .columns = s->after,
                                   .window = 1,
                                   .stride = 1,
                                   .wide = s->first.wide};
}

static int after_weight_bytes(const struct sac_chain_shape *s)
{
    int steps = sac__conv_after_steps(s->depth) + sac__conv_after_steps(s->beside);
    return (steps * s->after + sac__conv_after_steps(s->then) * s->last) * STEP_BYTES;
}

int sac__conv_chain_shared(const struct sac_conv_kernel *self)
{
    const struct sac_chain_shape *s = &shapes[self->variant];
    struct sac_halo_shape beside = beside_of(s);
    int tile = sac__halo_bytes(&s->first) + 2 * BARRIER_BYTES;
    if (s->beside) tile += sac__halo_bytes(&beside);
    return sac__halo_weight_bytes(&s->first) + after_weight_bytes(s) + s->first.workers * tile;
}

struct sac_tile sac__conv_chain_beside(const struct sac_conv_kernel *self,
                                       const struct sac_conv *conv)
{
    const struct sac_chain_shape *s = &shapes[self->variant];
    struct sac_halo_shape shape = beside_of(s);
    if (!s->beside) return sac__halo_tile(&s->first, conv);
    struct sac_conv beside = {.in = conv->after->beside,
                              .n = conv->n,
                              .height = conv->out_height,
                              .width = conv->out_width,
                              .channels = s->beside,
                              .in_pitch = conv->after->beside_pitch};
    return sac__halo_tile(&shape, &beside);
}

int sac__conv_chain_walk(struct sac_conv_walk *walk, const struct sac_conv_kernel *self,
                         const struct sac_conv *conv)
{
    const struct sac_halo_shape *s = &shapes[self->variant].first;
    return sac__conv_walk_fill(walk, self, conv, SAC__HALO_TILE, SAC__HALO_TILE * s->wide,
                               s->blocks);
}

static int up32(int channels)
{
    return (channels + 31) / 32 * 32;
}

static int last_fits(const struct sac_chain_shape *s, const struct sac_conv_after *after)
{
    const struct sac_conv_after *last = after->after;
    return !last || (last->depth <= after->out_channels && up32(last->depth) == s->then &&
                     up32(last->out_channels) == s->last && !last->beside);
}

static int usable(const struct sac_conv_kernel *self, const struct sac_conv *conv,
                  const struct sac_conv_device *device, int split)
{
    const struct sac_chain_shape *s = &shapes[self->variant];
    const struct sac_conv_after *after = conv->after;
    return sac__conv_is_square(conv, s->first.channels, s->first.window, s->first.stride) &&
           split == 1 && device->capability == 90 && up32(conv->out_channels) == s->first.columns &&
           after->depth <= conv->out_channels && up32(after->depth) == s->depth &&
           (after->beside ? after->beside_channels : 0) == s->beside &&
           up32(after->out_channels) == s->after && last_fits(s, after) &&
           sac__conv_chain_shared(self) <= device->shared && sac__conv_addressable(conv);
}

static size_t workspace(const struct sac_conv_kernel *self, const struct sac_conv *conv, int split)
{
    (void)self, (void)conv, (void)split;
    return 0;
}

static double cost(const struct sac_conv_kernel *self, const struct sac_conv *conv,
                   const struct sac_conv_device *device, int split)
{
    const struct sac_chain_shape *s = &shapes[self->variant];
    struct sac_halo_work tile = sac__halo_work(&s->first);
    double area = self->rows, depth = s->depth + s->beside;
    (void)split;
    if (!conv->kept) tile.written = 0;
    tile.fetched += area * s->beside * 2;
    if (!s->last || conv->after->kept) tile.written += area * s->after * 2;
    tile.written += area * s->last * 2;
    tile.flop += 2 * area * (s->after * depth + s->last * s->then);
    tile.shared += area / 64 * (64 * s->beside + s->after * depth + s->last * s->then) * 2;
    return sac__halo_cost(&tile, sac__conv_tiles(self, conv), device->processors);
}

enum {
#define INDEX(name, channels, columns, depth, beside, after, window, stride, wide, workers,        \
              blocks, then, last)                                                                  \
    SHAPE_##channels##_##columns##_##beside##_##after##_##window##_##stride##_##workers##_##last,
#define PAIR(...) INDEX(__VA_ARGS__, 0, 0)
    SAC__CONV_CHAIN_SHAPES(PAIR) SAC__CONV_CHAIN_TRIPLES(INDEX)
#undef PAIR
#undef INDEX
};

const struct sac_conv_kernel sac__conv_chain_kernels[] = {
#define KERNEL(name, channels, columns, depth, beside, after, window, stride, wide, workers,       \
               blocks, then, last)                                                                 \
    {"wgmma chain " #window "x" #window "/" #stride " " name " " #wide "x" #workers,               \
     SAC__CONV_STEPS,                                                                              \
     wide * 64,                                                                                    \
     columns,                                                                                      \
     1,                                                                                            \
     SHAPE_##channels##_##columns##_##beside##_##after##_##window##_##stride##_##workers##_##last, \
     1 + (last > 0),                                                                               \
     usable,                                                                                       \
     workspace,                                                                                    \
     cost,                                                                                         \
     sac__conv_chain_launch},
#define PAIR(...) KERNEL(__VA_ARGS__, 0, 0)
    SAC__CONV_CHAIN_SHAPES(PAIR) SAC__CONV_CHAIN_TRIPLES(KERNEL)
#undef PAIR
#undef KERNEL
        {.name = NULL}};
