// SPDX-License-Identifier: Apache-2.0
// Every layer kernel but the convolutions against reference.c, in fp16 and fp32: random layers with
// everything that a plan can hold. What the layer writes is poisoned with NaN before; what it does
// not write must stay.
//   check_layers [SEED [CASES]]    CASES a kind
//   check_layers --bench           microseconds of layers as the networks have them (for a GPU)
// Moves and pools must be exact. Else a normalised mean square error of 3e-7 is allowed in fp16,
// where rounding makes about 4e-8, and 2.4e-7 at most (attention, whose weights are rounded too:
// 1e-6), and 1e-12 in fp32.
#include <math.h>

#include "backend/cuda/kernels/layers.h"
#include "backend/cuda/run/internal.h"
#include "check/check.h"
#include "ops/math/half.h"

#ifdef SAC_EMULATED
enum { CASES = 12, SIDE = 9, PROCESSORS = 4 };
#else
enum { CASES = 200, SIDE = 40, PROCESSORS = 132 };
#endif
enum { BUFFERS = 3 + SAC__PARTS };

struct layer_case {
    struct sac_plan plan;
    struct sac_layer layer;
    struct sac_buffer buffers[BUFFERS];
    size_t elements; ///< of the arena
    float *arena, *expected;
    uint8_t *role; ///< 0: stays, 1: result, 2: padding, anything finite
};

static void cuda(cudaError_t status)
{
    CHECK(status == cudaSuccess, "%s", cudaGetErrorString(status));
}

static void *room(size_t bytes)
{
    void *memory = calloc(1, bytes + 1);
    CHECK(memory, "out of memory");
    return memory;
}

static float half_value(float x)
{
    return sac__half_float(sac__float_half(x));
}

/// A view of `channels` in a buffer of its own, which may have others before and behind. `free`: at
/// any channel. Offsets are in elements until twin_open.
static struct sac_view add_view(struct layer_case *c, int n, int height, int width, int channels,
                                int free)
{
    struct sac_view view = {c->plan.buffer_count, 0, channels};
    struct sac_buffer *b = &c->buffers[c->plan.buffer_count++];
    *b = (struct sac_buffer){.n = n, .height = height, .width = width};
    if (check_int(0, 1)) view.channel = free ? check_int(0, 20) : 8 * check_int(0, 2);
    b->channels = view.channel + channels;
    if ((free || channels % 8 == 0) && check_int(0, 1)) b->channels += check_int(1, 20);
    b->pitch = sac__group_up(b->channels);
    b->offset = c->elements;
    c->elements +=
        (size_t)(b->n * height * width * b->pitch + SAC__ALIGN - 1) / SAC__ALIGN * SAC__ALIGN;
    return view;
}

static int any_channels(void)
{
    return check_int(0, 2) ? 8 * check_int(1, 6) : check_int(1, 40);
}

static void weights(struct layer_case *c, int taps, int channels)
{
    int up = (int)sac__group_up(channels);
    c->layer.out_channels = channels;
    c->layer.bias = (size_t)(taps * up);
    c->plan.weight_count = c->layer.bias + (size_t)up;
    c->plan.weights = room(c->plan.weight_count * sizeof(float));
    for (int t = 0; t < taps; t++)
        for (int k = 0; k < channels; k++)
            c->plan.weights[t * up + k] = half_value(check_float(-1, 1));
    for (int k = 0; k < channels; k++)
        c->plan.weights[c->layer.bias + (size_t)k] = check_float(-1, 1);
}

static int out_extent(int extent, const struct sac_window *w, int a)
{
    int64_t reach = w->dilation[a] * (w->kernel[a] - 1) + 1;
    int64_t whole = extent + w->pad[a] + w->pad[2 + a] - reach;
    return whole < 0 ? 0 : (int)(whole / w->stride[a]) + 1;
}

static void depthwise(struct layer_case *c, int n, int height, int width)
{
    static const int kernels[] = {1, 2, 3, 3, 3, 5, 5, 7, 7};
    struct sac_window *w = &c->layer.window;
    int any = !check_int(0, 3), kernel = kernels[check_int(0, 8)], stride = check_int(1, 2);
    for (int a = 0; a < 2; a++) {
        w->kernel[a] = any ? check_int(1, 5) : kernel;
        w->stride[a] = any ? check_int(1, 3) : stride;
        w->dilation[a] = any ? check_int(1, 2) : 1;
        w->pad[a] = check_int(0, 2) ? w->kernel[a] / 2 : check_int(0, (int)w->kernel[a] - 1);
        w->pad[2 + a] = 8; // enough for one output at least
    }
    int rows = out_extent(height, w, 0), columns = out_extent(width, w, 1);
    int parts = check_int(0, 2) ? 1 : check_int(2, 3), channels = any_channels();
    if (parts > 1) channels = 8 * check_int(parts, 8);
    c->layer.in = add_view(c, n, height, width, channels, 0);
    if (check_int(0, 1)) c->layer.residual = add_view(c, n, rows, columns, channels, 0);
    c->layer.out_count = parts;
    for (int k = 0; k < parts; k++)
        c->layer.out[k] =
            add_view(c, n, rows, columns, k + 1 < parts ? 8 : channels - 8 * (parts - 1), 0);
    weights(c, (int)(w->kernel[0] * w->kernel[1]), channels);
}

