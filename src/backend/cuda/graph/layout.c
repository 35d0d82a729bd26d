// SPDX-License-Identifier: Apache-2.0
// Gives each tensor a place. Concat never runs: its inputs are made where they belong in its
// output. Split and Slice never run: their outputs are views. What cannot be placed so is copied.
#include "plan.h"
#include "graph/ops.h"

#include <stdlib.h>
#include <string.h>

static int is_feature_map(const struct sac_graph *graph, int tensor)
{
    const struct sac_gtensor *t = &graph->tensors[tensor];
    return t->ndim == 4 && t->real && !sac__tensor_is_constant(graph, tensor);
}

/// First channel of a Slice along channels with step 1, or -1.
static int64_t slice_begin(const struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    int64_t start[SAC__RANK], step[SAC__RANK], extent[SAC__RANK];
    if (!graph->nodes[node].proto) return graph->nodes[node].begin;
    if (sac__slice_ranges(graph, node, start, step, extent)) return -1;
    for (int axis = 0; axis < x->ndim; axis++)
        if (step[axis] != 1 || (axis != 1 && extent[axis] != x->shape[axis])) return -1;
    return start[1];
}

static int place_slice(const struct sac_graph *graph, int node, struct sac_place *places)
{
    int64_t begin = slice_begin(graph, node);
    if (begin < 0) return sac__node_refuse(graph, node, "only slices of channels are supported");
    places[graph->nodes[node].outputs[0]].parent = graph->nodes[node].inputs[0];
    places[graph->nodes[node].outputs[0]].channel = begin;
    return 0;
}

static int place_split(const struct sac_graph *graph, int node, struct sac_place *places)
{
    const struct sac_gnode *n = &graph->nodes[node];
    int64_t begin = 0;
    if (n->axis != 1) return sac__node_refuse(graph, node, "only splits of channels are supported");
    for (int k = 0; k < n->output_count; k++) {
        places[n->outputs[k]].parent = n->inputs[0];
        places[n->outputs[k]].channel = begin;
        begin += sac__output(graph, node, k)->shape[1];
    }
    return 0;
}

/// Inputs that have no place yet, and whose channels start and end at multiples of 8, get theirs.
static int place_concat(const struct sac_graph *graph, int node, struct sac_place *places)
{
    const struct sac_gnode *n = &graph->nodes[node];
    int64_t begin = 0;
    if (n->axis != 1) return sac__node_refuse(graph, node, "only channels can be concatenated");
    for (int k = 0; k < n->input_count; k++) {
        struct sac_place *place = &places[n->inputs[k]];
        int64_t channels = sac__input(graph, node, k)->shape[1];
        int whole =
            begin % SAC__GROUP == 0 && (channels % SAC__GROUP == 0 || k + 1 == n->input_count);
        if (whole && place->parent < 0 && n->inputs[k] != graph->input) {
            place->parent = n->outputs[0];
            place->channel = begin;
        }
        begin += channels;
    }
    return 0;
}

static int place_node(const struct sac_graph *graph, int node, struct sac_place *places)
{
    const struct sac_gnode *n = &graph->nodes[node];
    for (int k = 0; k < n->output_count; k++)
        if (!is_feature_map(graph, n->outputs[k]))
            return sac__node_refuse(graph, node, "not a feature map (N,C,H,W)");
    if (!sac__input(graph, node, 0) || !is_feature_map(graph, n->inputs[0]))
        return sac__node_refuse(graph, node, "not over a feature map (N,C,H,W)");
    switch (n->op) {
    case SAC__OP_SLICE:
        return place_slice(graph, node, places);
    case SAC__OP_SPLIT:
        return place_split(graph, node, places);
    case SAC__OP_CONCAT:
        for (int k = 0; k < n->input_count; k++)
            if (n->inputs[k] < 0 || !is_feature_map(graph, n->inputs[k]))
                return sac__node_refuse(graph, node, "not over feature maps (N,C,H,W)");
        return place_concat(graph, node, places);
    default:
        return 0;
    }
}

/// The tensor that a tensor is in the end a part of.
static int root_of(const struct sac_place *places, int tensor)
{
    while (places[tensor].parent >= 0)
        tensor = places[tensor].parent;
    return tensor;
}

static int add_buffer(struct sac_plan *plan, const struct sac_graph *graph, int tensor)
{
    const struct sac_gtensor *t = &graph->tensors[tensor];
    struct sac_buffer *b = &plan->buffers[plan->buffer_count];
    *b = (struct sac_buffer){.name = strdup(t->name),
                             .n = t->shape[0],
                             .height = t->shape[2],
                             .width = t->shape[3],
                             .channels = t->shape[1],
                             .pitch = sac__group_up(t->shape[1]),
                             .first = INT32_MAX,
                             .last = -1};
    if (!b->name) return sac__fail(SAC_ENOMEM, "out of memory for a plan");
    b->bytes = (size_t)(b->n * b->height * b->width * b->pitch) * plan->element_size;
    plan->buffer_count++;
    return 0;
}

static int give_buffer(struct sac_plan *plan, const struct sac_graph *graph,
                       struct sac_place *places, int tensor)
{
    int root = root_of(places, tensor), error = 0;
    if (places[root].buffer < 0) {
        error = add_buffer(plan, graph, root);
        places[root].buffer = plan->buffer_count - 1;
    }
    places[tensor].buffer = places[root].buffer;
    return error;
}

int sac__pass_layout(struct sac_graph *graph, struct sac_plan *plan, struct sac_place **places_out)
{
    struct sac_place *places = sac__graph_alloc(graph, (size_t)graph->tensor_count, sizeof *places);
    plan->buffers = calloc((size_t)graph->tensor_count, sizeof *plan->buffers);
    if (!places || !plan->buffers) return sac__fail(SAC_ENOMEM, "out of memory for a plan");
    for (int t = 0; t < graph->tensor_count; t++)
        places[t] = (struct sac_place){SAC__NONE, 0, SAC__NONE};
    // Views of what exists come before places in what is to be.
    for (int turn = 0; turn < 2; turn++)
        for (int n = 0; n < graph->node_count; n++) {
            if (graph->nodes[n].dead || (graph->nodes[n].op == SAC__OP_CONCAT) != turn) continue;
            int error = place_node(graph, n, places);
            if (error) return error;
        }
    int error = give_buffer(plan, graph, places, graph->input);
    for (int n = 0; !error && n < graph->node_count; n++)
        for (int k = 0; !error && !graph->nodes[n].dead && k < graph->nodes[n].output_count; k++)
            error = give_buffer(plan, graph, places, graph->nodes[n].outputs[k]);
    *places_out = places;
    return error;
}
