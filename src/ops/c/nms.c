// SPDX-License-Identifier: Apache-2.0
#include "c.h"

static int is_suppressed(const struct sac__shifted *box, const struct sac__shifted *kept,
                         size_t count, float iou)
{
    for (size_t i = 0; i < count; i++)
        if (sac__iou(box, &kept[i]) > iou) return 1;
    return 0;
}

size_t sac__nms_c(uint32_t *picked_out, const struct sac__suppression *job)
{
    size_t kept = 0;
    for (size_t rank = 0; rank < job->count && kept < job->most; rank++) {
        const struct sac__candidate *item = &job->items[(uint32_t)job->order[rank]];
        const struct sac__shifted box =
            sac__box_shifted(item->box, item->class_id, job->agnostic);
        if (is_suppressed(&box, job->kept, kept, job->iou)) continue;
        job->kept[kept] = box;
        picked_out[kept++] = (uint32_t)rank;
    }
    return kept;
}