static void pool(struct layer_case *c, int n, int height, int width)
{
    struct sac_window *w = &c->layer.window;
    int same = check_int(0, 1), kernel = 2 * check_int(0, 7) + 1, channels = any_channels();
    for (int a = 0; a < 2; a++) {
        w->kernel[a] = same ? kernel : check_int(1, 4);
        w->stride[a] = same ? 1 : check_int(1, 3);
        w->dilation[a] = same ? 1 : check_int(1, 2);
        w->pad[a] = same ? kernel / 2 : check_int(0, (int)w->kernel[a] - 1);
        w->pad[2 + a] = same ? w->pad[a] : 0;
    }
    int rows = out_extent(height, w, 0), columns = out_extent(width, w, 1);
    if (rows < 1 || columns < 1) { // too small a picture for this window
        memset(c, 0, sizeof *c);
        return;
    }
    c->layer.in = add_view(c, n, height, width, channels, 0);
    c->layer.out[0] = add_view(c, n, rows, columns, channels, 0);
}

static void pools(struct layer_case *c, int n, int height, int width)
{
    struct sac_window *w = &c->layer.window;
    int kernel = check_int(0, 1) ? 5 : 2 * check_int(1, 5) + 1, channels = any_channels();
    for (int a = 0; a < 2; a++) {
        w->kernel[a] = kernel;
        w->stride[a] = w->dilation[a] = 1;
        w->pad[a] = w->pad[2 + a] = kernel / 2;
    }
    c->layer.in = add_view(c, n, height, width, channels, 0);
    c->layer.out_count = check_int(2, SAC__PARTS);
    for (int k = 0; k < c->layer.out_count; k++)
        c->layer.out[k] = add_view(c, n, height, width, channels, 0);
}

static void upsample(struct layer_case *c, int n, int height, int width)
{
    int channels = any_channels();
    c->layer.in = add_view(c, n, height, width, channels, 0);
    c->layer.out[0] = add_view(c, n, 2 * height, 2 * width, channels, 0);
}

static void attention(struct layer_case *c, int n, int height, int width)
{
    static const int sizes[][2] = {{32, 64}, {32, 64}, {32, 32}, {16, 32}, {64, 64}, {8, 24}};
    const int *size = sizes[check_int(0, 5)];
    struct sac_layer *layer = &c->layer;
    layer->heads = check_int(1, 4);
    layer->key = size[0];
    layer->value = size[1];
    layer->areas = height % 4 == 0 && check_int(0, 1) ? 4 : 1;
    layer->scale = 1.f / sqrtf((float)layer->key);
    layer->in = add_view(c, n, height, width, layer->heads * (2 * size[0] + size[1]), 0);
    layer->out[0] = add_view(c, n, height, width, layer->heads * size[1], 0);
}

static void pixelwise(struct layer_case *c, int n, int height, int width)
{
    int free = c->layer.kind == SAC__LAYER_COPY, channels = any_channels();
    if (c->layer.kind != SAC__LAYER_ACTIVATION) c->layer.act = SAC__ACT_NONE;
    c->layer.in = add_view(c, n, height, width, channels, free);
    if (c->layer.kind == SAC__LAYER_ADD)
        c->layer.residual = add_view(c, n, height, width, channels, 0);
    c->layer.out[0] = add_view(c, n, height, width, channels, free);
}

