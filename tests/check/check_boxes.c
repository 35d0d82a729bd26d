// SPDX-License-Identifier: Apache-2.0
// Every set's head and NMS equal the reference, bit for bit.
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

static float score_of(int hot)
{
    const float score = check_float(0, 1);
    const float value = hot ? score : score * score * score * 0.3f;
    return check_int(0, 1) ? value : roundf(value * 16) / 16; // ties
}

static float odd_value(void)
{
    static const float odd[] = {NAN, -NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 0.f, -0.f, 1e-42f};
    return odd[check_int(0, 8)];
}

static float value_of(const struct shape *shape, int value, int hot, const float *centre)
{
    if (shape->odd > 0 && check_float(0, 1) < shape->odd) return odd_value();
    if (shape->family == SAC_HEAD_YOLOX && value < 4) return check_float(-1, 3);
    if (shape->family == SAC_HEAD_END2END && value == 5)
        return (float)check_int(-1, shape->classes);
    if (value >= 4) return score_of(hot);
    return value < 2 ? centre[value] + check_float(-9, 9) : check_float(20, 90);
}

static void set_value(sac_tensor *tensor, size_t at, float value)
{
    if (tensor->dtype == SAC_F16) ((uint16_t *)tensor->data)[at] = sac__float_half(value);
    else ((float *)tensor->data)[at] = value;
}

static void fill(struct output *output, const struct shape *shape, int values)
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

static struct output new_output(const struct shape *shape, sac_dtype dtype)
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

static struct shape random_shape(void)
{
    struct shape shape = {
        .family = (sac_head_family)check_int(0, SAC_HEAD_COUNT - 1),
        .rows = check_int(0, 3000),
        .classes = check_int(0, 1) ? check_int(1, 20) : check_int(1, 100),
        .size = 32 * check_int(1, 8),
        .positive = check_float(0, check_int(0, 1) ? 0.9f : 0.02f),
        .odd = check_int(0, 2) ? 0 : check_float(0, 0.02f),
    };
    if (shape.family == SAC_HEAD_YOLOX) shape.rows = shape.size * shape.size / 1024 * 21;
    return shape;
}

static sac_nms random_nms(const int32_t *classes)
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

static void check_equal(const sac_detections *got, const sac_detections *want, const char *set,
                        const struct shape *shape)
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

static void check_case(sac_workspace *const *workspaces, const struct shape *shape)
{
    struct output output = new_output(shape, check_int(0, 2) ? SAC_F32 : SAC_F16);
    const int32_t classes[] = {check_int(0, shape->classes), 0, check_int(-1, shape->classes)};
    const sac_nms nms = random_nms(classes);
    sac_detections found[CHECK_SETS] = {{0}};
    for (int i = 0; i < CHECK_SETS; i++) {
        const struct sac_ops *ops = sac__ops_find(check_sets[i]);
        if (!ops) continue;
        CHECK(!sac__ops_boxes(ops, workspaces[i], &found[i], &output.tensor, 0, &output.head,
                              &output.fit, &nms),
              "%s", sac_error_message());
        check_equal(&found[i], &found[0], check_sets[i], shape);
    }
    for (int i = 0; i < CHECK_SETS; i++) sac_detections_free(&found[i]);
    sac_tensor_free(&output.tensor);
}

static void bench(const char *name, struct shape shape, sac_dtype dtype, float conf)
{
    struct output output = new_output(&shape, dtype);
    sac_nms nms = SAC_NMS_DEFAULT;
    nms.conf = conf;
    for (int i = 0; i < CHECK_SETS; i++) {
        const struct sac_ops *ops = sac__ops_find(check_sets[i]);
        if (!ops) continue;
        sac_workspace *workspace;
        sac_detections found = {0};
        CHECK(!sac__workspace_open(&workspace), "%s", sac_error_message());
        BENCH(name, check_sets[i], sac_tensor_bytes(&output.tensor), {
            sac_detections_free(&found);
            sac__ops_boxes(ops, workspace, &found, &output.tensor, 0, &output.head, &output.fit,
                           &nms);
        });
        printf("    %zu candidates, %zu boxes\n", found.candidates, found.count);
        sac_detections_free(&found);
        sac__workspace_close(&workspace);
    }
    sac_tensor_free(&output.tensor);
}

static void bench_all(void)
{
    const struct shape few5 = {SAC_HEAD_V5, 25200, 80, 640, 0.004f, 0};
    const struct shape many5 = {SAC_HEAD_V5, 102000, 5, 1280, 0.4f, 0};
    const struct shape crowd5 = {SAC_HEAD_V5, 102000, 2, 1280, 0.6f, 0}; // few boxes stay
    const struct shape few8 = {SAC_HEAD_V8, 8400, 80, 640, 0.004f, 0};
    const struct shape many8 = {SAC_HEAD_V8, 8400, 80, 640, 1.f, 0};
    bench("v5 25200x85, few", few5, SAC_F32, 0.3f);
    bench("v5 25200x85 float16, few", few5, SAC_F16, 0.3f);
    bench("v5 102000x10, many", many5, SAC_F32, 0.25f);
    bench("v5 102000x7, crowded", crowd5, SAC_F32, 0.25f);
    bench("v8 84x8400, few", few8, SAC_F32, 0.35f);
    bench("v8 84x8400, all", many8, SAC_F32, 0.25f);
}

int main(int count, char **arguments)
{
    check_seed(count > 1 && strcmp(arguments[1], "--bench") ? arguments[1] : NULL);
    if (count > 1 && strcmp(arguments[1], "--bench") == 0) {
        bench_all();
        return 0;
    }
    sac_workspace *workspaces[CHECK_SETS]; // reused, as the detector does
    for (int i = 0; i < CHECK_SETS; i++)
        CHECK(!sac__workspace_open(&workspaces[i]), "%s", sac_error_message());
    for (int i = 0; i < 400; i++) {
        const struct shape shape = random_shape();
        check_case(workspaces, &shape);
    }
    const struct shape crowd = {SAC_HEAD_V5, 40000, 3, 1280, 0.95f, 0}; // more than 30000
    for (int i = 0; i < 3; i++) check_case(workspaces, &crowd);
    for (int i = 0; i < CHECK_SETS; i++) sac__workspace_close(&workspaces[i]);
    return 0;
}
