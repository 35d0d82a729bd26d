// SPDX-License-Identifier: Apache-2.0
// Raw maps: every set of kernels equals the reference bit for bit, and the reference equals
// decoding every row and then reading the rows.
#include <float.h>
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

static float odd_value(void)
{
    static const float odd[] = {NAN, -NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 0.f, -0.f, 1e-42f};
    return odd[check_int(0, 8)];
}

static float logit_of(const struct shape *shape)
{
    if (shape->odd > 0 && check_float(0, 1) < shape->odd) return odd_value();
    const float value = shape->typical + 2 * (check_float(-1, 1) + check_float(-1, 1));
    return check_int(0, 1) ? value : roundf(value * 2) / 2; // ties
}

static struct sac__raw_map new_map(const struct shape *shape, size_t area, int channels)
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

static void set_level(struct sac__map_level *level, const struct shape *shape, int stride)
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

static struct picture new_picture(const struct shape *shape)
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

static void free_picture(struct picture *picture)
{
    for (int k = 0; k < picture->maps.level_count; k++) {
        free((void *)picture->maps.levels[k].boxes.data);
        free((void *)picture->maps.levels[k].scores.data);
    }
}

static struct shape random_shape(void)
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

static sac_nms random_nms(const int32_t *classes)
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

// Every row with all of its values, as the decode tail would give them.
static sac_tensor decode(const struct picture *picture)
{
    const struct sac__maps *maps = &picture->maps;
    const int v8 = maps->head.family == SAC_HEAD_V8, width = sac__maps_width(maps);
    const int64_t rows[] = {1, picture->rows, width}, columns[] = {1, width, picture->rows};
    sac_tensor tensor;
    CHECK(!sac_tensor_alloc(&tensor, SAC_F32, 3, v8 ? columns : rows), "%s", sac_error_message());
    float *out = tensor.data, values[128];
    for (int k = 0; k < maps->level_count; k++) {
        const struct sac__map_level *level = &maps->levels[k];
        for (int at = 0; at < level->anchor_count * level->width * level->height; at++) {
            const int area = level->width * level->height;
            if (v8)
                sac__maps_row_v8(maps, level, at, -FLT_MAX, values);
            else
                sac__maps_row_v5(maps, level, at / area, at % area, -FLT_MAX, values);
            for (int v = 0; v < width; v++)
                out[v * (v8 ? picture->rows : 1)] = values[v];
            out += v8 ? 1 : width;
        }
    }
    return tensor;
}

static void check_equal(const sac_detections *got, const sac_detections *want, const char *what)
{
    CHECK(got->count == want->count && got->candidates == want->candidates &&
              got->nonfinite == want->nonfinite && got->overflow == want->overflow,
          "%s: %zu boxes of %zu, %zu nonfinite; c: %zu of %zu, %zu", what, got->count,
          got->candidates, got->nonfinite, want->count, want->candidates, want->nonfinite);
    CHECK(!want->count || memcmp(got->items, want->items, want->count * sizeof *want->items) == 0,
          "%s: boxes differ", what);
}

static size_t check_case(sac_workspace *workspace, const struct shape *shape)
{
    struct picture picture = new_picture(shape);
    const int32_t classes[] = {check_int(0, shape->classes), 0};
    const sac_nms nms = random_nms(classes);
    sac_detections want, got;
    CHECK(!sac__ops_maps(sac__ops_find("c"), workspace, &want, &picture.maps, &picture.fit, &nms),
          "%s", sac_error_message());
    sac_tensor rows = decode(&picture);
    CHECK(!sac__ops_boxes(sac__ops_find("c"), workspace, &got, &rows, 0, &picture.maps.head,
                          &picture.fit, &nms),
          "%s", sac_error_message());
    check_equal(&got, &want, "decoded rows");
    sac_detections_free(&got);
    sac_tensor_free(&rows);
    for (int i = 1; i < CHECK_SETS; i++) {
        const struct sac_ops *ops = sac__ops_find(check_sets[i]);
        if (!ops) continue;
        CHECK(!sac__ops_maps(ops, workspace, &got, &picture.maps, &picture.fit, &nms), "%s",
              sac_error_message());
        check_equal(&got, &want, check_sets[i]);
        sac_detections_free(&got);
    }
    const size_t count = want.count;
    sac_detections_free(&want);
    free_picture(&picture);
    return count;
}

static void bench(const char *name, struct shape shape, float conf)
{
    struct picture picture = new_picture(&shape);
    sac_nms nms = SAC_NMS_DEFAULT;
    nms.conf = conf;
    for (int i = 0; i < CHECK_SETS; i++) {
        const struct sac_ops *ops = sac__ops_find(check_sets[i]);
        if (!ops) continue;
        sac_workspace *workspace;
        sac_detections found = {0};
        CHECK(!sac__workspace_open(&workspace), "%s", sac_error_message());
        BENCH(name, check_sets[i], (size_t)picture.rows * (size_t)(5 + shape.classes) * 4, {
            sac_detections_free(&found);
            sac__ops_maps(ops, workspace, &found, &picture.maps, &picture.fit, &nms);
        });
        printf("    %zu candidates, %zu boxes\n", found.candidates, found.count);
        sac_detections_free(&found);
        sac__workspace_close(&workspace);
    }
    free_picture(&picture);
}

static void bench_all(void)
{
    const struct shape v5 = {SAC_HEAD_V5, 640, 80, 3, 3, 0, -4, 0, 0};
    const struct shape p6 = {SAC_HEAD_V5, 1280, 5, 4, 3, 0, 0, 0, 0};
    const struct shape v8 = {SAC_HEAD_V8, 640, 80, 3, 1, 16, -5, 0, 0};
    bench("v5 640, 80 classes, few", v5, 0.25f);
    bench("v5 640, 80 classes, conf 0.01", v5, 0.01f);
    bench("v5 1280, 5 classes, many", p6, 0.25f);
    bench("v8 640, 80 classes, few", v8, 0.25f);
    bench("v8 640, 80 classes, conf 0.01", v8, 0.01f);
}

int main(int count, char **arguments)
{
    const int benching = count > 1 && strcmp(arguments[1], "--bench") == 0;
    check_seed(count > 1 && !benching ? arguments[1] : NULL);
    if (benching) {
        bench_all();
        return 0;
    }
    sac_workspace *workspace; // reused, as the detector does
    CHECK(!sac__workspace_open(&workspace), "%s", sac_error_message());
    size_t boxes = 0;
    for (int i = 0; i < 150; i++) {
        const struct shape shape = random_shape();
        boxes += check_case(workspace, &shape);
    }
    CHECK(boxes > 0, "no case has boxes");
    sac__workspace_close(&workspace);
    return 0;
}