static const struct {
    enum sac_layer_kind kind;
    void (*make)(struct layer_case *c, int n, int height, int width);
    double allowed[2]; ///< fp16, fp32
} kinds[] = {
    {SAC__LAYER_DEPTHWISE, depthwise, {3e-7, 1e-12}},
    {SAC__LAYER_POOL, pool, {0, 0}},
    {SAC__LAYER_POOLS, pools, {0, 0}},
    {SAC__LAYER_UPSAMPLE, upsample, {0, 0}},
    {SAC__LAYER_ATTENTION, attention, {1e-6, 1e-12}},
    {SAC__LAYER_ADD, pixelwise, {3e-7, 1e-12}},
    {SAC__LAYER_ACTIVATION, pixelwise, {3e-7, 1e-12}},
    {SAC__LAYER_COPY, pixelwise, {0, 0}},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void set_roles(struct layer_case *c)
{
    for (int k = 0; k < c->layer.out_count; k++) {
        const struct sac_view *view = &c->layer.out[k];
        const struct sac_buffer *b = &c->buffers[view->buffer];
        for (int64_t p = 0; p < b->n * b->height * b->width; p++)
            for (int64_t i = 0; i < sac__view_width(&c->plan, view); i++)
                c->role[b->offset + (size_t)(p * b->pitch + view->channel + i)] =
                    i < view->channels ? 1 : 2;
    }
}

static void set_sizes(struct layer_case *c, size_t element_size)
{
    for (int k = 0; k < c->plan.buffer_count; k++)
        c->buffers[k].offset = c->buffers[k].offset / c->plan.element_size * element_size;
    c->plan.element_size = element_size;
}

/// The reference runs a whole plan; its first buffer is a picture that no layer reads.
static void run_reference(struct layer_case *c)
{
    static const float picture[3];
    set_sizes(c, sizeof(float));
    memcpy(c->expected, c->arena, c->elements * sizeof(float));
    int error = sac__plan_run(&c->plan, picture, c->expected, NULL);
    CHECK(!error, "%s", sac_error_message());
}

/// Zero where no such layer came about.
static int case_open(struct layer_case *c, int kind, int n, int height, int width)
{
    *c = (struct layer_case){.layer = {.kind = kinds[kind].kind,
                                       .name = (char *)"made up",
                                       .out_count = 1,
                                       .act = (enum sac__act)check_int(0, SAC__ACT_SIGMOID),
                                       .alpha = 0.1f,
                                       .residual = {SAC__NONE, 0, 0},
                                       .coarse = {SAC__NONE, 0, 0}}};
    struct sac_plan *plan = &c->plan;
    c->elements = SAC__ALIGN;
    c->buffers[0] = (struct sac_buffer){.n = 1, .height = 1, .width = 1, .channels = 3, .pitch = 8};
    *plan = (struct sac_plan){.buffer_count = 1,
                              .layer_count = 1,
                              .input_shape = {1, 3, 1, 1},
                              .input = {0, 0, 3},
                              .element_size = 1};
    kinds[kind].make(c, n, height, width);
    if (!plan->buffer_count) return 0;
    plan->buffers = c->buffers;
    plan->layers = &c->layer;
    c->arena = room(c->elements * sizeof(float));
    c->expected = room(c->elements * sizeof(float));
    c->role = room(c->elements);
    set_roles(c);
    for (size_t k = 0; k < c->elements; k++)
        c->arena[k] = c->role[k] ? NAN : half_value(check_float(-4, 4));
    run_reference(c);
    return 1;
}

static void case_close(struct layer_case *c)
{
    free(c->plan.weights);
    free(c->arena);
    free(c->expected);
    free(c->role);
}

static void to_device(void *device, const float *values, size_t count, int half)
{
    uint16_t *halves = room(count * sizeof *halves);
    for (size_t k = 0; half && k < count; k++)
        halves[k] = sac__float_half(values[k]);
    cuda(cudaMemcpy(device, half ? (const void *)halves : values, count * (half ? 2 : 4),
                    cudaMemcpyHostToDevice));
    free(halves);
}

static void from_device(float *values, const void *device, size_t count, int half)
{
    uint16_t *halves = room(count * sizeof *halves);
    cuda(cudaMemcpy(half ? (void *)halves : values, device, count * (half ? 2 : 4),
                    cudaMemcpyDeviceToHost));
    for (size_t k = 0; half && k < count; k++)
        values[k] = sac__half_float(halves[k]);
    free(halves);
}

/// A layer's task with all that it points to on the device.
struct twin {
    struct sac_task task;
    void *arena, *weights, *bias;
};

static void twin_open(struct twin *t, struct layer_case *c, int half)
{
    size_t size = half ? 2 : 4, count = c->plan.weight_count;
    *t = (struct twin){.arena = NULL};
    cuda(cudaMalloc(&t->arena, c->elements * size));
    to_device(t->arena, c->arena, c->elements, half);
    set_sizes(c, size);
    sac__task_describe(&t->task, &c->plan, &c->layer, t->arena);
    t->task.processors = PROCESSORS;
    if (!count) return;
    cuda(cudaMalloc(&t->weights, c->layer.bias * size));
    cuda(cudaMalloc(&t->bias, (count - c->layer.bias) * sizeof(float)));
    to_device(t->weights, c->plan.weights, c->layer.bias, half);
    to_device(t->bias, c->plan.weights + c->layer.bias, count - c->layer.bias, 0);
    t->task.weights = t->weights;
    t->task.bias = t->bias;
}

static void twin_close(struct twin *t)
{
    cuda(cudaFree(t->arena));
    cuda(cudaFree(t->weights));
    cuda(cudaFree(t->bias));
}

static const char *describe(const struct layer_case *c, int half)
{
    static char text[256];
    const struct sac_layer *l = &c->layer;
    const struct sac_buffer *in = &c->buffers[l->in.buffer];
    snprintf(text, sizeof text,
             "%s fp%d, %dx%dx%dx%d, window %dx%d/%d, %d parts, %d heads of %d, %d, %d areas",
             sac__task_kernel(&(struct sac_task){.kind = l->kind}), half ? 16 : 32, (int)in->n,
             (int)in->height, (int)in->width, (int)l->in.channels, (int)l->window.kernel[0],
             (int)l->window.kernel[1], (int)l->window.stride[0], l->out_count, l->heads, l->key,
             l->value, l->areas);
    return text;
}

static double compare(const struct layer_case *c, const float *found, const char *what)
{
    double error = 0, power = 0;
    for (size_t k = 0; k < c->elements; k++) {
        if (c->role[k] == 0) CHECK(found[k] == c->arena[k], "%s: element %zu was written", what, k);
        if (c->role[k] == 2) CHECK(isfinite(found[k]), "%s: padding %zu is %g", what, k, found[k]);
        if (c->role[k] != 1) continue;
        CHECK(isfinite(found[k]), "%s: element %zu is %g", what, k, found[k]);
        double difference = (double)found[k] - (double)c->expected[k];
        error += difference * difference;
        power += (double)c->expected[k] * (double)c->expected[k];
    }
    return power > 0 ? error / power : error;
}

static double check_case(struct layer_case *c, int half, double allowed)
{
    struct twin t;
    float *found = room(c->elements * sizeof *found);
    const char *what = describe(c, half);
    check_now(what);
    twin_open(&t, c, half);
    int error = sac__task_launch(&t.task, NULL);
    CHECK(!error, "%s: %s", what, sac_error_message());
    cuda(cudaDeviceSynchronize());
    from_device(found, t.arena, c->elements, half);
    double normalised = compare(c, found, what);
    CHECK(normalised <= allowed, "%s: normalised mean square error %g", what, normalised);
    twin_close(&t);
    free(found);
    return normalised;
}

static void check_kind(int kind, int cases)
{
    double worst[2] = {0, 0};
    int count = 0;
    while (count < cases) {
        struct layer_case c;
        int height = check_int(1, SIDE), width = check_int(1, SIDE);
        if (!case_open(&c, kind, check_int(1, 3), height, width)) continue;
        for (int half = 0; half < 2; half++) {
            double error = check_case(&c, half, kinds[kind].allowed[!half]);
            if (error > worst[half]) worst[half] = error;
        }
        case_close(&c);
        count++;
    }
    printf("%-10s %d layers, largest error %.1e in fp16, %.1e in fp32\n",
           sac__task_kernel(&(struct sac_task){.kind = kinds[kind].kind}), cases, worst[1],
           worst[0]);
}

static int launch(void *user, int turn, cudaStream_t stream)
{
    (void)turn;
    return sac__task_launch(user, stream);
}

static void bench_case(struct layer_case *c)
{
    struct twin t;
    double us = 0, bytes = 0;
    cudaStream_t stream;
    cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    twin_open(&t, c, 1);
    const struct timing timing = {launch, &t.task, 50, 5, 0, stream};
    int error = sac__timing_run(&timing, &us);
    CHECK(!error, "%s", sac_error_message());
    for (int k = 1; k < c->plan.buffer_count; k++)
        bytes += (double)(c->buffers[k].n * c->buffers[k].height * c->buffers[k].width *
                          c->buffers[k].channels) *
                 2;
    printf("%8.2f us  %6.0f GB/s  %s\n", us, bytes / us / 1e3, describe(c, 1));
    twin_close(&t);
    cuda(cudaStreamDestroy(stream));
}

static void bench(void)
{
    static const struct {
        int kind, n, side;
    } list[] = {{0, 1, 80}, {0, 1, 20}, {0, 32, 80}, {2, 1, 20}, {2, 1, 40}, {2, 32, 20},
                {4, 1, 20}, {4, 1, 40}, {4, 32, 20}, {3, 8, 80}, {5, 8, 80}, {7, 8, 80}};
    for (size_t k = 0; k < sizeof list / sizeof *list; k++)
        for (int variant = 0; variant < 4; variant++) {
            struct layer_case c;
            check_state = 100 * k + (uint64_t)variant;
            if (!case_open(&c, list[k].kind, list[k].n, list[k].side, list[k].side)) continue;
            bench_case(&c);
            case_close(&c);
        }
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--bench")) {
        bench();
        return 0;
    }
    check_seed(argc > 1 ? argv[1] : NULL);
    int cases = argc > 2 ? atoi(argv[2]) : CASES;
    for (int kind = 0; kind < KINDS; kind++)
        check_kind(kind, cases);
    return 0;
}
