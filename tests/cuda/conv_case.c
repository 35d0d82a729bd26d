// SPDX-License-Identifier: Apache-2.0
#include "conv_case.h"

#include <math.h>

#include "check/check.h"
#include "ops/math/half.h"

enum { ALIGN = SAC__ALIGN / 2 }; ///< elements, of halves

#define CUDA(call)                                                                                 \
    do {                                                                                           \
        cudaError_t status = call;                                                                 \
        CHECK(status == cudaSuccess, "%s", cudaGetErrorString(status));                            \
    } while (0)

static void *room(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    CHECK(memory, "out of memory");
    return memory;
}

void conv_case_seed(uint64_t seed)
{
    check_state = seed;
}

/// As nearly all of a network's layers are: more of them, and larger, since some kernels take only
/// these, and walk over many tiles.
static void make_square(struct conv_shape *s, int side)
{
    int kernel = check_int(1, 3), stride = check_int(1, 2);
    s->channels = check_int(0, 4) ? 16 * check_int(1, 4) : 64 * check_int(2, 4);
    s->out_height = check_int(1, 4 * side);
    s->out_width = check_int(1, 5 * side);
    for (int k = 0; k < 2; k++) {
        s->kernel[k] = kernel;
        s->stride[k] = stride;
        s->dilation[k] = 1;
        s->pad[k] = check_int(0, kernel / 2);
    }
    s->height = s->out_height * stride + check_int(0, 2);
    s->width = s->out_width * stride + check_int(0, 2);
}

struct conv_shape conv_shape_random(int scale, int depth)
{
    static const int kernels[][2] = {{1, 1}, {1, 1}, {3, 3}, {3, 3},
                                     {2, 2}, {6, 6}, {5, 5}, {1, 3}};
    struct conv_shape s = {.n = check_int(1, 3), .loose = check_int(0, 1)};
    int side = 1;
    while (side * side * s.n < scale)
        side++;
    s.channels = check_int(1, check_int(0, 3) ? 12 : 40) * 8;
    s.parts = check_int(0, 2) ? 1 : check_int(2, SAC__PARTS);
    for (int k = 0; k < s.parts; k++)
        s.outs[k] = (check_int(1, scale) + 7) / 8 * 8 / (s.parts > 1 ? 2 : 1) / 8 * 8 + 8;
    s.act = (enum sac__act)check_int(0, SAC__ACT_SIGMOID);
    s.residual = !check_int(0, 2);
    s.coarse = !check_int(0, 2);
    const int *kernel = kernels[check_int(0, 7)];
    for (int k = 0; k < 2; k++) {
        s.kernel[k] = kernel[k];
        s.stride[k] = check_int(0, 2) ? 1 : check_int(1, 3);
        s.dilation[k] = check_int(0, 4) ? 1 : 2;
        s.pad[k] = check_int(0, kernel[k] / 2);
    }
    s.out_height = check_int(1, 2 * side);
    s.out_width = check_int(1, side * side / s.out_height + 1);
    s.height = s.out_height * s.stride[0] + check_int(0, 2);
    s.width = s.out_width * s.stride[1] + check_int(0, 2);
    if (!check_int(0, 2)) make_square(&s, side);
    while (s.channels > 8 && s.channels * s.kernel[0] * s.kernel[1] > depth)
        s.channels -= 8;
    return s;
}

/// A buffer whose view of `channels` starts at a random channel when `loose`.
static struct sac_view add_buffer(struct conv_case *c, const struct conv_shape *s, int height,
                                  int width, int channels)
{
    struct sac_buffer *b = &c->buffers[c->plan.buffer_count];
    struct sac_view view = {c->plan.buffer_count++, 0, channels};
    if (s->loose) view.channel = 8 * check_int(0, 2);
    *b = (struct sac_buffer){.n = s->n, .height = height, .width = width};
    b->channels = view.channel + channels + (s->loose && check_int(0, 1) ? check_int(8, 24) : 0);
    b->pitch = sac__group_up(b->channels);
    b->offset = c->elements * sizeof(float);
    b->bytes = (size_t)(b->n * height * width * b->pitch) * sizeof(float);
    c->elements += (b->bytes / sizeof(float) + 2 * ALIGN - 1) / ALIGN * ALIGN;
    return view;
}

/// The last channels of a buffer need not fill a group of 8.
static void trim(struct conv_case *c, struct sac_view *view)
{
    struct sac_buffer *b = &c->buffers[view->buffer];
    if (view->channel + view->channels != b->channels) return;
    int less = check_int(0, 7);
    view->channels -= less;
    b->channels -= less;
}

