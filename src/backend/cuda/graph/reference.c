// SPDX-License-Identifier: Apache-2.0
// Runs a plan in plain C on float: the specification of every layer, and of the head.
#include "plan.h"
#include "graph/ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct run {
    const struct sac_plan *plan;
    void *arena;
};

/// Channels of a view at a pixel of all N·H·W.
static float *at(const struct run *run, const struct sac_view *view, int64_t pixel)
{
    return sac__view_data(run->plan, view, run->arena) +
           pixel * run->plan->buffers[view->buffer].pitch;
}

static int64_t pixels_of(const struct run *run, const struct sac_view *view)
{
    const struct sac_buffer *b = &run->plan->buffers[view->buffer];
    return b->n * b->height * b->width;
}

float sac__activate(enum sac__act act, float alpha, float x)
{
    switch (act) {
    case SAC__ACT_SILU:
        return x * sac__sigmoid(x);
    case SAC__ACT_SIGMOID:
        return sac__sigmoid(x);
    case SAC__ACT_RELU:
        return x > 0 ? x : 0;
    case SAC__ACT_LEAKY:
        return x > 0 ? x : alpha * x;
    default:
        return x;
    }
}

/// The picture as the network's first layer reads it.
static void write_input(const struct run *run, const float *picture)
{
    const int64_t *shape = run->plan->input_shape;
    int64_t height = shape[2], width = shape[3];
    for (int64_t pixel = 0; pixel < pixels_of(run, &run->plan->input); pixel++)
        memset(at(run, &run->plan->input, pixel), 0,
               (size_t)run->plan->buffers[run->plan->input.buffer].pitch * sizeof(float));
    for (int64_t n = 0; n < shape[0]; n++)
        for (int64_t c = 0; c < shape[1]; c++)
            for (int64_t y = 0; y < height; y++)
                for (int64_t x = 0; x < width; x++, picture++) {
                    int64_t place = (n * height + y) * width + x, channel = c;
                    if (run->plan->folded) {
                        place = (n * (height / 2) + y / 2) * (width / 2) + x / 2;
                        channel = (2 * (y & 1) + (x & 1)) * 4 + c;
                    }
                    at(run, &run->plan->input, place)[channel] = *picture;
                }
}

/// Largest value of each channel in a window clipped to the picture.
static void pool_pixel(const struct run *run, const struct sac_layer *layer, float *out,
                       int64_t width, int64_t n, const int64_t top_left[2], const int64_t kernel[2],
                       const int64_t dilation[2])
{
    const struct sac_buffer *in = &run->plan->buffers[layer->in.buffer];
    for (int64_t c = 0; c < width; c++)
        out[c] = -INFINITY;
    for (int64_t r = 0; r < kernel[0]; r++)
        for (int64_t s = 0; s < kernel[1]; s++) {
            int64_t y = top_left[0] + r * dilation[0], x = top_left[1] + s * dilation[1];
            if (y < 0 || y >= in->height || x < 0 || x >= in->width) continue;
            const float *from = at(run, &layer->in, (n * in->height + y) * in->width + x);
            for (int64_t c = 0; c < width; c++)
                out[c] = fmaxf(out[c], from[c]);
        }
}

static void run_pool(const struct run *run, const struct sac_layer *layer)
{
    const struct sac_window *w = &layer->window;
    for (int part = 0; part < layer->out_count; part++) {
        const struct sac_buffer *out = &run->plan->buffers[layer->out[part].buffer];
        int64_t grow = part * (w->kernel[0] - 1) / 2; // POOLS: part p has the window of p+1 pools
        int64_t kernel[2] = {w->kernel[0] + 2 * grow, w->kernel[1] + 2 * grow};
        for (int64_t p = 0; p < pixels_of(run, &layer->out[part]); p++) {
            int64_t x = p % out->width, y = p / out->width % out->height;
            int64_t corner[2] = {y * w->stride[0] - w->pad[0] - grow,
                                 x * w->stride[1] - w->pad[1] - grow};
            pool_pixel(run, layer, at(run, &layer->out[part], p),
                       sac__view_width(run->plan, &layer->out[part]),
                       p / (out->width * out->height), corner, kernel, w->dilation);
        }
    }
}

static void run_upsample(const struct run *run, const struct sac_layer *layer)
{
    const struct sac_buffer *out = &run->plan->buffers[layer->out[0].buffer];
    int64_t width = sac__view_width(run->plan, &layer->out[0]);
    for (int64_t p = 0; p < pixels_of(run, &layer->out[0]); p++) {
        int64_t x = p % out->width, row = p / out->width; // row of all pictures; heights are even
        const float *from = at(run, &layer->in, row / 2 * (out->width / 2) + x / 2);
        memcpy(at(run, &layer->out[0], p), from, (size_t)width * sizeof *from);
    }
}

/// ADD, ACTIVATION, COPY: one pixel after the other.
static void run_pixelwise(const struct run *run, const struct sac_layer *layer)
{
    int64_t width = sac__view_width(run->plan, &layer->out[0]), channels = layer->out[0].channels;
    for (int64_t p = 0; p < pixels_of(run, &layer->out[0]); p++) {
        const float *a = at(run, &layer->in, p);
        const float *b = layer->residual.buffer >= 0 ? at(run, &layer->residual, p) : NULL;
        float *out = at(run, &layer->out[0], p);
        for (int64_t c = 0; c < width; c++) {
            float x = c < channels ? a[c] + (b ? b[c] : 0) : 0;
            out[c] = c < channels ? sac__activate(layer->act, layer->alpha, x) : 0;
        }
    }
}

