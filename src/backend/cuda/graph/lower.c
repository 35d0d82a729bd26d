// SPDX-License-Identifier: Apache-2.0
// Nodes become layers, their weights are packed.
#include "plan.h"
#include "graph/ops.h"

#include <stdlib.h>
#include <string.h>

struct lowering {
    struct sac_graph *graph;
    struct sac_plan *plan;
    const struct sac_place *places;
};

static struct sac_view view_of(const struct lowering *l, int tensor)
{
    struct sac_view view = {SAC__NONE, 0, 0};
    if (tensor < 0) return view;
    view.buffer = l->places[tensor].buffer;
    view.channels = l->graph->tensors[tensor].shape[1];
    for (int t = tensor; l->places[t].parent >= 0; t = l->places[t].parent)
        view.channel += l->places[t].channel;
    return view;
}

double sac__node_flop(const struct sac_graph *graph, int node)
{
    const struct sac_gnode *n = &graph->nodes[node];
    double area = 1, channels = 0;
    const struct sac_gtensor *y = sac__output(graph, node, 0);
    for (int k = 0; k < n->output_count; k++)
        channels += (double)sac__output(graph, node, k)->shape[1];
    for (int axis = 2; axis < y->ndim; axis++)
        area *= (double)y->shape[axis];
    double batch = 2.0 * (double)y->shape[0];
    if (n->op == SAC__OP_CONV) {
        const int64_t *w = sac__input(graph, node, 1)->shape;
        double taps = n->stem_taps ? n->stem_taps : (double)(w[1] * w[2] * w[3]);
        return batch * area * channels * taps;
    }
    if (n->op == SAC__OP_MATMUL) {
        const struct sac_gtensor *a = sac__input(graph, node, 0);
        return batch * area * channels * (double)a->shape[a->ndim - 1];
    }
    if (n->op == SAC__OP_ATTENTION)
        return batch * area * area / n->areas * n->heads * (n->key + n->value);
    return 0;
}

static double view_bytes(const struct sac_plan *plan, const struct sac_view *view)
{
    if (view->buffer < 0) return 0;
    const struct sac_buffer *b = &plan->buffers[view->buffer];
    return (double)(b->n * b->height * b->width * view->channels) * (double)plan->element_size;
}

static void count_bytes(struct sac_plan *plan, struct sac_layer *layer)
{
    layer->bytes = view_bytes(plan, &layer->in) + view_bytes(plan, &layer->residual) +
                   view_bytes(plan, &layer->coarse);
    for (int k = 0; k < layer->out_count; k++)
        layer->bytes += view_bytes(plan, &layer->out[k]);
    if (layer->kind == SAC__LAYER_CONV || layer->kind == SAC__LAYER_DEPTHWISE)
        layer->bytes += (double)(plan->weight_count - layer->weights) * (double)plan->element_size;
}

/// Whether a view can be read and written in whole groups of 8 channels.
static int in_groups(const struct sac_plan *plan, const struct sac_view *view)
{
    if (view->buffer < 0) return 1;
    return view->channel % SAC__GROUP == 0 &&
           (view->channels % SAC__GROUP == 0 ||
            view->channel + view->channels == plan->buffers[view->buffer].channels);
}

/// Parts that lie side by side become one.
static void join_parts(struct sac_layer *layer)
{
    int count = 1;
    for (int k = 1; k < layer->out_count; k++) {
        struct sac_view *last = &layer->out[count - 1];
        if (layer->out[k].buffer == last->buffer &&
            layer->out[k].channel == last->channel + last->channels)
            last->channels += layer->out[k].channels;
        else
            layer->out[count++] = layer->out[k];
    }
    layer->out_count = count;
}

static int add_weights(struct lowering *l, int node, size_t count, float **weights_out)
{
    struct sac_plan *plan = l->plan;
    float *grown = realloc(plan->weights, (plan->weight_count + count) * sizeof *grown);
    if (!grown)
        return sac__fail(SAC_ENOMEM, "node %s: out of memory for weights",
                         l->graph->nodes[node].name);
    memset(grown + plan->weight_count, 0, count * sizeof *grown);
    plan->weights = grown;
    *weights_out = grown + plan->weight_count;
    plan->weight_count += count;
    return 0;
}

