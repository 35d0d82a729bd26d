// SPDX-License-Identifier: Apache-2.0
#include "conv_case.h"

#include <math.h>

#include "check/check.h"
#include "ops/math/half.h"

enum { ALIGN = SAC__ALIGN / 2 }; ///< elements, of halves

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

/// That many channels, sometimes fewer: kernels take all of every 32.
static int loose_channels(const struct conv_shape *s, int channels)
{
    return channels > 24 && s->loose && check_int(0, 1) ? channels - 8 * check_int(0, 3) : channels;
}

/// One that gives that many channels, in one part or two, of one that gives `before`.
static struct conv_after_shape random_after(const struct conv_shape *s, int before, int outs)
{
    struct conv_after_shape a = {.depth = before, .kept = check_int(0, 1), .parts = 1};
    if (!check_int(0, 3)) a.depth = 8 * check_int(1, before / 8);
    if (!check_int(0, 3) && before % 16 == 0) a.depth = before / 2;
    a.act = (enum sac__act)check_int(0, SAC__ACT_SIGMOID);
    a.outs[0] = loose_channels(s, outs);
    if (a.outs[0] > 8 && check_int(0, 1)) {
        int first = check_int(0, 1) && a.outs[0] % 16 == 0 ? a.outs[0] / 2 : 8;
        a.parts = 2, a.outs[1] = a.outs[0] - first, a.outs[0] = first;
    }
    return a;
}

struct conv_shape conv_shape_random_chain(int scale)
{
    static const int windows[][2] = {{3, 1}, {3, 2}, {1, 1}};
    struct conv_shape s = conv_shape_random(scale, 1 << 20);
    const int *window = windows[check_int(0, 2)], channels[] = {16, 32, 48, 64, 96, 128};
    int side = s.n == 1 ? 40 : 24;
    s.channels = channels[check_int(0, 5)];
    s.out_height = check_int(1, side), s.out_width = check_int(1, side);
    for (int k = 0; k < 2; k++) {
        s.kernel[k] = window[0], s.stride[k] = window[1], s.dilation[k] = 1;
        s.pad[k] = check_int(0, window[0] / 2);
    }
    s.height = s.out_height * window[1] + check_int(0, 2);
    s.width = s.out_width * window[1] + check_int(0, 2);
    int outs = (s.channels < 32 ? 32 : s.channels) << (window[1] == 2 && check_int(0, 1));
    int after = outs >> 1 << check_int(0, 2);
    s.outs[0] = loose_channels(&s, outs);
    s.parts = s.outs[0] % 16 ? 1 : check_int(1, 2);
    if (s.parts == 2) s.outs[1] = s.outs[0] /= 2;
    s.beside = check_int(0, 1) ? outs / s.parts << check_int(0, 1) : 0;
    s.leads = check_int(0, 1);
    s.after[0] = random_after(&s, s.outs[0], after < 32 ? 32 : after);
    if (s.beside)
        s.after[0].depth = s.outs[0];
    else if (check_int(0, 1))
        s.after[1] = random_after(&s, s.after[0].outs[0], after >> check_int(0, 1));
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

/// Views of parts of these channels, the last of which sometimes ends in the midst of 8.
static void add_parts(struct conv_case *c, const struct conv_shape *s, struct sac_layer *layer,
                      const int *outs, int parts)
{
    layer->out_count = parts;
    for (int k = 0; k < parts; k++) {
        if (layer->out[k].channels) continue; // has one
        layer->out[k] = add_buffer(c, s, s->out_height, s->out_width, outs[k]);
    }
    if (s->loose) trim(c, &layer->out[parts - 1]);
    layer->out_channels = 0;
    for (int k = 0; k < parts; k++)
        layer->out_channels += layer->out[k].channels;
}

static void set_window(struct sac_layer *layer, const struct conv_shape *s)
{
    layer->kind = SAC__LAYER_CONV;
    layer->act = s->act;
    layer->alpha = 0.125f;
    layer->window.groups = 1;
    for (int k = 0; k < 2; k++) {
        layer->window.kernel[k] = s->kernel[k];
        layer->window.stride[k] = s->stride[k];
        layer->window.dilation[k] = s->dilation[k];
        layer->window.pad[k] = s->pad[k];
    }
}

/// What comes after a layer reads its first part, alone or in one buffer with what lies beside.
static void add_after(struct conv_case *c, const struct conv_shape *s, int index)
{
    const struct conv_after_shape *of = &s->after[index];
    struct sac_layer *first = index ? &c->after[index - 1] : &c->layer, *after = &c->after[index];
    int beside = index ? 0 : s->beside;
    const struct conv_shape pointwise = {
        .kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}, .act = of->act};
    set_window(after, &pointwise);
    first->kept = of->kept;
    after->in = first->out[0];
    if (beside) {
        after->in.channel -= s->leads ? beside : 0;
        after->in.channels += beside;
    } else if (of->depth < after->in.channels)
        after->in.channels = of->depth;
    after->residual = after->coarse = (struct sac_view){SAC__NONE, 0, 0};
    add_parts(c, s, after, of->outs, of->parts);
    c->afters = index + 1;
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
    if (s->beside) {
        layer->out[0] = add_buffer(c, s, s->out_height, s->out_width, s->outs[0] + s->beside);
        layer->out[0].channel += s->leads ? s->beside : 0;
        layer->out[0].channels = s->outs[0];
    }
    add_parts(c, s, layer, s->outs, s->parts);
    if (s->loose) trim(c, &layer->in);
    for (int k = 0; k < CASE_AFTERS && s->after[k].depth; k++)
        add_after(c, s, k);
}

