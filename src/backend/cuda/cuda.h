// SPDX-License-Identifier: Apache-2.0
// What the files of the CUDA plugin share.
#ifndef SAC_CUDA_H
#define SAC_CUDA_H

#include "backend/cuda/graph/plan.h"
#include "backend/cuda/run/program.h"
#include "backend/gpu/gpu.h"

enum {
    SAC__CUDA_LEAST = 8, ///< compute capability, major: mma.sync on fp16 and cp.async
    SAC__CUDA_BINDINGS = 2
};

/// An opened network: the `state` of struct sac_backend.
struct cuda_engine {
    int device;
    sac_mode mode;
    sac_precision precision;
    struct sac_gpu_facts gpu;
    struct sac_plan *plan;
    struct sac_program *program;
    sac_binding bindings[SAC__CUDA_BINDINGS]; ///< the picture, the raw output
    struct sac_layer_facts *layers;           ///< plan->layer_count; their shapes point into `text`
    char (*text)[96];
    char where[256];
};

/// As sac_program_options.tune_seconds: 0 for the default, negative: nothing is to be timed.
double sac__cuda_tune_seconds(void);

/// Fills engine->layers. Errors: SAC_ENOMEM.
int sac__cuda_describe(struct cuda_engine *engine);

// The functions of struct sac_backend, described there.
int sac__cuda_open(void **state_out, struct sac_engine_facts *facts_out,
                   const struct sac_source *source, const sac_engine_options *options);
void sac__cuda_close(void *state);
int sac__cuda_layers(void *state, const struct sac_layer_facts **layers_out, size_t *count_out);
int sac__cuda_context_open(void **run_out, void *state);
int sac__cuda_frame_open(void **frame_out, void *state, const struct sac_frame_settings *settings);

#endif
