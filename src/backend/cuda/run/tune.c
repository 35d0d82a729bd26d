// SPDX-License-Identifier: Apache-2.0
// Measures which kernel runs a convolution fastest. Each candidate runs in a chain over arenas in
// rotation, so that inputs come from where they come from in a run (the second-level cache or
// memory, not the first), on numbers that are not zero, which would flatter the chip's clock.
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARENAS = 4,         ///< at most
    ROTATED = 64 << 20, ///< bytes that arenas in rotation need not exceed
    PATTERN = 1 << 20,  ///< bytes of random numbers
    LEAST_REPEAT = 4,   ///< launches in a graph
    MOST_REPEAT = 24,
    RUNS = 3
};
static const double default_seconds = 20;
static const double alone = 0.75;   // of the time, for launches by themselves
static const double graph_us = 200; // about how long a graph shall take
static const double warming = 0.01; // of the time for tuning
static const double slow = 1.5;     // a run that much slower than the best ends the candidate

struct tuner {
    const struct sac_program *program;
    const struct sac_program_options *options;
    double end; ///< seconds of the monotonic clock
    cudaStream_t stream;
    char *arenas, *weights, *workspace;
    size_t arena_bytes, weight_bytes, workspace_bytes;
    int arena_count;
    // What is being timed.
    const struct unit *unit;
    struct sac_conv_choice choice;
};

/// Small numbers of both signs, whether read as halves or as floats.
static int fill(const struct tuner *t, char *data, size_t bytes)
{
    uint16_t *pattern = malloc(PATTERN);
    uint32_t state = 1;
    int error = pattern ? 0 : sac__fail(SAC_ENOMEM, "out of memory for tuning");
    for (int k = 0; pattern && k < PATTERN / 2; k++) {
        state = state * 1664525u + 1013904223u;                   // Numerical Recipes
        pattern[k] = (uint16_t)((state >> 16 & 0x83ff) | 0x3000); // as half 0.125 … 0.25
    }
    for (size_t at = 0; !error && at < bytes; at += PATTERN) {
        size_t size = bytes - at < PATTERN ? bytes - at : PATTERN;
        error = SAC__CUDA(cudaMemcpyAsync, data + at, at ? (const void *)data : pattern, size,
                          at ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice, t->stream);
    }
    if (!error) error = SAC__CUDA(cudaStreamSynchronize, t->stream);
    free(pattern);
    return error;
}

/// An idle GPU takes its time to raise its clock; what is measured meanwhile seems slow.
static int warm_up(const struct tuner *t, char *data, size_t bytes)
{
    double end = sac__timing_now() + warming * (t->end - sac__timing_now());
    int error = 0;
    while (!error && sac__timing_now() < end) {
        error = SAC__CUDA(cudaMemcpyAsync, data, data + bytes / 2, bytes / 2,
                          cudaMemcpyDeviceToDevice, t->stream);
        if (!error) error = SAC__CUDA(cudaStreamSynchronize, t->stream);
    }
    return error;
}

/// Most bytes that a convolution's weights take in any packing, or those of the one after it.
static size_t weight_bytes(const struct sac_plan *plan, const struct sac_layer *layer)
{
    struct sac_conv conv;
    struct sac_conv_after after[SAC__AFTER];
    size_t most = 0;
    if (layer->after >= 0) {
        const struct sac_layer *const layers[] = {layer, &plan->layers[layer->after]};
        sac__conv_describe_chain(&conv, after, plan, layers, 2, SAC__NO_ARENA);
        most = sac__conv_after_bytes(after);
    }
    sac__conv_describe(&conv, plan, layer, SAC__NO_ARENA);
    for (int packing = 0; packing < SAC__CONV_PACKINGS; packing++) {
        size_t bytes = sac__conv_packed_bytes(&conv, (enum sac_conv_packing)packing);
        if (bytes > most) most = bytes;
    }
    return most;
}

/// Most bytes of weights and bias of any convolution, the largest of each.
static size_t most_weights(const struct sac_plan *plan)
{
    size_t weights = 0, biases = 0;
    for (int k = 0; k < plan->layer_count; k++) {
        const struct sac_layer *layer = &plan->layers[k];
        size_t bias = (size_t)sac__group_up(layer->out_channels) * sizeof(float);
        if (layer->kind != SAC__LAYER_CONV) continue;
        if (weight_bytes(plan, layer) > weights) weights = weight_bytes(plan, layer);
        if (bias > biases) biases = bias;
    }
    size_t most = weights + biases;
    return (most + SAC__ALIGN - 1) / SAC__ALIGN * SAC__ALIGN;
}

