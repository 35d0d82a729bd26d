// SPDX-License-Identifier: Apache-2.0
// A stride-2 convolution over the picture's 3 channels is a stride-1 convolution over its 2×2
// space-to-depth form: 6×6 becomes 3×3, 3×3 becomes 2×2, over 12 channels in 16.
#include "convolution.h"
#include "graph/ops.h"

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

int sac__pass_stem(struct sac_graph *graph)
{
    const int64_t *in = graph->tensors[graph->input].shape;
    int64_t shape[4] = {in[0], SAC__STEM, in[2] / 2, in[3] / 2};
    int stems = 0;
    for (int n = 0; n < graph->node_count; n++)
        stems += is_stem(graph, n);
    if (!stems || stems != sac__tensor_uses(graph, graph->input, NULL)) return 0;
    int folded = sac__tensor_add(graph, graph->tensors[graph->input].name);
    if (folded < 0) return sac__fail(SAC_ENOMEM, "out of memory for the input");
    int error = sac__tensor_shape(graph, folded, 4, shape);
    for (int n = 0; !error && n < graph->node_count; n++)
        if (is_stem(graph, n)) error = fold_stem(graph, n, folded);
    graph->input = folded;
    return error;
}
