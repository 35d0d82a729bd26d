// SPDX-License-Identifier: Apache-2.0
// The pixel and box kernels for CUDA: letterbox, head, NMS and the network's own rows, all of them
// a batch of pictures at a time and equal to the C set bit for bit.
//
// Whatever changes from picture to picture lies in one block of memory that the device reads
// (struct sac__batch), so that a captured CUDA graph never changes: fill the block in page-locked
// memory, have the graph copy it to the device as its first node, and launch with the device's
// address. (The device can also read the page-locked block itself; each read then crosses the bus.)
//
// Launchers only enqueue: no allocation, no waiting. They return 0 or SAC_EBACKEND,
// SAC_EUNSUPPORTED after sac__fail. `overlap`: the kernel may start before the one before it in the
// stream has ended (programmatic dependent launch); it still reads and writes nothing before that
// one is complete.
#ifndef SAC_OPS_CUDA_H
#define SAC_OPS_CUDA_H

#include <cuda_runtime_api.h>

#include "ops/math/letterbox.h"
#include "ops/math/maps.h"
#include "ops/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- what changes from picture to picture -------------------------------------------------------

/// One picture of a batch. Written by sac__batch_picture.
struct sac__picture {
    struct sac__pixels src;  ///< src.data NULL: the letterbox leaves this place of the input alone
    sac_letterbox fit;
    double scale_x, scale_y; ///< source pixels a resized pixel
    const uint8_t *luma_end, *chroma_end; ///< just behind the last byte that may be read
    struct sac__map map;     ///< back to source pixels
};

/// A batch: this, then `capacity` pictures, then a byte a class (nonzero: wanted).
struct sac__batch {
    int32_t capacity, classes;
    int32_t count;       ///< pictures in use; the others are left alone and have no boxes
    int32_t max_det, agnostic, multi_label;
    int32_t filtered;    ///< nonzero: only classes that are wanted
    int32_t compat, whole; ///< for sac__picture.map
    float conf, iou;
    float limit; ///< sac__maps_limit(conf)
};

/// Bytes of the block for at most `capacity` pictures and a head of `classes` classes.
size_t sac__batch_bytes(int capacity, int classes);

/// Makes the block at `batch` (16-byte aligned, sac__batch_bytes) an empty batch.
void sac__batch_start(struct sac__batch *batch, int capacity, int classes);

/// Sets the thresholds of all pictures; before sac__batch_picture, which reads `compat`. Checked as
/// sac_head_read checks. Errors: SAC_EINVAL.
int sac__batch_nms(struct sac__batch *batch, const sac_nms *nms, sac_head_family family);

/// Sets picture `index`; `count` becomes at least index + 1 (set it lower where fewer follow).
/// `image` is one that the device can read (SAC_HOST_PINNED with the address it has on the device,
/// or SAC_CUDA); NULL: for boxes only. `fit` is for the input's extents. `pixels` matters with an
/// image; its pad and no_scaling must be those of the input.
/// Errors: SAC_EINVAL, SAC_EUNSUPPORTED (format or memory).
int sac__batch_picture(struct sac__batch *batch, int index, const sac_image *image,
                       const sac_letterbox *fit, const sac_pixels *pixels);

static inline struct sac__picture *sac__batch_pictures(struct sac__batch *batch)
{
    return (struct sac__picture *)(void *)(batch + 1);
}

// ---- the network's input ------------------------------------------------------------------------

/// How an input lies in memory.
enum sac__input_layout {
    SAC__INPUT_NCHW,  ///< (N,3,H,W): F32, F16, U8
    SAC__INPUT_NHWC,  ///< (N,H,W,8): channels 3 to 7 are zero; F32, F16
    SAC__INPUT_FOLDED ///< (N,H/2,W/2,16): channel (2·(y&1)+(x&1))·4+c, zero for c = 3; F32, F16
};

struct sac__input {
    void *data; ///< on the device; NHWC and FOLDED: 16-byte aligned
    enum sac__input_layout layout;
    sac_dtype dtype;
    int32_t n, height, width; ///< FOLDED: height and width even
    int32_t pad;              ///< 0 to 255
    int32_t scaled;           ///< nonzero: values 0 to 1, else 0 to 255 (U8: never scaled)
};

/// All pictures of the batch into the input, one kernel. The batch has room for input_out->n.
int sac__letterbox_cuda(const struct sac__input *input_out, const struct sac__batch *batch,
                        cudaStream_t stream, int overlap);

/// An input of the caller's own, `values` (N,3,H,W) of F32, F16 or U8 on the device, into the
/// network's layout (values as they are: U8 becomes 0 to 255; pad and scaled do not matter).
int sac__input_cuda(const struct sac__input *input_out, const void *values, sac_dtype dtype,
                    cudaStream_t stream, int overlap);

// ---- boxes --------------------------------------------------------------------------------------

/// Counts of a picture, as in sac_detections.
struct sac__found {
    int64_t count, passed, nonfinite, overflow;
};

/// Where boxes go, and what finding them takes. n pictures of `rows` rows each.
struct sac__boxes {
    sac_detection *items;      ///< picture k's from items[k · capacity] on; device or page-locked
    struct sac__found *found;  ///< n; device or page-locked
    int32_t capacity;          ///< boxes a picture: at least the smaller of max_det and 30000
    void *workspace;           ///< sac__boxes_workspace bytes on the device; before its first use
                               ///< and after a failure all zero, 256-byte aligned
    int32_t n;
    int32_t multi_label;       ///< whether the workspace was sized for it; if not, the batch's
                               ///< multi_label is taken as 0
    int32_t blocks;            ///< that share a picture's NMS; 0: as suits the GPU
    const struct sac__batch *batch;
};

/// Bytes. `multi_label`: whether sac_nms.multi_label may be set; then a row needs room for all of
/// its classes. 0: rows · classes is beyond what the kernels count.
size_t sac__boxes_workspace(int n, int64_t rows, int classes, int multi_label);

/// From raw maps: those of picture 0; picture k's are picture_step elements further each. Equal to
/// sac__ops_maps.
int sac__boxes_maps_cuda(const struct sac__boxes *boxes_out, const struct sac__maps *maps,
                         cudaStream_t stream, int overlap);

/// From rows of any family: those of picture 0; picture k's are k · picture_step elements further.
/// rows->first is 0. Equal to sac__ops_boxes.
int sac__boxes_rows_cuda(const struct sac__boxes *boxes_out, const struct sac__rows *rows,
                         int64_t picture_step, cudaStream_t stream, int overlap);

// ---- the file's own output ----------------------------------------------------------------------

/// Raw maps of n pictures → the output that the file has: V5 (N,rows,5+nc), V8 (N,4+nc,rows), F32
/// or F16 (F32 rounded once). Equal to sac__maps_row_v5 and sac__maps_row_v8 with every score
/// computed.
int sac__rows_cuda(void *rows_out, sac_dtype dtype, const struct sac__maps *maps, int n,
                   cudaStream_t stream, int overlap);

/// End to end: V8 raw maps of n pictures → (N,best,6) of x1,y1,x2,y2,score,class as sac__head_best
/// has it, F32 or F16. `best`: at most SAC__MOST_BEST and the rows of the maps. `scratch`:
/// sac__best_scratch bytes on the device, 16-byte aligned.
enum { SAC__MOST_BEST = 1024 };
size_t sac__best_scratch(int n, int64_t rows, int classes, int64_t best);
int sac__best_cuda(void *best_out, sac_dtype dtype, const struct sac__maps *maps, int n,
                   int64_t best, void *scratch, cudaStream_t stream, int overlap);

#ifdef __cplusplus
}
#endif
#endif
