// SPDX-License-Identifier: Apache-2.0
// One convolution with several outputs: for convolutions of one window over the same input (C3's
// cv1 and cv2, the first layers of a head's towers), and for one whose result is split by channels.
#include "convolution.h"
#include "graph/ops.h"

#include <string.h>

static int aligned(int64_t channels)
{
    return channels % SAC__GROUP == 0;
}

static int mergeable(const struct sac_graph *graph, int first, int second)
{
    const struct sac_gnode *a = &graph->nodes[first], *b = &graph->nodes[second];
    return sac__conv_is_plain(graph, second) && a->inputs[0] == b->inputs[0] &&
           !memcmp(&a->window, &b->window, sizeof a->window) && a->window.groups == 1 &&
           a->act == b->act && a->alpha == b->alpha && aligned(sac__conv_channels(graph, first)) &&
           a->output_count + b->output_count <= SAC__PARTS;
}

/// Copies weights and bias of a convolution to output channels from `begin` of another's.
static void copy_rows(struct sac_graph *graph, int weights, int bias, int to, int64_t begin)
{
    const struct sac_gtensor *w = &graph->tensors[weights];
    size_t row = (size_t)(w->shape[1] * w->shape[2] * w->shape[3]);
    memcpy(sac__input(graph, to, 1)->f + (size_t)begin * row, w->f,
           (size_t)w->shape[0] * row * sizeof *w->f);
    if (bias >= 0)
        memcpy(sac__input(graph, to, 2)->f + begin, graph->tensors[bias].f,
               (size_t)w->shape[0] * sizeof *w->f);
}

static int bias_of(const struct sac_gnode *node)
{
    return node->input_count > 2 ? node->inputs[2] : SAC__NONE;
}

static int merge(struct sac_graph *graph, int first, int second)
{
    struct sac_gnode *a = &graph->nodes[first], *b = &graph->nodes[second];
    int weights[2] = {a->inputs[1], b->inputs[1]}, bias[2] = {bias_of(a), bias_of(b)};
    int outputs[SAC__PARTS], count = 0;
    int64_t shape[4];
    memcpy(shape, graph->tensors[weights[0]].shape, sizeof shape);
    int64_t begin = shape[0];
    shape[0] += graph->tensors[weights[1]].shape[0];
    int error = sac__conv_weights(graph, first, shape);
    if (error) return error;
    copy_rows(graph, weights[0], bias[0], first, 0);
    copy_rows(graph, weights[1], bias[1], first, begin);
    for (int k = 0; k < a->output_count; k++)
        outputs[count++] = a->outputs[k];
    for (int k = 0; k < b->output_count; k++)
        outputs[count++] = b->outputs[k];
    b->dead = 1;
    return sac__node_outputs(graph, first, outputs, count);
}

int sac__pass_merge(struct sac_graph *graph)
{
    for (int n = 0; n < graph->node_count; n++) {
        if (!sac__conv_is_plain(graph, n)) continue;
        for (int other = n + 1; other < graph->node_count; other++) {
            if (!mergeable(graph, n, other)) continue;
            int error = merge(graph, n, other);
            if (error) return error;
        }
    }
    return 0;
}

/// Channel range of a Slice along channels; 0 when it is none.
static int channel_slice(const struct sac_graph *graph, int node, int64_t *begin, int64_t *end)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    int64_t start[SAC__RANK], step[SAC__RANK], extent[SAC__RANK];
    if (graph->nodes[node].op != SAC__OP_SLICE || x->ndim != 4) return 0;
    if (!graph->nodes[node].proto) {
        *begin = graph->nodes[node].begin;
        *end = *begin + sac__output(graph, node, 0)->shape[1];
        return 1;
    }
    if (sac__slice_ranges(graph, node, start, step, extent) || step[1] != 1) return 0;
    for (int axis = 0; axis < 4; axis++)
        if (axis != 1 && extent[axis] != x->shape[axis]) return 0;
    *begin = start[1];
    *end = start[1] + extent[1];
    return 1;
}

