// SPDX-License-Identifier: Apache-2.0
// The pipeline: picture → letterbox → network → head and NMS → boxes in source pixels.
#include "detector.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "error.h"

static struct slot *take_slot(sac_detector *detector)
{
    pthread_mutex_lock(&detector->lock);
    while (!detector->free_slots) pthread_cond_wait(&detector->freed, &detector->lock);
    struct slot *slot = detector->free_slots;
    detector->free_slots = slot->next;
    pthread_mutex_unlock(&detector->lock);
    return slot;
}

static void give_slot(sac_detector *detector, struct slot *slot)
{
    pthread_mutex_lock(&detector->lock);
    slot->next = detector->free_slots;
    detector->free_slots = slot;
    pthread_cond_signal(&detector->freed);
    pthread_mutex_unlock(&detector->lock);
}

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

// With SAC_FIT_AUTO the input takes the letterbox's extent: a view of the slot's memory.
static int fit_input(sac_detector *detector, struct slot *slot, sac_tensor *input_out)
{
    *input_out = slot->input;
    if (detector->options.letterbox.fit != SAC_FIT_AUTO) return 0;
    const sac_letterbox *letterbox = &slot->letterboxes[0];
    const int64_t shape[] = {1, 3, letterbox->height, letterbox->width};
    int error = sac_tensor_wrap(input_out, slot->input.data, slot->input.dtype, 4, shape);
    return error ? error : sac_context_bind(slot->context, 0, input_out);
}

// Says which picture of several.
static int fail_picture(int error, const struct slot *slot, const sac_image *image)
{
    char name[32];
    if (slot->count == 1) return error;
    snprintf(name, sizeof name, "picture %zu", (size_t)(image - slot->images));
    return sac__fail_in(error, name);
}

static int run_letterbox(sac_detector *detector, struct slot *slot, const sac_image *images,
                         size_t count)
{
    sac_tensor input;
    for (size_t i = 0; i < count; i++) {
        int error = sac_letterbox_fit(&slot->letterboxes[i], images[i].width, images[i].height,
                                      detector->width, detector->height,
                                      &detector->options.letterbox);
        if (!error) error = fit_input(detector, slot, &input);
        if (!error)
            error = sac__ops_letterbox(detector->ops, slot->workspace, &input, (int64_t)i,
                                       &images[i], &slot->letterboxes[i], &detector->pixels);
        if (error) return fail_picture(error, slot, &images[i]);
    }
    return 0;
}

static int run_network(sac_detector *detector, struct slot *slot, sac_tensor *outputs)
{
    int error = sac_context_enqueue(slot->context);
    if (!error) error = sac_context_wait(slot->context);
    for (int i = 0; i < detector->output_count && !error; i++)
        error = sac_context_tensor(slot->context, detector->output + (size_t)i, &outputs[i]);
    return error;
}

static int read_picture(sac_detector *detector, struct slot *slot, const sac_tensor *outputs,
                        int64_t index, const sac_letterbox *letterbox, sac_detections *found)
{
    const sac_nms *nms = &detector->options.nms;
    if (!detector->cut)
        return sac__ops_boxes(detector->ops, slot->workspace, found, outputs, index,
                              &detector->info.head, letterbox, nms);
    struct sac__maps maps;
    int error = sac__cut_maps(detector->cut, outputs, index, &maps);
    if (error) return error;
    return sac__ops_maps(detector->ops, slot->workspace, found, &maps, letterbox, nms);
}

static int run_boxes(sac_detector *detector, struct slot *slot, const sac_tensor *outputs,
                     size_t count, sac_detections *detections_out)
{
    int error = 0;
    for (size_t i = 0; i < count && !error; i++)
        error = read_picture(detector, slot, outputs, (int64_t)i, &slot->letterboxes[i],
                             &detections_out[i]);
    return error;
}

// One run of the network over 1 to batch pictures; a batch that is not full leaves old pictures in
// its last places, whose boxes nobody reads.
static int run_batch(sac_detector *detector, struct slot *slot, const sac_image *images,
                     size_t count, sac_detections *detections_out)
{
    sac_tensor outputs[SAC__OUTPUTS];
    const double start = milliseconds();
    int error = run_letterbox(detector, slot, images, count);
    const double lettered = milliseconds();
    if (!error) error = run_network(detector, slot, outputs);
    const double answered = milliseconds();
    if (!error) error = run_boxes(detector, slot, outputs, count, detections_out);
    const double done = milliseconds();
    const double share = 1.0 / (double)count;
    const sac_timings ms = {(lettered - start) * share, (answered - lettered) * share,
                            (done - answered) * share};
    for (size_t i = 0; i < count; i++) detections_out[i].ms = ms;
    return error;
}

int sac_detector_run(sac_detector *detector, const sac_image *images, size_t count,
                     sac_detections *detections_out)
{
    if (!detector || (count && (!images || !detections_out)))
        return sac__fail(SAC_EINVAL, "detector, images or detections_out is NULL");
    int error = 0;
    if (count) memset(detections_out, 0, count * sizeof *detections_out);
    struct slot *slot = take_slot(detector);
    slot->images = images;
    slot->count = count;
    const size_t batch = (size_t)detector->batch;
    for (size_t i = 0; i < count && !error; i += batch)
        error = run_batch(detector, slot, images + i, count - i < batch ? count - i : batch,
                          detections_out + i);
    give_slot(detector, slot);
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
    struct slot *slot = take_slot(detector);
    const size_t first = detector->output - 1; // outputs follow the one input
    int error = read_picture(detector, slot, outputs + first, index, letterbox, detections_out);
    give_slot(detector, slot);
    return error;
}

const sac_model_info *sac_detector_info(const sac_detector *detector)
{
    return detector ? &detector->info : NULL;
}

sac_engine *sac_detector_engine(const sac_detector *detector)
{
    return detector ? detector->engine : NULL;
}

int sac_detector_reads_maps(const sac_detector *detector)
{
    return detector && detector->cut;
}

int sac_detector_batch(const sac_detector *detector)
{
    return detector ? detector->batch : 0;
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
