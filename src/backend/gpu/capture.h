// SPDX-License-Identifier: Apache-2.0
// Work on a stream as a CUDA graph.
#ifndef SAC_GPU_CAPTURE_H
#define SAC_GPU_CAPTURE_H

#include "gpu.h"

/// What is captured; it may be enqueued as often as one likes.
struct sac_gpu_work {
    int (*enqueue)(void *state, cudaStream_t stream);
    void *state;
};

/// Runs the work once, so that its kernels are loaded (CUDA loads them at first use, which a
/// capture need not allow; TensorRT too asks for a run first) and its errors come out here; then
/// captures it. `stream` is non-blocking, the device current. *exec_out is NULL or to be destroyed,
/// also after a failure.
int sac__gpu_capture(cudaGraphExec_t *exec_out, const struct sac_gpu_work *work,
                     cudaStream_t stream);

#endif