static void add_views(struct conv_case *c, const struct conv_shape *s)
{
    struct sac_layer *layer = &c->layer;
    int outs = 0;
    for (int k = 0; k < s->parts; k++)
        outs += s->outs[k];
    layer->in = add_buffer(c, s, s->height, s->width, s->channels);
    layer->residual = layer->coarse = (struct sac_view){SAC__NONE, 0, 0};
    if (s->residual) layer->residual = add_buffer(c, s, s->out_height, s->out_width, outs);
    if (s->coarse)
        layer->coarse = add_buffer(c, s, (s->out_height + 1) / 2, (s->out_width + 1) / 2, outs);
    layer->out_count = s->parts;
    for (int k = 0; k < s->parts; k++)
        layer->out[k] = add_buffer(c, s, s->out_height, s->out_width, s->outs[k]);
    layer->out_channels = outs;
    if (!s->loose) return;
    trim(c, &layer->in);
    int64_t before = layer->out[s->parts - 1].channels;
    trim(c, &layer->out[s->parts - 1]);
    layer->out_channels -= before - layer->out[s->parts - 1].channels;
}

static float half_value(float x)
{
    return sac__half_float(sac__float_half(x));
}

static void fill_weights(struct conv_case *c, int64_t taps)
{
    struct sac_layer *layer = &c->layer;
    int64_t outs = sac__group_up(layer->out_channels), in = sac__group_up(layer->in.channels);
    layer->in_packed = in;
    layer->bias = (size_t)(outs * taps * in);
    c->plan.weight_count = layer->bias + (size_t)outs;
    c->plan.weights = room(c->plan.weight_count, sizeof(float));
    float scale = 3.f / sqrtf((float)(taps * layer->in.channels));
    for (int64_t k = 0; k < layer->out_channels; k++) {
        for (int64_t i = 0; i < taps * in; i++)
            if (i % in < layer->in.channels)
                c->plan.weights[k * taps * in + i] = half_value(check_float(-scale, scale));
        c->plan.weights[layer->bias + (size_t)k] = check_float(-1, 1);
    }
}

static void set_roles(struct conv_case *c)
{
    for (int k = 0; k < c->layer.out_count; k++) {
        const struct sac_view *view = &c->layer.out[k];
        const struct sac_buffer *b = &c->buffers[view->buffer];
        uint8_t *role = c->role + b->offset / sizeof(float);
        for (int64_t p = 0; p < b->n * b->height * b->width; p++)
            for (int64_t i = 0; i < sac__view_width(&c->plan, view); i++)
                role[p * b->pitch + view->channel + i] = i < view->channels ? 1 : 2;
    }
}

void conv_case_open(struct conv_case *c, const struct conv_shape *s, int with_reference)
{
    memset(c, 0, sizeof *c);
    c->plan.buffers = c->buffers;
    c->plan.element_size = sizeof(float);
    c->layer.kind = SAC__LAYER_CONV;
    c->layer.act = s->act;
    c->layer.alpha = 0.125f;
    c->layer.window.groups = 1;
    for (int k = 0; k < 2; k++) {
        c->layer.window.kernel[k] = s->kernel[k];
        c->layer.window.stride[k] = s->stride[k];
        c->layer.window.dilation[k] = s->dilation[k];
        c->layer.window.pad[k] = s->pad[k];
    }
    add_views(c, s);
    fill_weights(c, (int64_t)s->kernel[0] * s->kernel[1]);
    c->arena = room(c->elements, sizeof(float));
    c->role = room(c->elements, 1);
    for (size_t i = 0; i < c->elements; i++)
        c->arena[i] = half_value(check_float(-1, 1));
    set_roles(c);
    if (!with_reference) return;
    c->reference = room(c->elements, sizeof(float));
    memcpy(c->reference, c->arena, c->elements * sizeof(float));
    CHECK(!sac__reference_conv(&c->plan, &c->layer, c->reference), "%s", "no memory");
}

void conv_case_close(struct conv_case *c)
{
    free(c->plan.weights);
    free(c->arena);
    free(c->reference);
    free(c->role);
}

void conv_twin_open(struct conv_twin *t, const struct conv_case *c, int element_size)
{
    struct sac_buffer buffers[CASE_BUFFERS];
    struct sac_plan plan = c->plan;
    size_t outs = (size_t)sac__group_up(c->layer.out_channels);
    memset(t, 0, sizeof *t);
    t->of = c;
    t->element_size = element_size;
    memcpy(buffers, c->buffers, sizeof buffers);
    for (int k = 0; k < plan.buffer_count; k++)
        buffers[k].offset = buffers[k].offset / sizeof(float) * (size_t)element_size;
    plan.buffers = buffers;
    plan.element_size = (size_t)element_size;
    CUDA(cudaMalloc(&t->arena, c->elements * (size_t)element_size));
    CUDA(cudaMalloc(&t->bias, outs * sizeof(float)));
    CUDA(cudaMemcpy(t->bias, c->plan.weights + c->layer.bias, outs * sizeof(float),
                    cudaMemcpyHostToDevice));
    sac__conv_describe(&t->conv, &plan, &c->layer, t->arena);
    t->conv.bias = t->bias;
}

