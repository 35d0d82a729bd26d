// SPDX-License-Identifier: Apache-2.0
// Asks the decode tail what it does: random logits tell whether the head would give the same rows,
// and a few zeros among them give each anchor's size.
#include "head.h"
#include "ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TAIL = 1 << 27 };

static void box_v5(const struct sac_head_level *level, int anchor, int64_t pixel, const float *t,
                   float *row)
{
    float x = (float)(pixel % level->width), y = (float)(pixel / level->width);
    float w = 2 * t[2], h = 2 * t[3];
    row[0] = (2 * t[0] - 0.5f + x) * level->stride;
    row[1] = (2 * t[1] - 0.5f + y) * level->stride;
    row[2] = w * w * level->anchors[anchor][0];
    row[3] = h * h * level->anchors[anchor][1];
}

static void level_v5(const struct sac_head_plan *head, const struct sac_head_level *level,
                     const struct sac_raw *raw, float *rows)
{
    int64_t area = level->height * level->width;
    for (int a = 0; a < level->anchor_count; a++)
        for (int64_t p = 0; p < area; p++, rows += head->columns) {
            const float *from =
                raw->data + p * raw->pixel_step + a * head->columns * raw->channel_step;
            float t[4];
            for (int64_t c = 0; c < head->columns; c++)
                rows[c] = sac__sigmoid(from[c * raw->channel_step]);
            memcpy(t, rows, sizeof t);
            box_v5(level, a, p, t, rows);
        }
}

/// Mean of the softmax over `bins` logits; one bin stands for itself.
static float distance(const float *logits, int64_t step, int64_t bins)
{
    float most = -INFINITY, sum = 0, mean = 0;
    if (bins == 1) return logits[0];
    for (int64_t k = 0; k < bins; k++)
        most = fmaxf(most, logits[k * step]);
    for (int64_t k = 0; k < bins; k++) {
        float e = expf(logits[k * step] - most);
        sum += e;
        mean += e * (float)k;
    }
    return mean / sum;
}

static void level_v8(const struct sac_head_plan *head, const struct sac_head_level *level,
                     const struct sac_raw *raw, float *column)
{
    int64_t area = level->height * level->width;
    for (int64_t p = 0; p < area; p++, column++) {
        const float *from = raw[0].data + p * raw[0].pixel_step;
        const float *scores = raw[1].data + p * raw[1].pixel_step;
        float d[4], x = (float)(p % level->width) + 0.5f, y = (float)(p / level->width) + 0.5f;
        for (int side = 0; side < 4; side++) // left, top, right, bottom
            d[side] = distance(from + side * head->bins * raw[0].channel_step, raw[0].channel_step,
                               head->bins);
        column[0] = (x + (d[2] - d[0]) / 2) * level->stride;
        column[head->rows] = (y + (d[3] - d[1]) / 2) * level->stride;
        column[2 * head->rows] = (d[0] + d[2]) * level->stride;
        column[3 * head->rows] = (d[1] + d[3]) * level->stride;
        for (int64_t c = 0; c < head->classes; c++)
            column[(4 + c) * head->rows] = sac__sigmoid(scores[c * raw[1].channel_step]);
    }
}

void sac__head_rows(const struct sac_head_plan *head, const struct sac_raw *raw, float *rows)
{
    for (int k = 0; k < head->level_count; k++) {
        const struct sac_head_level *level = &head->levels[k];
        int64_t area = level->height * level->width;
        if (head->family == SAC__HEAD_V5) {
            level_v5(head, level, &raw[2 * k], rows);
            rows += level->anchor_count * area * head->columns;
        } else {
            level_v8(head, level, &raw[2 * k], rows);
            rows += area;
        }
    }
}

static int read_later(const struct sac_graph *graph, const char *tail, int after, int tensor)
{
    for (int n = after + 1; n < graph->node_count; n++)
        for (int k = 0; tail[n] && k < graph->nodes[n].input_count; k++)
            if (graph->nodes[n].inputs[k] == tensor) return 1;
    return 0;
}

/// Lets go of what node `n` was the last to read, as long as the tail made it.
static void drop_read(struct sac_graph *graph, const char *tail, int n, int output)
{
    for (int k = 0; k < graph->nodes[n].input_count; k++) {
        int t = graph->nodes[n].inputs[k];
        if (t < 0 || t == output || graph->tensors[t].producer < 0) continue;
        if (tail[graph->tensors[t].producer] && !read_later(graph, tail, n, t))
            sac__tensor_drop(graph, t);
    }
}

int sac__tail_eval(struct sac_graph *graph, const char *tail, int output)
{
    int error = 0;
    for (int n = 0; !error && n < graph->node_count; n++) {
        if (!tail[n] || graph->nodes[n].dead) continue;
        error = sac__node_eval(graph, n);
        drop_read(graph, tail, n, output);
    }
    for (int n = 0; n < graph->node_count; n++) // also what nobody reads
        for (int o = 0; tail[n] && o < graph->nodes[n].output_count; o++)
            if (error || graph->nodes[n].outputs[o] != output)
                sac__tensor_drop(graph, graph->nodes[n].outputs[o]);
    return error;
}