static float half_value(float x)
{
    return sac__half_float(sac__float_half(x));
}

/// The layer's weights and bias come after those that have a place.
static void place_weights(struct conv_case *c, struct sac_layer *layer)
{
    int64_t taps = layer->window.kernel[0] * layer->window.kernel[1];
    int64_t outs = sac__group_up(layer->out_channels);
    layer->in_packed = sac__group_up(layer->in.channels);
    layer->weights = c->plan.weight_count;
    layer->bias = layer->weights + (size_t)(outs * taps * layer->in_packed);
    c->plan.weight_count = layer->bias + (size_t)outs;
}

static void fill_weights(const struct conv_case *c, const struct sac_layer *layer)
{
    int64_t taps = layer->window.kernel[0] * layer->window.kernel[1], in = layer->in_packed;
    float *to = c->plan.weights + layer->weights, *bias = c->plan.weights + layer->bias;
    float scale = 3.f / sqrtf((float)(taps * layer->in.channels));
    for (int64_t k = 0; k < layer->out_channels; k++) {
        for (int64_t i = 0; i < taps * in; i++)
            if (i % in < layer->in.channels)
                to[k * taps * in + i] = half_value(check_float(-scale, scale));
        bias[k] = check_float(-1, 1);
    }
}

static void set_roles(struct conv_case *c, const struct sac_layer *layer)
{
    for (int k = 0; k < layer->out_count; k++) {
        const struct sac_view *view = &layer->out[k];
        const struct sac_buffer *b = &c->buffers[view->buffer];
        uint8_t *role = c->role + b->offset / sizeof(float);
        for (int64_t p = 0; p < b->n * b->height * b->width; p++)
            for (int64_t i = 0; i < sac__view_width(&c->plan, view); i++)
                role[p * b->pitch + view->channel + i] = i < view->channels ? 1 : 2;
    }
}

/// What comes after a layer reads its results rounded to half.
static void run_afters(struct conv_case *c)
{
    float *rounded = room(c->elements, sizeof(float));
    memcpy(rounded, c->reference, c->elements * sizeof(float));
    for (int k = 0; k < c->afters; k++) {
        const struct sac_layer *after = &c->after[k];
        for (size_t i = 0; i < c->elements; i++)
            rounded[i] = half_value(rounded[i]);
        CHECK(!sac__reference_conv(&c->plan, after, rounded), "%s", "no memory");
        for (int j = 0; j < after->out_count; j++) {
            const struct sac_buffer *b = &c->buffers[after->out[j].buffer];
            memcpy((char *)c->reference + b->offset, (char *)rounded + b->offset, b->bytes);
        }
    }
    free(rounded);
}

static struct sac_layer *layer_of(struct conv_case *c, int index)
{
    return index ? &c->after[index - 1] : &c->layer;
}

static void fill_data(struct conv_case *c)
{
    c->plan.weights = room(c->plan.weight_count, sizeof(float));
    for (int k = 0; k <= c->afters; k++)
        fill_weights(c, layer_of(c, k));
    c->arena = room(c->elements, sizeof(float));
    c->role = room(c->elements, 1);
    for (size_t i = 0; i < c->elements; i++)
        c->arena[i] = half_value(check_float(-1, 1));
    for (int k = 0; k <= c->afters; k++)
        if (k == c->afters || layer_of(c, k)->kept) set_roles(c, layer_of(c, k));
}

static void run_reference(struct conv_case *c)
{
    c->reference = room(c->elements, sizeof(float));
    memcpy(c->reference, c->arena, c->elements * sizeof(float));
    CHECK(!sac__reference_conv(&c->plan, &c->layer, c->reference), "%s", "no memory");
    run_afters(c);
}

void conv_case_open(struct conv_case *c, const struct conv_shape *s, enum conv_case_data data)
{
    memset(c, 0, sizeof *c);
    c->plan.buffers = c->buffers;
    c->plan.element_size = sizeof(float);
    set_window(&c->layer, s);
    add_views(c, s);
    for (int k = 0; k <= c->afters; k++)
        place_weights(c, layer_of(c, k));
    if (data >= CASE_DATA) fill_data(c);
    if (data >= CASE_REFERENCE) run_reference(c);
}

void conv_case_close(struct conv_case *c)
{
    free(c->plan.weights);
    free(c->arena);
    free(c->reference);
    free(c->role);
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
    static char text[320];
    int used = snprintf(text, sizeof text, "%dx%dx%dx%d %dx%d/%d,%d", s->n, s->height, s->width,
                        s->channels, s->kernel[0], s->kernel[1], s->stride[0], s->stride[1]);
    used +=
        snprintf(text + used, sizeof text - (size_t)used, "%s%s%s -> %dx%d", s->coarse ? " up" : "",
                 s->residual ? " add" : "", s->loose ? " loose" : "", s->out_height, s->out_width);
    for (int k = 0; k < s->parts; k++)
        used +=
            snprintf(text + used, sizeof text - (size_t)used, "%c%d", k ? '+' : 'x', s->outs[k]);
    if (s->beside)
        used += snprintf(text + used, sizeof text - (size_t)used, ", %d %s", s->beside,
                         s->leads ? "before" : "behind");
    for (int j = 0; j < CASE_AFTERS && s->after[j].depth; j++) {
        const struct conv_after_shape *a = &s->after[j];
        used += snprintf(text + used, sizeof text - (size_t)used, "%s %d of them ->",
                         a->kept ? ", kept," : ",", a->depth);
        for (int k = 0; k < a->parts; k++)
            used += snprintf(text + used, sizeof text - (size_t)used, "%c%d", k ? '+' : ' ',
                             a->outs[k]);
    }
    return text;
}
