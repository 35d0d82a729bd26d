// SPDX-License-Identifier: Apache-2.0
// Time on a GPU: a captured graph of launches that take turns over several arenas, so that they
// find their inputs where a network's layer finds them: in L2 for small maps, in memory for large.
#include "bench_conv.h"

#include <math.h>

#include "backend/cuda/kernels/conv.h"
#include "check/check.h"
#include "conv_case.h"

enum { LAUNCHES = 40, ARENAS = 4, REPLAYS = 5, LAYERS = 512 };
static const double flop_us = 790e6, bytes_us = 4.3e6; ///< of an H200, per µs

#define CUDA(call)                                                                                 \
    do {                                                                                           \
        cudaError_t status = call;                                                                 \
        CHECK(status == cudaSuccess, "%s", cudaGetErrorString(status));                            \
    } while (0)

struct bench {
    struct sac_plan *plan;
    struct sac_conv_device device;
    char *arena[ARENAS], *weights, *workspace;
    size_t workspace_bytes;
    cudaStream_t stream;
    cudaEvent_t from, to;
    double total, roofline;
};

static struct sac_plan *plan_open(char **argv)
{
    struct sac_plan *plan = NULL;
    FILE *file = fopen(argv[0], "rb");
    CHECK(file, "%s: cannot be opened", argv[0]);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    void *bytes = malloc(size);
    CHECK(bytes && fread(bytes, 1, size, file) == size, "%s: cannot be read", argv[0]);
    fclose(file);
    int64_t shape[4] = {atoi(argv[1]), 3, atoi(argv[2]), atoi(argv[3])};
    CHECK(!sac__plan_open(&plan, bytes, size, shape, 2), "%s", sac_error_message());
    free(bytes);
    return plan;
}

/// Random halves between -1 and 1: zeros would run too fast.
static void fill(char *device, size_t bytes)
{
    uint16_t *values = malloc(bytes);
    CHECK(values, "out of memory");
    for (size_t i = 0; i < bytes / 2; i++)
        values[i] = (uint16_t)((check_random() & 0x83ff) | 0x3400);
    CUDA(cudaMemcpy(device, values, bytes, cudaMemcpyHostToDevice));
    free(values);
}

static size_t up(size_t bytes)
{
    return (bytes + SAC__ALIGN - 1) / SAC__ALIGN * SAC__ALIGN;
}

/// A layer, or several in one launch.
struct unit {
    const struct sac_layer *layers[1 + SAC__AFTER];
    int count, times; ///< times: that the plan has it
    double flop, bytes;
};

/// The layer and those after it, `count` in all; fewer where there are none.
static struct unit unit_of(const struct sac_plan *plan, int index, int count)
{
    struct unit unit = {.count = 0};
    while (unit.count < count && index >= 0 && plan->layers[index].kind == SAC__LAYER_CONV) {
        const struct sac_layer *layer = &plan->layers[index];
        unit.layers[unit.count++] = layer;
        unit.flop += layer->flop;
        unit.bytes += layer->bytes;
        index = layer->after;
    }
    return unit;
}

static size_t place(struct sac_plan *plan, const struct sac_view *view, size_t end)
{
    if (view->buffer < 0 || plan->buffers[view->buffer].offset != SIZE_MAX) return end;
    plan->buffers[view->buffer].offset = end;
    return end + up(plan->buffers[view->buffer].bytes);
}

/// The unit's buffers one after the other in an arena of their own, so that arenas stay small.
static size_t place_buffers(struct sac_plan *plan, const struct unit *unit)
{
    size_t end = 0;
    for (int k = 0; k < plan->buffer_count; k++)
        plan->buffers[k].offset = SIZE_MAX;
    for (int k = 0; k < unit->count; k++) {
        const struct sac_layer *layer = unit->layers[k];
        end = place(plan, &layer->in, end);
        end = place(plan, &layer->residual, end);
        end = place(plan, &layer->coarse, end);
        for (int j = 0; j < layer->out_count; j++)
            end = place(plan, &layer->out[j], end);
    }
    return end;
}