/// (K,C,R,S) to (K,R,S,C), or for depthwise (C,1,R,S) to (R,S,C), with rounded K and C; then
/// biases.
static int pack(struct lowering *l, int node, struct sac_layer *layer)
{
    const struct sac_gtensor *w = sac__input(l->graph, node, 1), *b = sac__input(l->graph, node, 2);
    int depthwise = layer->kind == SAC__LAYER_DEPTHWISE;
    int64_t taps = w->shape[2] * w->shape[3], k_up = sac__group_up(w->shape[0]);
    int64_t c_up = layer->in_packed = depthwise ? 1 : sac__group_up(w->shape[1]);
    size_t count = (size_t)(k_up * taps * c_up);
    float *to = NULL;
    layer->weights = l->plan->weight_count;
    layer->bias = layer->weights + count;
    int error = add_weights(l, node, count + (size_t)k_up, &to);
    if (error) return error;
    for (int64_t k = 0; k < w->shape[0]; k++)
        for (int64_t c = 0; c < w->shape[1]; c++)
            for (int64_t t = 0; t < taps; t++)
                to[depthwise ? t * k_up + k : (k * taps + t) * c_up + c] =
                    w->f[(k * w->shape[1] + c) * taps + t];
    if (b) memcpy(to + count, b->f, (size_t)b->shape[0] * sizeof *to);
    return 0;
}

static int lower_conv(struct lowering *l, int node, struct sac_layer *layer)
{
    const struct sac_gnode *n = &l->graph->nodes[node];
    const struct sac_gtensor *w = sac__input(l->graph, node, 1), *b = sac__input(l->graph, node, 2);
    if (!w->f || (b && !b->f)) return sac__node_refuse(l->graph, node, "weights are not constant");
    int64_t groups = n->window.groups;
    if (groups > 1 && (w->shape[1] != 1 || w->shape[0] != groups))
        return sac__node_refuse(l->graph, node, "groups other than one or depthwise");
    layer->kind = groups > 1 ? SAC__LAYER_DEPTHWISE : SAC__LAYER_CONV;
    layer->act = n->act;
    layer->alpha = n->alpha;
    layer->out_channels = w->shape[0];
    layer->residual = view_of(l, n->residual);
    layer->coarse = view_of(l, n->coarse);
    return pack(l, node, layer);
}

static int lower_add(struct lowering *l, int node, struct sac_layer *layer)
{
    const struct sac_gnode *n = &l->graph->nodes[node];
    const struct sac_gtensor *a = sac__input(l->graph, node, 0), *b = sac__input(l->graph, node, 1);
    if (b->ndim != 4 || memcmp(a->shape, b->shape, 4 * sizeof *a->shape) || b->f)
        return sac__node_refuse(l->graph, node, "only two feature maps of one shape can be added");
    layer->kind = SAC__LAYER_ADD;
    layer->residual = view_of(l, n->inputs[1]);
    return 0;
}

static int lower_kind(struct lowering *l, int node, struct sac_layer *layer)
{
    const struct sac_gnode *n = &l->graph->nodes[node];
    layer->kind = SAC__LAYER_ACTIVATION;
    switch (n->op) {
    case SAC__OP_CONV:
        return lower_conv(l, node, layer);
    case SAC__OP_ADD:
        return lower_add(l, node, layer);
    case SAC__OP_POOL:
        layer->kind = SAC__LAYER_POOL;
        return 0;
    case SAC__OP_POOLS:
        layer->kind = SAC__LAYER_POOLS;
        return 0;
    case SAC__OP_RESIZE:
    case SAC__OP_UPSAMPLE:
        layer->kind = SAC__LAYER_UPSAMPLE;
        return 0;
    case SAC__OP_ATTENTION:
        layer->kind = SAC__LAYER_ATTENTION;
        if (n->heads * n->value % SAC__GROUP)
            return sac__node_refuse(l->graph, node, "heads that are not in groups of 8");
        layer->heads = n->heads;
        layer->key = n->key;
        layer->value = n->value;
        layer->areas = n->areas;
        layer->scale = n->scale;
        return 0;
    case SAC__OP_SILU:
        layer->act = SAC__ACT_SILU;
        return 0;
    case SAC__OP_RELU:
        layer->act = SAC__ACT_RELU;
        return 0;
    case SAC__OP_SIGMOID:
        layer->act = SAC__ACT_SIGMOID;
        return 0;
    case SAC__OP_LEAKY:
        layer->act = SAC__ACT_LEAKY;
        layer->alpha = n->alpha;
        return 0;
    default:
        return sac__node_refuse(l->graph, node, "this use of the operator is not supported");
    }
}

