// SPDX-License-Identifier: Apache-2.0
#include "convolution.h"

#include <string.h>

#include "graph/ops.h"

static int constant_add(struct sac_graph *graph, const char *name, int rank, const int64_t *shape,
                        int *tensor_out)
{
    int tensor = sac__tensor_add(graph, name);
    if (tensor < 0) return sac__fail(SAC_ENOMEM, "out of memory for weights");
    int error = sac__tensor_shape(graph, tensor, rank, shape);
    *tensor_out = tensor;
    return error ? error : sac__tensor_fill(graph, tensor);
}

int sac__conv_weights(struct sac_graph *graph, int node, const int64_t shape[4])
{
    int weights = SAC__NONE, bias = SAC__NONE;
    int64_t limit = graph->fold_limit;
    int *list = sac__graph_alloc(graph, 3, sizeof *list);
    if (!list) return sac__fail(SAC_ENOMEM, "out of memory for weights");
    graph->fold_limit = INT32_MAX;
    int error = constant_add(graph, "weights", 4, shape, &weights);
    if (!error) error = constant_add(graph, "bias", 1, shape, &bias);
    graph->fold_limit = limit;
    if (error) return error;
    struct sac_gnode *n = &graph->nodes[node];
    list[0] = n->inputs[0];
    list[1] = weights;
    list[2] = bias;
    n->inputs = list;
    n->input_count = 3;
    return 0;
}

int sac__conv_is_plain(const struct sac_graph *graph, int node)
{
    const struct sac_gnode *n = &graph->nodes[node];
    if (n->dead || n->op != SAC__OP_CONV || n->residual >= 0 || n->coarse >= 0) return 0;
    const struct sac_gtensor *w = sac__input(graph, node, 1), *b = sac__input(graph, node, 2);
    return w->f && (!b || b->f);
}

int sac__conv_is_pointwise(const struct sac_graph *graph, int node)
{
    const struct sac_window *w = &graph->nodes[node].window;
    for (int k = 0; k < 4; k++)
        if (w->pad[k]) return 0;
    return w->kernel[0] == 1 && w->kernel[1] == 1 && w->stride[0] == 1 && w->stride[1] == 1 &&
           w->groups == 1;
}

int64_t sac__conv_channels(const struct sac_graph *graph, int node)
{
    return sac__input(graph, node, 1)->shape[0];
}

int sac__node_outputs(struct sac_graph *graph, int node, const int *outputs, int count)
{
    int *list = sac__graph_alloc(graph, (size_t)count, sizeof *list);
    if (!list) return sac__fail(SAC_ENOMEM, "out of memory for outputs");
    for (int k = 0; k < count; k++) {
        list[k] = outputs[k];
        graph->tensors[outputs[k]].producer = node;
    }
    graph->nodes[node].outputs = list;
    graph->nodes[node].output_count = count;
    return 0;
}
