// SPDX-License-Identifier: Apache-2.0
#include "saccade/detections.h"

#include <stdlib.h>

void sac_detections_free(sac_detections *detections)
{
    if (!detections) return;
    free(detections->items);
    *detections = (sac_detections){0};
}
