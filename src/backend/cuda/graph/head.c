// SPDX-License-Identifier: Apache-2.0
// Takes the decode tail off the network.
#include "plan.h"

#include <string.h>

/// From now on the raw maps are the network's outputs: two a level for V8.
static int cut(struct sac_graph *graph, const struct sac_head_plan *head, sac__raw_maps raw)
{
    int *outputs = sac__graph_alloc(graph, 2 * SAC__LEVELS, sizeof *outputs);
    if (!outputs) return sac__fail(SAC_ENOMEM, "out of memory for outputs");
    graph->output_count = 0;
    for (int k = 0; k < head->level_count; k++)
        for (int part = 0; part < 2; part++)
            if (raw[k][part] >= 0) outputs[graph->output_count++] = raw[k][part];
    graph->outputs = outputs;
    sac__graph_sweep(graph);
    return 0;
}

static int unknown(const struct sac_graph *graph, int output)
{
    const struct sac_gtensor *t = &graph->tensors[output];
    return sac__fail(SAC_EUNSUPPORTED,
                     "output %s of rank %d (%lld,%lld,%lld) is no head that the CUDA engine knows "
                     "(YOLOv5, v7, v8 to v10, 11, 12, 26), nor one that it can compute; the "
                     "OpenVINO engine runs it: --device cpu",
                     t->name, t->ndim, t->ndim > 0 ? (long long)t->shape[0] : 0,
                     t->ndim > 1 ? (long long)t->shape[1] : 0,
                     t->ndim > 2 ? (long long)t->shape[2] : 0);
}

/// Whether a tensor of the network for one picture is the same thing in the one for many.
static int same_tensor(const struct sac_graph *single, const struct sac_graph *graph, int tensor)
{
    if (tensor >= graph->tensor_count) return 0;
    const struct sac_gtensor *a = &single->tensors[tensor], *b = &graph->tensors[tensor];
    return !strcmp(a->name, b->name) && a->ndim == b->ndim && a->ndim > 1 && a->shape[0] == 1 &&
           b->shape[0] == graph->tensors[graph->input].shape[0] &&
           !memcmp(a->shape + 1, b->shape + 1, (size_t)(a->ndim - 1) * sizeof *a->shape);
}

static int find_single(struct sac_graph *single, const struct sac_graph *graph,
                       struct sac_head_plan *head, sac__raw_maps raw, int *found)
{
    int error = sac__head_find(single, head, raw, found);
    if (error || !*found) return error;
    *found =
        graph->outputs[0] == single->outputs[0] && same_tensor(single, graph, graph->outputs[0]);
    for (int k = 0; k < 2 * head->level_count; k++)
        if (raw[k / 2][k % 2] >= 0 && !same_tensor(single, graph, raw[k / 2][k % 2])) *found = 0;
    return 0;
}

int sac__pass_head(struct sac_graph *graph, struct sac_graph *single, struct sac_head_plan *head)
{
    sac__raw_maps raw;
    int found = 0, error = 0;
    if (single) error = find_single(single, graph, head, raw, &found);
    if (!error && !found) error = sac__head_find(graph, head, raw, &found);
    if (error) return error;
    if (found) return cut(graph, head, raw);
    head->level_count = 0;
    return 0;
}

int sac__pass_tail(struct sac_graph *graph, const struct sac_tail *tail, struct sac_head_plan *head)
{
    sac__raw_maps raw;
    const int *inputs = NULL;
    int count = tail ? sac__tail_inputs(tail, &inputs) : 0;
    if (!tail) return unknown(graph, graph->outputs[0]);
    *head = (struct sac_head_plan){.family = SAC__HEAD_OTHER, .level_count = (count + 1) / 2};
    for (int k = 0; k < 2 * head->level_count; k++) {
        raw[k / 2][k % 2] = k < count ? inputs[k] : SAC__NONE;
        if (k >= count) continue;
        const struct sac_gtensor *t = &graph->tensors[inputs[k]];
        if (inputs[k] >= graph->tensor_count || t->ndim != 4)
            return unknown(graph, graph->outputs[0]);
    }
    return cut(graph, head, raw);
}
