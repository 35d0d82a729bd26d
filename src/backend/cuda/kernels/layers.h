// SPDX-License-Identifier: Apache-2.0
// Launches of all layers but convolutions: one structure, one function a kind.
#ifndef SAC_CUDA_LAYERS_H
#define SAC_CUDA_LAYERS_H

#include <cuda_runtime_api.h>

#include <stdbool.h>

#include "backend/cuda/graph/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/// A view in device memory: pixel p's channels start at data + p·pitch elements. All but COPY's are
/// aligned to 8 channels.
struct sac_map {
    void *data; ///< NULL: none
    int n, height, width;
    int channels; ///< in, residual: of the view; out: as many as are written, padding included
    int pitch;
};

/// One layer, ready to launch.
struct sac_task {
    enum sac_layer_kind kind;
    int half; ///< activations and DEPTHWISE weights are half; else float
    struct sac_map out[SAC__PARTS], in, residual;
    int out_count;
    int channels; ///< COPY, ADD, ACTIVATION: those that are not padding
    struct sac_window window;
    enum sac__act act;
    float alpha;
    const void *weights; ///< DEPTHWISE: (R,S,C), C rounded up to 8
    const float *bias;   ///< DEPTHWISE: C
    int heads, key, value, areas;
    float scale;
    int processors; ///< of the GPU
};

/// A layer of a plan whose arena is at `arena`, any kind but CONV; weights, bias and processors are
/// left zero.
void sac__task_describe(struct sac_task *task_out, const struct sac_plan *plan,
                        const struct sac_layer *layer, void *arena);

/// Launches a layer on the stream, with programmatic dependent launch. Errors: SAC_EBACKEND.
int sac__task_launch(const struct sac_task *task, cudaStream_t stream);

/// What sac__task_launch would run.
const char *sac__task_kernel(const struct sac_task *task);

/// Whether sac__pool_runs_launch can run a pool: the windows that networks have, faster.
bool sac__pool_runs(const struct sac_task *task);
int sac__pool_runs_launch(const struct sac_task *task, cudaStream_t stream);

// By kind; sac__task_launch finds them in its table.
int sac__depthwise_launch(const struct sac_task *task, cudaStream_t stream);
int sac__pool_launch(const struct sac_task *task, cudaStream_t stream);
int sac__upsample_launch(const struct sac_task *task, cudaStream_t stream);
int sac__attention_launch(const struct sac_task *task, cudaStream_t stream);
int sac__pixelwise_launch(const struct sac_task *task, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
