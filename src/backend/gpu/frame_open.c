// SPDX-License-Identifier: Apache-2.0
// Opens a frame: takes all memory and captures the graph, once. What changes from run to run lies
// in memory that the graph reads (struct sac__batch), so it is never touched again.
#include <stdlib.h>

#include "capture.h"
#include "frame_inside.h"

enum { LETTERBOX, NETWORK, BOXES, DOWNLOAD };

// --- capture

static int run_letterbox(struct frame *frame, cudaStream_t stream)
{
    struct sac__input input = frame->network.input;
    input.pad = frame->settings.pixels.pad;
    input.scaled = !frame->settings.pixels.no_scaling;
    const struct sac__batch *batch = frame->boxes.device_batch;
    int error = sac__gpu_boxes_send(&frame->boxes, stream);
    return error ? error : sac__letterbox_cuda(&input, batch, stream, 0);
}

static int run_boxes(struct frame *frame, cudaStream_t stream)
{
    const struct sac_gpu_network *network = &frame->network;
    const struct sac__boxes boxes = sac__gpu_boxes_target(&frame->boxes);
    const int overlap = network->overlap && !frame->settings.timed;
    if (network->maps.level_count)
        return sac__boxes_maps_cuda(&boxes, &network->maps, stream, overlap);
    return sac__boxes_rows_cuda(&boxes, &network->rows, network->rows_step, stream, overlap);
}

static int run_stage(struct frame *frame, int stage, cudaStream_t stream)
{
    switch (stage) {
    case LETTERBOX:
        return run_letterbox(frame, stream);
    case NETWORK:
        return frame->network.enqueue(frame->network.run, stream);
    case BOXES:
        return run_boxes(frame, stream);
    default:
        return sac__gpu_boxes_receive(&frame->boxes, stream);
    }
}

/// Stages of one graph.
struct part {
    struct frame *frame;
    int first, last;
};

static int run_part(void *state, cudaStream_t stream)
{
    const struct part *part = state;
    int error = 0;
    for (int stage = part->first; stage <= part->last && !error; stage++)
        error = run_stage(part->frame, stage, stream);
    return error;
}

static int capture(struct frame *frame, int first, int last)
{
    struct part part = {frame, first, last};
    const struct sac_gpu_work work = {run_part, &part};
    return sac__gpu_capture(&frame->graphs[frame->graph_count++], &work, frame->own);
}

static int capture_all(struct frame *frame)
{
    int error = 0;
    if (!frame->settings.timed) return capture(frame, LETTERBOX, DOWNLOAD);
    for (int stage = 0; stage < SAC__STAGES && !error; stage++)
        error = capture(frame, stage, stage);
    return error;
}

// --- memory

static int take_memory(struct frame *frame)
{
    const struct sac_frame_settings *settings = &frame->settings;
    const struct sac_gpu_boxes_size size = {
        .pictures = settings->batch,
        .rows = frame->network.row_count,
        .classes = settings->head.classes,
        .max_det = settings->max_det,
        .multi_label = settings->multi_label,
    };
    frame->pictures = calloc((size_t)settings->batch, sizeof *frame->pictures);
    if (!frame->pictures)
        return sac__fail(SAC_ENOMEM, "no memory for %d pictures", settings->batch);
    return sac__gpu_boxes_open(&frame->boxes, &size, frame->own);
}

static int take_events(struct frame *frame, sac_mode mode)
{
    const unsigned wait = mode == SAC_MODE_LATENCY ? cudaEventDefault : cudaEventBlockingSync;
    int error = SAC__CUDA(cudaEventCreateWithFlags, &frame->done, cudaEventDisableTiming | wait);
    for (int k = 0; frame->settings.timed && k < SAC__STAGES + 2 && !error; k++)
        error = SAC__CUDA(cudaEventCreateWithFlags, &frame->marks[k], cudaEventDefault);
    return error;
}

static int open_parts(struct frame *frame, sac_mode mode)
{
    int error = SAC__CUDA(cudaStreamCreateWithFlags, &frame->own, cudaStreamNonBlocking);
    if (!error) error = take_events(frame, mode);
    if (!error) error = take_memory(frame);
    return error ? error : capture_all(frame);
}

// --- settings

static int check_range(const char *name, int value, int least, int most)
{
    if (value >= least && value <= most) return 0;
    return sac__fail(SAC_EINVAL, "%s: %d is not within %d to %d", name, value, least, most);
}

static int check_settings(const struct sac_frame_settings *settings,
                          const struct sac_gpu_network *network)
{
    const struct sac__input *input = &network->input;
    const sac_head *head = network->maps.level_count ? &network->maps.head : &network->rows.head;
    int error = check_range("batch", settings->batch, input->n, input->n);
    if (!error) error = check_range("width", settings->width, input->width, input->width);
    if (!error) error = check_range("height", settings->height, input->height, input->height);
    if (!error) error = check_range("pad", settings->pixels.pad, 0, 255);
    if (!error) error = check_range("max_det", settings->max_det, 1, SAC_MAX_CANDIDATES);
    if (error) return error;
    if (head->family == settings->head.family && head->classes == settings->head.classes) return 0;
    return sac__fail(SAC_EUNSUPPORTED,
                     "the device reads this network's output as %s with %d classes, not as %s with "
                     "%d: take the staged feed for that",
                     sac__gpu_head_name(head->family), (int)head->classes,
                     sac__gpu_head_name(settings->head.family), (int)settings->head.classes);
}

// --- open and close

static void release(struct frame *frame)
{
    if (frame->own) cudaStreamSynchronize(frame->own);
    for (int k = 0; k < frame->graph_count; k++)
        if (frame->graphs[k]) cudaGraphExecDestroy(frame->graphs[k]);
    if (frame->done) cudaEventDestroy(frame->done);
    for (int k = 0; k < SAC__STAGES + 2; k++)
        if (frame->marks[k]) cudaEventDestroy(frame->marks[k]);
    cudaFree(frame->upload);
    sac__gpu_boxes_close(&frame->boxes);
    if (frame->own) cudaStreamDestroy(frame->own);
    cudaGetLastError();
}

static void close_frame(struct frame *frame)
{
    if (sac__gpu_enter(frame->device) == 0) {
        release(frame);
        frame->network.close(frame->network.run);
        sac__gpu_leave();
    }
    free(frame->pictures);
    free(frame);
}

int sac__frame_open(void **frame_out, int device, sac_mode mode,
                    const struct sac_frame_settings *settings,
                    const struct sac_gpu_network *network)
{
    struct frame *frame = calloc(1, sizeof *frame);
    int error =
        frame ? check_settings(settings, network) : sac__fail(SAC_ENOMEM, "no memory for a frame");
    if (!error) error = sac__gpu_enter(device);
    if (error) {
        network->close(network->run);
        free(frame);
        return error;
    }
    *frame = (struct frame){.device = device, .settings = *settings, .network = *network};
    error = open_parts(frame, mode);
    sac__gpu_leave();
    if (error)
        close_frame(frame);
    else
        *frame_out = frame;
    return error;
}

void sac__frame_close(void *state)
{
    struct frame *frame = state;
    if (frame->in_flight) sac__frame_wait(frame, NULL, NULL);
    close_frame(frame);
}
