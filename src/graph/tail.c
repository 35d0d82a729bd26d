// SPDX-License-Identifier: Apache-2.0
#include "tail.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "ops/math/half.h"

struct sac_tail {
    struct sac_graph *graph;
    char *nodes; ///< of the tail, by node
    int raw[2 * SAC__LEVELS], raw_count;
    pthread_mutex_t lock;
};

/// Frees what only the network before the tail reads: its weights.
static void drop_weights(struct sac_tail *tail)
{
    struct sac_graph *graph = tail->graph;
    char *kept = calloc((size_t)graph->tensor_count + 1, 1);
    for (int n = 0; kept && n < graph->node_count; n++)
        for (int k = 0; tail->nodes[n] && k < graph->nodes[n].input_count; k++)
            if (graph->nodes[n].inputs[k] >= 0) kept[graph->nodes[n].inputs[k]] = 1;
    for (int t = 0; kept && t < graph->tensor_count; t++)
        if (!kept[t]) sac__tensor_drop(graph, t);
    free(kept);
}

static int find(struct sac_tail *tail)
{
    int error = sac__graph_fold(tail->graph);
    if (!error) error = sac__head_raw(tail->graph, tail->raw, &tail->raw_count, &tail->nodes);
    if (error || !tail->raw_count) return error;
    drop_weights(tail);
    tail->graph->fold_limit = INT32_MAX;
    for (int k = 0; !error && k < tail->raw_count; k++)
        error = sac__tensor_fill(tail->graph, tail->raw[k]);
    return error;
}

int sac__tail_open(struct sac_tail **tail_out, const void *onnx, size_t size,
                   const int64_t shape[4])
{
    struct sac_tail *tail = calloc(1, sizeof *tail);
    *tail_out = NULL;
    if (!tail) return sac__fail(SAC_ENOMEM, "out of memory for the tail");
    pthread_mutex_init(&tail->lock, NULL);
    int error = sac__graph_import(&tail->graph, onnx, size, shape);
    if (!error) error = find(tail);
    if (error || !tail->raw_count) sac__tail_close(&tail);
    *tail_out = tail;
    return error;
}

void sac__tail_close(struct sac_tail **tail)
{
    if (!*tail) return;
    sac__graph_close(&(*tail)->graph);
    pthread_mutex_destroy(&(*tail)->lock);
    free(*tail);
    *tail = NULL;
}

int sac__tail_inputs(const struct sac_tail *tail, const int **tensors_out)
{
    *tensors_out = tail->raw;
    return tail->raw_count;
}

int sac__tail_shape(const struct sac_tail *tail, int64_t shape_out[SAC__RANK])
{
    const struct sac_gtensor *t = &tail->graph->tensors[tail->graph->outputs[0]];
    memcpy(shape_out, t->shape, sizeof t->shape);
    return t->ndim;
}

/// A map as the graph has it, (N,C,H,W).
static void read_map(const struct sac_gtensor *t, const struct sac_tail_map *map)
{
    int64_t area = t->shape[2] * t->shape[3], channels = t->shape[1];
    for (int64_t n = 0; n < t->shape[0]; n++)
        for (int64_t p = 0; p < area; p++) {
            int64_t from = n * map->picture_step + p * map->pixel_step;
            float *to = t->f + n * channels * area + p;
            for (int64_t c = 0; c < channels; c++, from += map->channel_step)
                to[c * area] = map->half ? sac__half_float(((const uint16_t *)map->data)[from])
                                         : ((const float *)map->data)[from];
        }
}

static int run(struct sac_tail *tail, const struct sac_tail_map *maps, float *output)
{
    struct sac_graph *graph = tail->graph;
    int last = graph->outputs[0];
    for (int k = 0; k < tail->raw_count; k++)
        read_map(&graph->tensors[tail->raw[k]], &maps[k]);
    int error = sac__tail_eval(graph, tail->nodes, last);
    const struct sac_gtensor *t = &graph->tensors[last];
    for (int64_t k = 0, count = error ? 0 : sac__tensor_count(t); k < count; k++)
        output[k] = t->f ? t->f[k] : (float)t->i[k];
    sac__tensor_drop(graph, last);
    return error;
}

int sac__tail_run(struct sac_tail *tail, const struct sac_tail_map *maps, float *output)
{
    pthread_mutex_lock(&tail->lock);
    int error = run(tail, maps, output);
    pthread_mutex_unlock(&tail->lock);
    return error;
}
