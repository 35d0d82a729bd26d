// SPDX-License-Identifier: Apache-2.0
// What comes out: boxes in source pixels.
#ifndef SACCADE_DETECTIONS_H
#define SACCADE_DETECTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

/// One detected object.
typedef struct sac_detection {
    float box[4];     ///< x1,y1,x2,y2 in source pixels, within [0,width] and [0,height]
    float score;      ///< (conf,1]
    int32_t class_id; ///< index into the model's class names
    int32_t anchor;   ///< row of the network's output that the box comes from
} sac_detection;

/// Milliseconds a stage took for the call that this picture was part of, shared out evenly over its
/// pictures; by the wall clock, or by the device's own events where a stage ran there.
typedef struct sac_timings {
    double letterbox, network, boxes;
    double upload, download; ///< copies to and from a device; 0 where there are none
} sac_timings;

/// The objects of one picture, by falling score, equal scores by rising anchor, then class.
typedef struct sac_detections {
    sac_detection *items; ///< count objects; owned by the structure
    size_t count;
    size_t candidates; ///< rows (row and class pairs with multi-label) above the threshold and of
                       ///< a wanted class
    size_t nonfinite;  ///< rows dropped because a value was NaN or infinite
    size_t overflow;   ///< candidates dropped because more than 30000 passed the threshold
    sac_timings ms;
} sac_detections;

/// Frees items and zeroes the structure. NULL is allowed.
SAC_API void sac_detections_free(sac_detections *detections);

#ifdef __cplusplus
}
#endif
#endif
