// SPDX-License-Identifier: Apache-2.0
// One inference and one evaluation function an operator; the table is SAC__OPS.
#ifndef SAC_GRAPH_OPS_H
#define SAC_GRAPH_OPS_H

#include "graph.h"

#define SAC__OP_DECLARE(name, onnx, infer, eval)                                                   \
    int sac__##infer(struct sac_graph *graph, int node);                                           \
    int sac__##eval(struct sac_graph *graph, int node);
SAC__OPS(SAC__OP_DECLARE)
#undef SAC__OP_DECLARE

/// Input or output k of a node; input NULL when left out.
static inline struct sac_gtensor *sac__input(const struct sac_graph *graph, int node, int k)
{
    const struct sac_gnode *n = &graph->nodes[node];
    return k < n->input_count && n->inputs[k] >= 0 ? &graph->tensors[n->inputs[k]] : NULL;
}

static inline struct sac_gtensor *sac__output(const struct sac_graph *graph, int node, int k)
{
    return &graph->tensors[graph->nodes[node].outputs[k]];
}

/// Value `at` of x becomes value k of y, which is of the same type.
static inline void sac__copy_value(struct sac_gtensor *y, int64_t k, const struct sac_gtensor *x,
                                   int64_t at)
{
    if (y->f)
        y->f[k] = x->f[at];
    else
        y->i[k] = x->i[at];
}

/// Values of a small integer operand: input k where there is one, else attribute `name` (may be
/// NULL). Writes their number, or -1 when there is neither. Errors: SAC_EUNSUPPORTED (not
/// constant).
int sac__operand(const struct sac_graph *graph, int node, int k, const char *name,
                 const int64_t **values_out, int *count_out);

/// An axis from -rank to rank-1 as 0 to rank-1. Errors: SAC_EMODEL.
int sac__axis(const struct sac_graph *graph, int node, int64_t axis, int rank, int *axis_out);

/// First index and step of a Slice on each axis of its input.
int sac__slice_ranges(const struct sac_graph *graph, int node, int64_t start[SAC__RANK],
                      int64_t step[SAC__RANK], int64_t extent[SAC__RANK]);

/// An ONNX sigmoid as all of the compiler's plain C computes it.
float sac__sigmoid(float x);

#endif
