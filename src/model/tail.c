// SPDX-License-Identifier: Apache-2.0
// The tail of a graph: walking the nodes backwards from the outputs, up to the convolutions.
#include <string.h>

#include "error.h"
#include "internal.h"
#include "names.h"
#include "onnx.pb-c.h"

/// Passes over the nodes; more than one is for exporters that leave them out of order.
enum { PASSES_MAX = 16 };

static int is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0) return 1;
    return 0;
}

/// Operators whose further inputs are shapes and indices, not values.
int sac__shape_inputs(const char *op)
{
    static const char *const ops[] = {"Reshape",   "Slice",   "Gather", "Expand", "Tile", "Resize",
                                      "Unsqueeze", "Squeeze", "Split",  "Pad",    NULL};
    return is_one_of(op, ops);
}

static unsigned tail_bits(const char *op)
{
    static const char *const arithmetic[] = {"Add", "Sub", "Mul", "Div", "Pow", NULL};
    if (is_one_of(op, arithmetic)) return SAC__TAIL_ARITHMETIC;
    if (strcmp(op, "Exp") == 0) return SAC__TAIL_EXP;
    if (strcmp(op, "TopK") == 0 || strcmp(op, "NonMaxSuppression") == 0) return SAC__TAIL_SELECT;
    return 0;
}

static int makes_wanted(const Onnx__NodeProto *node, const struct sac__names *wanted)
{
    for (size_t i = 0; i < node->n_output; i++)
        if (sac__names_have(wanted, node->output[i])) return 1;
    return 0;
}

/// Takes in the inputs of a node that makes something wanted. Returns how many were new.
static int add_node(unsigned *tail, struct sac__names *wanted, const Onnx__NodeProto *node)
{
    const char *op = node->op_type ? node->op_type : "";
    if (!makes_wanted(node, wanted) || strcmp(op, "Conv") == 0) return 0;
    *tail |= tail_bits(op);
    size_t inputs = sac__shape_inputs(op) && node->n_input ? 1 : node->n_input;
    int added = 0;
    for (size_t i = 0; i < inputs; i++)
        added += sac__names_add(wanted, node->input[i]);
    return added;
}

int sac__graph_tail(unsigned *tail_out, const struct Onnx__GraphProto *graph)
{
    size_t most = graph->n_output;
    for (size_t i = 0; i < graph->n_node; i++)
        most += graph->node[i]->n_input;
    struct sac__names wanted;
    int error = sac__names_open(&wanted, most);
    if (error) return error;
    for (size_t i = 0; i < graph->n_output; i++)
        sac__names_add(&wanted, graph->output[i]->name ? graph->output[i]->name : "");
    for (int pass = 0, added = 1; added && pass < PASSES_MAX; pass++) {
        added = 0;
        for (size_t i = graph->n_node; i-- > 0;)
            added += add_node(tail_out, &wanted, graph->node[i]);
    }
    sac__names_close(&wanted);
    return SAC_OK;
}
