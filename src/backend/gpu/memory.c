// SPDX-License-Identifier: Apache-2.0
// Page-locked and device memory, and streams, for callers and for the plugin itself.
#include <stdlib.h>

#include "gpu.h"

int sac__gpu_alloc(void **data_out, int device, sac_memory memory, size_t bytes)
{
    *data_out = NULL;
    int error = sac__gpu_enter(device);
    if (error) return error;
    if (bytes == 0) bytes = 1;
    if (memory == SAC_CUDA)
        error = sac__gpu_check(cudaMalloc(data_out, bytes), "cudaMalloc", bytes);
    else if (memory == SAC_HOST_PINNED)
        error = sac__gpu_check(cudaHostAlloc(data_out, bytes, cudaHostAllocPortable),
                               "cudaHostAlloc", bytes);
    else
        error = sac__fail(SAC_EINVAL, "memory kind %d is not a GPU's", (int)memory);
    sac__gpu_leave();
    return error;
}

void sac__gpu_free(void *data, sac_memory memory, int32_t device)
{
    if (!data || sac__gpu_enter(device)) return;
    if (memory == SAC_CUDA)
        cudaFree(data);
    else
        cudaFreeHost(data);
    cudaGetLastError();
    sac__gpu_leave();
}

int sac__gpu_stream_open(void **stream_out, int device)
{
    cudaStream_t stream = NULL;
    *stream_out = NULL;
    int error = sac__gpu_enter(device);
    if (error) return error;
    error = SAC__CUDA(cudaStreamCreateWithFlags, &stream, cudaStreamNonBlocking);
    sac__gpu_leave();
    if (!error) *stream_out = stream;
    return error;
}

void sac__gpu_stream_close(void *stream, int device)
{
    if (!stream || sac__gpu_enter(device)) return;
    cudaStreamDestroy(stream);
    cudaGetLastError();
    sac__gpu_leave();
}

int sac__gpu_stream_wait(void *stream, int device)
{
    int error = sac__gpu_enter(device);
    if (error) return error;
    error = SAC__CUDA(cudaStreamSynchronize, stream);
    sac__gpu_leave();
    return error;
}

int sac__gpu_where(sac_memory *memory_out, int *device_out, const void *data)
{
    struct cudaPointerAttributes attributes;
    int error = SAC__CUDA(cudaPointerGetAttributes, &attributes, data);
    if (error) return error;
    *device_out = attributes.device;
    const int pinned = attributes.type == cudaMemoryTypeHost && attributes.devicePointer == data;
    *memory_out =
        attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged
            ? SAC_CUDA
        : pinned ? SAC_HOST_PINNED
                 : SAC_HOST;
    return 0;
}
