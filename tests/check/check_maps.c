// SPDX-License-Identifier: Apache-2.0
// Raw maps: every set of kernels equals the reference bit for bit, and the reference equals
// decoding every row and then reading the rows.
#include <float.h>

#include "maps_case.h"

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
