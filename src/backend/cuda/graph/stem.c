// SPDX-License-Identifier: Apache-2.0
// A stride-2 convolution over the picture's 3 channels is a stride-1 convolution over its 2×2
// space-to-depth form: 6×6 becomes 3×3, 3×3 becomes 2×2, over 12 channels in 16. Networks that make
// that form themselves, of four slices (YOLOX, YOLOv5 before 6.0), get it so too.
#include "convolution.h"
#include "graph/ops.h"
#include "trace.h"

#include <string.h>

/// floor(a / 2), also for negative a.
static int64_t half_down(int64_t a)
{
    return a < 0 ? -((1 - a) / 2) : a / 2;
}

static int is_stem(const struct sac_graph *graph, int node)
{
    const struct sac_gnode *n = &graph->nodes[node];
    const struct sac_window *w = &n->window;
    const struct sac_gtensor *x = &graph->tensors[graph->input];
    return !n->dead && n->op == SAC__OP_CONV && n->inputs[0] == graph->input &&
           sac__input(graph, node, 1)->f && x->shape[1] == 3 && x->shape[2] % 2 == 0 &&
           x->shape[3] % 2 == 0 && w->groups == 1 && w->stride[0] == 2 && w->stride[1] == 2 &&
           w->dilation[0] == 1 && w->dilation[1] == 1;
}

/// Where a tap lies in the folded input: relative cell, and which pixel of the cell.
static int64_t cell_of(int64_t tap, int64_t pad, int64_t *odd)
{
    int64_t cell = half_down(tap - pad);
    *odd = tap - pad - 2 * cell;
    return cell;
}

static void fold_weights(const struct sac_gtensor *old, struct sac_gtensor *new,
                         const int64_t pad[2])
{
    int64_t first[2], cells_h = new->shape[2], cells_w = new->shape[3], odd;
    for (int a = 0; a < 2; a++)
        first[a] = cell_of(0, pad[a], &odd);
    for (int64_t k = 0; k < old->shape[0]; k++)
        for (int64_t c = 0; c < 3; c++)
            for (int64_t r = 0; r < old->shape[2]; r++)
                for (int64_t s = 0; s < old->shape[3]; s++) {
                    int64_t down, right;
                    int64_t y = cell_of(r, pad[0], &down) - first[0];
                    int64_t x = cell_of(s, pad[1], &right) - first[1];
                    int64_t channel = (2 * down + right) * 4 + c;
                    new->f[((k * SAC__STEM + channel) * cells_h + y) * cells_w + x] =
                        old->f[((k * 3 + c) * old->shape[2] + r) * old->shape[3] + s];
                }
}

static int fold_stem(struct sac_graph *graph, int node, int folded_input)
{
    struct sac_window window = graph->nodes[node].window;
    int old_weights = graph->nodes[node].inputs[1];
    int old_bias = graph->nodes[node].input_count > 2 ? graph->nodes[node].inputs[2] : SAC__NONE;
    const int64_t pad[2] = {window.pad[0], window.pad[1]};
    int64_t shape[4] = {graph->tensors[old_weights].shape[0], SAC__STEM, 0, 0}, odd;
    for (int a = 0; a < 2; a++) {
        int64_t first = cell_of(0, pad[a], &odd),
                last = cell_of(window.kernel[a] - 1, pad[a], &odd);
        graph->nodes[node].window.pad[a] = -first;
        graph->nodes[node].window.pad[2 + a] = last > 0 ? last : 0;
        graph->nodes[node].window.kernel[a] = shape[2 + a] = last - first + 1;
        graph->nodes[node].window.stride[a] = 1;
    }
    graph->nodes[node].stem_taps = (int)(3 * window.kernel[0] * window.kernel[1]);
    int error = sac__conv_weights(graph, node, shape);
    if (error) return error;
    fold_weights(&graph->tensors[old_weights], sac__input(graph, node, 1), pad);
    if (old_bias >= 0)
        memcpy(sac__input(graph, node, 2)->f, graph->tensors[old_bias].f,
               (size_t)shape[0] * sizeof(float));
    graph->nodes[node].inputs[0] = folded_input;
    return 0;
}

/// Whether an input of a Concat is every other pixel of the picture; then which of four,
/// 2·down+right.
static int quarter_of(const struct sac_graph *graph, int tensor)
{
    const struct sac_gtensor *x = &graph->tensors[graph->input], *t = &graph->tensors[tensor];
    int64_t first = 0, height = x->shape[2], width = x->shape[3], count = sac__tensor_count(t);
    float factor = 1;
    if (t->ndim != 4 || t->shape[0] != x->shape[0] || t->shape[1] != 3 ||
        t->shape[2] * 2 != height || t->shape[3] * 2 != width ||
        !sac__trace(graph, tensor, graph->input, &first, &factor))
        return -1;
    int64_t down = first / width, right = first % width;
    for (int64_t k = 0; k < 1000; k++) {
        int64_t flat = k < 999 ? k * 7919 % count : count - 1;
        int64_t column = flat % t->shape[3] * 2 + right, row = flat / t->shape[3] * 2 + down;
        if (!sac__trace(graph, tensor, graph->input, &flat, &factor) || factor != 1 ||
            flat != row * width + column)
            return -1;
    }
    return down < 2 && right < 2 ? (int)(2 * down + right) : -1;
}

