// SPDX-License-Identifier: Apache-2.0
// Runs a frame: fills the batch block, enqueues uploads and the graph, and reads the boxes.
#include "frame_inside.h"

// --- enqueue

static int check_input(const struct frame *frame, const struct sac_frame_input *input)
{
    const struct sac_frame_settings *settings = &frame->settings;
    if (frame->in_flight) return sac__fail(SAC_EINVAL, "a run is still in flight: wait for it");
    if (!input->images || !input->letterboxes || !input->nms)
        return sac__fail(SAC_EINVAL, "images, letterboxes or nms is NULL");
    if (input->count < 1 || input->count > (size_t)settings->batch)
        return sac__fail(SAC_EINVAL, "%zu pictures: the frame takes 1 to %d", input->count,
                         settings->batch);
    if (input->nms->max_det > settings->max_det)
        return sac__fail(SAC_EINVAL, "max_det %d: the frame was opened for %d",
                         (int)input->nms->max_det, (int)settings->max_det);
    if (input->nms->multi_label && !settings->multi_label)
        return sac__fail(SAC_EINVAL, "the frame was opened without room for multi_label");
    return 0;
}

static int check_letterbox(const struct frame *frame, const sac_letterbox *letterbox)
{
    if (letterbox->width == frame->settings.width && letterbox->height == frame->settings.height)
        return 0;
    return sac__fail(SAC_EINVAL, "a letterbox for %d x %d, the network's input is %d x %d",
                     letterbox->width, letterbox->height, frame->settings.width,
                     frame->settings.height);
}

// Pictures larger than any before: the only allocation after open.
static int grow_upload(struct frame *frame, size_t bytes)
{
    if (bytes <= frame->upload_bytes) return 0;
    cudaFree(frame->upload);
    frame->upload = NULL;
    frame->upload_bytes = 0;
    int error = sac__gpu_check(cudaMalloc(&frame->upload, bytes), "cudaMalloc for pictures", bytes);
    if (!error)
        frame->upload_bytes = bytes;
    else
        frame->upload = NULL;
    if (!error) error = SAC__CUDA(cudaMemsetAsync, frame->upload, 0, bytes, frame->stream);
    return error;
}

static int plan_upload(struct frame *frame, const struct sac_frame_input *input)
{
    size_t bytes = 0;
    int error = 0;
    for (size_t i = 0; i < input->count && !error; i++) {
        error = check_letterbox(frame, &input->letterboxes[i]);
        if (!error)
            error = sac__upload_plan(&frame->pictures[i], &bytes, &input->images[i],
                                     &input->letterboxes[i], frame->device,
                                     frame->settings.read_pinned);
    }
    return error ? error : grow_upload(frame, bytes);
}

static int mark(const struct frame *frame, int index)
{
    if (!frame->settings.timed) return 0;
    return SAC__CUDA(cudaEventRecord, frame->marks[index], frame->stream);
}

static int start_upload(struct frame *frame, const struct sac_frame_input *input)
{
    int error = mark(frame, 0);
    for (size_t i = 0; i < input->count && !error; i++)
        error =
            sac__upload_start(&frame->pictures[i], frame->upload, &input->images[i], frame->stream);
    return error ? error : mark(frame, 1);
}

static int fill_batch(struct frame *frame, const struct sac_frame_input *input)
{
    const struct sac_frame_settings *settings = &frame->settings;
    sac__batch_start(frame->boxes.batch, settings->batch, settings->head.classes);
    int error = sac__batch_nms(frame->boxes.batch, input->nms, settings->head.family);
    for (size_t i = 0; i < input->count && !error; i++)
        error = sac__batch_picture(frame->boxes.batch, (int)i, &frame->pictures[i].image,
                                   &input->letterboxes[i], &settings->pixels);
    return error;
}

static int launch(struct frame *frame)
{
    int error = 0;
    for (int k = 0; k < frame->graph_count && !error; k++) {
        error = SAC__CUDA(cudaGraphLaunch, frame->graphs[k], frame->stream);
        if (!error && frame->settings.timed) error = mark(frame, 2 + k);
    }
    return error ? error : SAC__CUDA(cudaEventRecord, frame->done, frame->stream);
}

// The pictures' places in the upload buffer are known before the copies are enqueued, so the batch
// block is filled while they are under way.
static int start(struct frame *frame, const struct sac_frame_input *input)
{
    int error = plan_upload(frame, input);
    if (error) return error;
    error = start_upload(frame, input);
    if (!error) error = fill_batch(frame, input);
    if (!error) error = launch(frame);
    // What was enqueued before the failure reads the caller's pixels.
    if (error && cudaStreamSynchronize(frame->stream) != cudaSuccess) cudaGetLastError();
    return error;
}

int sac__frame_enqueue(void *state, const struct sac_frame_input *input)
{
    struct frame *frame = state;
    int error = check_input(frame, input);
    if (!error) error = sac__gpu_enter(frame->device);
    if (error) return error;
    frame->stream = input->stream ? input->stream : frame->own;
    frame->count = input->count;
    error = start(frame, input);
    sac__gpu_leave();
    frame->in_flight = !error;
    return error;
}

// --- wait

int sac__frame_done(void *state)
{
    struct frame *frame = state;
    if (!frame->in_flight) return 1;
    int error = sac__gpu_enter(frame->device);
    if (error) return error;
    const cudaError_t status = cudaEventQuery(frame->done);
    if (status == cudaErrorNotReady)
        cudaGetLastError();
    else
        error = sac__gpu_check(status, "cudaEventQuery", 0);
    sac__gpu_leave();
    return error ? error : status == cudaSuccess;
}

static int read_times(const struct frame *frame, struct sac_frame_ms *ms_out)
{
    double *const stages[] = {&ms_out->upload, &ms_out->letterbox, &ms_out->network, &ms_out->boxes,
                              &ms_out->download};
    int error = 0;
    *ms_out = (struct sac_frame_ms){0};
    for (int k = 0; frame->settings.timed && k < SAC__STAGES + 1 && !error; k++) {
        float ms = 0;
        error = SAC__CUDA(cudaEventElapsedTime, &ms, frame->marks[k], frame->marks[k + 1]);
        *stages[k] = ms;
    }
    return error;
}

int sac__frame_wait(void *state, struct sac_frame_found *found_out, struct sac_frame_ms *ms_out)
{
    struct frame *frame = state;
    if (!frame->in_flight) return sac__fail(SAC_EINVAL, "no run is in flight");
    int error = sac__gpu_enter(frame->device);
    if (error) return error;
    error = SAC__CUDA(cudaEventSynchronize, frame->done);
    frame->in_flight = 0;
    if (!error && ms_out) error = read_times(frame, ms_out);
    sac__gpu_leave();
    if (!error && found_out) sac__gpu_boxes_read(&frame->boxes, found_out, frame->count);
    return error;
}
