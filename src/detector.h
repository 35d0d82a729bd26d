// SPDX-License-Identifier: Apache-2.0
// What a detector holds: opened by detector_open.c, run by detector.c.
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

/// Everything that one run needs: taken at open, lent to one call at a time.
struct slot {
    struct slot *next; ///< in the free list
    const sac_image *images; ///< of the call under way, for messages: count of them
    size_t count;
    sac_context *context;
    sac_workspace *workspace;
    sac_tensor input;            ///< (batch,3,height,width); with SAC_FIT_AUTO the largest
    sac_tensor outputs[SAC__OUTPUTS]; ///< bound where the shape is static, else without memory
    sac_letterbox *letterboxes;       ///< batch of them
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
    int output_count;    ///< 1, or the raw maps
    int batch, width, height;
    struct slot *slots;
    int slot_count;
    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct slot *free_slots;
};

/// Opens the engine without the decode tail, and recognises the head. Leaves cut and engine NULL
/// where that cannot be done: then the whole network is to be run.
void sac__detector_cut(sac_detector *detector, const struct sac_source *source);

#endif
