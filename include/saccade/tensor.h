// SPDX-License-Identifier: Apache-2.0
// Tensors: a pointer with a type, a shape and strides. The same bytes have two views, shaped
// (1,3,1280,1280) and flat (4915200).
#ifndef SACCADE_TENSOR_H
#define SACCADE_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "image.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Element types: name, value, DLPack type code, bits, numpy's name. Append only.
#define SAC_DTYPES(X)                                                                              \
    X(SAC_F32, 0, 2, 32, "float32")                                                                \
    X(SAC_F16, 1, 2, 16, "float16")                                                                \
    X(SAC_BF16, 2, 4, 16, "bfloat16")                                                              \
    X(SAC_U8, 3, 1, 8, "uint8")                                                                    \
    X(SAC_I8, 4, 0, 8, "int8")                                                                     \
    X(SAC_I32, 5, 0, 32, "int32")                                                                  \
    X(SAC_I64, 6, 0, 64, "int64")                                                                  \
    X(SAC_BOOL, 7, 6, 8, "bool")                                                                   \
    X(SAC_F64, 8, 2, 64, "float64")

#define SAC_DTYPE_ENUM(name, value, code, bits, text) name = value,
typedef enum sac_dtype { SAC_DTYPES(SAC_DTYPE_ENUM) SAC_DTYPE_COUNT } sac_dtype;
#undef SAC_DTYPE_ENUM

/// Most dimensions that a tensor has.
#define SAC_MAX_DIMS 8

/// A tensor. A value that borrows its memory unless sac_tensor_alloc made it.
typedef struct sac_tensor {
    void *data;        ///< first element
    sac_memory memory; ///< where data lives
    int32_t device;    ///< CUDA ordinal where memory is SAC_CUDA, else 0
    sac_dtype dtype;
    int32_t ndim;                  ///< 0 (a scalar) to SAC_MAX_DIMS
    int64_t shape[SAC_MAX_DIMS];   ///< extents, each ≥ 0
    int64_t strides[SAC_MAX_DIMS]; ///< in elements, not bytes
    void *owned;                   ///< what sac_tensor_free gives back; NULL when borrowed
} sac_tensor;

/// Bytes an element takes; 0 for an unknown type.
SAC_API size_t sac_dtype_bytes(sac_dtype dtype);

/// The type's name as numpy spells it ("float32"); "unknown" otherwise. Static storage.
SAC_API const char *sac_dtype_name(sac_dtype dtype);

/// Describes contiguous host memory of the caller's own. Errors: SAC_EINVAL.
SAC_API int sac_tensor_wrap(sac_tensor *tensor_out, void *data, sac_dtype dtype, int ndim,
                            const int64_t *shape);

/// Takes zeroed contiguous host memory, 64-byte aligned. Free with sac_tensor_free.
/// Errors: SAC_EINVAL (negative extent, or a size beyond the address space), SAC_ENOMEM.
SAC_API int sac_tensor_alloc(sac_tensor *tensor_out, sac_dtype dtype, int ndim,
                             const int64_t *shape);

/// Frees what sac_tensor_alloc or an engine took (also when that has been closed since) and zeroes
/// the structure. NULL is allowed.
SAC_API void sac_tensor_free(sac_tensor *tensor);

/// Number of elements: the product of the shape (1 for a scalar).
SAC_API int64_t sac_tensor_count(const sac_tensor *tensor);

/// Size of a contiguous tensor in bytes.
SAC_API size_t sac_tensor_bytes(const sac_tensor *tensor);

/// Nonzero when the strides are those of a contiguous row-major tensor.
SAC_API int sac_tensor_is_contiguous(const sac_tensor *tensor);

/// The flat view: the same bytes with one dimension. Errors: SAC_EINVAL when not contiguous.
SAC_API int sac_tensor_flatten(sac_tensor *flat_out, const sac_tensor *tensor);

/// Another shape over the same bytes, as long as the count stays. Errors: SAC_EINVAL.
SAC_API int sac_tensor_reshape(sac_tensor *shaped_out, const sac_tensor *tensor, int ndim,
                               const int64_t *shape);

/// Pixels as a tensor: (height,width,channels) SAC_U8, borrowed, with the picture's own stride.
/// Errors: SAC_EINVAL (NV12, or a stride that is negative).
SAC_API int sac_tensor_from_image(sac_tensor *tensor_out, const sac_image *image);

/// A tensor as a picture: SAC_U8 (height,width,channels), or (height,width) for SAC_GRAY8, with
/// pixels side by side and rows at any stride; borrowed. Errors: SAC_EINVAL.
SAC_API int sac_image_from_tensor(sac_image *image_out, const sac_tensor *tensor,
                                  sac_pixel_format format);

/// Fills a `DLTensor` of dlpack.h, by which other libraries take the memory without a copy; it
/// borrows data, shape and strides from `tensor`. Errors: SAC_EINVAL.
SAC_API int sac_tensor_to_dlpack(const sac_tensor *tensor, void *dltensor_out);

/// The tensor that a `DLTensor` of dlpack.h describes, borrowed: host, page-locked or CUDA memory.
/// Errors: SAC_EINVAL, SAC_EUNSUPPORTED (another device or element type).
SAC_API int sac_tensor_from_dlpack(sac_tensor *tensor_out, const void *dltensor);

#ifdef __cplusplus
}
#endif
#endif
