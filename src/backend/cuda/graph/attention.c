// SPDX-License-Identifier: Apache-2.0
// Self-attention over all places of a feature map, as the 11 family has it: one convolution makes
// queries, keys and values, and softmax(scale·queryᵀ·key)·value becomes one layer. The
// convolution's output channels are put in the order all queries, all keys, all values, so that the
// values are a view, too.
#include "convolution.h"
#include "graph/ops.h"

#include <string.h>

struct match {
    int conv, split, product, softmax, mixed, result; ///< nodes
    int heads, key, value;
    float factor;
};

/// Whether a node swaps the last two of four axes.
static int swaps_last(const struct sac_graph *graph, int node)
{
    const int64_t *order = NULL;
    return sac__attr_ints(&graph->nodes[node], "perm", &order) == 4 && order[0] == 0 &&
           order[1] == 1 && order[2] == 3 && order[3] == 2;
}

/// The only live reader of a tensor, if its operator is `op`.
static int sole_reader(const struct sac_graph *graph, int tensor, enum sac__op op)
{
    int node = SAC__NONE;
    if (sac__tensor_uses(graph, tensor, &node) != 1 || node < 0) return SAC__NONE;
    return graph->nodes[node].op == op ? node : SAC__NONE;
}

/// What a tensor is before it was multiplied by a constant number; the number goes into `factor`.
static int unscaled(const struct sac_graph *graph, int tensor, float *factor)
{
    int node = sac__producer(graph, tensor, SAC__OP_MUL);
    for (int side = 0; node >= 0 && side < 2; side++) {
        const struct sac_gtensor *number = sac__input(graph, node, side);
        if (!number->f || sac__tensor_count(number) != 1) continue;
        *factor *= number->f[0];
        return graph->nodes[node].inputs[!side];
    }
    return tensor;
}

/// From the softmax back to the split into queries, keys and values. Exporters put the scale on the
/// product, or on the queries before it.
static int match_weights(const struct sac_graph *graph, int softmax, struct match *m)
{
    const struct sac_gnode *nodes = graph->nodes;
    m->softmax = softmax;
    m->factor = 1;
    int logits = unscaled(graph, nodes[softmax].inputs[0], &m->factor);
    m->product = sac__producer(graph, logits, SAC__OP_MATMUL);
    if (m->product < 0 || nodes[softmax].axis != 3) return 0;
    int queries = unscaled(graph, nodes[m->product].inputs[0], &m->factor);
    int keys = unscaled(graph, nodes[m->product].inputs[1], &m->factor);
    int turn = sac__producer(graph, queries, SAC__OP_TRANSPOSE);
    m->split = sac__producer(graph, keys, SAC__OP_SPLIT);
    if (turn < 0 || m->split < 0 || !swaps_last(graph, turn)) return 0;
    const struct sac_gnode *split = &nodes[m->split];
    queries = unscaled(graph, nodes[turn].inputs[0], &m->factor);
    return split->output_count == 3 && split->axis == 2 && queries == split->outputs[0] &&
           keys == split->outputs[1];
}

/// From the softmax on to the feature map of mixed values.
static int match_mixing(const struct sac_graph *graph, struct match *m)
{
    const struct sac_gnode *nodes = graph->nodes;
    int turn = sole_reader(graph, nodes[m->softmax].outputs[0], SAC__OP_TRANSPOSE);
    if (turn < 0 || !swaps_last(graph, turn)) return 0;
    m->mixed = sole_reader(graph, nodes[turn].outputs[0], SAC__OP_MATMUL);
    if (m->mixed < 0 || nodes[m->mixed].inputs[0] != nodes[m->split].outputs[2] ||
        nodes[m->mixed].inputs[1] != nodes[turn].outputs[0])
        return 0;
    m->result = sole_reader(graph, nodes[m->mixed].outputs[0], SAC__OP_RESHAPE);
    return m->result >= 0;
}

