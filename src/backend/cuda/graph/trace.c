// SPDX-License-Identifier: Apache-2.0
#include "trace.h"

#include "graph/ops.h"

/// The input of a Mul that is not the constant number; the number in *factor. SAC__NONE: no such.
static int scaled_input(const struct sac_graph *graph, int node, float *factor)
{
    for (int side = 0; side < 2; side++) {
        const struct sac_gtensor *number = sac__input(graph, node, side);
        if (!number || !number->f || sac__tensor_count(number) != 1) continue;
        *factor = number->f[0];
        return graph->nodes[node].inputs[!side];
    }
    return SAC__NONE;
}

int sac__node_moves(const struct sac_graph *graph, int node)
{
    float factor;
    switch (graph->nodes[node].op) {
    case SAC__OP_RESHAPE:
    case SAC__OP_FLATTEN:
    case SAC__OP_SQUEEZE:
    case SAC__OP_UNSQUEEZE:
    case SAC__OP_IDENTITY:
    case SAC__OP_TRANSPOSE:
    case SAC__OP_SPLIT:
        return 1;
    case SAC__OP_SLICE:
        return graph->nodes[node].proto != NULL;
    case SAC__OP_MUL:
        return scaled_input(graph, node, &factor) >= 0;
    default:
        return 0;
    }
}

static void unravel(const struct sac_gtensor *t, int64_t flat, int64_t at[SAC__RANK])
{
    for (int axis = t->ndim - 1; axis >= 0; axis--) {
        at[axis] = flat % t->shape[axis];
        flat /= t->shape[axis];
    }
}

static int64_t ravel(const struct sac_gtensor *t, const int64_t at[SAC__RANK])
{
    int64_t flat = 0;
    for (int axis = 0; axis < t->ndim; axis++)
        flat = flat * t->shape[axis] + at[axis];
    return flat;
}

static int64_t through_transpose(const struct sac_graph *graph, int node, int64_t flat)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0), *y = sac__output(graph, node, 0);
    const int64_t *order = NULL;
    int64_t from[SAC__RANK] = {0}, to[SAC__RANK];
    int listed = sac__attr_ints(&graph->nodes[node], "perm", &order) == x->ndim;
    unravel(y, flat, to);
    for (int axis = 0; axis < y->ndim; axis++)
        from[listed ? order[axis] : x->ndim - 1 - axis] = to[axis];
    return ravel(x, from);
}

static int64_t through_split(const struct sac_graph *graph, int node, int tensor, int64_t flat)
{
    const struct sac_gnode *n = &graph->nodes[node];
    int64_t at[SAC__RANK];
    unravel(&graph->tensors[tensor], flat, at);
    for (int k = 0; k < n->output_count && n->outputs[k] != tensor; k++)
        at[n->axis] += sac__output(graph, node, k)->shape[n->axis];
    return ravel(sac__input(graph, node, 0), at);
}

static int64_t through_slice(const struct sac_graph *graph, int node, int64_t flat)
{
    int64_t start[SAC__RANK], step[SAC__RANK], extent[SAC__RANK], at[SAC__RANK];
    if (sac__slice_ranges(graph, node, start, step, extent)) return -1;
    unravel(sac__output(graph, node, 0), flat, at);
    for (int axis = 0; axis < sac__input(graph, node, 0)->ndim; axis++)
        at[axis] = start[axis] + at[axis] * step[axis];
    return ravel(sac__input(graph, node, 0), at);
}

/// The tensor before one, when a moving node made it; `flat` and `factor` go along.
static int step_back(const struct sac_graph *graph, int tensor, int64_t *flat, float *factor)
{
    int node = graph->tensors[tensor].producer;
    float number = 1;
    if (node < 0 || graph->nodes[node].dead || !sac__node_moves(graph, node)) return SAC__NONE;
    switch (graph->nodes[node].op) {
    case SAC__OP_TRANSPOSE:
        *flat = through_transpose(graph, node, *flat);
        break;
    case SAC__OP_SPLIT:
        *flat = through_split(graph, node, tensor, *flat);
        break;
    case SAC__OP_SLICE:
        *flat = through_slice(graph, node, *flat);
        break;
    case SAC__OP_MUL:
        tensor = scaled_input(graph, node, &number);
        *factor *= number;
        return tensor;
    default: // the order stays
        break;
    }
    return *flat < 0 ? SAC__NONE : graph->nodes[node].inputs[0];
}

int sac__trace(const struct sac_graph *graph, int tensor, int origin, int64_t *flat, float *factor)
{
    while (tensor >= 0 && tensor != origin)
        tensor = step_back(graph, tensor, flat, factor);
    return tensor >= 0;
}

int sac__trace_origin(const struct sac_graph *graph, int tensor)
{
    for (;;) {
        int64_t flat = 0;
        float factor = 1;
        int before = step_back(graph, tensor, &flat, &factor);
        if (before < 0) return tensor;
        tensor = before;
    }
}
