// SPDX-License-Identifier: Apache-2.0
#include "steps.h"

// --- copy

static size_t bytes_of(const sac_tensor *tensor)
{
#define BITS(name, value, code, bits, text) bits,
    static const size_t bits[] = {SAC_DTYPES(BITS)};
#undef BITS
    size_t bytes = bits[tensor->dtype] / 8;
    for (int i = 0; i < tensor->ndim; i++)
        bytes *= (size_t)tensor->shape[i];
    return bytes;
}

int sac__gpu_copy(const sac_tensor *dst, const sac_tensor *src, cudaStream_t stream)
{
    const size_t bytes = bytes_of(src);
    if (bytes_of(dst) != bytes)
        return sac__fail(SAC_EINVAL, "a copy of %zu bytes into %zu", bytes, bytes_of(dst));
    return sac__gpu_check(cudaMemcpyAsync(dst->data, src->data, bytes, cudaMemcpyDefault, stream),
                          "cudaMemcpyAsync", bytes);
}

// --- letterbox

static void free_step(struct sac_gpu_step *step)
{
    if (step->used) cudaEventDestroy(step->used);
    cudaFreeHost(step->batch);
    cudaFree(step->device_batch);
    cudaFree(step->upload);
    *step = (struct sac_gpu_step){0};
}

static int grow_batch(struct sac_gpu_step *step, int capacity)
{
    const size_t bytes = sac__batch_bytes(capacity, 1);
    if (capacity <= step->capacity) return 0;
    cudaFreeHost(step->batch);
    cudaFree(step->device_batch);
    step->batch = NULL;
    step->device_batch = NULL;
    step->capacity = 0;
    int error = sac__gpu_check(cudaHostAlloc((void **)&step->batch, bytes, 0),
                               "cudaHostAlloc for a batch", bytes);
    if (!error)
        error =
            sac__gpu_check(cudaMalloc(&step->device_batch, bytes), "cudaMalloc for a batch", bytes);
    if (!error) step->capacity = capacity;
    return error;
}

static int grow_upload(struct sac_gpu_step *step, size_t bytes, cudaStream_t stream)
{
    if (bytes <= step->upload_bytes) return 0;
    cudaFree(step->upload);
    step->upload = NULL;
    step->upload_bytes = 0;
    int error = sac__gpu_check(cudaMalloc(&step->upload, bytes), "cudaMalloc for a picture", bytes);
    if (!error) step->upload_bytes = bytes;
    if (!error) error = SAC__CUDA(cudaMemsetAsync, step->upload, 0, bytes, stream);
    return error;
}

// The oldest step, once its kernel has read what it holds.
static int take_step(struct sac_gpu_step **step_out, struct sac_gpu_steps *steps, int capacity,
                     size_t upload_bytes, cudaStream_t stream)
{
    struct sac_gpu_step *step = &steps->steps[steps->next++ % SAC__STEPS];
    int error = 0;
    if (step->used)
        error = SAC__CUDA(cudaEventSynchronize, step->used);
    else
        error = SAC__CUDA(cudaEventCreateWithFlags, &step->used, cudaEventDisableTiming);
    if (!error) error = grow_batch(step, capacity);
    if (!error) error = grow_upload(step, upload_bytes, stream);
    *step_out = step;
    return error;
}

static struct sac__input input_of(const sac_tensor *tensor, const sac_pixels *pixels)
{
    return (struct sac__input){
        .data = tensor->data,
        .layout = SAC__INPUT_NCHW,
        .dtype = tensor->dtype,
        .n = (int32_t)tensor->shape[0],
        .height = (int32_t)tensor->shape[2],
        .width = (int32_t)tensor->shape[3],
        .pad = pixels->pad,
        .scaled = !pixels->no_scaling,
    };
}

static int run_step(struct sac_gpu_step *step, struct sac_gpu_picture *picture,
                    const struct sac__input *input, int index, const sac_image *image,
                    const sac_letterbox *letterbox, const sac_pixels *pixels, cudaStream_t stream)
{
    const size_t bytes = sac__batch_bytes(input->n, 1);
    int error = sac__upload_start(picture, step->upload, image, stream);
    sac__batch_start(step->batch, input->n, 1);
    if (!error) error = sac__batch_picture(step->batch, index, &picture->image, letterbox, pixels);
    if (!error)
        error = sac__gpu_check(
            cudaMemcpyAsync(step->device_batch, step->batch, bytes, cudaMemcpyHostToDevice, stream),
            "cudaMemcpyAsync of a batch", bytes);
    if (!error) error = sac__letterbox_cuda(input, step->device_batch, stream, 0);
    const int after = SAC__CUDA(cudaEventRecord, step->used, stream);
    return error ? error : after;
}

