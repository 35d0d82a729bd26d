// SPDX-License-Identifier: Apache-2.0
#ifndef SAC_SRC_DETECTIONS_H
#define SAC_SRC_DETECTIONS_H

#include "backend/backend.h"

/// Copies what a frame found, but not its times. After a failure detections_out is all zero.
/// Errors: SAC_ENOMEM.
int sac__found_copy(sac_detections *detections_out, const struct sac_frame_found *found);

#endif