/// Best of some replays, µs a launch.
static double run(struct bench *b, const struct sac_conv_choice *choice, struct sac_conv *convs)
{
    struct sac_conv_launch how = {choice->split, 1, b->stream};
    cudaGraph_t graph;
    cudaGraphExec_t replay;
    double best = 1e9;
    CUDA(cudaStreamBeginCapture(b->stream, cudaStreamCaptureModeThreadLocal));
    for (int k = 0; k < LAUNCHES; k++)
        CHECK(!choice->kernel->launch(choice->kernel, &convs[k % ARENAS], 1, &how), "%s",
              sac_error_message());
    CUDA(cudaStreamEndCapture(b->stream, &graph));
    CUDA(cudaGraphInstantiate(&replay, graph, 0));
    for (int k = 0; k < REPLAYS; k++) {
        float ms = 0;
        CUDA(cudaEventRecord(b->from, b->stream));
        CUDA(cudaGraphLaunch(replay, b->stream));
        CUDA(cudaEventRecord(b->to, b->stream));
        CUDA(cudaEventSynchronize(b->to));
        CUDA(cudaEventElapsedTime(&ms, b->from, b->to));
        if (ms * 1e3 / LAUNCHES < best) best = ms * 1e3 / LAUNCHES;
    }
    CUDA(cudaGraphExecDestroy(replay));
    CUDA(cudaGraphDestroy(graph));
    return best;
}

static double time_choice(struct bench *b, const struct unit *unit,
                          const struct sac_conv_choice *choice)
{
    struct sac_conv convs[ARENAS];
    struct sac_conv_after after[ARENAS][SAC__AFTER];
    for (int k = 0; k < ARENAS; k++) {
        sac__conv_describe_chain(&convs[k], after[k], b->plan, unit->layers, unit->count,
                                 b->arena[k]);
        convs[k].weights = b->weights;
        convs[k].bias = (const float *)(const void *)b->weights;
        convs[k].workspace = b->workspace;
        for (int j = 0; j < unit->count - 1; j++) {
            after[k][j].weights = b->weights;
            after[k][j].bias = convs[k].bias;
        }
    }
    CHECK(choice->kernel->workspace(choice->kernel, convs, choice->split) <= b->workspace_bytes,
          "%s: too small a workspace", choice->kernel->name);
    CUDA(cudaMemset(b->workspace, 0, b->workspace_bytes));
    CUDA(cudaDeviceSynchronize()); // the stream does not wait for it
    return run(b, choice, convs);
}

static double roofline(const struct unit *unit)
{
    return fmax(unit->flop / flop_us, unit->bytes / bytes_us);
}

static void print_row(const struct unit *unit, const struct sac_conv *c,
                      const struct sac_conv_choice *choice, double us)
{
    char kernel[64], channels[48];
    int used = snprintf(channels, sizeof channels, "%4d>%-4d", c->channels, c->out_channels);
    for (const struct sac_conv_after *after = c->after; after; after = after->after)
        used +=
            snprintf(channels + used, sizeof channels - (size_t)used, ">%d", after->out_channels);
    snprintf(kernel, sizeof kernel, "%s/%d", choice->kernel->name, choice->split);
    printf("%2d %4dx%-4d %s %dx%d/%d %-32s %8.2f %8.2f %6.0f %6.0f %4.0f%%\n", unit->times,
           c->out_height, c->out_width, channels, c->kernel[0], c->kernel[1], c->stride[0], kernel,
           choice->expected, us, unit->flop / us / 1e6, unit->bytes / us / 1e3,
           100 * roofline(unit) / us);
}

