// SPDX-License-Identifier: Apache-2.0
// Finds the decode tail of a network. Exporters write it in many ways (slices or splits, grids
// as constants or computed), so it is recognised by what it does: the last convolutions are found,
// their shapes suggest a family, and the tail is run on made-up logits to learn the anchors and to
// see whether it computes what the head would (probe.c).
#include "head.h"
#include "ops.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_RAW = 2 * SAC__LEVELS, MOST_BEST = 1024 };

struct search {
    struct sac_graph *graph;
    char *tail;        ///< by node
    int raw[MOST_RAW]; ///< tensors, as found
    int raw_count;
};

/// The mean of a distribution: 1×1 with weights 0, 1, 2, … onto one channel. Part of the tail.
static int is_mean(const struct sac_graph *graph, int node)
{
    const struct sac_gtensor *w = sac__input(graph, node, 1);
    if (!w->f || w->shape[0] != 1 || w->shape[1] < 2 || w->shape[2] * w->shape[3] != 1) return 0;
    if (sac__input(graph, node, 2)) return 0;
    for (int64_t k = 0; k < w->shape[1]; k++)
        if (w->f[k] != (float)k) return 0;
    return 1;
}

static int add_raw(struct search *s, int tensor)
{
    for (int k = 0; k < s->raw_count; k++)
        if (s->raw[k] == tensor) return 1;
    if (s->raw_count == MOST_RAW) return 0;
    s->raw[s->raw_count++] = tensor;
    return 1;
}

static int visit(struct search *s, int tensor)
{
    int node = s->graph->tensors[tensor].producer;
    if (tensor == s->graph->input) return 0;
    if (node < 0) return 1;
    if (s->graph->nodes[node].op == SAC__OP_CONV && !is_mean(s->graph, node))
        return add_raw(s, tensor);
    s->tail[node] = 1;
    return 1;
}

/// Walks back from the output to the last convolutions. Nodes stand in running order, so one sweep
/// from the end sees each node after all its readers. Returns whether all ways end at one.
static int find_raw(struct search *s, int output)
{
    if (!visit(s, output)) return 0;
    for (int n = s->graph->node_count - 1; n >= 0; n--) {
        const struct sac_gnode *node = &s->graph->nodes[n];
        if (!s->tail[n]) continue;
        for (int k = 0; k < node->input_count; k++) {
            int t = node->inputs[k];
            if (t >= 0 && !sac__tensor_is_constant(s->graph, t) && !visit(s, t)) return 0;
        }
    }
    return s->raw_count > 0;
}

static int64_t area_of(const struct sac_graph *graph, int tensor)
{
    return graph->tensors[tensor].shape[2] * graph->tensors[tensor].shape[3];
}

/// Finest level first; of two maps a level, the one found last (the first in the file) first.
static void sort_raw(struct search *s)
{
    for (int a = 1; a < s->raw_count; a++)
        for (int b = a; b > 0 && area_of(s->graph, s->raw[b]) >= area_of(s->graph, s->raw[b - 1]);
             b--) {
            int swap = s->raw[b];
            s->raw[b] = s->raw[b - 1];
            s->raw[b - 1] = swap;
        }
}

static int set_level(const struct sac_graph *graph, struct sac_head_level *level, int tensor)
{
    const struct sac_gtensor *t = &graph->tensors[tensor], *in = &graph->tensors[graph->input];
    level->height = t->shape[2];
    level->width = t->shape[3];
    if (level->height < 1 || level->width < 1) return 0;
    level->stride = (float)(in->shape[2] / level->height);
    return in->shape[2] % level->height == 0 && in->shape[3] % level->width == 0 &&
           in->shape[2] / level->height == in->shape[3] / level->width;
}

static int shaped_v5(const struct search *s, const struct sac_gtensor *out,
                     struct sac_head_plan *head, int raw[][2])
{
    int64_t rows = 0, columns = out->shape[2];
    if (s->raw_count > SAC__LEVELS || columns < 6) return 0;
    *head = (struct sac_head_plan){.family = SAC__HEAD_V5,
                                   .level_count = s->raw_count,
                                   .classes = columns - 5,
                                   .rows = out->shape[1],
                                   .columns = columns};
    for (int k = 0; k < s->raw_count; k++) {
        const struct sac_gtensor *t = &s->graph->tensors[s->raw[k]];
        int64_t anchors = t->shape[1] / columns;
        if (t->shape[1] % columns || anchors < 1 || anchors > SAC__ANCHORS) return 0;
        if (!set_level(s->graph, &head->levels[k], s->raw[k])) return 0;
        head->levels[k].anchor_count = (int)anchors;
        rows += anchors * area_of(s->graph, s->raw[k]);
        raw[k][0] = s->raw[k];
        raw[k][1] = SAC__NONE;
    }
    return rows == head->rows;
}