static int take_memory(struct tuner *t)
{
    size_t arena = t->program->plan->arena_bytes, bytes = 0;
    t->arena_bytes = (arena + SAC__ALIGN - 1) / SAC__ALIGN * SAC__ALIGN + SAC__ALIGN;
    t->arena_count = (int)(ROTATED / t->arena_bytes) + 1;
    if (t->arena_count > ARENAS) t->arena_count = ARENAS;
    t->weight_bytes = most_weights(t->program->plan) + SAC__ALIGN;
    cudaError_t status = cudaErrorMemoryAllocation;
    for (; t->arena_count > 0; t->arena_count--) {
        bytes = t->arena_bytes * (size_t)t->arena_count + t->weight_bytes * SAC__CONV_GROUP;
        status = cudaMalloc((void **)&t->arenas, bytes);
        if (status != cudaErrorMemoryAllocation) break;
        cudaGetLastError();
    }
    t->weights = t->arenas + t->arena_bytes * (size_t)t->arena_count;
    int error = sac__gpu_check(status, "cudaMalloc for tuning", bytes);
    if (!error) error = fill(t, t->arenas, bytes);
    return error ? error : warm_up(t, t->arenas, bytes);
}

double sac__tune_seconds(const struct sac_program_options *options)
{
    return options->tune_seconds > 0 ? options->tune_seconds : default_seconds;
}

int sac__tuner_open(struct tuner **tuner_out, const struct sac_program *program,
                    const struct sac_program_options *options)
{
    struct tuner *t = calloc(1, sizeof *t);
    *tuner_out = NULL;
    if (!t) return sac__fail(SAC_ENOMEM, "out of memory for tuning");
    t->program = program;
    t->options = options;
    t->end = sac__timing_now() + alone * sac__tune_seconds(options);
    int error = SAC__CUDA(cudaStreamCreateWithFlags, &t->stream, cudaStreamNonBlocking);
    if (!error) error = take_memory(t);
    if (error) sac__tuner_close(&t);
    *tuner_out = t;
    return error;
}

void sac__tuner_close(struct tuner **tuner)
{
    struct tuner *t = *tuner;
    if (!t) return;
    if (t->workspace) cudaFree(t->workspace);
    if (t->arenas) cudaFree(t->arenas);
    if (t->stream) cudaStreamDestroy(t->stream);
    free(t);
    *tuner = NULL;
}

/// Clean workspace of at least `bytes`.
static int clean_workspace(struct tuner *t, size_t bytes)
{
    int error = 0;
    if (bytes > t->workspace_bytes) {
        if (t->workspace) cudaFree(t->workspace);
        t->workspace = NULL;
        t->workspace_bytes = 0;
        error = sac__gpu_check(cudaMalloc((void **)&t->workspace, bytes), "cudaMalloc", bytes);
        if (!error) t->workspace_bytes = bytes;
    }
    if (error || !bytes) return error;
    return SAC__CUDA(cudaMemsetAsync, t->workspace, 0, bytes, t->stream);
}

/// Bias and weights at place k of the tuner's.
static const float *bias_at(const struct tuner *t, int k)
{
    return (const float *)(const void *)(t->weights + t->weight_bytes * (size_t)k);
}

static const void *weights_at(const struct tuner *t, int k, int out_channels)
{
    return (const char *)bias_at(t, k) +
           ((size_t)out_channels * sizeof(float) + SAC__ALIGN - 1) / SAC__ALIGN * SAC__ALIGN;
}

/// The unit over arena `turn` of the rotation: a launch's convolutions.
struct described {
    struct sac_conv convs[SAC__CONV_GROUP];
    struct sac_conv_after after[SAC__AFTER];
    int count;
    size_t workspace; ///< bytes that they take
};

static void describe(const struct tuner *t, int turn, struct described *d)
{
    const struct sac_conv_kernel *kernel = t->choice.kernel;
    char *arena = t->arenas + t->arena_bytes * (size_t)(turn % t->arena_count);
    d->count = sac__unit_describe(t->program->plan, t->unit, arena, d->convs, d->after);
    d->workspace = 0;
    for (int k = 0; k < d->count; k++) {
        struct sac_conv *c = &d->convs[k];
        c->bias = bias_at(t, k);
        c->weights = weights_at(t, k, c->out_channels);
        c->workspace = t->workspace + d->workspace;
        size_t bytes = kernel->workspace(kernel, c, t->choice.split);
        d->workspace += (bytes + SAC__ALIGN - 1) / SAC__ALIGN * SAC__ALIGN;
    }
    for (int k = d->count; k < t->unit->count; k++) {
        struct sac_conv_after *after = &d->after[k - d->count];
        after->bias = bias_at(t, k);
        after->weights = weights_at(t, k, after->out_channels);
    }
}

