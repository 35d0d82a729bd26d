// SPDX-License-Identifier: Apache-2.0
// The pipeline: picture → letterbox → network → head and NMS → boxes in source pixels. Staged, each
// step is seen here; resident, the backend does them all on its device.
#include "detector.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "detections.h"
#include "engine.h"
#include "error.h"

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

// Says which picture of several.
static int fail_picture(int error, const sac_job *slot, const sac_image *image)
{
    char name[32];
    if (slot->count == 1) return error;
    snprintf(name, sizeof name, "picture %zu", (size_t)(image - slot->images));
    return sac__fail_in(error, name);
}

static int fit_letterbox(sac_job *slot, size_t i, const sac_image *image)
{
    const sac_detector *detector = slot->detector;
    return sac_letterbox_fit(&slot->letterboxes[i], image->width, image->height, detector->width,
                             detector->height, &detector->options.letterbox);
}

// --- staged: letterbox, head and NMS by the processor

// With SAC_FIT_AUTO the input takes the letterbox's extent: a view of the slot's memory.
static int fit_input(sac_job *slot, sac_tensor *input_out)
{
    *input_out = slot->input;
    if (slot->detector->options.letterbox.fit != SAC_FIT_AUTO) return 0;
    const sac_letterbox *letterbox = &slot->letterboxes[0];
    const int64_t shape[] = {1, 3, letterbox->height, letterbox->width};
    int error = sac_tensor_wrap(input_out, slot->input.data, slot->input.dtype, 4, shape);
    input_out->memory = slot->input.memory;
    return error ? error : sac_context_bind(slot->context, 0, input_out);
}

static int run_letterbox(sac_job *slot, const sac_image *images, size_t count)
{
    const sac_detector *detector = slot->detector;
    sac_tensor input;
    for (size_t i = 0; i < count; i++) {
        int error = fit_letterbox(slot, i, &images[i]);
        if (!error) error = fit_input(slot, &input);
        if (!error)
            error = sac__ops_letterbox(detector->ops, slot->workspace, &input, (int64_t)i,
                                       &images[i], &slot->letterboxes[i], &detector->pixels);
        if (error) return fail_picture(error, slot, &images[i]);
    }
    return 0;
}

static int use_stream(sac_job *slot, void *stream)
{
    if (stream == slot->stream) return 0;
    int error = sac_context_use_stream(slot->context, stream);
    if (!error) slot->stream = stream;
    return error;
}

static int start_staged(sac_job *slot, const sac_image *images, size_t count, void *stream)
{
    const double start = milliseconds();
    int error = use_stream(slot, stream);
    if (!error) error = run_letterbox(slot, images, count);
    slot->enqueued = milliseconds();
    slot->ms = (sac_timings){.letterbox = slot->enqueued - start};
    return error ? error : sac_context_enqueue(slot->context);
}

int sac__slot_read(sac_job *slot, const sac_tensor *outputs, int64_t index,
                   const sac_letterbox *letterbox, sac_detections *found)
{
    const sac_detector *detector = slot->detector;
    const sac_nms *nms = &detector->options.nms;
    if (detector->info.head.family == SAC_HEAD_EFFICIENT_NMS) {
        const sac_tensor *four[4];
        for (int i = 0; i < 4; i++) four[i] = &outputs[detector->roles[i]];
        return sac__ops_four(detector->ops, slot->workspace, found, four, index,
                             &detector->info.head, letterbox, nms);
    }
    if (!detector->cut)
        return sac__ops_boxes(detector->ops, slot->workspace, found, outputs, index,
                              &detector->info.head, letterbox, nms);
    struct sac__maps maps;
    int error = sac__cut_maps(detector->cut, outputs, index, &maps);
    if (error) return error;
    return sac__ops_maps(detector->ops, slot->workspace, found, &maps, letterbox, nms);
}

static int finish_staged(sac_job *slot, sac_detections *detections_out)
{
    const sac_detector *detector = slot->detector;
    sac_tensor outputs[SAC__OUTPUTS];
    int error = sac_context_wait(slot->context);
    for (int i = 0; i < detector->output_count && !error; i++)
        error = sac_context_tensor(slot->context, detector->output + (size_t)i, &outputs[i]);
    const double answered = milliseconds();
    for (size_t i = 0; i < slot->running && !error; i++)
        error = sac__slot_read(slot, outputs, (int64_t)i, &slot->letterboxes[i],
                               &detections_out[i]);
    slot->ms.network = answered - slot->enqueued;
    slot->ms.boxes = milliseconds() - answered;
    return error;
}

// --- resident: a frame of the backend's

