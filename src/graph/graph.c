// SPDX-License-Identifier: Apache-2.0
#include "graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// Room for one more element of an array: its new address, or NULL.
static void *grow(void *array, int count, int *capacity, size_t size)
{
    if (count < *capacity) return array;
    int more = *capacity ? *capacity * 2 : 64;
    void *grown = realloc(array, (size_t)more * size);
    if (grown) *capacity = more;
    return grown;
}

void *sac__graph_alloc(struct sac_graph *graph, size_t count, size_t size)
{
    if (graph->block_count == graph->block_capacity) {
        size_t more = graph->block_capacity ? graph->block_capacity * 2 : 256;
        void **grown = realloc(graph->blocks, more * sizeof *grown);
        if (!grown) return NULL;
        graph->blocks = grown;
        graph->block_capacity = more;
    }
    void *block = calloc(count ? count : 1, size);
    if (block) graph->blocks[graph->block_count++] = block;
    return block;
}

int sac__tensor_add(struct sac_graph *graph, const char *name)
{
    struct sac_gtensor *grown =
        grow(graph->tensors, graph->tensor_count, &graph->tensor_capacity, sizeof *grown);
    if (!grown) return SAC__NONE;
    graph->tensors = grown;
    grown[graph->tensor_count] =
        (struct sac_gtensor){.name = name, .real = 1, .ndim = -1, .producer = SAC__NONE};
    return graph->tensor_count++;
}

int sac__node_add(struct sac_graph *graph, enum sac__op op, const char *name, int inputs,
                  int outputs)
{
    struct sac_gnode *grown =
        grow(graph->nodes, graph->node_count, &graph->node_capacity, sizeof *grown);
    if (!grown) return SAC__NONE;
    graph->nodes = grown;
    int *list = sac__graph_alloc(graph, (size_t)inputs + (size_t)outputs, sizeof *list);
    if (!list) return SAC__NONE;
    for (int i = 0; i < inputs + outputs; i++)
        list[i] = SAC__NONE;
    grown[graph->node_count] = (struct sac_gnode){.op = op,
                                                  .name = name,
                                                  .inputs = list,
                                                  .input_count = inputs,
                                                  .outputs = list + inputs,
                                                  .output_count = outputs,
                                                  .residual = SAC__NONE,
                                                  .coarse = SAC__NONE};
    return graph->node_count++;
}

void sac__node_place(struct sac_graph *graph, int position)
{
    int last = graph->node_count - 1;
    struct sac_gnode moved = graph->nodes[last];
    memmove(&graph->nodes[position + 1], &graph->nodes[position],
            (size_t)(last - position) * sizeof moved);
    graph->nodes[position] = moved;
    for (int n = position; n <= last; n++)
        for (int o = 0; !graph->nodes[n].dead && o < graph->nodes[n].output_count; o++)
            graph->tensors[graph->nodes[n].outputs[o]].producer = n;
}

int sac__tensor_shape(struct sac_graph *graph, int tensor, int ndim, const int64_t *shape)
{
    struct sac_gtensor *t = &graph->tensors[tensor];
    int64_t count = 1;
    if (ndim < 0 || ndim > SAC__RANK)
        return sac__fail(SAC_EMODEL, "tensor %s: rank %d is not supported", t->name, ndim);
    for (int axis = 0; axis < ndim; axis++) {
        if (shape[axis] < 0 || (shape[axis] && count > INT32_MAX / shape[axis]))
            return sac__fail(SAC_EMODEL, "tensor %s: axis %d has impossible extent %lld", t->name,
                             axis, (long long)shape[axis]);
        count *= shape[axis];
        t->shape[axis] = shape[axis];
    }
    t->ndim = ndim;
    return 0;
}