static int launch(void *user, int turn, cudaStream_t stream)
{
    const struct tuner *t = user;
    struct described d = {.count = 0};
    const struct sac_conv_launch how = {t->choice.split, 1, stream};
    describe(t, turn, &d);
    return t->choice.kernel->launch(t->choice.kernel, d.convs, d.count, &how);
}

static int time_choice(struct tuner *t, double best, double *us_out)
{
    struct described d = {.count = 0};
    int repeat = (int)(graph_us / (t->choice.expected + 1));
    if (repeat < LEAST_REPEAT) repeat = LEAST_REPEAT;
    if (repeat > MOST_REPEAT) repeat = MOST_REPEAT;
    const struct timing timing = {launch, t, repeat, RUNS, slow * best, t->stream};
    describe(t, 0, &d);
    int error = clean_workspace(t, d.workspace);
    return error ? error : sac__timing_run(&timing, us_out);
}

static int compare(const void *a, const void *b)
{
    double x = ((const struct sac_conv_choice *)a)->expected;
    double y = ((const struct sac_conv_choice *)b)->expected;
    return (x > y) - (x < y);
}

/// Time that all of `convs` are expected to take together; negative: the kernel cannot.
static double expect(const struct sac_conv_kernel *kernel, const struct sac_conv *convs, int count,
                     const struct sac_conv_device *device, int split)
{
    double sum = 0;
    if (kernel->group < count) return -1;
    for (int k = 0; k < count; k++) {
        if (!sac__conv_usable(kernel, &convs[k], device, split)) return -1;
        sum += kernel->cost(kernel, &convs[k], device, split);
    }
    return sum;
}

int sac__choices_list(const struct sac_conv *convs, int count, const struct sac_conv_device *device,
                      struct sac_conv_choice *choices)
{
    const struct sac_conv_kernel *kernel;
    int found = 0;
    if (count == 1) return sac__conv_candidates(convs, device, choices);
    for (int k = 0; (kernel = sac__conv_kernel_at(k)); k++)
        for (int split = 1; split <= SAC__CONV_SPLIT && found < SAC__CONV_CANDIDATES; split++) {
            double expected = expect(kernel, convs, count, device, split);
            if (expected >= 0) choices[found++] = (struct sac_conv_choice){kernel, split, expected};
        }
    qsort(choices, (size_t)found, sizeof *choices, compare);
    return found;
}

/// What is tried now did not run. 0: only this one did not, and others may; else the GPU is lost,
/// and the message says by what.
static int failed(const struct tuner *t, int error)
{
    char what[400], line[512];
    cudaError_t status = cudaStreamSynchronize(t->stream); // what went wrong on the GPU stays
    snprintf(what, sizeof what, "layer %s: kernel %s, split %d",
             t->program->plan->layers[t->unit->layers[0]].name, t->choice.kernel->name,
             t->choice.split);
    if (status != cudaSuccess) return sac__gpu_check(status, what, 0);
    snprintf(line, sizeof line, "%s: %s", what,
             error == SAC_ENOMEM ? "no memory to try it" : "cannot be launched");
    if (t->options->log) t->options->log(t->options->log_user, line);
    return 0;
}

/// Adds a way to the rivals, if it is among the fastest.
static void rank(struct rivals *r, const struct sac_conv_choice *choice, double us)
{
    int k = r->count;
    if (k == SAC__RIVALS && us >= r->us[--k]) return;
    for (; k > 0 && us < r->us[k - 1]; k--) {
        r->us[k] = r->us[k - 1];
        r->choice[k] = r->choice[k - 1];
    }
    r->us[k] = us;
    r->choice[k] = *choice;
    if (r->count < SAC__RIVALS) r->count++;
}

int sac__tuner_measure(struct tuner *t, const struct unit *unit, double share,
                       struct rivals *rivals_out)
{
    struct sac_conv_choice choices[SAC__CONV_CANDIDATES];
    struct sac_conv convs[SAC__CONV_GROUP];
    struct sac_conv_after after[SAC__AFTER];
    double end = sac__timing_now() + share * (t->end - sac__timing_now()), us = 0;
    int count = sac__unit_describe(t->program->plan, unit, t->arenas, convs, after);
    int found = sac__choices_list(convs, count, &t->program->facts, choices);
    *rivals_out = (struct rivals){.count = 0};
    t->unit = unit;
    for (int k = 0; k < found && sac__timing_now() < end; k++) {
        t->choice = choices[k];
        int error = time_choice(t, rivals_out->count ? rivals_out->us[0] : 0, &us);
        if (error) {
            error = failed(t, error);
            if (error) return error;
            continue;
        }
        rank(rivals_out, &choices[k], us);
    }
    if (found && !rivals_out->count) *rivals_out = (struct rivals){{choices[0]}, {0}, 1};
    return 0;
}
