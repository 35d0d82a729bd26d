// SPDX-License-Identifier: Apache-2.0
// Convolutions of the reference: blocks of 4 pixels by 8 output channels, which a compiler keeps in
// registers.
#include "plan.h"

#include <stdlib.h>
#include <string.h>

enum { PIXELS = 4, OUTS = SAC__GROUP };

struct conv {
    const struct sac_plan *plan;
    const struct sac_layer *layer;
    void *arena;
    const struct sac_buffer *in, *out;
    float *packed;     ///< (K/8, R·S·C, 8)
    const float *zero; ///< C zeros, read outside the picture
};

static void pack(const struct conv *c, int64_t length)
{
    const float *weights = c->plan->weights + c->layer->weights;
    for (int64_t k = 0; k < sac__group_up(c->layer->out_channels); k++)
        for (int64_t i = 0; i < length; i++)
            c->packed[(k / OUTS * length + i) * OUTS + k % OUTS] = weights[k * length + i];
}

/// Input channels under tap (r,s) of output pixel p of all N·P·Q.
static const float *tap(const struct conv *c, int64_t p, int64_t r, int64_t s)
{
    const struct sac_window *w = &c->layer->window;
    int64_t x = p % c->out->width * w->stride[1] - w->pad[1] + s * w->dilation[1];
    int64_t y = p / c->out->width % c->out->height * w->stride[0] - w->pad[0] + r * w->dilation[0];
    int64_t n = p / (c->out->width * c->out->height);
    if (x < 0 || x >= c->in->width || y < 0 || y >= c->in->height) return c->zero;
    return sac__view_data(c->plan, &c->layer->in, c->arena) +
           ((n * c->in->height + y) * c->in->width + x) * c->in->pitch;
}

/// Adds one tap. Its own sum comes first, so that rounding errors stay small.
static void multiply(float sums[PIXELS][OUTS], const float *const from[PIXELS],
                     const float *weights, int64_t channels)
{
    float part[PIXELS][OUTS] = {{0}};
    for (int64_t i = 0; i < channels; i++, weights += OUTS)
        for (int p = 0; p < PIXELS; p++)
            for (int k = 0; k < OUTS; k++)
                part[p][k] += from[p][i] * weights[k];
    for (int p = 0; p < PIXELS; p++)
        for (int k = 0; k < OUTS; k++)
            sums[p][k] += part[p][k];
}

/// The element of a view that belongs to output pixel p and channel k; `shrink` 2: at half the
/// size.
static const float *beside(const struct conv *c, const struct sac_view *view, int64_t p, int64_t k,
                           int64_t shrink)
{
    const struct sac_buffer *b = &c->plan->buffers[view->buffer];
    int64_t x = p % c->out->width / shrink, y = p / c->out->width % c->out->height / shrink;
    int64_t n = p / (c->out->width * c->out->height);
    return sac__view_data(c->plan, view, c->arena) +
           ((n * b->height + y) * b->width + x) * b->pitch + k;
}

/// The part that output channel k belongs to; k becomes the channel within it.
static const struct sac_view *part_of(const struct sac_layer *layer, int64_t *k)
{
    int part = 0;
    while (part + 1 < layer->out_count && *k >= layer->out[part].channels)
        *k -= layer->out[part++].channels;
    return &layer->out[part];
}

/// Epilogue of output channels k to k+7 at pixel p. Channels beyond the last one come out as
/// act(0), which is finite.
static void finish(const struct conv *c, const float sums[OUTS], int64_t p, int64_t k)
{
    const struct sac_layer *layer = c->layer;
    int64_t first = k;
    const struct sac_view *part = part_of(layer, &first);
    const float *coarse = layer->coarse.buffer >= 0 ? beside(c, &layer->coarse, p, k, 2) : NULL;
    const float *residual =
        layer->residual.buffer >= 0 ? beside(c, &layer->residual, p, k, 1) : NULL;
    float *out =
        sac__view_data(c->plan, part, c->arena) + p * c->plan->buffers[part->buffer].pitch + first;
    for (int i = 0; i < OUTS; i++) {
        float x = sums[i] + (coarse ? coarse[i] : 0);
        out[i] = sac__activate(layer->act, layer->alpha, x) + (residual ? residual[i] : 0);
    }
}

static void run_block(const struct conv *c, int64_t p, int64_t count, int64_t k)
{
    const struct sac_window *w = &c->layer->window;
    int64_t channels = c->layer->in_packed, taps = w->kernel[0] * w->kernel[1];
    const float *weights = c->packed + k * taps * channels;
    const float *bias = c->plan->weights + c->layer->bias + k;
    float sums[PIXELS][OUTS];
    for (int i = 0; i < PIXELS; i++)
        memcpy(sums[i], bias, sizeof sums[i]);
    for (int64_t t = 0; t < taps; t++, weights += channels * OUTS) {
        const float *from[PIXELS];
        for (int i = 0; i < PIXELS; i++)
            from[i] = i < count ? tap(c, p + i, t / w->kernel[1], t % w->kernel[1]) : c->zero;
        multiply(sums, from, weights, channels);
    }
    for (int i = 0; i < count; i++)
        finish(c, sums[i], p + i, k);
}

int sac__reference_conv(const struct sac_plan *plan, const struct sac_layer *layer, void *arena)
{
    int64_t length = layer->window.kernel[0] * layer->window.kernel[1] * layer->in_packed;
    int64_t outs = sac__group_up(layer->out_channels);
    struct conv c = {.plan = plan,
                     .layer = layer,
                     .arena = arena,
                     .in = &plan->buffers[layer->in.buffer],
                     .out = &plan->buffers[layer->out[0].buffer],
                     .packed = malloc((size_t)(outs * length) * sizeof(float))};
    float *zero = calloc((size_t)layer->in_packed, sizeof *zero);
    c.zero = zero;
    int64_t pixels = c.out->n * c.out->height * c.out->width;
    int error = c.packed && zero ? 0 : sac__fail(SAC_ENOMEM, "out of memory for a convolution");
    if (!error) pack(&c, length);
    for (int64_t k = 0; !error && k < outs; k += OUTS)
        for (int64_t p = 0; p < pixels; p += PIXELS)
            run_block(&c, p, pixels - p < PIXELS ? pixels - p : PIXELS, k);
    free(c.packed);
    free(zero);
    return error;
}

void sac__reference_depthwise(const struct sac_plan *plan, const struct sac_layer *layer,
                              void *arena)
{
    const struct sac_window *w = &layer->window;
    int64_t width = sac__group_up(layer->out_channels);
    struct conv c = {.plan = plan,
                     .layer = layer,
                     .arena = arena,
                     .in = &plan->buffers[layer->in.buffer],
                     .out = &plan->buffers[layer->out[0].buffer]};
    for (int64_t p = 0; p < c.out->n * c.out->height * c.out->width; p++)
        for (int64_t k = 0; k < width; k += OUTS) {
            float sums[OUTS];
            memcpy(sums, plan->weights + layer->bias + k, sizeof sums);
            for (int64_t t = 0; t < w->kernel[0] * w->kernel[1]; t++) {
                const float *from = tap(&c, p, t / w->kernel[1], t % w->kernel[1]);
                const float *weights = plan->weights + layer->weights + t * width + k;
                for (int i = 0; from && i < OUTS; i++)
                    sums[i] += from[k + i] * weights[i];
            }
            finish(&c, sums, p, k);
        }
}
