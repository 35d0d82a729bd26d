// SPDX-License-Identifier: Apache-2.0
#include "tail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/math/half.h"

enum { MOST_MAPS = 2 * SAC__LEVELS };

struct cuda_tail {
    const struct cuda_engine *engine;
    struct sac_tail_map maps[MOST_MAPS];
    const struct sac_view *views[MOST_MAPS]; ///< of the plan
    size_t places[MOST_MAPS];                ///< of their buffers in `raw`
    int map_count;
    char *raw;    ///< page-locked
    void *output; ///< page-locked, in the file's type
    float *values;
    int error; ///< of the last run
    char message[512];
};

static const struct sac_buffer *buffer_of(const struct cuda_tail *tail, int map)
{
    return &tail->engine->plan->buffers[tail->views[map]->buffer];
}

static void list_views(struct cuda_tail *tail)
{
    const struct sac_head_plan *head = &tail->engine->plan->head;
    for (int k = 0; k < head->level_count; k++) {
        tail->views[tail->map_count++] = &head->levels[k].raw;
        if (head->levels[k].scores.buffer >= 0)
            tail->views[tail->map_count++] = &head->levels[k].scores;
    }
}

/// Gives each map's buffer a place; returns the bytes of all.
static size_t place_maps(struct cuda_tail *tail)
{
    size_t bytes = 0;
    for (int k = 0; k < tail->map_count; k++) {
        tail->places[k] = bytes;
        bytes += (buffer_of(tail, k)->bytes + SAC__ALIGN - 1) / SAC__ALIGN * SAC__ALIGN;
    }
    return bytes;
}

static void describe_maps(struct cuda_tail *tail)
{
    const size_t element = tail->engine->plan->element_size;
    for (int k = 0; k < tail->map_count; k++) {
        const struct sac_buffer *b = buffer_of(tail, k);
        tail->maps[k] = (struct sac_tail_map){.data = tail->raw + tail->places[k] +
                                                      (size_t)tail->views[k]->channel * element,
                                              .half = element == 2,
                                              .picture_step = b->height * b->width * b->pitch,
                                              .pixel_step = b->pitch,
                                              .channel_step = 1};
    }
}

static int take_memory(struct cuda_tail *tail)
{
    const size_t output = (size_t)tail->engine->bindings[1].bytes;
    list_views(tail);
    const size_t raw = place_maps(tail);
    tail->values = malloc((size_t)tail->engine->bindings[1].count * sizeof *tail->values + 1);
    if (!tail->values) return sac__fail(SAC_ENOMEM, "no memory for the decode tail");
    int error = sac__gpu_check(cudaHostAlloc((void **)&tail->raw, raw, cudaHostAllocDefault),
                               "cudaHostAlloc for raw maps", raw);
    if (error) return error;
    describe_maps(tail);
    return sac__gpu_check(cudaHostAlloc(&tail->output, output, cudaHostAllocDefault),
                          "cudaHostAlloc for the output", output);
}

int sac__cuda_tail_open(struct cuda_tail **tail_out, const struct cuda_engine *engine)
{
    struct cuda_tail *tail = calloc(1, sizeof *tail);
    *tail_out = NULL;
    if (!tail) return sac__fail(SAC_ENOMEM, "no memory for the decode tail");
    tail->engine = engine;
    int error = take_memory(tail);
    if (error) sac__cuda_tail_close(&tail);
    *tail_out = tail;
    return error;
}

void sac__cuda_tail_close(struct cuda_tail **tail)
{
    if (!*tail) return;
    cudaFreeHost((*tail)->raw);
    cudaFreeHost((*tail)->output);
    free((*tail)->values);
    free(*tail);
    *tail = NULL;
}

// Runs on a thread of the CUDA runtime, where no CUDA call is allowed.
static void CUDART_CB compute(void *data)
{
    struct cuda_tail *tail = data;
    const sac_binding *output = &tail->engine->bindings[1];
    tail->error = sac__tail_run(tail->engine->plan->tail, tail->maps, tail->values);
    if (tail->error) snprintf(tail->message, sizeof tail->message, "%s", sac__gpu_message());
    for (int64_t k = 0; k < output->count; k++)
        if (output->dtype == SAC_F16)
            ((uint16_t *)tail->output)[k] = sac__float_half(tail->values[k]);
        else
            ((float *)tail->output)[k] = tail->values[k];
}

int sac__cuda_tail_enqueue(struct cuda_tail *tail, const void *arena, void *output,
                           cudaStream_t stream)
{
    int error = 0;
    for (int k = 0; !error && k < tail->map_count; k++) {
        const struct sac_buffer *b = buffer_of(tail, k);
        error =
            SAC__CUDA(cudaMemcpyAsync, tail->raw + tail->places[k], (const char *)arena + b->offset,
                      b->bytes, cudaMemcpyDeviceToHost, stream);
    }
    if (!error) error = SAC__CUDA(cudaLaunchHostFunc, stream, compute, tail);
    if (error) return error;
    return SAC__CUDA(cudaMemcpyAsync, output, tail->output, (size_t)tail->engine->bindings[1].bytes,
                     cudaMemcpyHostToDevice, stream);
}

int sac__cuda_tail_result(const struct cuda_tail *tail)
{
    return tail->error ? sac__fail(tail->error, "the decode tail: %s", tail->message) : 0;
}
