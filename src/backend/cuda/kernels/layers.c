// SPDX-License-Identifier: Apache-2.0
#include "layers.h"

static const struct {
    const char *name;
    int (*launch)(const struct sac_task *task, cudaStream_t stream);
} kinds[SAC__LAYER_COUNT] = {
    [SAC__LAYER_DEPTHWISE] = {"depthwise", sac__depthwise_launch},
    [SAC__LAYER_POOL] = {"maxpool", sac__pool_launch},
    [SAC__LAYER_POOLS] = {"maxpools", sac__pool_launch},
    [SAC__LAYER_UPSAMPLE] = {"upsample", sac__upsample_launch},
    [SAC__LAYER_ATTENTION] = {"attention", sac__attention_launch},
    [SAC__LAYER_ADD] = {"add", sac__pixelwise_launch},
    [SAC__LAYER_ACTIVATION] = {"activation", sac__pixelwise_launch},
    [SAC__LAYER_COPY] = {"copy", sac__pixelwise_launch},
};

static struct sac_map map_of(const struct sac_plan *plan, const struct sac_view *view, void *arena)
{
    if (view->buffer < 0) return (struct sac_map){0};
    const struct sac_buffer *b = &plan->buffers[view->buffer];
    return (struct sac_map){(char *)arena + b->offset + (size_t)view->channel * plan->element_size,
                            (int)b->n,
                            (int)b->height,
                            (int)b->width,
                            (int)view->channels,
                            (int)b->pitch};
}

void sac__task_describe(struct sac_task *task_out, const struct sac_plan *plan,
                        const struct sac_layer *layer, void *arena)
{
    *task_out = (struct sac_task){.kind = layer->kind,
                                  .half = plan->element_size == 2,
                                  .in = map_of(plan, &layer->in, arena),
                                  .residual = map_of(plan, &layer->residual, arena),
                                  .out_count = layer->out_count,
                                  .channels = (int)layer->out[0].channels,
                                  .window = layer->window,
                                  .act = layer->act,
                                  .alpha = layer->alpha,
                                  .heads = layer->heads,
                                  .key = layer->key,
                                  .value = layer->value,
                                  .areas = layer->areas,
                                  .scale = layer->scale};
    for (int k = 0; k < layer->out_count; k++) {
        task_out->out[k] = map_of(plan, &layer->out[k], arena);
        task_out->out[k].channels = (int)sac__view_width(plan, &layer->out[k]);
    }
}

int sac__task_launch(const struct sac_task *task, cudaStream_t stream)
{
    if (!kinds[task->kind].launch)
        return sac__fail(SAC_EUNSUPPORTED, "no kernel for layers of kind %d", (int)task->kind);
    return kinds[task->kind].launch(task, stream);
}

const char *sac__task_kernel(const struct sac_task *task)
{
    return kinds[task->kind].name ? kinds[task->kind].name : "none";
}
