// SPDX-License-Identifier: Apache-2.0
// Shapes for all tensors; whatever does not depend on the picture becomes a constant.
#include "ops.h"

enum { MOST_FOLDED = 1 << 24 };

static const struct {
    const char *name;
    int (*infer)(struct sac_graph *, int), (*eval)(struct sac_graph *, int);
} table[SAC__OP_COUNT] = {
#define ROW(op, onnx, infer, eval) {onnx, sac__##infer, sac__##eval},
    SAC__OPS(ROW)
#undef ROW
};

const char *sac__op_name(enum sac__op op)
{
    return table[op].name;
}

int sac__eval_never(struct sac_graph *graph, int node)
{
    return sac__node_refuse(graph, node, "not supported here");
}

int sac__node_infer(struct sac_graph *graph, int node)
{
    int first_may_miss = graph->nodes[node].op == SAC__OP_CONSTANT;
    if (!first_may_miss && !sac__input(graph, node, 0))
        return sac__node_fail(graph, node, SAC_EMODEL, "no input");
    for (int k = 0; k < graph->nodes[node].input_count; k++) {
        const struct sac_gtensor *x = sac__input(graph, node, k);
        if (x && x->ndim < 0)
            return sac__node_fail(graph, node, SAC_EUNSUPPORTED,
                                  "input %s is an output that the "
                                  "CUDA engine does not make",
                                  x->name);
    }
    return table[graph->nodes[node].op].infer(graph, node);
}

int sac__node_evaluable(const struct sac_graph *graph, int node)
{
    return table[graph->nodes[node].op].eval != sac__eval_never;
}

int sac__node_eval(struct sac_graph *graph, int node)
{
    const struct sac_gnode *n = &graph->nodes[node];
    int error = 0;
    for (int o = 0; !error && o < n->output_count; o++)
        error = sac__tensor_fill(graph, n->outputs[o]);
    return error ? error : table[n->op].eval(graph, node);
}

/// Shape needs no values; all others need those of every input.
static int can_fold(const struct sac_graph *graph, int node)
{
    const struct sac_gnode *n = &graph->nodes[node];
    if (n->op == SAC__OP_SHAPE) return 1;
    if (table[n->op].eval == sac__eval_never) return 0;
    for (int k = 0; k < n->input_count; k++)
        if (n->inputs[k] >= 0 && !sac__tensor_is_constant(graph, n->inputs[k])) return 0;
    return 1;
}

int sac__graph_fold(struct sac_graph *graph)
{
    graph->fold_limit = MOST_FOLDED;
    for (int n = 0; n < graph->node_count; n++) {
        int error = sac__node_infer(graph, n);
        if (error) return error;
        int constant = graph->nodes[n].op == SAC__OP_CONSTANT;
        if (!constant && !can_fold(graph, n)) continue;
        error = constant ? 0 : sac__node_eval(graph, n);
        if (error) return error;
        graph->nodes[n].dead = 1;
    }
    return 0;
}