static int fill_raw(struct sac_graph *graph, const struct sac_head_plan *head, const int raw[][2])
{
    uint32_t state = 1;
    for (int k = 0; k < 2 * head->level_count; k++) {
        int tensor = raw[k / 2][k % 2];
        int error = tensor < 0 ? 0 : sac__tensor_fill(graph, tensor);
        if (error) return error;
        int64_t count = tensor < 0 ? 0 : sac__tensor_count(&graph->tensors[tensor]);
        for (int64_t i = 0; i < count; i++) {
            state = state * 1664525u + 1013904223u; // Numerical Recipes
            graph->tensors[tensor].f[i] = (float)(state >> 8) * (6.0f / 16777216.0f) - 3.0f;
        }
    }
    return 0;
}

static void drop_all(struct sac_graph *graph, const struct sac_head_plan *head, const int raw[][2],
                     int output)
{
    sac__tensor_drop(graph, output);
    for (int k = 0; k < 2 * head->level_count; k++)
        if (raw[k / 2][k % 2] >= 0) sac__tensor_drop(graph, raw[k / 2][k % 2]);
}

/// At logits of zero a box is exactly its anchor: in the first cell of the first picture.
static void clear_sizes(struct sac_graph *graph, const struct sac_head_plan *head,
                        const int raw[][2])
{
    for (int k = 0; k < head->level_count; k++) {
        const struct sac_head_level *level = &head->levels[k];
        int64_t area = level->height * level->width;
        float *logits = graph->tensors[raw[k][0]].f;
        for (int a = 0; a < level->anchor_count; a++)
            for (int side = 2; side < 4; side++)
                logits[(a * head->columns + side) * area] = 0;
    }
}

static void learn_anchors(const struct sac_graph *graph, int output, struct sac_head_plan *head)
{
    const float *rows = graph->tensors[output].f;
    for (int k = 0; k < head->level_count; k++) {
        struct sac_head_level *level = &head->levels[k];
        for (int a = 0; a < level->anchor_count; a++) {
            level->anchors[a][0] = rows[2];
            level->anchors[a][1] = rows[3];
            rows += level->height * level->width * head->columns;
        }
    }
}

/// Raw maps of picture n as they lie in the graph's tensors, (N,C,H,W).
static void raw_of(const struct sac_graph *graph, const struct sac_head_plan *head,
                   const int raw[][2], int64_t n, struct sac_raw *views)
{
    for (int k = 0; k < 2 * head->level_count; k++) {
        int tensor = raw[k / 2][k % 2];
        if (tensor < 0) continue;
        const struct sac_gtensor *t = &graph->tensors[tensor];
        int64_t area = t->shape[2] * t->shape[3];
        views[k] = (struct sac_raw){t->f + n * t->shape[1] * area, 1, area};
    }
}

static int compare(const struct sac_graph *graph, const struct sac_head_plan *head,
                   const int raw[][2], int output, int *equal_out)
{
    const struct sac_gtensor *out = &graph->tensors[output];
    struct sac_raw views[2 * SAC__LEVELS] = {{0}};
    int64_t count = head->rows * head->columns, most = 6 * head->best, error = 0;
    float *rows = malloc((size_t)(count + most) * sizeof *rows), *got = rows + (most ? count : 0);
    if (!rows) return sac__fail(SAC_ENOMEM, "out of memory for the head");
    if (most) count = most;
    *equal_out = 1;
    for (int64_t n = 0; !error && *equal_out && n < out->shape[0]; n++) {
        raw_of(graph, head, raw, n, views);
        sac__head_rows(head, views, rows);
        if (most) error = sac__head_best(head, rows, got);
        for (int64_t k = 0; !error && *equal_out && k < count; k++) {
            float want = out->f[n * count + k];
            *equal_out = fabsf(got[k] - want) <= 1e-3f + 1e-4f * fabsf(want);
        }
    }
    free(rows);
    return (int)error;
}

static int probe(struct sac_graph *graph, const char *tail, const int raw[][2], int output,
                 struct sac_head_plan *head, int *equal_out)
{
    int error = fill_raw(graph, head, raw);
    if (error) return error;
    if (head->family == SAC__HEAD_V5) clear_sizes(graph, head, raw);
    error = sac__tail_eval(graph, tail, output);
    if (error) return error;
    if (head->family == SAC__HEAD_V5) learn_anchors(graph, output, head);
    return compare(graph, head, raw, output, equal_out);
}

int sac__head_probe(struct sac_graph *graph, const char *tail, const int raw[][2], int output,
                    struct sac_head_plan *head, int *equal_out)
{
    int64_t limit = graph->fold_limit, batch = graph->tensors[raw[0][0]].shape[0];
    *equal_out = 0;
    if (graph->tensors[output].shape[0] != batch || !graph->tensors[output].real) return 0;
    graph->fold_limit = MOST_TAIL;
    int error = probe(graph, tail, raw, output, head, equal_out);
    graph->fold_limit = limit;
    drop_all(graph, head, raw, output);
    return error;
}
