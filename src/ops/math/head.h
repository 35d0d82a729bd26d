// SPDX-License-Identifier: Apache-2.0
// One row of raw output: is it above the threshold, for which class, and where is its box?
//
// What counts as nonfinite, and drops the row: a NaN or an infinity among the values that deciding
// on the row takes:
//   - objectness (v5, YOLOX), or the score (end-to-end);
//   - if that is above the threshold, or there is none (v8): every class score, and the best
//     product of class score and objectness; end-to-end: the class;
//   - if the best score is above the threshold: the box's four corners.
// Values that nobody asks for, such as the box of a row below the threshold, do not matter.
#ifndef SAC_OPS_MATH_HEAD_H
#define SAC_OPS_MATH_HEAD_H

#include "exp.h"
#include "half.h"
#include "saccade/ops.h"

/// The raw output of one picture, whatever its layout: value v of row r is at
/// data[r * row_step + v * value_step].
struct sac__rows {
    const void *data;
    int32_t half;  ///< nonzero: binary16 values, else float
    int32_t count; ///< rows
    int32_t first; ///< number of row 0 among all of the picture's, for `anchor`
    int64_t row_step, value_step;
    sac_head head;
    int32_t width, height; ///< network input, pixels
};

/// What became of a row.
enum sac__verdict { SAC__BELOW, SAC__ABOVE, SAC__NONFINITE };

/// A box that may become a detection.
struct sac__candidate {
    float box[4]; ///< x1,y1,x2,y2 in input pixels
    float score;
    int32_t class_id, anchor;
};

SAC_HD float sac__row_value(const struct sac__rows *rows, int32_t row, int32_t value)
{
    const int64_t at = row * rows->row_step + value * rows->value_step;
    if (rows->half) return sac__half_float(((const uint16_t *)rows->data)[at]);
    return ((const float *)rows->data)[at];
}

/// Whether value 4 is the objectness.
SAC_HD int sac__has_objectness(sac_head_family family)
{
    return family == SAC_HEAD_V5 || family == SAC_HEAD_YOLOX || family == SAC_HEAD_YOLOX_DECODED;
}

/// Score of one class: class score times objectness, where there is one.
SAC_HD float sac__row_score(const struct sac__rows *rows, int32_t row, int32_t class_id)
{
    if (!sac__has_objectness(rows->head.family)) return sac__row_value(rows, row, 4 + class_id);
    return sac__row_value(rows, row, 5 + class_id) * sac__row_value(rows, row, 4);
}

/// The first of the best classes of a row that has class scores; compares strictly with conf.
SAC_HD enum sac__verdict sac__row_best(const struct sac__rows *rows, int32_t row, float conf,
                                       float *score_out, int32_t *class_out)
{
    const int objectness = sac__has_objectness(rows->head.family);
    if (objectness) {
        const float value = sac__row_value(rows, row, 4);
        if (!sac__finite(value)) return SAC__NONFINITE;
        if (!(value > conf)) return SAC__BELOW;
    }
    float best = conf;
    for (int32_t c = 0; c < rows->head.classes; c++) {
        if (!sac__finite(sac__row_value(rows, row, 4 + objectness + c))) return SAC__NONFINITE;
        const float score = sac__row_score(rows, row, c);
        if (!(score > best)) continue;
        best = score;
        *class_out = c;
    }
    *score_out = best;
    if (!(best > conf)) return SAC__BELOW;
    return sac__finite(best) ? SAC__ABOVE : SAC__NONFINITE;
}

/// A row of an end-to-end head: score and class as they stand. A class that the model does not
/// have drops the row.
SAC_HD enum sac__verdict sac__row_final(const struct sac__rows *rows, int32_t row, float conf,
                                        float *score_out, int32_t *class_out)
{
    const float score = sac__row_value(rows, row, 4), class_id = sac__row_value(rows, row, 5);
    if (!sac__finite(score)) return SAC__NONFINITE;
    if (!(score > conf)) return SAC__BELOW;
    if (!sac__finite(class_id)) return SAC__NONFINITE;
    if (!(class_id >= 0.f && class_id < (float)rows->head.classes)) return SAC__BELOW;
    *score_out = score;
    *class_out = (int32_t)class_id;
    return SAC__ABOVE;
}

/// Centre and size of an undecoded YOLOX row, in place. Rows: level, y, x.
SAC_HD void sac__yolox_decode(const struct sac__rows *rows, int32_t row, float box[4])
{
    for (int level = 0; level < 8 && rows->head.strides[level] > 0; level++) {
        const int32_t stride = rows->head.strides[level];
        const int32_t across = rows->width / stride, cells = across * (rows->height / stride);
        if (row >= cells) {
            row -= cells;
            continue;
        }
        box[0] = (box[0] + (float)(row % across)) * (float)stride;
        box[1] = (box[1] + (float)(row / across)) * (float)stride;
        box[2] = sac__expf(box[2]) * (float)stride;
        box[3] = sac__expf(box[3]) * (float)stride;
        return;
    }
}

/// Centre and size → corners, in place.
SAC_HD void sac__box_corners(float box[4])
{
    const float half_width = box[2] / 2.f, half_height = box[3] / 2.f;
    const float x = box[0], y = box[1];
    box[0] = x - half_width;
    box[1] = y - half_height;
    box[2] = x + half_width;
    box[3] = y + half_height;
}

/// The row's box, x1,y1,x2,y2 in input pixels. Returns zero when a corner is not finite.
SAC_HD int sac__row_box(const struct sac__rows *rows, int32_t row, float box[4])
{
    for (int32_t v = 0; v < 4; v++) box[v] = sac__row_value(rows, row, v);
    if (rows->head.family == SAC_HEAD_YOLOX) sac__yolox_decode(rows, row, box);
    if (rows->head.family != SAC_HEAD_END2END) sac__box_corners(box);
    return sac__finite(box[0]) && sac__finite(box[1]) && sac__finite(box[2]) &&
           sac__finite(box[3]);
}

#endif
