// SPDX-License-Identifier: Apache-2.0
// Pictures on their way to the device.
#ifndef SAC_GPU_UPLOAD_H
#define SAC_GPU_UPLOAD_H

#include "gpu.h"

/// Where a picture's pixels are read from: in place, or from a copy in the upload buffer.
struct sac_gpu_picture {
    sac_image image; ///< data and strides as kernels read them
    sac_letterbox fit;
    int copied;      ///< nonzero: from bytes `offset` on of the upload buffer
    size_t offset;
};

/// Looks up where the picture lies, of which letterbox `fit` is made, and gives it a place behind
/// the first *bytes of the upload buffer where it needs one; *bytes grows then. `device` is
/// current. Device memory is read in place, page-locked memory too where read_pinned is nonzero.
/// Errors: SAC_EINVAL (memory of another device, or not what image->memory says).
int sac__upload_plan(struct sac_gpu_picture *picture_out, size_t *bytes, const sac_image *image,
                     const sac_letterbox *fit, int device, int read_pinned);

/// Enqueues the copy of a picture that needs one, and completes picture->image. Rows that the
/// letterbox gives no weight may be left as they are in the buffer, which has been written to.
int sac__upload_start(struct sac_gpu_picture *picture, void *buffer, const sac_image *image,
                      cudaStream_t stream);

#endif
