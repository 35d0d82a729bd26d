// SPDX-License-Identifier: Apache-2.0
#include "detections.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

void sac_detections_free(sac_detections *detections)
{
    if (!detections) return;
    free(detections->items);
    *detections = (sac_detections){0};
}

int sac__found_copy(sac_detections *detections_out, const struct sac_frame_found *found)
{
    *detections_out = (sac_detections){0};
    sac_detection *items = NULL;
    if (found->count) {
        items = malloc(found->count * sizeof *items);
        if (!items) return sac__fail(SAC_ENOMEM, "no memory for %zu boxes", found->count);
        memcpy(items, found->boxes, found->count * sizeof *items);
    }
    *detections_out = (sac_detections){.items = items,
                                       .count = found->count,
                                       .candidates = found->candidates,
                                       .nonfinite = found->nonfinite,
                                       .overflow = found->overflow};
    return 0;
}
