// SPDX-License-Identifier: Apache-2.0
// The memory that finding boxes takes, for a frame and for the step by itself.
#ifndef SAC_GPU_BOXES_H
#define SAC_GPU_BOXES_H

#include "gpu.h"
#include "ops/cuda/ops.h"

/// What it is taken for.
struct sac_gpu_boxes_size {
    int pictures;
    int64_t rows; ///< a picture
    int32_t classes, max_det;
    int multi_label;
};

/// Zero before it is opened.
struct sac_gpu_boxes {
    struct sac_gpu_boxes_size size;
    int32_t capacity;         ///< boxes a picture
    struct sac__batch *batch; ///< page-locked; empty at first
    void *device_batch;
    size_t batch_bytes;
    void *workspace;
    /// Result block: counts of all pictures, then `capacity` boxes of each; page-locked.
    void *found;
    void *device_found;
    size_t found_bytes;
};

/// Takes the memory; the device is current. After a failure the rest is still to be closed.
/// Errors: SAC_ENOMEM, SAC_EUNSUPPORTED (more rows than the kernels count), SAC_EBACKEND.
int sac__gpu_boxes_open(struct sac_gpu_boxes *boxes, const struct sac_gpu_boxes_size *size,
                        cudaStream_t stream);
/// Frees it and zeroes the structure; the stream has come to rest and the device is current.
void sac__gpu_boxes_close(struct sac_gpu_boxes *boxes);

/// What the kernels take, on the device.
struct sac__boxes sac__gpu_boxes_target(const struct sac_gpu_boxes *boxes);

/// Enqueue the copies of the batch block up and of the result block down.
int sac__gpu_boxes_send(const struct sac_gpu_boxes *boxes, cudaStream_t stream);
int sac__gpu_boxes_receive(const struct sac_gpu_boxes *boxes, cudaStream_t stream);

/// The first `count` pictures of what was received.
void sac__gpu_boxes_read(const struct sac_gpu_boxes *boxes, struct sac_frame_found *found_out,
                         size_t count);

#endif
