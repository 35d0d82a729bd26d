// SPDX-License-Identifier: Apache-2.0
// Operators that are convolutions in disguise: average pools, and groups of any size, become
// convolutions with constant weights that a kernel has.
#include "convolution.h"
#include "graph/ops.h"

#include <string.h>

enum { MOST_DENSE = 1 << 26 }; ///< weights

/// A mean over windows that lie inside the picture, or count the padding: depthwise, all weights
/// alike.
static int average(struct sac_graph *graph, int node)
{
    const struct sac_window window = graph->nodes[node].window;
    int padded = window.pad[0] || window.pad[1] || window.pad[2] || window.pad[3];
    if (padded && !sac__attr_int(&graph->nodes[node], "count_include_pad", 0))
        return sac__node_refuse(graph, node, "padding that does not count is not supported");
    const int64_t shape[4] = {sac__output(graph, node, 0)->shape[1], 1, window.kernel[0],
                              window.kernel[1]};
    int error = sac__conv_weights(graph, node, shape);
    if (error) return error;
    struct sac_gtensor *weights = sac__input(graph, node, 1);
    for (int64_t k = 0; k < sac__tensor_count(weights); k++)
        weights->f[k] = 1.0f / (float)(window.kernel[0] * window.kernel[1]);
    graph->nodes[node].op = SAC__OP_CONV;
    graph->nodes[node].window.groups = shape[0];
    return 0;
}

/// Groups that are neither one nor depthwise: the same as one group with zeros between them.
static int make_dense(struct sac_graph *graph, int node)
{
    int64_t groups = graph->nodes[node].window.groups;
    int old_weights = graph->nodes[node].inputs[1];
    int old_bias = graph->nodes[node].input_count > 2 ? graph->nodes[node].inputs[2] : SAC__NONE;
    int64_t shape[4];
    memcpy(shape, graph->tensors[old_weights].shape, sizeof shape);
    int64_t channels = shape[1], row = channels * shape[2] * shape[3], outs = shape[0];
    shape[1] *= groups;
    if (!graph->tensors[old_weights].f) return 0; // refused later
    if (outs * row * groups > MOST_DENSE)
        return sac__node_refuse(graph, node, "groups of so many channels are not supported");
    int error = sac__conv_weights(graph, node, shape);
    if (error) return error;
    float *to = sac__input(graph, node, 1)->f;
    for (int64_t k = 0; k < outs; k++)
        memcpy(to + (k * groups + k / (outs / groups)) * row,
               graph->tensors[old_weights].f + k * row, (size_t)row * sizeof *to);
    if (old_bias >= 0 && graph->tensors[old_bias].f)
        memcpy(sac__input(graph, node, 2)->f, graph->tensors[old_bias].f,
               (size_t)outs * sizeof *to);
    graph->nodes[node].window.groups = 1;
    return 0;
}

static int is_depthwise(const struct sac_graph *graph, int node)
{
    const int64_t *weights = sac__input(graph, node, 1)->shape;
    return weights[1] == 1 && weights[0] == graph->nodes[node].window.groups;
}

int sac__pass_rewrite(struct sac_graph *graph)
{
    for (int n = 0; n < graph->node_count; n++) {
        const struct sac_gnode *node = &graph->nodes[n];
        int error = 0;
        if (node->dead) continue;
        if (node->op == SAC__OP_AVERAGE)
            error = average(graph, n);
        else if (node->op == SAC__OP_CONV && node->window.groups > 1 && !is_depthwise(graph, n))
            error = make_dense(graph, n);
        if (error) return error;
    }
    return 0;
}
