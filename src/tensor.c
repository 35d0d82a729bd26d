// SPDX-License-Identifier: Apache-2.0
#include "tensor.h"

#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "error.h"

enum {
    ALIGNMENT = 64,      // a cache line, and the widest vector register
    HUGE_PAGE = 2 << 20, // tensors of two and more ask for them: a network's input is then written
    HUGE_FROM = 4 << 20, // up to twice as fast
};

size_t sac_dtype_bytes(sac_dtype dtype)
{
#define BYTES(name, value, code, bits, text) (bits) / 8,
    static const size_t bytes[] = {SAC_DTYPES(BYTES)};
#undef BYTES
    return (unsigned)dtype < SAC_DTYPE_COUNT ? bytes[dtype] : 0;
}

const char *sac_dtype_name(sac_dtype dtype)
{
#define NAME(name, value, code, bits, text) text,
    static const char *const names[] = {SAC_DTYPES(NAME)};
#undef NAME
    return (unsigned)dtype < SAC_DTYPE_COUNT ? names[dtype] : "unknown";
}

// Fills shape and row-major strides; refuses what cannot be addressed.
static int set_shape(sac_tensor *tensor, int ndim, const int64_t *shape)
{
    if (ndim < 0 || ndim > SAC_MAX_DIMS || (ndim > 0 && !shape))
        return sac__fail(SAC_EINVAL, "a tensor has 0 to %d dimensions, not %d", SAC_MAX_DIMS, ndim);
    if (!sac_dtype_bytes(tensor->dtype))
        return sac__fail(SAC_EINVAL, "unknown element type %d", (int)tensor->dtype);
    const int64_t most = PTRDIFF_MAX / (int64_t)sac_dtype_bytes(tensor->dtype);
    int64_t step = 1;
    for (int i = ndim - 1; i >= 0; i--) {
        if (shape[i] < 0 || (shape[i] > 0 && step > most / shape[i]))
            return sac__fail(SAC_EINVAL, "extent %lld of dimension %d is out of range",
                             (long long)shape[i], i);
        tensor->shape[i] = shape[i];
        tensor->strides[i] = step;
        step *= shape[i] ? shape[i] : 1;
    }
    tensor->ndim = ndim;
    return 0;
}

int sac_tensor_wrap(sac_tensor *tensor_out, void *data, sac_dtype dtype, int ndim,
                    const int64_t *shape)
{
    if (!tensor_out) return sac__fail(SAC_EINVAL, "tensor_out is NULL");
    sac_tensor tensor = {.data = data, .memory = SAC_HOST, .dtype = dtype};
    *tensor_out = (sac_tensor){0};
    int error = set_shape(&tensor, ndim, shape);
    if (!error) *tensor_out = tensor;
    return error;
}

static void *alloc_zeroed(size_t bytes)
{
    const size_t alignment = bytes >= HUGE_FROM ? HUGE_PAGE : ALIGNMENT;
    const size_t rounded = (bytes / alignment + 1) * alignment;
    void *data = aligned_alloc(alignment, rounded);
    if (!data) return NULL;
#if defined(MADV_HUGEPAGE)
    if (alignment == HUGE_PAGE) madvise(data, rounded, MADV_HUGEPAGE); // as far as there are any
#endif
    return memset(data, 0, rounded);
}

int sac_tensor_alloc(sac_tensor *tensor_out, sac_dtype dtype, int ndim, const int64_t *shape)
{
    int error = sac_tensor_wrap(tensor_out, NULL, dtype, ndim, shape);
    if (error) return error;
    size_t bytes = sac_tensor_bytes(tensor_out);
    void *data = alloc_zeroed(bytes);
    if (!data) {
        *tensor_out = (sac_tensor){0};
        return sac__fail(SAC_ENOMEM, "no memory for a tensor of %zu bytes", bytes);
    }
    tensor_out->data = tensor_out->owned = data;
    return 0;
}

void sac_tensor_free(sac_tensor *tensor)
{
    if (!tensor) return;
    struct sac__owned *elsewhere = tensor->memory == SAC_HOST ? NULL : tensor->owned;
    if (elsewhere) elsewhere->free(elsewhere);
    else free(tensor->owned);
    *tensor = (sac_tensor){0};
}

// Structures that callers fill in may hold anything.
static int has_dims(const sac_tensor *tensor)
{
    return tensor && tensor->ndim >= 0 && tensor->ndim <= SAC_MAX_DIMS;
}

int64_t sac_tensor_count(const sac_tensor *tensor)
{
    if (!has_dims(tensor)) return 0;
    int64_t count = 1;
    for (int i = 0; i < tensor->ndim; i++) count *= tensor->shape[i];
    return count;
}

size_t sac_tensor_bytes(const sac_tensor *tensor)
{
    if (!tensor) return 0;
    return (size_t)sac_tensor_count(tensor) * sac_dtype_bytes(tensor->dtype);
}

int sac_tensor_is_contiguous(const sac_tensor *tensor)
{
    if (!has_dims(tensor)) return 0;
    if (sac_tensor_count(tensor) == 0) return 1;
    int64_t step = 1;
    for (int i = tensor->ndim - 1; i >= 0; i--) {
        if (tensor->shape[i] != 1 && tensor->strides[i] != step) return 0;
        step *= tensor->shape[i];
    }
    return 1;
}

int sac_tensor_flatten(sac_tensor *flat_out, const sac_tensor *tensor)
{
    if (!flat_out || !tensor) return sac__fail(SAC_EINVAL, "flat_out or tensor is NULL");
    int64_t count = sac_tensor_count(tensor);
    return sac_tensor_reshape(flat_out, tensor, 1, &count);
}

int sac_tensor_reshape(sac_tensor *shaped_out, const sac_tensor *tensor, int ndim,
                       const int64_t *shape)
{
    if (!shaped_out || !tensor) return sac__fail(SAC_EINVAL, "shaped_out or tensor is NULL");
    if (!sac_tensor_is_contiguous(tensor))
        return sac__fail(SAC_EINVAL, "only a contiguous tensor has another view");
    sac_tensor view = *tensor;
    int error = set_shape(&view, ndim, shape);
    if (error) return error;
    if (sac_tensor_count(&view) != sac_tensor_count(tensor))
        return sac__fail(SAC_EINVAL, "%lld elements cannot be viewed as %lld",
                         (long long)sac_tensor_count(tensor), (long long)sac_tensor_count(&view));
    view.owned = NULL;
    *shaped_out = view;
    return 0;
}
