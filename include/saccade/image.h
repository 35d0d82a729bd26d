// SPDX-License-Identifier: Apache-2.0
// Pictures: borrowed pixels, or pixels opened from a file or from a file's bytes.
#ifndef SACCADE_IMAGE_H
#define SACCADE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Where memory lives.
typedef enum sac_memory {
    SAC_HOST = 0,        ///< ordinary memory
    SAC_HOST_PINNED = 1, ///< page-locked memory that a GPU can copy from directly
    SAC_CUDA = 2         ///< memory of a CUDA device
} sac_memory;

/// Order of the 8-bit channels of a pixel, rows top to bottom.
typedef enum sac_pixel_format {
    SAC_BGR8 = 0, ///< (H,W,3), OpenCV's order; what sac_image_open gives
    SAC_RGB8 = 1,
    SAC_BGRA8 = 2, ///< (H,W,4), the fourth channel is ignored
    SAC_RGBA8 = 3,
    SAC_GRAY8 = 4, ///< (H,W)
    SAC_NV12 = 5   ///< (H,W) luma, then (H/2,W/2,2) chroma U, V; extents rounded up
} sac_pixel_format;

/// A picture. A value: copy it freely, release it once.
typedef struct sac_image {
    const uint8_t *data; ///< top-left pixel, (height,width,channels) bytes
    ptrdiff_t stride;    ///< bytes from a row to the next; may be negative (bottom-up pictures)
    int32_t width;       ///< pixels, ≥ 1
    int32_t height;      ///< pixels, ≥ 1
    sac_pixel_format format;
    sac_memory memory;
    int32_t device;         ///< CUDA ordinal where memory is SAC_CUDA, else 0
    const uint8_t *chroma;  ///< SAC_NV12 only: first chroma pair
    ptrdiff_t chroma_stride; ///< SAC_NV12 only: bytes from a chroma row to the next
    void (*release)(void *user); ///< called once by sac_image_release; NULL for borrowed pixels
    void *user;                  ///< handed to release
} sac_image;

/// How to open a picture. Zero-initialise, or pass NULL, for the defaults.
typedef struct sac_image_options {
    uint64_t max_pixels; ///< refuse width × height above this; 0 means SAC_IMAGE_MAX_PIXELS
    int raw_orientation; ///< nonzero: leave the EXIF or TIFF orientation unapplied
} sac_image_options;

/// Default limit on width × height: 2^28 pixels (16384 × 16384).
#define SAC_IMAGE_MAX_PIXELS (UINT64_C(1) << 28)

/// Opens JPEG, PNG, WebP, BMP, TIFF or GIF (first frame), told apart by content, as SAC_BGR8 in
/// host memory: orientation applied, alpha dropped, gray and palette made three channels, 16 bit
/// made 8, CMYK converted. A picture of which pixels are missing or damaged is refused, never
/// filled in; bytes after it do no harm. The pixels belong to image_out until sac_image_release.
/// Errors: SAC_EIO, SAC_EIMAGE (damaged, truncated or unknown), SAC_ELIMIT, SAC_ENOMEM, SAC_EINVAL.
/// After a failure image_out is all zero.
SAC_API int sac_image_open(sac_image *image_out, const char *path,
                           const sac_image_options *options);

/// As sac_image_open, from the size bytes of a picture file in memory (not kept).
SAC_API int sac_image_read(sac_image *image_out, const void *bytes, size_t size,
                           const sac_image_options *options);

/// Describes pixels of the caller's own in host memory; they must outlive image_out.
/// stride in bytes, 0 for tightly packed rows. Errors: SAC_EINVAL.
SAC_API int sac_image_wrap(sac_image *image_out, const void *data, int width, int height,
                           ptrdiff_t stride, sac_pixel_format format);

/// As sac_image_wrap for memory of any kind: page-locked (SAC_HOST_PINNED: a GPU copies from it
/// without detour) or of CUDA device `device` (0 for host memory). Errors: SAC_EINVAL.
SAC_API int sac_image_wrap_memory(sac_image *image_out, const void *data, int width, int height,
                                  ptrdiff_t stride, sac_pixel_format format, sac_memory memory,
                                  int device);

/// Describes an NV12 picture, as a video decoder leaves it, in memory of any kind: (height,width)
/// luma and (height/2,width/2,2) chroma, halves rounded up; strides in bytes, 0 for tightly packed
/// rows. Errors: SAC_EINVAL.
SAC_API int sac_image_wrap_nv12(sac_image *image_out, const void *luma, ptrdiff_t luma_stride,
                                const void *chroma, ptrdiff_t chroma_stride, int width, int height,
                                sac_memory memory, int device);

/// Gives the pixels back (calls release once) and zeroes the structure. NULL is allowed.
SAC_API void sac_image_release(sac_image *image);

/// Bytes a pixel of the format takes (1, 3 or 4; NV12: 1 for luma); 0 for an unknown format.
SAC_API int sac_pixel_bytes(sac_pixel_format format);

#ifdef __cplusplus
}
#endif
#endif
