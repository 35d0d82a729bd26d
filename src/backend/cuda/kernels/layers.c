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