static int finish(struct lowering *l, int node, struct sac_layer *layer)
{
    struct sac_plan *plan = l->plan;
    int fits = in_groups(plan, &layer->in) && in_groups(plan, &layer->residual) &&
               in_groups(plan, &layer->coarse);
    for (int k = 0; k < layer->out_count; k++)
        fits = fits && in_groups(plan, &layer->out[k]);
    if (!fits && layer->kind != SAC__LAYER_COPY)
        return sac__node_refuse(l->graph, node, "channels that are not in groups of 8");
    layer->name = strdup(l->graph->nodes[node].name);
    if (!layer->name) return sac__fail(SAC_ENOMEM, "out of memory for a plan");
    count_bytes(plan, layer);
    plan->flop += layer->flop;
    plan->layer_count++;
    return 0;
}

static int lower_node(struct lowering *l, int node)
{
    const struct sac_gnode *n = &l->graph->nodes[node];
    struct sac_layer *layer = &l->plan->layers[l->plan->layer_count];
    *layer = (struct sac_layer){.in = view_of(l, n->inputs[0]),
                                .out_count = n->output_count,
                                .residual = {SAC__NONE, 0, 0},
                                .coarse = {SAC__NONE, 0, 0},
                                .window = n->window,
                                .flop = sac__node_flop(l->graph, node)};
    if (n->output_count > SAC__PARTS)
        return sac__node_fail(l->graph, node, SAC_EMODEL, "too many outputs");
    for (int k = 0; k < n->output_count; k++)
        layer->out[k] = view_of(l, n->outputs[k]);
    int error = lower_kind(l, node, layer);
    if (error) return error;
    if (layer->kind == SAC__LAYER_CONV) join_parts(layer);
    return finish(l, node, layer);
}

/// Inputs of a Concat that are not made in their place are copied there.
static int lower_concat(struct lowering *l, int node)
{
    const struct sac_gnode *n = &l->graph->nodes[node];
    struct sac_view whole = view_of(l, n->outputs[0]);
    int64_t begin = 0;
    int error = 0;
    for (int k = 0; !error && k < n->input_count; k++) {
        const struct sac_place *place = &l->places[n->inputs[k]];
        struct sac_view in = view_of(l, n->inputs[k]);
        int placed = place->parent == n->outputs[0] && place->channel == begin;
        struct sac_layer *layer = &l->plan->layers[l->plan->layer_count];
        begin += in.channels;
        if (placed) continue;
        *layer = (struct sac_layer){.kind = SAC__LAYER_COPY,
                                    .in = in,
                                    .out_count = 1,
                                    .residual = {SAC__NONE, 0, 0},
                                    .coarse = {SAC__NONE, 0, 0}};
        layer->out[0] =
            (struct sac_view){whole.buffer, whole.channel + begin - in.channels, in.channels};
        error = finish(l, node, layer);
    }
    return error;
}

static void set_head_views(struct lowering *l)
{
    struct sac_head_plan *head = &l->plan->head;
    int next = 0;
    for (int k = 0; k < head->level_count; k++) {
        head->levels[k].raw = view_of(l, l->graph->outputs[next++]);
        head->levels[k].scores = (struct sac_view){SAC__NONE, 0, 0};
        if (head->family != SAC__HEAD_V5 && next < l->graph->output_count)
            head->levels[k].scores = view_of(l, l->graph->outputs[next++]);
    }
}

int sac__pass_lower(struct sac_graph *graph, struct sac_plan *plan, const struct sac_place *places)
{
    struct lowering l = {graph, plan, places};
    size_t most = 1;
    for (int n = 0; n < graph->node_count; n++)
        if (!graph->nodes[n].dead)
            most += graph->nodes[n].op == SAC__OP_CONCAT ? (size_t)graph->nodes[n].input_count : 1;
    plan->layers = calloc(most, sizeof *plan->layers);
    if (!plan->layers) return sac__fail(SAC_ENOMEM, "out of memory for a plan");
    int error = 0;
    for (int n = 0; !error && n < graph->node_count; n++) {
        enum sac__op op = graph->nodes[n].op;
        if (graph->nodes[n].dead || op == SAC__OP_SLICE || op == SAC__OP_SPLIT) continue;
        error = op == SAC__OP_CONCAT ? lower_concat(&l, n) : lower_node(&l, n);
    }
    plan->input = view_of(&l, graph->input);
    if (!error) set_head_views(&l);
    return error;
}
