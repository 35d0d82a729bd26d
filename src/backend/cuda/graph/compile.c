// SPDX-License-Identifier: Apache-2.0
// ONNX bytes to a plan: the order of the passes.
#include "plan.h"

#include <stdlib.h>
#include <string.h>

static double total_flop(const struct sac_graph *graph)
{
    double sum = 0;
    for (int n = 0; n < graph->node_count; n++)
        if (!graph->nodes[n].dead) sum += sac__node_flop(graph, n);
    return sum;
}

static int rewrite(struct sac_graph *graph)
{
    static int (*const passes[])(struct sac_graph *) = {
        sac__pass_rewrite, sac__pass_fuse,  sac__pass_attention, sac__pass_sppf,
        sac__pass_merge,   sac__pass_split, sac__pass_upsample,  sac__pass_stem};
    for (size_t k = 0; k < sizeof passes / sizeof *passes; k++) {
        int error = passes[k](graph);
        if (error) return error;
    }
    sac__graph_sweep(graph);
    return 0;
}

struct source {
    const void *onnx;
    size_t size;
    const int64_t *shape;
};

/// The tail does the same for each picture, so one is enough to know it by: where the batch is
/// open, opens the network for one picture too. NULL where that cannot be.
static struct sac_graph *open_single(const struct source *source, int64_t batch)
{
    struct sac_graph *single = NULL;
    int64_t shape[4];
    if (batch == 1) return NULL;
    memcpy(shape, source->shape, sizeof shape);
    shape[0] = 1;
    if (sac__graph_import(&single, source->onnx, source->size, shape)) return NULL;
    if (sac__graph_fold(single)) sac__graph_close(&single);
    return single;
}

static int find_head(struct sac_graph *graph, struct sac_plan *plan, const struct source *source)
{
    struct sac_graph *single = open_single(source, graph->tensors[graph->input].shape[0]);
    int error = sac__pass_head(graph, single, &plan->head);
    sac__graph_close(&single);
    if (error || plan->head.level_count) return error;
    error = sac__tail_open(&plan->tail, source->onnx, source->size, source->shape);
    return error ? error : sac__pass_tail(graph, plan->tail, &plan->head);
}

static int build(struct sac_graph *graph, struct sac_plan *plan, const struct source *source)
{
    struct sac_place *places = NULL;
    int picture = graph->input;
    plan->input_type = graph->input_type;
    plan->output_type = graph->output_type;
    plan->output_count = graph->output_count;
    int error = sac__graph_fold(graph);
    if (error) return error;
    const struct sac_gtensor *output = &graph->tensors[graph->outputs[0]];
    plan->output_ndim = output->ndim;
    memcpy(plan->output_shape, output->shape, sizeof plan->output_shape);
    error = find_head(graph, plan, source);
    if (error) return error;
    memcpy(plan->input_shape, graph->tensors[picture].shape, sizeof plan->input_shape);
    plan->network_flop = total_flop(graph);
    error = rewrite(graph);
    plan->folded = graph->input != picture;
    if (!error) error = sac__pass_layout(graph, plan, &places);
    if (!error) error = sac__pass_lower(graph, plan, places);
    if (!error) error = sac__pass_schedule(plan);
    if (error) return error;
    sac__pass_chain(plan);
    return sac__pass_memory(plan);
}

int sac__plan_open(struct sac_plan **plan_out, const void *onnx, size_t size,
                   const int64_t shape[4], size_t element_size)
{
    struct sac_graph *graph;
    *plan_out = NULL;
    if (element_size != 2 && element_size != 4)
        return sac__fail(SAC_EINVAL, "activations of %zu bytes", element_size);
    int error = sac__graph_import(&graph, onnx, size, shape);
    if (error) return error;
    struct sac_plan *plan = calloc(1, sizeof *plan);
    if (!plan) error = sac__fail(SAC_ENOMEM, "out of memory for a plan");
    if (plan) {
        plan->element_size = element_size;
        error = build(graph, plan, &(struct source){onnx, size, shape});
    }
    sac__graph_close(&graph);
    if (error) sac__plan_close(&plan);
    *plan_out = plan;
    return error;
}

void sac__plan_close(struct sac_plan **plan)
{
    struct sac_plan *p = *plan;
    if (!p) return;
    for (int k = 0; p->layers && k < p->layer_count; k++)
        free(p->layers[k].name);
    for (int k = 0; p->buffers && k < p->buffer_count; k++)
        free(p->buffers[k].name);
    free(p->layers);
    free(p->buffers);
    sac__tail_close(&p->tail);
    free(p->weights);
    free(p);
    *plan = NULL;
}
