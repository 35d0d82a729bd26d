// SPDX-License-Identifier: Apache-2.0
// Every set's head and NMS equal the reference, bit for bit.
#include "ops/math/nms.h"
#include "rows_case.h"

// Corners of every size from the smallest float to the largest; often on a coarse grid, where two
// boxes meet exactly at a threshold.
static struct sac__shifted random_box(void)
{
    const float scale = ldexpf(1.f, check_int(0, 3) ? check_int(-2, 4) : check_int(-149, 124));
    float corner[4];
    for (int k = 0; k < 4; k++) corner[k] = (float)check_int(k < 2 ? -3 : 0, 8) * scale;
    if (check_int(0, 50) == 0) corner[check_int(0, 3)] = odd_value();
    return sac__box_shifted(corner, 0, 1);
}

static void check_overlap(void)
{
    static const float thresholds[] = {0.f, 1e-30f, 0.25f, 0.45f, 0.5f, 0.999999f, 1.f};
    int above = 0;
    for (int i = 0; i < 1000000; i++) {
        const struct sac__shifted a = random_box(), b = random_box();
        const float iou = check_int(0, 1) ? thresholds[check_int(0, 6)] : check_float(0, 1);
        const int want = sac__iou(&a, &b) > iou;
        above += want;
        CHECK(sac__iou_above(&a, &b, iou) == want,
              "%g %g %g %g and %g %g %g %g above %.9g: %.9g", (double)a.x1, (double)a.y1,
              (double)a.x2, (double)a.y2, (double)b.x1, (double)b.y1, (double)b.x2, (double)b.y2,
              (double)iou, (double)sac__iou(&a, &b));
    }
    CHECK(above > 1000, "only %d pairs overlap", above);
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
    check_overlap();
    const struct shape crowd = {SAC_HEAD_V5, 40000, 3, 1280, 0.95f, 0}; // more than 30000
    for (int i = 0; i < 3; i++) check_case(workspaces, &crowd);
    for (int i = 0; i < CHECK_SETS; i++) sac__workspace_close(&workspaces[i]);
    return 0;
}
