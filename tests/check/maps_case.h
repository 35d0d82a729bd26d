// SPDX-License-Identifier: Apache-2.0
// Raw maps of made-up networks, for the checks of head and NMS.
#ifndef SAC_TESTS_CHECK_MAPS_CASE_H
#define SAC_TESTS_CHECK_MAPS_CASE_H

#include <math.h>

#include "check.h"
#include "ops/math/half.h"

// The maps of a picture with what it takes to read them.
struct picture {
    struct sac__maps maps;
    sac_letterbox fit;
    int32_t rows;
};

struct shape {
    sac_head_family family;
    int size, classes, levels, anchors, bins;
    float typical; ///< mean logit of a score
    float odd;     ///< share of values that are NaN, infinite, huge or zero
    int half;
};

static inline float odd_value(void)
{
    static const float odd[] = {NAN, -NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 0.f, -0.f, 1e-42f};
    return odd[check_int(0, 8)];
}

static inline float logit_of(const struct shape *shape)
{
    if (shape->odd > 0 && check_float(0, 1) < shape->odd) return odd_value();
    const float value = shape->typical + 2 * (check_float(-1, 1) + check_float(-1, 1));
    return check_int(0, 1) ? value : roundf(value * 2) / 2; // ties
}

static inline struct sac__raw_map new_map(const struct shape *shape, size_t area, int channels)
{
    const size_t count = area * (size_t)channels;
    void *map = malloc(count * (shape->half ? 2 : 4));
    CHECK(map, "no memory");
    for (size_t i = 0; i < count; i++) {
        if (shape->half)
            ((uint16_t *)map)[i] = sac__float_half(logit_of(shape));
        else
            ((float *)map)[i] = logit_of(shape);
    }
    return sac__raw_map_planes(map, (int64_t)area);
}

static inline void set_level(struct sac__map_level *level, const struct shape *shape, int stride)
{
    level->stride = (float)stride;
    level->width = level->height = shape->size / stride;
    level->anchor_count = shape->family == SAC_HEAD_V5 ? shape->anchors : 1;
    for (int a = 0; a < level->anchor_count; a++)
        for (int k = 0; k < 2; k++)
            level->anchors[a][k] = check_float(0.5f, 4.f) * (float)stride;
    const size_t area = (size_t)(level->width * level->height);
    if (shape->family == SAC_HEAD_V5) {
        level->boxes = new_map(shape, area, shape->anchors * (5 + shape->classes));
        return;
    }
    level->boxes = new_map(shape, area, 4 * shape->bins);
    level->scores = new_map(shape, area, shape->classes);
}

static inline struct picture new_picture(const struct shape *shape)
{
    struct picture picture = {.maps = {.head = {.family = shape->family, .classes = shape->classes},
                                       .half = shape->half,
                                       .bins = shape->bins,
                                       .level_count = shape->levels}};
    for (int k = 0; k < shape->levels; k++) {
        struct sac__map_level *level = &picture.maps.levels[k];
        set_level(level, shape, 8 << k);
        picture.rows += level->anchor_count * level->width * level->height;
    }
    CHECK(!sac_letterbox_fit(&picture.fit, check_extent(12), check_extent(12), shape->size,
                             shape->size, NULL),
          "%s", sac_error_message());
    return picture;
}

static inline void free_picture(struct picture *picture)
{
    for (int k = 0; k < picture->maps.level_count; k++) {
        free((void *)picture->maps.levels[k].boxes.data);
        free((void *)picture->maps.levels[k].scores.data);
    }
}

static inline struct shape random_shape(void)
{
    static const int bins[] = {1, 2, 16};
    return (struct shape){
        .family = check_int(0, 1) ? SAC_HEAD_V5 : SAC_HEAD_V8,
        .size = 64 * check_int(1, 5),
        .classes = check_int(0, 1) ? check_int(1, 6) : check_int(1, 90),
        .levels = check_int(1, 4),
        .anchors = check_int(1, 4),
        .bins = bins[check_int(0, 2)],
        .typical = check_float(-9, 1),
        .odd = check_int(0, 2) ? 0 : check_float(0, 0.02f),
        .half = check_int(0, 2) == 0,
    };
}

static inline sac_nms random_nms(const int32_t *classes)
{
    static const float confs[] = {0.f, 1e-35f, 0.001f, 0.25f, 0.5f, 0.999999f, 1.f};
    sac_nms nms = SAC_NMS_DEFAULT;
    nms.conf = confs[check_int(0, 6)];
    nms.max_det = check_int(0, 1) ? 300 : check_extent(16);
    nms.agnostic = check_int(0, 1);
    nms.multi_label = check_int(0, 1);
    nms.classes = check_int(0, 2) ? NULL : classes;
    nms.class_count = nms.classes ? 2 : 0;
    return nms;
}

static inline void check_equal(const sac_detections *got, const sac_detections *want,
                               const char *what)
{
    CHECK(got->count == want->count && got->candidates == want->candidates &&
              got->nonfinite == want->nonfinite && got->overflow == want->overflow,
          "%s: %zu boxes of %zu, %zu nonfinite; c: %zu of %zu, %zu", what, got->count,
          got->candidates, got->nonfinite, want->count, want->candidates, want->nonfinite);
    CHECK(!want->count || memcmp(got->items, want->items, want->count * sizeof *want->items) == 0,
          "%s: boxes differ", what);
}

#endif