int sac__tensor_fill(struct sac_graph *graph, int tensor)
{
    struct sac_gtensor *t = &graph->tensors[tensor];
    int64_t count = sac__tensor_count(t);
    if (count > graph->fold_limit)
        return sac__fail(SAC_ELIMIT, "tensor %s: %lld elements are too many for a constant",
                         t->name, (long long)count);
    sac__tensor_drop(graph, tensor);
    if (t->real)
        t->f = calloc((size_t)count + 1, sizeof *t->f);
    else
        t->i = calloc((size_t)count + 1, sizeof *t->i);
    return t->f || t->i ? 0 : sac__fail(SAC_ENOMEM, "out of memory for tensor %s", t->name);
}

void sac__tensor_drop(struct sac_graph *graph, int tensor)
{
    struct sac_gtensor *t = &graph->tensors[tensor];
    free(t->f);
    free(t->i);
    t->f = NULL;
    t->i = NULL;
}

int64_t sac__tensor_count(const struct sac_gtensor *tensor)
{
    int64_t count = 1;
    for (int axis = 0; axis < tensor->ndim; axis++)
        count *= tensor->shape[axis];
    return count;
}

int sac__tensor_is_constant(const struct sac_graph *graph, int tensor)
{
    return tensor >= 0 && (graph->tensors[tensor].f || graph->tensors[tensor].i);
}

static int node_reads(const struct sac_gnode *node, int tensor)
{
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] == tensor) return 1;
    return node->residual == tensor || node->coarse == tensor;
}

int sac__tensor_uses(const struct sac_graph *graph, int tensor, int *first_out)
{
    int uses = 0;
    for (int n = 0; n < graph->node_count; n++) {
        if (graph->nodes[n].dead || !node_reads(&graph->nodes[n], tensor)) continue;
        if (!uses++ && first_out) *first_out = n;
    }
    for (int o = 0; o < graph->output_count; o++)
        uses += graph->outputs[o] == tensor;
    return uses;
}

int sac__producer(const struct sac_graph *graph, int tensor, enum sac__op op)
{
    int n = tensor < 0 ? SAC__NONE : graph->tensors[tensor].producer;
    return n >= 0 && !graph->nodes[n].dead && graph->nodes[n].op == op ? n : SAC__NONE;
}

void sac__tensor_replace(struct sac_graph *graph, int from, int to)
{
    for (int n = 0; n < graph->node_count; n++) {
        struct sac_gnode *node = &graph->nodes[n];
        for (int i = 0; i < node->input_count; i++)
            if (node->inputs[i] == from) node->inputs[i] = to;
        if (node->residual == from) node->residual = to;
        if (node->coarse == from) node->coarse = to;
    }
    for (int o = 0; o < graph->output_count; o++)
        if (graph->outputs[o] == from) graph->outputs[o] = to;
}

/// A node is needed when a live node or the graph's outputs read one of its outputs.
static int node_needed(const struct sac_graph *graph, int node)
{
    for (int o = 0; o < graph->nodes[node].output_count; o++)
        if (sac__tensor_uses(graph, graph->nodes[node].outputs[o], NULL)) return 1;
    return 0;
}

void sac__graph_sweep(struct sac_graph *graph)
{
    for (int n = graph->node_count - 1; n >= 0; n--)
        if (!graph->nodes[n].dead && !node_needed(graph, n)) graph->nodes[n].dead = 1;
}

int sac__node_fail(const struct sac_graph *graph, int node, int error, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const struct sac_gnode *n = &graph->nodes[node];
    return sac__fail(error, "node %s (%s): %s", n->name, sac__op_name(n->op), text);
}

int sac__node_refuse(const struct sac_graph *graph, int node, const char *why)
{
    return sac__node_fail(graph, node, SAC_EUNSUPPORTED,
                          "%s; the OpenVINO engine runs it: --device cpu", why);
}

void sac__graph_close(struct sac_graph **graph)
{
    struct sac_graph *g = *graph;
    if (!g) return;
    for (int t = 0; t < g->tensor_count; t++)
        sac__tensor_drop(g, t);
    for (size_t b = 0; b < g->block_count; b++)
        free(g->blocks[b]);
    sac__proto_free(g->proto);
    free(g->blocks);
    free(g->tensors);
    free(g->nodes);
    free(g);
    *graph = NULL;
}
