// SPDX-License-Identifier: Apache-2.0
// Refuses graphs with a cycle: ONNX forbids them, and an engine that sorts the nodes may never end.
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "error.h"
#include "internal.h"
#include "onnx.pb-c.h"

/// The node that makes a tensor.
struct maker {
    uint64_t name; ///< hash
    size_t node;
};

struct order {
    struct maker *makers; ///< sorted by name
    size_t maker_count;
    size_t *waits; ///< for each node: inputs that are not made yet
    size_t *first; ///< for each node: where its users start in `users`
    size_t *users;
    size_t *ready; ///< nodes whose inputs are all made, in a possible order of running
};

static uint64_t hash(const char *name)
{
    return XXH3_64bits(name, strlen(name));
}

static int by_name(const void *a, const void *b)
{
    const uint64_t x = ((const struct maker *)a)->name, y = ((const struct maker *)b)->name;
    return (x > y) - (x < y);
}

static void list_makers(struct order *order, const Onnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t k = 0; k < graph->node[i]->n_output; k++)
            if (*graph->node[i]->output[k]) // "" is an output left out
                order->makers[order->maker_count++] =
                    (struct maker){hash(graph->node[i]->output[k]), i};
    if (order->maker_count)
        qsort(order->makers, order->maker_count, sizeof *order->makers, by_name);
}

static const struct maker *find_maker(const struct order *order, const char *name)
{
    const struct maker wanted = {hash(name), 0};
    if (!order->maker_count) return NULL;
    return bsearch(&wanted, order->makers, order->maker_count, sizeof wanted, by_name);
}

// Counts each node's users, then lists them, the users of one node side by side.
static void list_users(struct order *order, const Onnx__GraphProto *graph)
{
    for (int counting = 1; counting >= 0; counting--) {
        for (size_t i = 0; i < graph->n_node; i++)
            for (size_t k = 0; k < graph->node[i]->n_input; k++) {
                const struct maker *maker = find_maker(order, graph->node[i]->input[k]);
                if (!maker) continue; // an input of the graph, a weight, or missing
                if (counting) order->first[maker->node]++, order->waits[i]++;
                else order->users[--order->first[maker->node]] = i;
            }
        for (size_t i = 1; counting && i <= graph->n_node; i++)
            order->first[i] += order->first[i - 1]; // ends, which listing turns into starts
    }
}

// Returns how many nodes can run.
static size_t run_order(struct order *order, size_t nodes)
{
    size_t ready = 0;
    for (size_t i = 0; i < nodes; i++)
        if (!order->waits[i]) order->ready[ready++] = i;
    for (size_t done = 0; done < ready; done++) {
        const size_t node = order->ready[done];
        for (size_t k = order->first[node]; k < order->first[node + 1]; k++)
            if (--order->waits[order->users[k]] == 0) order->ready[ready++] = order->users[k];
    }
    return ready;
}

static int name_cycle(const struct order *order, const Onnx__GraphProto *graph)
{
    size_t i = 0;
    while (!order->waits[i]) i++;
    const Onnx__NodeProto *node = graph->node[i];
    const char *name = node->name && *node->name ? node->name
                       : node->n_output          ? node->output[0]
                                                 : "";
    return sac__fail(SAC_EMODEL, "node '%s' (%s) can never run: the graph has a cycle",
                     name, node->op_type ? node->op_type : "");
}

static int check_nodes(const Onnx__GraphProto *graph)
{
    size_t inputs = 0, outputs = 0, nodes = graph->n_node;
    for (size_t i = 0; i < nodes; i++) {
        inputs += graph->node[i]->n_input;
        outputs += graph->node[i]->n_output;
    }
    struct order order = {.makers = calloc(outputs + 1, sizeof *order.makers),
                          .waits = calloc(nodes + 1, sizeof *order.waits),
                          .first = calloc(nodes + 1, sizeof *order.first),
                          .users = calloc(inputs + 1, sizeof *order.users),
                          .ready = calloc(nodes + 1, sizeof *order.ready)};
    int error = 0;
    if (!order.makers || !order.waits || !order.first || !order.users || !order.ready) {
        error = sac__fail(SAC_ENOMEM, "out of memory");
    } else {
        list_makers(&order, graph);
        list_users(&order, graph);
        if (run_order(&order, nodes) < nodes) error = name_cycle(&order, graph);
    }
    free(order.makers);
    free(order.waits);
    free(order.first);
    free(order.users);
    free(order.ready);
    return error;
}

int sac__graph_check_cycles(const Onnx__GraphProto *graph)
{
    int error = check_nodes(graph);
    for (size_t i = 0; i < graph->n_node && !error; i++) // bodies of If, Loop and Scan
        for (size_t k = 0; k < graph->node[i]->n_attribute && !error; k++) {
            const Onnx__AttributeProto *attribute = graph->node[i]->attribute[k];
            if (attribute->g) error = sac__graph_check_cycles(attribute->g);
            for (size_t g = 0; g < attribute->n_graphs && !error; g++)
                error = sac__graph_check_cycles(attribute->graphs[g]);
        }
    return error;
}