/// From the split back to the convolution, and whether all shapes fit.
static int match_source(const struct sac_graph *graph, struct match *m)
{
    const struct sac_gnode *split = &graph->nodes[m->split];
    int reshape = sac__producer(graph, split->inputs[0], SAC__OP_RESHAPE);
    if (reshape < 0 || sac__tensor_uses(graph, split->inputs[0], NULL) != 1) return 0;
    int maps = graph->nodes[reshape].inputs[0];
    m->conv = sac__producer(graph, maps, SAC__OP_CONV);
    if (m->conv < 0 || !sac__conv_is_plain(graph, m->conv) ||
        sac__tensor_uses(graph, maps, NULL) != 1 || graph->nodes[m->conv].window.groups != 1)
        return 0;
    const struct sac_gtensor *x = &graph->tensors[maps], *flat = &graph->tensors[split->inputs[0]],
                             *out = sac__output(graph, m->result, 0);
    m->heads = (int)flat->shape[1];
    m->key = (int)sac__output(graph, m->split, 1)->shape[2];
    m->value = (int)sac__output(graph, m->split, 2)->shape[2];
    return flat->ndim == 4 && flat->shape[0] == x->shape[0] &&
           flat->shape[3] == x->shape[2] * x->shape[3] && flat->shape[2] == 2 * m->key + m->value &&
           out->ndim == 4 && out->shape[0] == x->shape[0] && out->shape[1] == m->heads * m->value &&
           out->shape[2] == x->shape[2] && out->shape[3] == x->shape[3];
}

/// Old output channel of new channel k.
static int64_t source_channel(const struct match *m, int64_t k)
{
    int64_t keys = (int64_t)m->heads * m->key, each = 2 * m->key + m->value;
    int64_t width = k < 2 * keys ? m->key : m->value;
    int64_t within = k < 2 * keys ? k % keys : k - 2 * keys;
    int64_t begin = k < keys ? 0 : k < 2 * keys ? m->key : 2 * m->key;
    return within / width * each + begin + within % width;
}

static int reorder(struct sac_graph *graph, const struct match *m)
{
    int old_weights = graph->nodes[m->conv].inputs[1];
    int old_bias =
        graph->nodes[m->conv].input_count > 2 ? graph->nodes[m->conv].inputs[2] : SAC__NONE;
    int64_t shape[4];
    memcpy(shape, graph->tensors[old_weights].shape, sizeof shape);
    int error = sac__conv_weights(graph, m->conv, shape);
    if (error) return error;
    size_t row = (size_t)(shape[1] * shape[2] * shape[3]);
    float *weights = sac__input(graph, m->conv, 1)->f, *bias = sac__input(graph, m->conv, 2)->f;
    for (int64_t k = 0; k < shape[0]; k++) {
        int64_t from = source_channel(m, k);
        memcpy(weights + (size_t)k * row, graph->tensors[old_weights].f + (size_t)from * row,
               row * sizeof *weights);
        if (old_bias >= 0) bias[k] = graph->tensors[old_bias].f[from];
    }
    return 0;
}

/// Values that are read as a feature map become a view of the convolution's output.
static int view_values(struct sac_graph *graph, const struct match *m)
{
    int values = graph->nodes[m->split].outputs[2];
    int maps = graph->nodes[m->conv].outputs[0];
    for (int n = 0; n < graph->node_count; n++) {
        struct sac_gnode *node = &graph->nodes[n];
        if (node->dead || n == m->mixed || node->input_count < 1 || node->inputs[0] != values)
            continue;
        const struct sac_gtensor *out = sac__output(graph, n, 0);
        const struct sac_gtensor *x = &graph->tensors[maps];
        if (node->op != SAC__OP_RESHAPE || out->ndim != 4 || out->shape[0] != x->shape[0] ||
            out->shape[1] != m->heads * m->value || out->shape[2] != x->shape[2])
            return sac__node_refuse(graph, n, "an unknown use of attention's values");
        node->op = SAC__OP_SLICE;
        node->proto = NULL;
        node->begin = 2 * (int64_t)m->heads * m->key;
        node->inputs[0] = maps;
        node->input_count = 1;
    }
    return 0;
}

static int rewrite(struct sac_graph *graph, const struct match *m)
{
    int error = reorder(graph, m);
    if (!error) error = view_values(graph, m);
    if (error) return error;
    struct sac_gnode *result = &graph->nodes[m->result];
    result->op = SAC__OP_ATTENTION;
    result->proto = NULL;
    result->inputs[0] = graph->nodes[m->conv].outputs[0];
    result->input_count = 1;
    result->heads = m->heads;
    result->key = m->key;
    result->value = m->value;
    result->scale = m->factor;
    return 0;
}

int sac__pass_attention(struct sac_graph *graph)
{
    for (int n = 0; n < graph->node_count; n++) {
        struct match m;
        if (graph->nodes[n].dead || graph->nodes[n].op != SAC__OP_SOFTMAX) continue;
        if (!match_weights(graph, n, &m) || !match_mixing(graph, &m) || !match_source(graph, &m))
            return sac__node_refuse(graph, n, "attention of an unknown form");
        int error = rewrite(graph, &m);
        if (error) return error;
        sac__graph_sweep(graph);
    }
    return 0;
}
