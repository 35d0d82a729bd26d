// SPDX-License-Identifier: Apache-2.0
// A run of a network by itself: its bindings in host or device memory, copies where they are
// needed, in a stream of its own or the caller's. The network is whatever the backend says.
#ifndef SAC_GPU_RUN_H
#define SAC_GPU_RUN_H

#include "gpu.h"

/// The network of one run, for it alone.
struct sac_gpu_runner {
    void *state;
    /// Enqueues from inputs to outputs. addresses: device memory a binding, in their order.
    int (*enqueue)(void *state, void *const *addresses, cudaStream_t stream);
    int (*result)(void *state); ///< of a run that is done, where that may yet fail; else NULL
    void (*close)(void *state);
    // For networks with open extents, else NULL: an input's shape from now on, and the shape that
    // an output will have.
    int (*set_shape)(void *state, size_t index, const int64_t *shape);
    int (*get_shape)(void *state, size_t index, int32_t *ndim_out, int64_t *shape_out);
};

/// What a run needs to know of its engine; borrowed until the run is closed.
struct sac_gpu_run_facts {
    int device;
    sac_mode mode;
    const sac_binding *bindings; ///< inputs first
    size_t binding_count;
    const size_t *most_bytes; ///< a binding; NULL: all are static
};

/// The functions of struct sac_backend. sac__run_open takes runner->state over, whatever happens.
int sac__run_open(void **run_out, const struct sac_gpu_run_facts *facts,
                  const struct sac_gpu_runner *runner);
void sac__run_close(void *run);
int sac__run_bind(void *run, size_t index, const sac_tensor *tensor);
int sac__run_enqueue(void *run);
int sac__run_wait(void *run);
int sac__run_done(void *run);
int sac__run_tensor(void *run, size_t index, sac_tensor *tensor_out);
int sac__run_stream(void *run, void *stream);
int sac__run_copy(void *run, const sac_tensor *dst, const sac_tensor *src);
int sac__run_letterbox(void *run, const sac_tensor *input, int64_t index, const sac_image *image,
                       const sac_letterbox *letterbox, const sac_pixels *pixels);
int sac__run_boxes(void *run, const sac_tensor *output, int64_t index, const sac_head *head,
                   const sac_letterbox *letterbox, const sac_nms *nms,
                   struct sac_frame_found *found_out);

#endif
