// SPDX-License-Identifier: Apache-2.0
// Tensors as pictures, and as the DLTensor by which libraries hand them on without a copy.
#include <dlpack/dlpack.h>

#include "error.h"
#include "saccade/tensor.h"

// --- pictures

static int channels_of(sac_pixel_format format)
{
    return format == SAC_NV12 ? 0 : sac_pixel_bytes(format);
}

int sac_tensor_from_image(sac_tensor *tensor_out, const sac_image *image)
{
    if (!tensor_out || !image) return sac__fail(SAC_EINVAL, "tensor_out or image is NULL");
    *tensor_out = (sac_tensor){0};
    const int channels = channels_of(image->format);
    if (!channels || image->stride < 0)
        return sac__fail(SAC_EINVAL, "a picture of format %d and stride %td is no tensor",
                         (int)image->format, image->stride);
    *tensor_out = (sac_tensor){.data = (void *)image->data, // what reads it must not write
                               .memory = image->memory,
                               .device = image->device,
                               .dtype = SAC_U8,
                               .ndim = 3,
                               .shape = {image->height, image->width, channels},
                               .strides = {image->stride, channels, 1}};
    return 0;
}

int sac_image_from_tensor(sac_image *image_out, const sac_tensor *tensor, sac_pixel_format format)
{
    if (!image_out || !tensor) return sac__fail(SAC_EINVAL, "image_out or tensor is NULL");
    *image_out = (sac_image){0};
    const int channels = channels_of(format);
    const int64_t *shape = tensor->shape, *strides = tensor->strides;
    const int flat = tensor->ndim == 2 && channels == 1;
    if (tensor->dtype != SAC_U8 || (tensor->ndim != 3 && !flat) || !channels ||
        (!flat && shape[2] != channels) || shape[0] < 1 || shape[0] > INT32_MAX || shape[1] < 1 ||
        shape[1] > INT32_MAX)
        return sac__fail(SAC_EINVAL, "the tensor is no picture of bytes (height,width,%d)",
                         channels);
    if ((shape[1] > 1 && strides[1] != channels) || (!flat && channels > 1 && strides[2] != 1))
        return sac__fail(SAC_EINVAL, "the tensor's pixels do not lie side by side");
    return sac_image_wrap_memory(image_out, tensor->data, (int)shape[1], (int)shape[0],
                                 (ptrdiff_t)strides[0], format, tensor->memory, tensor->device);
}

// --- DLPack

/// Row i: DLPack's type code and bits of sac_dtype i.
static const struct {
    uint8_t code, bits;
} types[] = {
#define TYPE(name, value, code, bits, text) {code, bits},
    SAC_DTYPES(TYPE)
#undef TYPE
};

int sac_tensor_to_dlpack(const sac_tensor *tensor, void *dltensor_out)
{
    static const DLDeviceType devices[] = {
        [SAC_HOST] = kDLCPU, [SAC_HOST_PINNED] = kDLCUDAHost, [SAC_CUDA] = kDLCUDA};
    if (!tensor || !dltensor_out) return sac__fail(SAC_EINVAL, "tensor or dltensor_out is NULL");
    if ((unsigned)tensor->dtype >= SAC_DTYPE_COUNT || (unsigned)tensor->memory > SAC_CUDA ||
        tensor->ndim < 0 || tensor->ndim > SAC_MAX_DIMS)
        return sac__fail(SAC_EINVAL, "the tensor's type, memory or dimensions are unknown");
    *(DLTensor *)dltensor_out = (DLTensor){
        .data = tensor->data,
        .device = {devices[tensor->memory], tensor->device},
        .ndim = tensor->ndim,
        .dtype = {types[tensor->dtype].code, types[tensor->dtype].bits, 1},
        .shape = (int64_t *)tensor->shape, // DLPack has no const
        .strides = (int64_t *)tensor->strides,
    };
    return 0;
}

static int take_device(sac_tensor *tensor, DLDevice device)
{
    const int cuda = device.device_type == kDLCUDA || device.device_type == kDLCUDAManaged;
    if (!cuda && device.device_type != kDLCPU && device.device_type != kDLCUDAHost)
        return sac__fail(SAC_EUNSUPPORTED, "DLPack device type %d: only host and CUDA memory",
                         (int)device.device_type);
    tensor->memory = cuda ? SAC_CUDA : device.device_type == kDLCPU ? SAC_HOST : SAC_HOST_PINNED;
    tensor->device = cuda ? device.device_id : 0;
    return 0;
}

static int take_type(sac_tensor *tensor, DLDataType type)
{
    for (int i = 0; i < SAC_DTYPE_COUNT; i++) {
        if (types[i].code != type.code || types[i].bits != type.bits || type.lanes != 1) continue;
        tensor->dtype = (sac_dtype)i;
        return 0;
    }
    return sac__fail(SAC_EUNSUPPORTED, "DLPack type code %d of %d bits and %d lanes",
                     (int)type.code, (int)type.bits, (int)type.lanes);
}

int sac_tensor_from_dlpack(sac_tensor *tensor_out, const void *dltensor)
{
    if (!tensor_out || !dltensor) return sac__fail(SAC_EINVAL, "tensor_out or dltensor is NULL");
    const DLTensor *from = dltensor;
    sac_tensor tensor = {0};
    *tensor_out = tensor;
    int error = take_device(&tensor, from->device);
    if (!error) error = take_type(&tensor, from->dtype);
    if (error) return error;
    // Extents are checked, and strides filled where DLPack leaves them out.
    const sac_tensor device = tensor;
    error = sac_tensor_wrap(&tensor, (char *)from->data + from->byte_offset, device.dtype,
                            from->ndim, from->shape);
    if (error) return error;
    tensor.memory = device.memory;
    tensor.device = device.device;
    for (int i = 0; from->strides && i < tensor.ndim; i++) tensor.strides[i] = from->strides[i];
    *tensor_out = tensor;
    return 0;
}
