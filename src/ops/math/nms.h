// SPDX-License-Identifier: Apache-2.0
// Non-maximum suppression: the order of candidates, and what two boxes have in common.
#ifndef SAC_OPS_MATH_NMS_H
#define SAC_OPS_MATH_NMS_H

#include "head.h"

/// Pixels by which a class is moved away from the one before it, so that classes do not meet.
#define SAC__CLASS_SHIFT 7680.f

/// A box where suppression compares it, and its area.
struct sac__shifted {
    float x1, y1, x2, y2, area;
};

SAC_HD struct sac__shifted sac__box_shifted(const float box[4], int32_t class_id, int agnostic)
{
    const float shift = agnostic ? 0.f : (float)class_id * SAC__CLASS_SHIFT;
    struct sac__shifted out;
    out.x1 = box[0] + shift;
    out.y1 = box[1] + shift;
    out.x2 = box[2] + shift;
    out.y2 = box[3] + shift;
    out.area = (out.x2 - out.x1) * (out.y2 - out.y1);
    return out;
}

/// Intersection over union, without +1; NaN for two boxes without area, which suppresses nothing.
SAC_HD float sac__iou(const struct sac__shifted *a, const struct sac__shifted *b)
{
    const float width = (a->x2 < b->x2 ? a->x2 : b->x2) - (a->x1 > b->x1 ? a->x1 : b->x1);
    const float height = (a->y2 < b->y2 ? a->y2 : b->y2) - (a->y1 > b->y1 ? a->y1 : b->y1);
    const float common = (width > 0.f ? width : 0.f) * (height > 0.f ? height : 0.f);
    return common / (a->area + b->area - common);
}

/// sac__iou(a, b) > iou, mostly without the division; iou ≥ 0.
SAC_HD int sac__iou_above(const struct sac__shifted *a, const struct sac__shifted *b, float iou)
{
    const float width = (a->x2 < b->x2 ? a->x2 : b->x2) - (a->x1 > b->x1 ? a->x1 : b->x1);
    const float height = (a->y2 < b->y2 ? a->y2 : b->y2) - (a->y1 > b->y1 ? a->y1 : b->y1);
    const float common = (width > 0.f ? width : 0.f) * (height > 0.f ? height : 0.f);
    if (!(common > 0.f)) return 0;
    const float whole = a->area + b->area - common;
    if (common < iou * whole * 0.999999f) return 0; // further below than rounding reaches
    return common / whole > iou;
}

/// The one order of candidates: falling score, then rising anchor, then rising class.
SAC_HD int sac__candidate_before(const struct sac__candidate *a, const struct sac__candidate *b)
{
    if (a->score != b->score) return a->score > b->score;
    if (a->anchor != b->anchor) return a->anchor < b->anchor;
    return a->class_id < b->class_id;
}

#endif
