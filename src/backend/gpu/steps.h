// SPDX-License-Identifier: Apache-2.0
// The steps around a network one by one, in the stream of a context: copy, letterbox, boxes.
#ifndef SAC_GPU_STEPS_H
#define SAC_GPU_STEPS_H

#include "boxes.h"
#include "upload.h"

enum { SAC__STEPS = 4 }; ///< letterboxes under way before the next one waits for the first

/// A letterbox under way: what its kernel reads.
struct sac_gpu_step {
    struct sac__batch *batch; ///< page-locked
    void *device_batch;
    int capacity; ///< pictures that the batch block has room for
    void *upload;
    size_t upload_bytes;
    cudaEvent_t used; ///< behind the last kernel that read them
};

/// Zero before its first use; all functions with the device current.
struct sac_gpu_steps {
    int device;
    struct sac_gpu_step steps[SAC__STEPS];
    unsigned next;
    struct sac_gpu_boxes boxes;
};

/// Waits for nothing: the stream has come to rest.
void sac__gpu_steps_close(struct sac_gpu_steps *steps);

/// The members of struct sac_backend, in a stream. Memory is taken at first use and for larger
/// pictures and outputs.
int sac__gpu_copy(const sac_tensor *dst, const sac_tensor *src, cudaStream_t stream);
int sac__gpu_letterbox(struct sac_gpu_steps *steps, const sac_tensor *input, int64_t index,
                       const sac_image *image, const sac_letterbox *letterbox,
                       const sac_pixels *pixels, cudaStream_t stream);
int sac__gpu_boxes(struct sac_gpu_steps *steps, const sac_tensor *output, int64_t index,
                   const sac_head *head, const sac_letterbox *letterbox, const sac_nms *nms,
                   struct sac_frame_found *found_out, cudaStream_t stream);

#endif