/// The readers of `tensor`, in channel order, when they are slices that lie end to end over all of
/// it. Returns their number, or 0.
static int slices_of(const struct sac_graph *graph, int tensor, int nodes[SAC__PARTS])
{
    int64_t at = 0, begin, end, channels = graph->tensors[tensor].shape[1];
    int count = 0, uses = sac__tensor_uses(graph, tensor, NULL);
    while (at < channels) {
        int found = SAC__NONE;
        for (int n = 0; n < graph->node_count && found < 0; n++) {
            const struct sac_gnode *node = &graph->nodes[n];
            if (node->dead || node->op != SAC__OP_SLICE || node->inputs[0] != tensor) continue;
            if (channel_slice(graph, n, &begin, &end) && begin == at && end > begin) found = n;
        }
        if (found < 0 || count == SAC__PARTS) return 0;
        nodes[count++] = found;
        channel_slice(graph, found, &begin, &at);
    }
    return count == uses ? count : 0;
}

/// Exports of dynamic shapes write a split as slices: makes one Split of them.
static int join_slices(struct sac_graph *graph, int node)
{
    int nodes[SAC__PARTS], outputs[SAC__PARTS], tensor = graph->nodes[node].inputs[0];
    int count = slices_of(graph, tensor, nodes), first = graph->node_count;
    for (int k = 0; k < count; k++) {
        outputs[k] = graph->nodes[nodes[k]].outputs[0];
        if (nodes[k] < first) first = nodes[k];
    }
    if (count < 2) return 0;
    for (int k = 0; k < count; k++)
        graph->nodes[nodes[k]].dead = nodes[k] != first;
    graph->nodes[first].op = SAC__OP_SPLIT;
    graph->nodes[first].axis = 1;
    return sac__node_outputs(graph, first, outputs, count);
}

/// The convolution whose output `tensor` is, when a Split is its only reader and its parts can be
/// outputs of the convolution itself.
static int split_source(const struct sac_graph *graph, int split)
{
    const struct sac_gnode *node = &graph->nodes[split];
    int conv = sac__producer(graph, node->inputs[0], SAC__OP_CONV);
    if (node->axis != 1 || conv < 0 || sac__tensor_uses(graph, node->inputs[0], NULL) != 1)
        return SAC__NONE;
    for (int k = 0; k + 1 < node->output_count; k++)
        if (!aligned(sac__output(graph, split, k)->shape[1])) return SAC__NONE;
    const struct sac_gnode *c = &graph->nodes[conv];
    return sac__conv_is_plain(graph, conv) && c->output_count + node->output_count - 1 <= SAC__PARTS
               ? conv
               : SAC__NONE;
}

static int split_outputs(struct sac_graph *graph, int conv, int split)
{
    const struct sac_gnode *c = &graph->nodes[conv], *s = &graph->nodes[split];
    int outputs[SAC__PARTS], count = 0;
    for (int k = 0; k < c->output_count; k++) {
        if (c->outputs[k] != s->inputs[0]) {
            outputs[count++] = c->outputs[k];
            continue;
        }
        for (int part = 0; part < s->output_count; part++)
            outputs[count++] = s->outputs[part];
    }
    graph->nodes[split].dead = 1;
    return sac__node_outputs(graph, conv, outputs, count);
}

int sac__pass_split(struct sac_graph *graph)
{
    int error = 0;
    for (int n = 0; !error && n < graph->node_count; n++)
        if (!graph->nodes[n].dead && graph->nodes[n].op == SAC__OP_SLICE)
            error = join_slices(graph, n);
    for (int n = 0; !error && n < graph->node_count; n++) {
        if (graph->nodes[n].dead || graph->nodes[n].op != SAC__OP_SPLIT) continue;
        int conv = split_source(graph, n);
        if (conv >= 0) error = split_outputs(graph, conv, n);
    }
    return error;
}