/// One query of one head against all keys, in double: sums over thousands of keys cost the digits
/// that kernels are checked to. `weights` has room for all places, `mixed` for a value.
static void attend(const struct run *run, const struct sac_layer *layer, int64_t first,
                   int64_t places, int head, int64_t place, double *weights, double *mixed)
{
    const float *query = at(run, &layer->in, first + place) + head * layer->key;
    int64_t keys = (int64_t)layer->heads * layer->key;
    double most = -INFINITY, sum = 0;
    for (int64_t j = 0; j < places; j++) {
        const float *key = at(run, &layer->in, first + j) + keys + head * layer->key;
        double product = 0;
        for (int c = 0; c < layer->key; c++)
            product += (double)query[c] * (double)key[c];
        weights[j] = product * (double)layer->scale;
        most = fmax(most, weights[j]);
    }
    for (int64_t j = 0; j < places; j++)
        sum += weights[j] = exp(weights[j] - most);
    for (int c = 0; c < layer->value; c++)
        mixed[c] = 0;
    for (int64_t j = 0; j < places; j++) {
        const float *value = at(run, &layer->in, first + j) + 2 * keys + head * layer->value;
        for (int c = 0; c < layer->value; c++)
            mixed[c] += weights[j] * (double)value[c];
    }
    float *out = at(run, &layer->out[0], first + place) + head * layer->value;
    for (int c = 0; c < layer->value; c++)
        out[c] = (float)(mixed[c] / sum);
}

static int run_attention(const struct run *run, const struct sac_layer *layer)
{
    const struct sac_buffer *b = &run->plan->buffers[layer->in.buffer];
    int64_t places = b->height * b->width / layer->areas;
    double *weights = malloc((size_t)(places + layer->value) * sizeof *weights);
    if (!weights) return sac__fail(SAC_ENOMEM, "out of memory for attention");
    for (int64_t n = 0; n < b->n * layer->areas; n++)
        for (int head = 0; head < layer->heads; head++)
            for (int64_t place = 0; place < places; place++)
                attend(run, layer, n * places, places, head, place, weights, weights + places);
    free(weights);
    return 0;
}

static int run_layer(const struct run *run, const struct sac_layer *layer)
{
    switch (layer->kind) {
    case SAC__LAYER_CONV:
        return sac__reference_conv(run->plan, layer, run->arena);
    case SAC__LAYER_DEPTHWISE:
        sac__reference_depthwise(run->plan, layer, run->arena);
        return 0;
    case SAC__LAYER_POOL:
    case SAC__LAYER_POOLS:
        run_pool(run, layer);
        return 0;
    case SAC__LAYER_UPSAMPLE:
        run_upsample(run, layer);
        return 0;
    case SAC__LAYER_ATTENTION:
        return run_attention(run, layer);
    default:
        run_pixelwise(run, layer);
        return 0;
    }
}

static struct sac_raw raw_of(const struct run *run, const struct sac_view *view, int64_t n)
{
    if (view->buffer < 0) return (struct sac_raw){NULL, 0, 0};
    const struct sac_buffer *b = &run->plan->buffers[view->buffer];
    return (struct sac_raw){at(run, view, n * b->height * b->width), b->pitch, 1};
}

static struct sac_tail_map tail_map(const struct run *run, const struct sac_view *view)
{
    const struct sac_buffer *b = &run->plan->buffers[view->buffer];
    return (struct sac_tail_map){sac__view_data(run->plan, view, run->arena), 0,
                                 b->height * b->width * b->pitch, b->pitch, 1};
}

static int run_tail(const struct run *run, float *output)
{
    const struct sac_head_plan *head = &run->plan->head;
    struct sac_tail_map maps[2 * SAC__LEVELS];
    for (int k = 0; k < head->level_count; k++) {
        maps[2 * k] = tail_map(run, &head->levels[k].raw);
        if (head->levels[k].scores.buffer >= 0)
            maps[2 * k + 1] = tail_map(run, &head->levels[k].scores);
    }
    return sac__tail_run(run->plan->tail, maps, output);
}

static int write_rows(const struct run *run, float *output)
{
    const struct sac_head_plan *head = &run->plan->head;
    struct sac_raw raw[2 * SAC__LEVELS];
    int64_t count = head->best ? 6 * head->best : head->rows * head->columns;
    float *rows = malloc((size_t)(head->rows * head->columns) * sizeof *rows);
    int error = rows ? 0 : sac__fail(SAC_ENOMEM, "out of memory for rows");
    for (int64_t n = 0; !error && n < run->plan->input_shape[0]; n++) {
        for (int k = 0; k < head->level_count; k++) {
            raw[2 * k] = raw_of(run, &head->levels[k].raw, n);
            raw[2 * k + 1] = raw_of(run, &head->levels[k].scores, n);
        }
        sac__head_rows(head, raw, rows);
        if (head->best)
            error = sac__head_best(head, rows, output + n * count);
        else
            memcpy(output + n * count, rows, (size_t)count * sizeof *rows);
    }
    free(rows);
    return error;
}

int sac__plan_run(const struct sac_plan *plan, const float *picture, void *arena, float *rows)
{
    struct run run = {plan, arena};
    if (plan->element_size != sizeof(float))
        return sac__fail(SAC_EINVAL, "the reference runs on float activations only");
    write_input(&run, picture);
    for (int k = 0; k < plan->layer_count; k++) {
        int error = run_layer(&run, &plan->layers[k]);
        if (error) return error;
    }
    if (rows && plan->tail) return run_tail(&run, rows);
    return rows ? write_rows(&run, rows) : 0;
}
