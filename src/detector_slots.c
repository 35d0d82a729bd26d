// SPDX-License-Identifier: Apache-2.0
// The memory of a detector's runs, taken at open: a context with its tensors where it is fed by
// staging, a frame of the backend's where pictures are resident.
#include <stdlib.h>
#include <string.h>

#include "detector.h"
#include "engine.h"
#include "error.h"

enum { LEAST_ROOM = 300 }; // boxes a picture that a frame has room for: the usual max_det

// --- which feed

// Why frames cannot serve these options; NULL where they can.
static const char *against_frames(const sac_detector *detector)
{
    const sac_detector_options *options = &detector->options;
    if (!detector->engine->backend->frame_open) return "this backend has no pixels on a device";
    if (options->letterbox.fit == SAC_FIT_AUTO) return "the auto letterbox changes sizes";
    if (options->ops && !strcmp(options->ops, "c")) return "ops \"c\" are the processor's";
    if (detector->info.head.family == SAC_HEAD_EFFICIENT_NMS)
        return "the head has four outputs";
    if (detector->output != 1) return "the head is not the network's first output";
    return NULL;
}

static int choose_feed(sac_detector *detector)
{
    const char *why = against_frames(detector);
    const sac_feed wanted = detector->options.feed;
    detector->feed = why || wanted == SAC_FEED_STAGED ? SAC_FEED_STAGED : SAC_FEED_RESIDENT;
    if (!why || wanted != SAC_FEED_RESIDENT) return 0;
    return sac__fail(SAC_EUNSUPPORTED, "feed resident: %s (%s)", why,
                     sac_engine_backend(detector->engine));
}

// --- resident

static int open_frame(sac_job *slot)
{
    const sac_detector *detector = slot->detector;
    const sac_detector_options *options = &detector->options;
    const struct sac_frame_settings settings = {.batch = detector->batch,
                                                .width = detector->width,
                                                .height = detector->height,
                                                .pixels = detector->pixels,
                                                .head = detector->info.head,
                                                .max_det = detector->frame_max_det,
                                                .multi_label = detector->frame_multi_label,
                                                .timed = options->time_stages,
                                                .read_pinned = options->read_pinned};
    return detector->engine->backend->frame_open(&slot->frame, detector->engine->state, &settings);
}

static void close_frame(sac_job *slot)
{
    if (slot->frame) slot->detector->engine->backend->frame_close(slot->frame);
    slot->frame = NULL;
}

static int has_room(const sac_detector *detector, const sac_nms *nms)
{
    return nms->max_det <= detector->frame_max_det &&
           (!nms->multi_label || detector->frame_multi_label);
}

static void want_room(sac_detector *detector, const sac_nms *nms)
{
    if (nms->max_det > detector->frame_max_det) detector->frame_max_det = nms->max_det;
    if (nms->multi_label) detector->frame_multi_label = 1;
}

int sac__slots_reserve(sac_detector *detector, const sac_nms *nms)
{
    int error = 0;
    if (detector->feed != SAC_FEED_RESIDENT || has_room(detector, nms)) return 0;
    want_room(detector, nms);
    for (int i = 0; i < detector->slot_count && !error; i++) {
        close_frame(&detector->slots[i]);
        error = open_frame(&detector->slots[i]);
    }
    return error;
}

static int open_resident(sac_job *slot)
{
    const size_t batch = (size_t)slot->detector->batch;
    slot->found = calloc(batch, sizeof *slot->found);
    return slot->found ? open_frame(slot) : sac__fail(SAC_ENOMEM, "no memory for a batch");
}

// --- staged

static int bind_output(sac_job *slot, int index)
{
    const sac_detector *detector = slot->detector;
    const size_t at = detector->output + (size_t)index;
    sac_binding output;
    sac_tensor like = {0};
    int error = sac_engine_binding(detector->engine, at, &output);
    const int open = output.count < 0;
    if (error || (open && detector->engine->backend->memory != SAC_CUDA))
        return error; // a dynamic output stays in the engine's memory, which the processor reads
    if (open) error = sac_context_tensor(slot->context, at, &like);
    if (!error)
        error = sac_engine_alloc(detector->engine, at, 0, open ? like.shape : NULL,
                                 &slot->outputs[index]);
    return error ? error : sac_context_bind(slot->context, at, &slot->outputs[index]);
}

static int open_staged(sac_job *slot)
{
    const sac_detector *detector = slot->detector;
    const int64_t shape[] = {detector->batch, 3, detector->height, detector->width};
    int error = sac_context_open(&slot->context, detector->engine);
    if (!error) error = sac_engine_alloc(detector->engine, 0, 0, shape, &slot->input);
    if (!error && detector->options.letterbox.fit != SAC_FIT_AUTO)
        error = sac_context_bind(slot->context, 0, &slot->input);
    for (int i = 0; i < detector->output_count && !error; i++) error = bind_output(slot, i);
    return error;
}

// --- slots

static int open_slot(sac_detector *detector, sac_job *slot)
{
    slot->detector = detector;
    slot->letterboxes = calloc((size_t)detector->batch, sizeof *slot->letterboxes);
    if (!slot->letterboxes) return sac__fail(SAC_ENOMEM, "no memory for a batch");
    int error = sac__workspace_open(&slot->workspace);
    if (error) return error;
    return detector->feed == SAC_FEED_RESIDENT ? open_resident(slot) : open_staged(slot);
}

static void close_slot(sac_job *slot)
{
    close_frame(slot);
    sac_context_close(&slot->context);
    sac__workspace_close(&slot->workspace);
    sac_tensor_free(&slot->input);
    for (int i = 0; i < SAC__OUTPUTS; i++) sac_tensor_free(&slot->outputs[i]);
    free(slot->letterboxes);
    free(slot->found);
}

static int open_all(sac_detector *detector)
{
    // One more than run at once: its pictures are prepared while the others are in the network.
    int count = detector->options.contexts;
    if (!count) count = sac_engine_parallel(detector->engine) + 1;
    detector->slots = calloc((size_t)count, sizeof *detector->slots);
    if (!detector->slots) return sac__fail(SAC_ENOMEM, "no memory for %d contexts", count);
    for (int i = 0; i < count; i++) {
        sac_job *slot = &detector->slots[detector->slot_count++];
        int error = open_slot(detector, slot);
        if (error) return error;
        slot->next = detector->free_slots;
        detector->free_slots = slot;
    }
    return 0;
}

int sac__slots_open(sac_detector *detector)
{
    const sac_engine_options *engine = &detector->options.engine;
    detector->batch = (int)detector->input.shape[0];
    detector->frame_max_det = LEAST_ROOM;
    want_room(detector, &detector->options.nms);
    int error = choose_feed(detector);
    if (!error) error = open_all(detector);
    if (error != SAC_EUNSUPPORTED || detector->feed != SAC_FEED_RESIDENT ||
        detector->options.feed == SAC_FEED_RESIDENT)
        return error;
    if (engine->log) engine->log(engine->log_user, sac_error_message());
    sac__slots_close(detector);
    detector->feed = SAC_FEED_STAGED;
    return open_all(detector);
}

void sac__slots_close(sac_detector *detector)
{
    for (int i = 0; i < detector->slot_count; i++) close_slot(&detector->slots[i]);
    free(detector->slots);
    detector->slots = detector->free_slots = NULL;
    detector->slot_count = 0;
}
