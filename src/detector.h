// SPDX-License-Identifier: Apache-2.0
// What a detector holds: opened by detector_open.c and detector_slots.c, run by detector.c.
#ifndef SAC_SRC_DETECTOR_H
#define SAC_SRC_DETECTOR_H

#include <pthread.h>

#include "backend/backend.h"
#include "model/cut.h"
#include "model/model.h"
#include "ops/ops.h"
#include "saccade/detector.h"

/// Most outputs that are read: raw maps, two a level.
enum { SAC__OUTPUTS = 2 * SAC__MAP_LEVELS };

/// Everything that one run needs, called a slot: taken at open, lent to one call or job at a time.
struct sac_job {
    sac_job *next; ///< in the free list
    sac_detector *detector;
    const sac_image *images; ///< of the call under way, for messages: count of them
    size_t count;
    size_t running;  ///< pictures of the run in flight; 0: none
    sac_timings ms;  ///< of the run under way, not yet shared out
    double enqueued; ///< when it was handed over, by milliseconds()
    sac_letterbox *letterboxes; ///< batch of them
    sac_workspace *workspace;

    // Fed by staging:
    sac_context *context;
    void *stream;                     ///< the caller's that the context was told of
    sac_tensor input;                 ///< (batch,3,height,width); with SAC_FIT_AUTO the largest
    sac_tensor outputs[SAC__OUTPUTS]; ///< bound where the shape is static, else without memory

    // Resident:
    void *frame;                   ///< the backend's; NULL where fed by staging
    struct sac_frame_found *found; ///< batch of them
};

struct sac_detector {
    sac_detector_options options; ///< nms.classes is owned
    sac_model_info info;
    struct sac_model *model;
    const char **names; ///< info.head.classes of them, borrowed from model or from spare_names
    char (*spare_names)[24];
    sac_engine *engine;
    const struct sac_ops *ops;
    sac_pixels pixels;
    sac_binding input; ///< binding 0
    struct sac_cut *cut; ///< NULL: the engine runs the whole network
    size_t output;       ///< index of the first binding that is read
    int output_count;    ///< 1, EfficientNMS's four, or the raw maps
    int roles[4];        ///< SAC_HEAD_EFFICIENT_NMS: see sac__head_four
    int batch, width, height;
    sac_feed feed;         ///< never SAC_FEED_AUTO once it is open
    int32_t frame_max_det; ///< most boxes that the frames have room for
    int frame_multi_label; ///< whether they have room for several classes a row
    sac_job *slots;
    int slot_count;
    pthread_mutex_t lock; // guards what follows
    pthread_cond_t freed;
    sac_job *free_slots;
    int jobs; ///< slots that jobs hold
};

/// Opens the engine without the decode tail, and recognises the head. Leaves cut and engine NULL
/// where that cannot be done: then the whole network is to be run.
void sac__detector_cut(sac_detector *detector, const struct sac_source *source);

/// Takes the memory of all runs, for the feed that the options and the engine allow.
int sac__slots_open(sac_detector *detector);
void sac__slots_close(sac_detector *detector);

/// Room for what thresholds ask for; no run may be under way. Does nothing without frames.
int sac__slots_reserve(sac_detector *detector, const sac_nms *nms);

/// Takes a free slot, waiting while calls of sac_detector_run hold one.
/// Errors: SAC_EBUSY (jobs hold all of them).
int sac__slot_take(sac_job **slot_out, sac_detector *detector, int for_job);
void sac__slot_give(sac_job *slot, int for_job);

/// One run over 1 to batch pictures: its start, and its boxes.
int sac__slot_start(sac_job *slot, const sac_image *images, size_t count, void *stream);
int sac__slot_finish(sac_job *slot, sac_detections *detections_out);

/// Boxes of one picture of the engine's outputs.
int sac__slot_read(sac_job *slot, const sac_tensor *outputs, int64_t index,
                   const sac_letterbox *letterbox, sac_detections *found);

#endif
