// SPDX-License-Identifier: Apache-2.0
// Chained max pools of one odd window k with stride 1 are pools of k, 2k-1, 3k-2, … of the first
// one's input: one layer reads it once and writes all.
#include "convolution.h"
#include "graph/ops.h"

#include <string.h>

static int keeps_size(const struct sac_gnode *node)
{
    const struct sac_window *w = &node->window;
    for (int a = 0; a < 2; a++)
        if (w->stride[a] != 1 || w->dilation[a] != 1 || w->kernel[a] % 2 == 0 ||
            w->pad[a] != w->kernel[a] / 2 || w->pad[2 + a] != w->pad[a])
            return 0;
    return w->kernel[0] == w->kernel[1];
}

/// The live pool of the same window that reads a tensor; else SAC__NONE.
static int next_pool(const struct sac_graph *graph, int node)
{
    const struct sac_gnode *first = &graph->nodes[node];
    for (int n = node + 1; n < graph->node_count; n++) {
        const struct sac_gnode *next = &graph->nodes[n];
        if (next->dead || next->op != SAC__OP_POOL || next->inputs[0] != first->outputs[0])
            continue;
        if (!memcmp(&next->window, &first->window, sizeof next->window)) return n;
    }
    return SAC__NONE;
}

int sac__pass_sppf(struct sac_graph *graph)
{
    for (int n = 0; n < graph->node_count; n++) {
        if (graph->nodes[n].dead || graph->nodes[n].op != SAC__OP_POOL) continue;
        int outputs[SAC__PARTS] = {graph->nodes[n].outputs[0]}, count = 1, last = n;
        if (!keeps_size(&graph->nodes[n])) continue;
        while (count < SAC__PARTS && (last = next_pool(graph, last)) >= 0) {
            outputs[count++] = graph->nodes[last].outputs[0];
            graph->nodes[last].dead = 1;
            graph->tensors[outputs[count - 1]].producer = SAC__NONE;
        }
        if (count == 1) continue;
        graph->nodes[n].op = SAC__OP_POOLS;
        int error = sac__node_outputs(graph, n, outputs, count);
        if (error) return error;
    }
    return 0;
}
