// SPDX-License-Identifier: Apache-2.0
// A nearest ×2 upsample before a pointwise convolution commutes with it:
//     conv(concat(up(a), b)) = up(Wa·a) + Wb·b
// Wa·a is computed at a quarter of the area and added in the epilogue of the rest; the upsampled
// tensor never exists.
#include "convolution.h"
#include "graph/ops.h"

#include <string.h>

/// The one input of a Concat along channels that a Resize makes; SAC__NONE when there is not one.
static int upsampled_input(const struct sac_graph *graph, int concat)
{
    const struct sac_gnode *node = &graph->nodes[concat];
    int found = SAC__NONE;
    if (node->axis != 1 || node->input_count < 2 || sac__output(graph, concat, 0)->ndim != 4)
        return SAC__NONE;
    for (int k = 0; k < node->input_count; k++) {
        if (sac__producer(graph, node->inputs[k], SAC__OP_RESIZE) < 0 &&
            sac__producer(graph, node->inputs[k], SAC__OP_UPSAMPLE) < 0)
            continue;
        if (found >= 0) return SAC__NONE;
        found = k;
    }
    return found;
}

static int readers_are_pointwise(const struct sac_graph *graph, int tensor)
{
    int readers = 0;
    for (int n = 0; n < graph->node_count; n++) {
        const struct sac_gnode *node = &graph->nodes[n];
        for (int k = 0; !node->dead && k < node->input_count; k++) {
            if (node->inputs[k] != tensor) continue;
            if (k || !sac__conv_is_plain(graph, n) || !sac__conv_is_pointwise(graph, n)) return 0;
            readers++;
        }
    }
    return readers && readers == sac__tensor_uses(graph, tensor, NULL);
}

/// Copies input channels [from, from+count) of pointwise weights (K,C) to [to, …) of others.
static void copy_columns(const struct sac_gtensor *source, int64_t from, struct sac_gtensor *target,
                         int64_t to, int64_t count)
{
    for (int64_t k = 0; k < source->shape[0]; k++)
        memcpy(target->f + k * target->shape[1] + to, source->f + k * source->shape[1] + from,
               (size_t)count * sizeof *target->f);
}

/// New pointwise convolution over `small` with the given input channels of `weights`; it stands
/// before node `reader`, which moves up by one.
static int add_coarse(struct sac_graph *graph, int reader, int small, int weights, int64_t from,
                      int64_t count, int *tensor_out)
{
    int64_t shape[4] = {graph->tensors[weights].shape[0], count, 1, 1};
    int node = sac__node_add(graph, SAC__OP_CONV, graph->nodes[reader].name, 1, 1);
    int result = sac__tensor_add(graph, graph->nodes[reader].name);
    if (node < 0 || result < 0) return sac__fail(SAC_ENOMEM, "out of memory for nodes");
    const struct sac_gtensor *x = &graph->tensors[small];
    const int64_t out[4] = {x->shape[0], shape[0], x->shape[2], x->shape[3]};
    graph->nodes[node].inputs[0] = small;
    graph->nodes[node].outputs[0] = result;
    graph->nodes[node].window = graph->nodes[reader].window;
    int error = sac__tensor_shape(graph, result, 4, out);
    if (!error) error = sac__conv_weights(graph, node, shape);
    if (error) return error;
    copy_columns(&graph->tensors[weights], from, sac__input(graph, node, 1), 0, count);
    sac__node_place(graph, reader);
    *tensor_out = result;
    return 0;
}

/// Takes input channels [from, from+count) out of a convolution's weights.
static int narrow(struct sac_graph *graph, int node, int64_t from, int64_t count)
{
    int old_weights = graph->nodes[node].inputs[1];
    int old_bias = graph->nodes[node].input_count > 2 ? graph->nodes[node].inputs[2] : SAC__NONE;
    int64_t channels = graph->tensors[old_weights].shape[1];
    int64_t shape[4] = {graph->tensors[old_weights].shape[0], channels - count, 1, 1};
    int error = sac__conv_weights(graph, node, shape);
    if (error) return error;
    const struct sac_gtensor *old = &graph->tensors[old_weights];
    struct sac_gtensor *w = sac__input(graph, node, 1);
    copy_columns(old, 0, w, 0, from);
    copy_columns(old, from + count, w, from, channels - from - count);
    if (old_bias >= 0)
        memcpy(sac__input(graph, node, 2)->f, graph->tensors[old_bias].f,
               (size_t)shape[0] * sizeof *w->f);
    return 0;
}

/// Takes input k out of a Concat.
static int shorten(struct sac_graph *graph, int concat, int k)
{
    struct sac_gnode *node = &graph->nodes[concat];
    struct sac_gtensor *out = sac__output(graph, concat, 0);
    out->shape[1] -= sac__input(graph, concat, k)->shape[1];
    memmove(node->inputs + k, node->inputs + k + 1,
            (size_t)(node->input_count - k - 1) * sizeof *node->inputs);
    if (--node->input_count > 1) return 0;
    sac__tensor_replace(graph, node->outputs[0], node->inputs[0]);
    node->dead = 1;
    return 0;
}

static int commute(struct sac_graph *graph, int concat, int k)
{
    int large = graph->nodes[concat].inputs[k], tensor = graph->nodes[concat].outputs[0];
    int small = graph->nodes[graph->tensors[large].producer].inputs[0];
    int64_t from = 0, count = graph->tensors[large].shape[1];
    for (int i = 0; i < k; i++)
        from += sac__input(graph, concat, i)->shape[1];
    for (int n = concat + 1; n < graph->node_count; n++) {
        int coarse = SAC__NONE;
        if (graph->nodes[n].dead || graph->nodes[n].inputs[0] != tensor) continue;
        int error = add_coarse(graph, n, small, graph->nodes[n].inputs[1], from, count, &coarse);
        if (!error) error = narrow(graph, ++n, from, count);
        if (error) return error;
        graph->nodes[n].coarse = coarse;
    }
    return shorten(graph, concat, k);
}

int sac__pass_upsample(struct sac_graph *graph)
{
    for (int n = 0; n < graph->node_count; n++) {
        if (graph->nodes[n].dead || graph->nodes[n].op != SAC__OP_CONCAT) continue;
        int k = upsampled_input(graph, n);
        if (k < 0 || !readers_are_pointwise(graph, graph->nodes[n].outputs[0])) continue;
        int error = commute(graph, n, k);
        if (error) return error;
        sac__graph_sweep(graph);
    }
    return 0;
}
