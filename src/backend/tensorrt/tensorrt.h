// SPDX-License-Identifier: Apache-2.0
// What the files of the TensorRT plugin share.
#ifndef SAC_TENSORRT_H
#define SAC_TENSORRT_H

#include "backend/gpu/gpu.h"
#include "nvinfer.h"

/// The libraries, opened on first use and kept. Errors: SAC_EDEVICE.
int sac__tensorrt_library(struct sac_trt **trt_out);

/// An opened engine: the `state` of struct sac_backend.
struct tensorrt_engine {
    int device;
    sac_mode mode;
    struct sac_trt_engine *engine;
    struct sac_trt_tensor *tensors; ///< count of them, inputs first
    sac_binding *bindings;
    size_t *most_bytes;
    size_t count;
    char where[256];
};

// The functions of struct sac_backend, described there.
int sac__tensorrt_open(void **state_out, struct sac_engine_facts *facts_out,
                       const struct sac_source *source, const sac_engine_options *options);
void sac__tensorrt_close(void *state);
int sac__tensorrt_context_open(void **run_out, void *state);
int sac__tensorrt_frame_open(void **frame_out, void *state,
                             const struct sac_frame_settings *settings);

#endif
