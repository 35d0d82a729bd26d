// SPDX-License-Identifier: Apache-2.0
// Raw output of made-up networks, as rows, for the checks of head and NMS.
#ifndef SAC_TESTS_CHECK_ROWS_CASE_H
#define SAC_TESTS_CHECK_ROWS_CASE_H

#include <math.h>

#include "check.h"
#include "ops/math/half.h"

// A picture's raw output with what it takes to read it.
struct output {
    sac_tensor tensor;
    sac_head head;
    sac_letterbox fit;
};

struct shape {
    sac_head_family family;
    int rows, classes, size;
    float positive; ///< share of rows with high scores
    float odd;      ///< share of values that are NaN, infinite, huge or zero
};

static inline float score_of(int hot)
{
    const float score = check_float(0, 1);
    const float value = hot ? score : score * score * score * 0.3f;
    return check_int(0, 1) ? value : roundf(value * 16) / 16; // ties
}

static inline float odd_value(void)
{
    static const float odd[] = {NAN, -NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 0.f, -0.f, 1e-42f};
    return odd[check_int(0, 8)];
}

static inline float value_of(const struct shape *shape, int value, int hot, const float *centre)
{
    if (shape->odd > 0 && check_float(0, 1) < shape->odd) return odd_value();
    if (shape->family == SAC_HEAD_YOLOX && value < 4) return check_float(-1, 3);
    if (shape->family == SAC_HEAD_END2END && value == 5)
        return (float)check_int(-1, shape->classes);
    if (value >= 4) return score_of(hot);
    return value < 2 ? centre[value] + check_float(-9, 9) : check_float(20, 90);
}

static inline void set_value(sac_tensor *tensor, size_t at, float value)
{
    if (tensor->dtype == SAC_F16) ((uint16_t *)tensor->data)[at] = sac__float_half(value);
    else ((float *)tensor->data)[at] = value;
}

static inline void fill(struct output *output, const struct shape *shape, int values)
{
    for (int r = 0; r < shape->rows; r++) {
        const int hot = check_float(0, 1) < shape->positive;
        const float centre[2] = {(float)(check_int(1, 9) * shape->size / 10),
                                 (float)(check_int(1, 9) * shape->size / 10)};
        for (int v = 0; v < values; v++) {
            const size_t at = shape->family == SAC_HEAD_V8 ? (size_t)v * shape->rows + r
                                                           : (size_t)r * values + v;
            set_value(&output->tensor, at, value_of(shape, v, hot, centre));
        }
    }
}

static inline struct output new_output(const struct shape *shape, sac_dtype dtype)
{
    struct output output = {.head = {shape->family, shape->classes, {8, 16, 32}}};
    const int has_objectness = shape->family != SAC_HEAD_V8;
    const int values = shape->family == SAC_HEAD_END2END ? 6 : 4 + has_objectness + shape->classes;
    const int64_t rows_first[] = {1, shape->rows, values}, values_first[] = {1, values,
                                                                             shape->rows};
    CHECK(!sac_letterbox_fit(&output.fit, check_extent(12), check_extent(12), shape->size,
                             shape->size, NULL),
          "%s", sac_error_message());
    CHECK(!sac_tensor_alloc(&output.tensor, dtype, 3,
                            has_objectness ? rows_first : values_first),
          "%s", sac_error_message());
    fill(&output, shape, values);
    return output;
}

static inline struct shape random_shape(void)
{
    struct shape shape = {
        .family = (sac_head_family)check_int(0, SAC_HEAD_YOLOX_DECODED), // one output
        .rows = check_int(0, 3000),
        .classes = check_int(0, 1) ? check_int(1, 20) : check_int(1, 100),
        .size = 32 * check_int(1, 8),
        .positive = check_float(0, check_int(0, 1) ? 0.9f : 0.02f),
        .odd = check_int(0, 2) ? 0 : check_float(0, 0.02f),
    };
    if (shape.family == SAC_HEAD_YOLOX) shape.rows = shape.size * shape.size / 1024 * 21;
    return shape;
}

static inline sac_nms random_nms(const int32_t *classes)
{
    static const float confs[] = {0.f, 0.001f, 0.25f, 0.5f, 1.f};
    sac_nms nms = SAC_NMS_DEFAULT;
    nms.conf = confs[check_int(0, 4)];
    nms.iou = check_int(0, 1) ? 0.45f : check_float(0, 1);
    nms.max_det = check_int(0, 1) ? 300 : check_extent(16);
    nms.agnostic = check_int(0, 1);
    nms.multi_label = check_int(0, 1);
    nms.compat = (sac_compat)check_int(0, 1);
    nms.classes = check_int(0, 2) ? NULL : classes;
    nms.class_count = nms.classes ? 3 : 0;
    return nms;
}

static inline void check_equal(const sac_detections *got, const sac_detections *want,
                               const char *set, const struct shape *shape)
{
    const size_t bytes = want->count * sizeof *want->items;
    CHECK(got->count == want->count && got->candidates == want->candidates &&
              got->nonfinite == want->nonfinite && got->overflow == want->overflow,
          "%s, %s: %zu boxes of %zu, %zu nonfinite; c: %zu of %zu, %zu", set,
          sac_head_name(shape->family), got->count, got->candidates, got->nonfinite, want->count,
          want->candidates, want->nonfinite);
    CHECK(!bytes || memcmp(got->items, want->items, bytes) == 0, "%s, %s: boxes differ", set,
          sac_head_name(shape->family));
}

#endif
