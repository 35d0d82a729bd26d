// SPDX-License-Identifier: Apache-2.0
// Graphs with and without cycles, in and out of order.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/internal.h"
#include "onnx.pb-c.h"
#include "saccade/error.h"

enum { MOST = 400, INPUTS = 3, NAME = 12 };

static struct {
    char names[MOST][NAME], inputs[MOST][INPUTS][NAME];
    char *output_at[MOST], *input_at[MOST][INPUTS];
    Onnx__NodeProto nodes[MOST], *node_at[MOST];
    Onnx__GraphProto graph;
} made;

static void start(void)
{
    memset(&made, 0, sizeof made);
    onnx__graph_proto__init(&made.graph);
    made.graph.node = made.node_at;
}

static void add(const char *output, const char *a, const char *b, const char *c)
{
    const size_t i = made.graph.n_node++;
    const char *inputs[] = {a, b, c};
    Onnx__NodeProto *node = made.node_at[i] = &made.nodes[i];
    onnx__node_proto__init(node);
    snprintf(made.names[i], NAME, "%s", output);
    made.output_at[i] = made.names[i];
    node->n_output = 1;
    node->output = &made.output_at[i];
    node->input = made.input_at[i];
    for (; node->n_input < INPUTS && inputs[node->n_input]; node->n_input++) {
        snprintf(made.inputs[i][node->n_input], NAME, "%s", inputs[node->n_input]);
        made.input_at[i][node->n_input] = made.inputs[i][node->n_input];
    }
    node->op_type = made.names[i];
}

static void small_graphs(void **state)
{
    (void)state;
    start();
    assert_int_equal(sac__graph_check_cycles(&made.graph), 0); // no nodes
    add("c", "x", "w", NULL);
    add("d", "c", "c", "");
    assert_int_equal(sac__graph_check_cycles(&made.graph), 0);
    start();
    add("d", "c", NULL, NULL); // out of order
    add("c", "x", NULL, NULL);
    assert_int_equal(sac__graph_check_cycles(&made.graph), 0);
    start();
    add("c", "x", "c", NULL);
    assert_int_equal(sac__graph_check_cycles(&made.graph), SAC_EMODEL);
    assert_non_null(strstr(sac_error_message(), "node 'c' (c)"));
    start();
    add("c", "x", "e", NULL);
    add("d", "c", NULL, NULL);
    add("e", "d", NULL, NULL);
    assert_int_equal(sac__graph_check_cycles(&made.graph), SAC_EMODEL);
}

static void bodies_are_looked_into(void **state)
{
    (void)state;
    start();
    add("c", "x", "c", NULL);
    Onnx__GraphProto outer = ONNX__GRAPH_PROTO__INIT;
    Onnx__NodeProto loop = ONNX__NODE_PROTO__INIT, *loop_at = &loop;
    Onnx__AttributeProto body = ONNX__ATTRIBUTE_PROTO__INIT, *body_at = &body;
    outer.n_node = 1;
    outer.node = &loop_at;
    loop.n_attribute = 1;
    loop.attribute = &body_at;
    assert_int_equal(sac__graph_check_cycles(&outer), 0);
    body.g = &made.graph;
    assert_int_equal(sac__graph_check_cycles(&outer), SAC_EMODEL);
    Onnx__GraphProto *graphs[] = {&made.graph};
    body.g = NULL;
    body.n_graphs = 1;
    body.graphs = graphs;
    assert_int_equal(sac__graph_check_cycles(&outer), SAC_EMODEL);
}

static uint32_t noise = 1;

static uint32_t below(uint32_t most)
{
    noise = noise * 1664525u + 1013904223u;
    return (noise >> 8) % most;
}

// Node i takes earlier ones only, then the nodes are shuffled; an edge back makes a cycle.
static void large_graphs(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        start();
        for (uint32_t i = 0; i < MOST; i++) {
            char name[NAME], a[NAME], b[NAME];
            snprintf(name, NAME, "t%u", i);
            snprintf(a, NAME, "t%u", i ? i - 1 : MOST); // a chain, so every edge back closes it
            snprintf(b, NAME, "t%u", i ? below(i) : MOST);
            add(name, a, b, "w");
        }
        for (uint32_t i = MOST - 1; i > 0; i--) {
            const uint32_t k = below(i + 1);
            Onnx__NodeProto *node = made.node_at[i];
            made.node_at[i] = made.node_at[k];
            made.node_at[k] = node;
        }
        assert_int_equal(sac__graph_check_cycles(&made.graph), 0);
        const uint32_t early = below(MOST), late = early + below(MOST - early);
        snprintf(made.inputs[early][2], NAME, "t%u", late);
        assert_int_equal(sac__graph_check_cycles(&made.graph), SAC_EMODEL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_graphs),
        cmocka_unit_test(bodies_are_looked_into),
        cmocka_unit_test(large_graphs),
    };
    return cmocka_run_group_tests_name("cycle", tests, NULL, NULL);
}
