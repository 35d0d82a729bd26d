// SPDX-License-Identifier: Apache-2.0
#include "boxes.h"

static int take(void **data_out, sac_memory memory, size_t bytes, const char *what)
{
    const cudaError_t status =
        memory == SAC_CUDA ? cudaMalloc(data_out, bytes) : cudaHostAlloc(data_out, bytes, 0);
    if (status == cudaSuccess) return 0;
    *data_out = NULL;
    return sac__gpu_check(status, what, bytes);
}

static int clear(void *data, size_t bytes, cudaStream_t stream)
{
    return sac__gpu_check(cudaMemsetAsync(data, 0, bytes, stream), "cudaMemsetAsync", bytes);
}

static int take_workspace(struct sac_gpu_boxes *boxes, cudaStream_t stream)
{
    const struct sac_gpu_boxes_size *size = &boxes->size;
    const size_t bytes =
        sac__boxes_workspace(size->pictures, size->rows, size->classes, size->multi_label);
    if (!bytes)
        return sac__fail(SAC_EUNSUPPORTED, "%lld rows of %d classes are too many for the device",
                         (long long)size->rows, (int)size->classes);
    int error = take(&boxes->workspace, SAC_CUDA, bytes, "cudaMalloc for head and NMS");
    return error ? error : clear(boxes->workspace, bytes, stream);
}

static int take_batch(struct sac_gpu_boxes *boxes)
{
    const struct sac_gpu_boxes_size *size = &boxes->size;
    boxes->batch_bytes = sac__batch_bytes(size->pictures, size->classes);
    int error = take((void **)&boxes->batch, SAC_HOST_PINNED, boxes->batch_bytes,
                     "cudaHostAlloc for a batch");
    if (!error)
        error = take(&boxes->device_batch, SAC_CUDA, boxes->batch_bytes, "cudaMalloc for a batch");
    if (!error) sac__batch_start(boxes->batch, size->pictures, size->classes);
    return error;
}

// Places of boxes that no run has written are copied to the host all the same, so they are cleared.
static int take_found(struct sac_gpu_boxes *boxes, cudaStream_t stream)
{
    const struct sac_gpu_boxes_size *size = &boxes->size;
    boxes->capacity = size->max_det < SAC_MAX_CANDIDATES ? size->max_det : SAC_MAX_CANDIDATES;
    boxes->found_bytes = (size_t)size->pictures * (sizeof(struct sac__found) +
                                                   (size_t)boxes->capacity * sizeof(sac_detection));
    int error = take(&boxes->found, SAC_HOST_PINNED, boxes->found_bytes, "cudaHostAlloc for boxes");
    if (!error)
        error = take(&boxes->device_found, SAC_CUDA, boxes->found_bytes, "cudaMalloc for boxes");
    return error ? error : clear(boxes->device_found, boxes->found_bytes, stream);
}

int sac__gpu_boxes_open(struct sac_gpu_boxes *boxes, const struct sac_gpu_boxes_size *size,
                        cudaStream_t stream)
{
    *boxes = (struct sac_gpu_boxes){.size = *size};
    int error = take_batch(boxes);
    if (!error) error = take_found(boxes, stream);
    return error ? error : take_workspace(boxes, stream);
}

void sac__gpu_boxes_close(struct sac_gpu_boxes *boxes)
{
    cudaFree(boxes->workspace);
    cudaFree(boxes->device_found);
    cudaFree(boxes->device_batch);
    cudaFreeHost(boxes->found);
    cudaFreeHost(boxes->batch);
    *boxes = (struct sac_gpu_boxes){0};
}

static sac_detection *items_of(const struct sac_gpu_boxes *boxes, void *found)
{
    return (sac_detection *)(void *)((struct sac__found *)found + boxes->size.pictures);
}

struct sac__boxes sac__gpu_boxes_target(const struct sac_gpu_boxes *boxes)
{
    return (struct sac__boxes){
        .items = items_of(boxes, boxes->device_found),
        .found = boxes->device_found,
        .capacity = boxes->capacity,
        .workspace = boxes->workspace,
        .n = boxes->size.pictures,
        .multi_label = boxes->size.multi_label,
        .batch = boxes->device_batch,
    };
}

int sac__gpu_boxes_send(const struct sac_gpu_boxes *boxes, cudaStream_t stream)
{
    return sac__gpu_check(cudaMemcpyAsync(boxes->device_batch, boxes->batch, boxes->batch_bytes,
                                          cudaMemcpyHostToDevice, stream),
                          "cudaMemcpyAsync of a batch", boxes->batch_bytes);
}

int sac__gpu_boxes_receive(const struct sac_gpu_boxes *boxes, cudaStream_t stream)
{
    return sac__gpu_check(cudaMemcpyAsync(boxes->found, boxes->device_found, boxes->found_bytes,
                                          cudaMemcpyDeviceToHost, stream),
                          "cudaMemcpyAsync of boxes", boxes->found_bytes);
}

void sac__gpu_boxes_read(const struct sac_gpu_boxes *boxes, struct sac_frame_found *found_out,
                         size_t count)
{
    const struct sac__found *counts = boxes->found;
    for (size_t i = 0; i < count; i++) {
        const size_t at = i * (size_t)boxes->capacity;
        found_out[i] = (struct sac_frame_found){
            .boxes = items_of(boxes, boxes->found) + at,
            .device = items_of(boxes, boxes->device_found) + at,
            .count = (size_t)counts[i].count,
            .candidates = (size_t)counts[i].passed,
            .nonfinite = (size_t)counts[i].nonfinite,
            .overflow = (size_t)counts[i].overflow,
        };
    }
}