void conv_twin_close(struct conv_twin *t)
{
    CUDA(cudaFree(t->arena));
    CUDA(cudaFree(t->bias));
    CUDA(cudaFree(t->workspace));
    for (int k = 0; k < SAC__CONV_PACKINGS; k++)
        CUDA(cudaFree(t->weights[k]));
}

static void upload_weights(struct conv_twin *t, enum sac_conv_packing packing)
{
    if (!t->weights[packing]) {
        size_t bytes = sac__conv_packed_bytes(&t->conv, packing);
        void *packed = room(bytes, 1);
        sac__conv_pack(packed, &t->conv, packing, t->of->plan.weights + t->of->layer.weights);
        CUDA(cudaMalloc(&t->weights[packing], bytes));
        CUDA(cudaMemcpy(t->weights[packing], packed, bytes, cudaMemcpyHostToDevice));
        free(packed);
    }
    t->conv.weights = t->weights[packing];
}

void conv_twin_reset(const struct conv_twin *t)
{
    size_t count = t->of->elements;
    void *bytes = room(count, (size_t)t->element_size);
    for (size_t i = 0; i < count; i++) {
        float x = t->of->role[i] ? NAN : t->of->arena[i];
        if (t->element_size == 2)
            ((uint16_t *)bytes)[i] = sac__float_half(x);
        else
            ((float *)bytes)[i] = x;
    }
    CUDA(cudaMemcpy(t->arena, bytes, count * (size_t)t->element_size, cudaMemcpyHostToDevice));
    free(bytes);
}

void conv_twin_ready(struct conv_twin *t, const struct sac_conv_choice *choice)
{
    size_t bytes = choice->kernel->workspace(choice->kernel, &t->conv, choice->split);
    if (bytes) { // a fresh one each: counters lie elsewhere with other tiles
        CUDA(cudaFree(t->workspace));
        CUDA(cudaMalloc(&t->workspace, bytes));
        CUDA(cudaMemset(t->workspace, 0, bytes));
    }
    t->conv.workspace = bytes ? t->workspace : NULL;
    upload_weights(t, choice->kernel->packing);
    conv_twin_reset(t);
}

float *conv_twin_read(const struct conv_twin *t)
{
    size_t count = t->of->elements;
    float *values = room(count, sizeof(float));
    if (t->element_size == 4) {
        CUDA(cudaMemcpy(values, t->arena, count * sizeof(float), cudaMemcpyDeviceToHost));
        return values;
    }
    uint16_t *halves = room(count, sizeof *halves);
    CUDA(cudaMemcpy(halves, t->arena, count * sizeof *halves, cudaMemcpyDeviceToHost));
    for (size_t i = 0; i < count; i++)
        values[i] = sac__half_float(halves[i]);
    free(halves);
    return values;
}

int conv_case_error(const struct conv_case *c, const float *expected, const float *found,
                    double allowed, char *why, size_t size)
{
    double error = 0, power = 1e-30;
    for (size_t i = 0; i < c->elements; i++) {
        if (c->role[i] == 0 && found[i] != c->arena[i])
            return snprintf(why, size, "element %zu was overwritten", i), 1;
        if (c->role[i] && !isfinite(found[i]))
            return snprintf(why, size, "element %zu is not finite", i), 1;
        if (c->role[i] != 1) continue;
        double difference = (double)found[i] - (double)expected[i];
        error += difference * difference;
        power += (double)expected[i] * (double)expected[i];
    }
    snprintf(why, size, "error %g", error / power);
    return !(error / power <= allowed);
}

const char *conv_shape_text(const struct conv_shape *s)
{
    static char text[160];
    int used = snprintf(text, sizeof text, "%dx%dx%dx%d %dx%d/%d,%d", s->n, s->height, s->width,
                        s->channels, s->kernel[0], s->kernel[1], s->stride[0], s->stride[1]);
    used +=
        snprintf(text + used, sizeof text - (size_t)used, "%s%s%s -> %dx%d", s->coarse ? " up" : "",
                 s->residual ? " add" : "", s->loose ? " loose" : "", s->out_height, s->out_width);
    for (int k = 0; k < s->parts; k++)
        used +=
            snprintf(text + used, sizeof text - (size_t)used, "%c%d", k ? '+' : 'x', s->outs[k]);
    return text;
}

struct sac_conv_device conv_device(void)
{
    static struct sac_conv_device device = {90, 132, 227 * 1024};
#ifndef SAC_EMULATED
    static struct cudaDeviceProp properties; // asked for once: that takes milliseconds
    if (properties.major) return device;
    CUDA(cudaGetDeviceProperties(&properties, 0));
    device.capability = properties.major * 10 + properties.minor;
    device.processors = properties.multiProcessorCount;
    device.shared = (int)properties.sharedMemPerBlockOptin;
#endif
    return device;
}
