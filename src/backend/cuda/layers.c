// SPDX-License-Identifier: Apache-2.0
// What each layer is, for people: shape, work, the kernel that runs it, how long that takes and how
// long it would have to.
#include <stdio.h>
#include <stdlib.h>

#include "arena.h"

#define NAME(name, text) text,
static const char *const kinds[] = {SAC__LAYERS(NAME)};
#undef NAME

// "80x80x64 > 40x40x128, 3x3 / 2", extents height, width, channels; of a batch "8x …".
static void write_shape(char *text, size_t size, const struct sac_plan *plan,
                        const struct sac_layer *layer)
{
    const struct sac_buffer *in = &plan->buffers[layer->in.buffer];
    const struct sac_buffer *out = &plan->buffers[layer->out[0].buffer];
    const int windowed = layer->kind == SAC__LAYER_CONV || layer->kind == SAC__LAYER_DEPTHWISE ||
                         layer->kind == SAC__LAYER_POOL || layer->kind == SAC__LAYER_POOLS;
    int64_t channels = 0;
    for (int k = 0; k < layer->out_count; k++)
        channels += layer->out[k].channels;
    int at = in->n == 1 ? 0 : snprintf(text, size, "%lldx ", (long long)in->n);
    at += snprintf(text + at, size - (size_t)at, "%lldx%lldx%lld > %lldx%lldx%lld",
                   (long long)in->height, (long long)in->width, (long long)layer->in.channels,
                   (long long)out->height, (long long)out->width, (long long)channels);
    if (!windowed || at < 0 || (size_t)at >= size) return;
    at += snprintf(text + at, size - (size_t)at, ", %lldx%lld", (long long)layer->window.kernel[0],
                   (long long)layer->window.kernel[1]);
    if (layer->window.stride[0] != 1 && (size_t)at < size)
        snprintf(text + at, size - (size_t)at, " / %lld", (long long)layer->window.stride[0]);
}

static double least_us(const struct cuda_engine *engine, const struct sac_layer *layer)
{
    const double flop_rate = engine->gpu.flop_rate[engine->precision == SAC_PRECISION_FP16];
    if (flop_rate <= 0 || engine->gpu.byte_rate <= 0) return 0;
    const double by_flop = layer->flop / flop_rate, by_bytes = layer->bytes / engine->gpu.byte_rate;
    return 1e6 * (by_flop > by_bytes ? by_flop : by_bytes);
}

int sac__cuda_describe(struct cuda_engine *engine)
{
    const struct sac_plan *plan = engine->plan;
    const struct sac_program_layer *run = sac__program_layers(engine->program);
    const size_t count = (size_t)plan->layer_count;
    engine->layers = calloc(count + 1, sizeof *engine->layers);
    engine->text = calloc(count + 1, sizeof *engine->text);
    if (!engine->layers || !engine->text)
        return sac__fail(SAC_ENOMEM, "no memory for %zu layers", count);
    for (size_t k = 0; k < count; k++) {
        const struct sac_layer *layer = &plan->layers[k];
        write_shape(engine->text[k], sizeof *engine->text, plan, layer);
        engine->layers[k] = (struct sac_layer_facts){
            .name = layer->name,
            .kind = kinds[layer->kind],
            .kernel = run[k].kernel,
            .shape = engine->text[k],
            .flop = layer->flop,
            .bytes = layer->bytes,
            .us = run[k].us,
            .roof_us = least_us(engine, layer),
        };
    }
    return 0;
}

// A layer whose kernel came from the plan cache, or had no rival, has not been timed yet.
static int measure(struct cuda_engine *engine)
{
    const int count = engine->plan->layer_count;
    double *us = calloc((size_t)count + 1, sizeof *us);
    void *arena = NULL;
    cudaStream_t stream = NULL;
    if (!us) return sac__fail(SAC_ENOMEM, "no memory for %d layers", count);
    int error = SAC__CUDA(cudaStreamCreateWithFlags, &stream, cudaStreamNonBlocking);
    if (!error) error = sac__cuda_arena(&arena, engine, stream);
    if (!error) error = sac__program_measure(engine->program, arena, us);
    for (int k = 0; !error && k < count; k++)
        engine->layers[k].us = us[k];
    cudaFree(arena);
    if (stream) cudaStreamDestroy(stream);
    free(us);
    return error;
}

int sac__cuda_layers(void *state, const struct sac_layer_facts **layers_out, size_t *count_out)
{
    struct cuda_engine *engine = state;
    *layers_out = engine->layers;
    *count_out = (size_t)engine->plan->layer_count;
    if (sac__cuda_tune_seconds() < 0) return 0;
    int error = sac__gpu_enter(engine->device);
    if (error) return error;
    error = measure(engine);
    sac__gpu_leave();
    return error;
}