/// Those in one launch are not summed: that they have, the layers alone have too.
static void bench_unit(struct bench *b, const struct unit *unit, int most, int all)
{
    struct sac_conv_choice choices[SAC__CONV_CANDIDATES], best;
    struct sac_conv_after after[SAC__AFTER];
    struct sac_conv conv;
    size_t bytes = place_buffers(b->plan, unit);
    for (int k = 0; k < ARENAS && most; k++)
        fill(b->arena[k], bytes);
    sac__conv_describe_chain(&conv, after, b->plan, unit->layers, unit->count, b->arena[0]);
    int count = sac__conv_candidates(&conv, &b->device, choices);
    if (!count) return;
    best = choices[0];
    double fastest = most ? 1e9 : best.expected;
    for (int k = 0; k < count && k < most; k++) {
        double us = time_choice(b, unit, &choices[k]);
        if (all) print_row(unit, &conv, &choices[k], us);
        if (us < fastest) fastest = us, best = choices[k];
    }
    if (!all) print_row(unit, &conv, &best, fastest);
    if (unit->count > 1) return;
    b->total += unit->times * fastest;
    b->roofline += unit->times * roofline(unit);
}

static int same(const struct sac_layer *a, const struct sac_layer *b)
{
    return a->kind == b->kind && a->flop == b->flop && a->bytes == b->bytes &&
           a->out_channels == b->out_channels && a->in.channels == b->in.channels &&
           a->out_count == b->out_count && (a->residual.buffer < 0) == (b->residual.buffer < 0) &&
           (a->coarse.buffer < 0) == (b->coarse.buffer < 0) &&
           !memcmp(&a->window, &b->window, sizeof a->window);
}

static int same_units(const struct unit *a, const struct unit *b)
{
    int equal = a->count == b->count;
    for (int k = 0; equal && k < a->count; k++)
        equal = same(a->layers[k], b->layers[k]) &&
                (k == a->count - 1 || a->layers[k]->kept == b->layers[k]->kept);
    return equal;
}

/// Every distinct unit of that many layers.
static void bench_units(struct bench *b, int count, int most, int all)
{
    for (int k = 0; k < b->plan->layer_count; k++) {
        struct unit unit = unit_of(b->plan, k, count);
        int first = k;
        if (unit.count < count) continue;
        for (int j = 0; j < b->plan->layer_count; j++) {
            struct unit other = unit_of(b->plan, j, count);
            if (!same_units(&unit, &other)) continue;
            unit.times++;
            if (j < first) first = j;
        }
        if (first == k) bench_unit(b, &unit, most, all);
    }
}

static void open_memory(struct bench *b)
{
    size_t arena = 0;
    for (int k = 0; k < b->plan->layer_count; k++) {
        struct unit unit = unit_of(b->plan, k, 1 + SAC__AFTER);
        size_t bytes = place_buffers(b->plan, &unit);
        if (bytes > arena) arena = bytes;
    }
    for (int k = 0; k < ARENAS; k++)
        CUDA(cudaMalloc((void **)&b->arena[k], arena));
    size_t weights = b->plan->weight_count * sizeof(float) + (1 << 20);
    CUDA(cudaMalloc((void **)&b->weights, weights));
    fill(b->weights, weights);
    b->workspace_bytes = (size_t)1 << 30;
    CUDA(cudaMalloc((void **)&b->workspace, b->workspace_bytes));
    CUDA(cudaStreamCreateWithFlags(&b->stream, cudaStreamNonBlocking));
    CUDA(cudaEventCreate(&b->from));
    CUDA(cudaEventCreate(&b->to));
}

int bench_conv(int argc, char **argv)
{
    struct bench b = {.device = conv_device()};
    CHECK(argc >= 4, "%s", "usage: check_conv --bench MODEL.onnx N H W [CANDIDATES [all]]");
    b.plan = plan_open(argv);
    int most = argc > 4 ? atoi(argv[4]) : 12;
    if (most) open_memory(&b);
    printf(" #  output    channels  window kernel/split                    expected       µs  "
           "TFLOP/s  GB/s "
           "roof\n");
    bench_units(&b, 1, most, argc > 5);
    printf("sum %.1f µs, roofline %.1f µs\n", b.total, b.roofline);
    for (int count = 2; count <= 1 + SAC__AFTER; count++)
        bench_units(&b, count, most, argc > 5);
    return 0; // the process ends: so does its device memory
}
