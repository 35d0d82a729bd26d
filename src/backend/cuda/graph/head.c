// SPDX-License-Identifier: Apache-2.0
// Takes the decode tail off the network.
#include "plan.h"

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
                     "(YOLOv5, v7, v8, v9, 11); the OpenVINO engine runs it: --device cpu",
                     t->name, t->ndim, t->ndim > 0 ? (long long)t->shape[0] : 0,
                     t->ndim > 1 ? (long long)t->shape[1] : 0,
                     t->ndim > 2 ? (long long)t->shape[2] : 0);
}

int sac__pass_head(struct sac_graph *graph, struct sac_head_plan *head)
{
    sac__raw_maps raw;
    int found = 0, output = graph->outputs[0];
    int error = sac__head_find(graph, head, raw, &found);
    if (error) return error;
    return found ? cut(graph, head, raw) : unknown(graph, output);
}