/// Whether all readers of a Concat of the four quarters are convolutions that can take them folded.
static int is_folding(const struct sac_graph *graph, int concat, int quarters[4])
{
    const struct sac_gnode *node = &graph->nodes[concat];
    int readers = 0;
    if (node->dead || node->op != SAC__OP_CONCAT || node->axis != 1 || node->input_count != 4)
        return 0;
    for (int k = 0; k < 4; k++) {
        quarters[k] = node->inputs[k] >= 0 ? quarter_of(graph, node->inputs[k]) : -1;
        if (quarters[k] < 0) return 0;
    }
    for (int n = 0; n < graph->node_count; n++)
        readers += !graph->nodes[n].dead && graph->nodes[n].op == SAC__OP_CONV &&
                   graph->nodes[n].inputs[0] == node->outputs[0] && sac__input(graph, n, 1)->f &&
                   graph->nodes[n].window.groups == 1;
    return readers && readers == sac__tensor_uses(graph, node->outputs[0], NULL);
}

/// (K,12,R,S) to (K,16,R,S), channels as plan.h has them.
static int refold(struct sac_graph *graph, int node, int folded_input, const int quarters[4])
{
    int old_weights = graph->nodes[node].inputs[1];
    int old_bias = graph->nodes[node].input_count > 2 ? graph->nodes[node].inputs[2] : SAC__NONE;
    int64_t shape[4];
    memcpy(shape, graph->tensors[old_weights].shape, sizeof shape);
    int64_t area = shape[2] * shape[3];
    shape[1] = SAC__STEM;
    int error = sac__conv_weights(graph, node, shape);
    if (error) return error;
    const float *from = graph->tensors[old_weights].f;
    float *to = sac__input(graph, node, 1)->f;
    for (int64_t k = 0; k < shape[0]; k++)
        for (int c = 0; c < 12; c++)
            memcpy(to + (k * SAC__STEM + quarters[c / 3] * 4 + c % 3) * area,
                   from + (k * 12 + c) * area, (size_t)area * sizeof *to);
    if (old_bias >= 0)
        memcpy(sac__input(graph, node, 2)->f, graph->tensors[old_bias].f,
               (size_t)shape[0] * sizeof(float));
    graph->nodes[node].stem_taps = (int)(12 * area);
    graph->nodes[node].inputs[0] = folded_input;
    return 0;
}

/// The Concat that alone reads the picture, folded; SAC__NONE where there is none.
static int find_folding(const struct sac_graph *graph, int quarters[4])
{
    for (int n = 0; n < graph->node_count; n++) {
        if (!is_folding(graph, n, quarters)) continue;
        int sum = 0;
        for (int k = 0; k < 4; k++)
            sum += 1 << quarters[k];
        for (int other = 0; sum == 15 && other < graph->node_count; other++)
            if (!graph->nodes[other].dead && other != n && !sac__node_moves(graph, other))
                for (int k = 0; k < graph->nodes[other].input_count; k++) {
                    int t = graph->nodes[other].inputs[k];
                    if (t >= 0 && sac__trace_origin(graph, t) == graph->input) sum = 0;
                }
        if (sum == 15) return n;
    }
    return SAC__NONE;
}

static int add_folded(struct sac_graph *graph, int *folded_out)
{
    const int64_t *in = graph->tensors[graph->input].shape;
    int64_t shape[4] = {in[0], SAC__STEM, in[2] / 2, in[3] / 2};
    *folded_out = sac__tensor_add(graph, graph->tensors[graph->input].name);
    if (*folded_out < 0) return sac__fail(SAC_ENOMEM, "out of memory for the input");
    graph->tensors[*folded_out].real = 1;
    return sac__tensor_shape(graph, *folded_out, 4, shape);
}

static int unfold(struct sac_graph *graph, int concat, const int quarters[4])
{
    int folded, made = graph->nodes[concat].outputs[0];
    int error = add_folded(graph, &folded);
    for (int n = 0; !error && n < graph->node_count; n++)
        if (!graph->nodes[n].dead && graph->nodes[n].op == SAC__OP_CONV &&
            graph->nodes[n].inputs[0] == made)
            error = refold(graph, n, folded, quarters);
    graph->input = folded;
    sac__graph_sweep(graph);
    return error;
}

int sac__pass_stem(struct sac_graph *graph)
{
    int stems = 0, folded, quarters[4], concat = find_folding(graph, quarters);
    if (concat >= 0) return unfold(graph, concat, quarters);
    for (int n = 0; n < graph->node_count; n++)
        stems += is_stem(graph, n);
    if (!stems || stems != sac__tensor_uses(graph, graph->input, NULL)) return 0;
    int error = add_folded(graph, &folded);
    for (int n = 0; !error && n < graph->node_count; n++)
        if (is_stem(graph, n)) error = fold_stem(graph, n, folded);
    graph->input = folded;
    return error;
}