int sac__gpu_letterbox(struct sac_gpu_steps *steps, const sac_tensor *tensor, int64_t index,
                       const sac_image *image, const sac_letterbox *letterbox,
                       const sac_pixels *pixels, cudaStream_t stream)
{
    const struct sac__input input = input_of(tensor, pixels);
    struct sac_gpu_picture picture;
    struct sac_gpu_step *step = NULL;
    size_t bytes = 0;
    int error = sac__upload_plan(&picture, &bytes, image, letterbox, steps->device, 0);
    if (!error) error = take_step(&step, steps, input.n, bytes, stream);
    if (error) return error;
    return run_step(step, &picture, &input, (int)index, image, letterbox, pixels, stream);
}

// --- boxes

static struct sac__rows rows_of(const sac_tensor *output, int64_t index, const sac_head *head,
                                const sac_letterbox *letterbox)
{
    const int channel_major = head->family == SAC_HEAD_V8;
    const int64_t picture = output->shape[1] * output->shape[2];
    const size_t element = output->dtype == SAC_F16 ? 2 : 4;
    return (struct sac__rows){
        .data = (const char *)output->data + (size_t)(index * picture) * element,
        .half = output->dtype == SAC_F16,
        .count = (int32_t)output->shape[channel_major ? 2 : 1],
        .row_step = channel_major ? 1 : output->shape[2],
        .value_step = channel_major ? output->shape[2] : 1,
        .head = *head,
        .width = letterbox->width,
        .height = letterbox->height,
    };
}

// Memory that another output or other thresholds left is used again where it is large enough.
static int fit_boxes(struct sac_gpu_boxes *boxes, const struct sac_gpu_boxes_size *size,
                     cudaStream_t stream)
{
    const struct sac_gpu_boxes_size *has = &boxes->size;
    if (boxes->workspace && has->rows == size->rows && has->classes == size->classes &&
        has->max_det >= size->max_det && has->multi_label >= size->multi_label)
        return 0;
    sac__gpu_boxes_close(boxes);
    return sac__gpu_boxes_open(boxes, size, stream);
}

static int find_boxes(struct sac_gpu_boxes *boxes, const struct sac__rows *rows,
                      const sac_letterbox *letterbox, const sac_nms *nms, cudaStream_t stream)
{
    const struct sac__boxes target = sac__gpu_boxes_target(boxes);
    sac__batch_start(boxes->batch, 1, rows->head.classes);
    int error = sac__batch_nms(boxes->batch, nms, rows->head.family);
    if (!error) error = sac__batch_picture(boxes->batch, 0, NULL, letterbox, NULL);
    if (!error) error = sac__gpu_boxes_send(boxes, stream);
    if (!error) error = sac__boxes_rows_cuda(&target, rows, 0, stream, 0);
    if (!error) error = sac__gpu_boxes_receive(boxes, stream);
    return error ? error : SAC__CUDA(cudaStreamSynchronize, stream);
}

int sac__gpu_boxes(struct sac_gpu_steps *steps, const sac_tensor *output, int64_t index,
                   const sac_head *head, const sac_letterbox *letterbox, const sac_nms *nms,
                   struct sac_frame_found *found_out, cudaStream_t stream)
{
    const struct sac__rows rows = rows_of(output, index, head, letterbox);
    const struct sac_gpu_boxes_size size = {
        .pictures = 1,
        .rows = rows.count,
        .classes = head->classes,
        .max_det = nms->max_det,
        .multi_label = nms->multi_label != 0,
    };
    int error = fit_boxes(&steps->boxes, &size, stream);
    if (!error) error = find_boxes(&steps->boxes, &rows, letterbox, nms, stream);
    if (error) { // a workspace that a failure left half used is taken anew
        cudaStreamSynchronize(stream);
        cudaGetLastError();
        sac__gpu_boxes_close(&steps->boxes);
        return error;
    }
    sac__gpu_boxes_read(&steps->boxes, found_out, 1);
    return 0;
}

void sac__gpu_steps_close(struct sac_gpu_steps *steps)
{
    for (int k = 0; k < SAC__STEPS; k++)
        free_step(&steps->steps[k]);
    sac__gpu_boxes_close(&steps->boxes);
}
