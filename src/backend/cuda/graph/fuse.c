// SPDX-License-Identifier: Apache-2.0
// Activations and residual additions go into the epilogue of the convolution before them.
#include "convolution.h"
#include "graph/ops.h"

/// Nodes that change nothing: their readers read what they read.
static void drop_identities(struct sac_graph *graph)
{
    for (int n = 0; n < graph->node_count; n++) {
        struct sac_gnode *node = &graph->nodes[n];
        if (node->dead || (node->op != SAC__OP_IDENTITY && node->op != SAC__OP_CAST)) continue;
        const struct sac_gtensor *x = sac__input(graph, n, 0);
        if (!x->real || !sac__output(graph, n, 0)->real) continue;
        sac__tensor_replace(graph, node->outputs[0], node->inputs[0]);
        node->dead = 1;
    }
}

/// x·sigmoid(x) becomes one node.
static void find_silu(struct sac_graph *graph)
{
    for (int n = 0; n < graph->node_count; n++) {
        struct sac_gnode *node = &graph->nodes[n];
        if (node->dead || node->op != SAC__OP_MUL) continue;
        for (int side = 0; side < 2; side++) {
            int gate = sac__producer(graph, node->inputs[side], SAC__OP_SIGMOID);
            if (gate < 0 || graph->nodes[gate].inputs[0] != node->inputs[!side]) continue;
            node->op = SAC__OP_SILU;
            node->inputs[0] = graph->nodes[gate].inputs[0];
            node->input_count = 1;
            break;
        }
    }
    sac__graph_sweep(graph);
}

static enum sac__act act_of(enum sac__op op)
{
    switch (op) {
    case SAC__OP_SILU:
        return SAC__ACT_SILU;
    case SAC__OP_RELU:
        return SAC__ACT_RELU;
    case SAC__OP_LEAKY:
        return SAC__ACT_LEAKY;
    case SAC__OP_SIGMOID:
        return SAC__ACT_SIGMOID;
    default:
        return SAC__ACT_NONE;
    }
}

/// The node's result becomes the convolution's own.
static void absorb(struct sac_graph *graph, int conv, int node)
{
    int result = graph->nodes[node].outputs[0];
    graph->nodes[conv].outputs[0] = result;
    graph->tensors[result].producer = conv;
    graph->nodes[node].dead = 1;
}

static void fuse_activations(struct sac_graph *graph)
{
    for (int n = 0; n < graph->node_count; n++) {
        const struct sac_gnode *node = &graph->nodes[n];
        enum sac__act act = act_of(node->op);
        if (node->dead || !act) continue;
        int conv = sac__producer(graph, node->inputs[0], SAC__OP_CONV);
        if (conv < 0 || graph->nodes[conv].act || graph->nodes[conv].residual >= 0) continue;
        if (sac__tensor_uses(graph, node->inputs[0], NULL) != 1) continue;
        graph->nodes[conv].act = act;
        graph->nodes[conv].alpha = node->alpha;
        absorb(graph, conv, n);
    }
}

static int same_shape(const struct sac_gtensor *a, const struct sac_gtensor *b)
{
    for (int axis = 0; axis < a->ndim; axis++)
        if (a->ndim != b->ndim || a->shape[axis] != b->shape[axis]) return 0;
    return a->ndim == 4;
}

/// Whether `tensor` comes from a convolution that may add `other` after its activation.
static int takes_residual(const struct sac_graph *graph, int tensor, int other)
{
    int conv = sac__producer(graph, tensor, SAC__OP_CONV);
    return conv >= 0 && graph->nodes[conv].residual < 0 && graph->tensors[other].producer < conv &&
           sac__tensor_uses(graph, tensor, NULL) == 1 && !sac__tensor_is_constant(graph, other) &&
           same_shape(&graph->tensors[tensor], &graph->tensors[other]);
}

static void fuse_residuals(struct sac_graph *graph)
{
    for (int n = 0; n < graph->node_count; n++) {
        const struct sac_gnode *node = &graph->nodes[n];
        if (node->dead || node->op != SAC__OP_ADD) continue;
        for (int side = 0; side < 2; side++) {
            int tensor = node->inputs[side], other = node->inputs[!side];
            if (tensor == other || !takes_residual(graph, tensor, other)) continue;
            int conv = graph->tensors[tensor].producer;
            graph->nodes[conv].residual = other;
            absorb(graph, conv, n);
            break;
        }
    }
}

int sac__pass_fuse(struct sac_graph *graph)
{
    drop_identities(graph);
    find_silu(graph);
    fuse_activations(graph);
    fuse_residuals(graph);
    return 0;
}