/// Two maps a level. `swapped`: the scores come before the distances.
static int shaped_pairs(const struct search *s, int swapped, int64_t classes,
                        struct sac_head_plan *head, int raw[][2])
{
    int64_t places = 0;
    if (s->raw_count % 2 || classes < 1) return 0;
    *head = (struct sac_head_plan){.family = SAC__HEAD_V8,
                                   .level_count = s->raw_count / 2,
                                   .classes = classes,
                                   .columns = 4 + classes};
    for (int k = 0; k < head->level_count; k++) {
        raw[k][0] = s->raw[2 * k + swapped];
        raw[k][1] = s->raw[2 * k + !swapped];
        const struct sac_gtensor *box = &s->graph->tensors[raw[k][0]],
                                 *scores = &s->graph->tensors[raw[k][1]];
        if (!set_level(s->graph, &head->levels[k], raw[k][0])) return 0;
        if (box->shape[2] != scores->shape[2] || box->shape[3] != scores->shape[3]) return 0;
        if (scores->shape[1] != classes || box->shape[1] % 4) return 0;
        if (k && box->shape[1] / 4 != head->bins) return 0;
        head->bins = box->shape[1] / 4;
        places += area_of(s->graph, raw[k][0]);
    }
    head->rows = places;
    return 1;
}

static int shaped_v8(const struct search *s, const struct sac_gtensor *out, int swapped,
                     struct sac_head_plan *head, int raw[][2])
{
    return shaped_pairs(s, swapped, out->shape[1] - 4, head, raw) && head->rows == out->shape[2];
}

static int shaped_best(const struct search *s, const struct sac_gtensor *out, int swapped,
                       struct sac_head_plan *head, int raw[][2])
{
    int64_t classes = s->graph->tensors[s->raw[!swapped]].shape[1];
    if (out->shape[2] != 6 || !shaped_pairs(s, swapped, classes, head, raw)) return 0;
    head->best = out->shape[1];
    return head->best > 0 && head->best <= head->rows && head->best <= MOST_BEST;
}

static int try_families(struct search *s, int output, struct sac_head_plan *head, int raw[][2],
                        int *found_out)
{
    const struct sac_gtensor out = s->graph->tensors[output];
    *found_out = 0;
    if (out.ndim != 3) return 0;
    for (int family = 0; family < 5; family++) {
        int fits = family == 0  ? shaped_v5(s, &out, head, raw)
                   : family < 3 ? shaped_v8(s, &out, family - 1, head, raw)
                                : shaped_best(s, &out, family - 3, head, raw);
        if (!fits) continue;
        int error =
            sac__head_probe(s->graph, s->tail, (const int(*)[2])raw, output, head, found_out);
        if (error || *found_out) return error;
    }
    return 0;
}

int sac__head_raw(struct sac_graph *graph, int raw_out[2 * SAC__LEVELS], int *count_out,
                  char **tail_out)
{
    struct search s = {.graph = graph,
                       .tail = sac__graph_alloc(graph, (size_t)graph->node_count + 1, 1)};
    *count_out = 0;
    if (!s.tail) return sac__fail(SAC_ENOMEM, "out of memory for the tail");
    if (!find_raw(&s, graph->outputs[0])) return 0;
    for (int n = 0; n < graph->node_count; n++)
        if (s.tail[n] && !graph->nodes[n].dead && !sac__node_evaluable(graph, n)) return 0;
    sort_raw(&s);
    memcpy(raw_out, s.raw, sizeof s.raw);
    *count_out = s.raw_count;
    *tail_out = s.tail;
    return 0;
}

int sac__head_find(struct sac_graph *graph, struct sac_head_plan *head, sac__raw_maps raw,
                   int *found_out)
{
    struct search s = {.graph = graph,
                       .tail = sac__graph_alloc(graph, (size_t)graph->node_count + 1, 1)};
    *found_out = 0;
    if (!s.tail) return sac__fail(SAC_ENOMEM, "out of memory for the head");
    if (!find_raw(&s, graph->outputs[0])) return 0;
    sort_raw(&s);
    return try_families(&s, graph->outputs[0], head, raw, found_out);
}