static int check_picture(const sac_detector *detector, const sac_image *image,
                         const sac_letterbox *letterbox)
{
    const int device = sac_engine_device(detector->engine);
    if (image->memory == SAC_CUDA && image->device != device)
        return sac__fail(SAC_EINVAL, "the picture is in memory of device %d, the engine runs on %d",
                         (int)image->device, device);
    return sac__check_image(image, letterbox);
}

static int start_resident(sac_job *slot, const sac_image *images, size_t count, void *stream)
{
    const sac_detector *detector = slot->detector;
    const struct sac_frame_input input = {.images = images,
                                          .letterboxes = slot->letterboxes,
                                          .count = count,
                                          .nms = &detector->options.nms,
                                          .stream = stream};
    slot->ms = (sac_timings){0};
    slot->enqueued = milliseconds();
    for (size_t i = 0; i < count; i++) {
        int error = fit_letterbox(slot, i, &images[i]);
        if (!error) error = check_picture(detector, &images[i], &slot->letterboxes[i]);
        if (error) return fail_picture(error, slot, &images[i]);
    }
    return detector->engine->backend->frame_enqueue(slot->frame, &input);
}

static int finish_resident(sac_job *slot, sac_detections *detections_out)
{
    struct sac_frame_ms ms = {0};
    int error = slot->detector->engine->backend->frame_wait(slot->frame, slot->found, &ms);
    slot->ms = (sac_timings){ms.letterbox, ms.network, ms.boxes, ms.upload, ms.download};
    if (!slot->detector->options.time_stages) slot->ms.network = milliseconds() - slot->enqueued;
    for (size_t i = 0; i < slot->running && !error; i++)
        error = sac__found_copy(&detections_out[i], &slot->found[i]);
    return error;
}

// --- a run: a batch that is not full leaves old pictures in its last places, whose boxes nobody
// reads

int sac__slot_start(sac_job *slot, const sac_image *images, size_t count, void *stream)
{
    int error = slot->frame ? start_resident(slot, images, count, stream)
                            : start_staged(slot, images, count, stream);
    slot->running = error ? 0 : count;
    return error;
}

int sac__slot_finish(sac_job *slot, sac_detections *detections_out)
{
    int error = slot->frame ? finish_resident(slot, detections_out)
                            : finish_staged(slot, detections_out);
    const double share = 1.0 / (double)slot->running;
    const sac_timings *ms = &slot->ms;
    for (size_t i = 0; i < slot->running; i++)
        detections_out[i].ms =
            (sac_timings){ms->letterbox * share, ms->network * share, ms->boxes * share,
                          ms->upload * share, ms->download * share};
    slot->running = 0;
    return error;
}

int sac_detector_run(sac_detector *detector, const sac_image *images, size_t count,
                     sac_detections *detections_out)
{
    if (!detector || (count && (!images || !detections_out)))
        return sac__fail(SAC_EINVAL, "detector, images or detections_out is NULL");
    if (count) memset(detections_out, 0, count * sizeof *detections_out);
    sac_job *slot = NULL;
    int error = sac__slot_take(&slot, detector, 0);
    if (error) return error;
    slot->images = images;
    slot->count = count;
    const size_t batch = (size_t)detector->batch;
    for (size_t i = 0; i < count && !error; i += batch) {
        error = sac__slot_start(slot, images + i, count - i < batch ? count - i : batch, NULL);
        if (!error) error = sac__slot_finish(slot, detections_out + i);
    }
    sac__slot_give(slot, 0);
    if (error)
        for (size_t i = 0; i < count; i++) sac_detections_free(&detections_out[i]);
    return error;
}

int sac_detector_boxes(sac_detector *detector, const sac_tensor *outputs, int64_t index,
                       const sac_letterbox *letterbox, sac_detections *detections_out)
{
    if (!detections_out) return sac__fail(SAC_EINVAL, "detections_out is NULL");
    *detections_out = (sac_detections){0};
    if (!detector || !outputs || !letterbox)
        return sac__fail(SAC_EINVAL, "detector, outputs or letterbox is NULL");
    sac_job *slot = NULL;
    int error = sac__slot_take(&slot, detector, 0);
    if (error) return error;
    const size_t first = detector->output - 1; // outputs follow the one input
    error = sac__slot_read(slot, outputs + first, index, letterbox, detections_out);
    sac__slot_give(slot, 0);
    return error;
}

int sac_detect(sac_detections *detections_out, const char *model_path, const char *picture_path)
{
    if (!detections_out) return sac__fail(SAC_EINVAL, "detections_out is NULL");
    *detections_out = (sac_detections){0};
    sac_image image;
    int error = sac_image_open(&image, picture_path, NULL);
    if (error) return error;
    sac_detector *detector = NULL;
    error = sac_detector_open(&detector, model_path, NULL);
    if (!error) error = sac_detector_run(detector, &image, 1, detections_out);
    sac_detector_close(&detector);
    sac_image_release(&image);
    return error;
}
