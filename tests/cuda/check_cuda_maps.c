// SPDX-License-Identifier: Apache-2.0
// Head and NMS on raw maps equal the C set's, bit for bit, and so do decoded rows; maps lie as the
// network leaves them (NHWC with other channels around) or as planes.
//   check_cuda_maps [SEED [CASES]]
//   check_cuda_maps --bench [SEED]    microseconds (for a GPU)
#include <float.h>

#include "boxes_run.h"
#include "check/maps_case.h"

enum { MOST = 3, CASES = CHECK_CASES(16, 400), MOST_BATCH = 32, MOST_MAPS = 2 * SAC__MAP_LEVELS };

static int benched; ///< maps as the engine's networks leave them

/// The maps of n pictures on the device.
struct device_maps {
    struct sac__maps maps;
    void *memory[MOST_MAPS];
    int count;
};

static void put(void *to, size_t at, const void *from, size_t index, int half)
{
    if (half) ((uint16_t *)to)[at] = ((const uint16_t *)from)[index];
    else ((float *)to)[at] = ((const float *)from)[index];
}

// One map of all pictures: `channels` planes of `area` each → where `map` says; around it is NaN.
static void upload(struct device_maps *device, struct sac__raw_map *map,
                   const struct sac__raw_map **sources, int n, int channels, int area)
{
    const int half = device->maps.half, before = check_int(0, 1) ? check_int(0, 9) : 0;
    const int pitch = (before + channels + 7) / 8 * 8 + 8 * check_int(0, 1);
    const int planes = !benched && check_int(0, 2) == 0;
    map->cell_step = planes ? 1 : pitch;
    map->channel_step = planes ? area : 1;
    map->picture_step = (int64_t)area * (planes ? channels : pitch);
    const size_t size = half ? 2 : 4, bytes = size * (size_t)map->picture_step * (size_t)n;
    uint8_t *host = room(bytes);
    memset(host, 0xff, bytes);
    const size_t first = planes ? 0 : (size_t)before;
    for (int k = 0; k < n; k++)
        for (int c = 0; c < channels; c++)
            for (int cell = 0; cell < area; cell++)
                put(host,
                    first + (size_t)(k * map->picture_step + c * map->channel_step +
                                     cell * map->cell_step),
                    sources[k]->data, (size_t)c * (size_t)area + (size_t)cell, half);
    uint8_t *data = device_copy(host, bytes);
    device->memory[device->count++] = data;
    map->data = data + first * size;
    free(host);
}

static struct device_maps upload_all(const struct picture *pictures, int n)
{
    struct device_maps device = {.maps = pictures[0].maps};
    const struct sac__maps *maps = &device.maps;
    const int v5 = maps->head.family == SAC_HEAD_V5;
    for (int k = 0; k < maps->level_count; k++) {
        struct sac__map_level *level = &device.maps.levels[k];
        const int area = level->width * level->height;
        const struct sac__raw_map *boxes[MOST_BATCH], *scores[MOST_BATCH];
        for (int p = 0; p < n; p++) {
            boxes[p] = &pictures[p].maps.levels[k].boxes;
            scores[p] = &pictures[p].maps.levels[k].scores;
        }
        upload(&device, &level->boxes, boxes, n,
               v5 ? level->anchor_count * sac__maps_width(maps) : 4 * maps->bins, area);
        if (!v5) upload(&device, &level->scores, scores, n, maps->head.classes, area);
    }
    return device;
}

static void free_maps(struct device_maps *device)
{
    for (int k = 0; k < device->count; k++) cuda(cudaFree(device->memory[k]));
}

// All pictures have the anchors of the first.
static void share_anchors(struct picture *pictures, int n)
{
    for (int p = 1; p < n; p++)
        for (int k = 0; k < pictures[0].maps.level_count; k++)
            memcpy(pictures[p].maps.levels[k].anchors, pictures[0].maps.levels[k].anchors,
                   sizeof pictures[0].maps.levels[k].anchors);
}

// ---- rows ---------------------------------------------------------------------------------------

static void decode_level(float *out, const struct picture *picture,
                         const struct sac__map_level *level, int first)
{
    const struct sac__maps *maps = &picture->maps;
    const int v8 = maps->head.family == SAC_HEAD_V8, width = sac__maps_width(maps);
    const int area = level->width * level->height;
    float *values = room((size_t)width * sizeof *values);
    for (int at = 0; at < level->anchor_count * area; at++) {
        if (v8) sac__maps_row_v8(maps, level, at, -FLT_MAX, values);
        else sac__maps_row_v5(maps, level, at / area, at % area, -FLT_MAX, values);
        for (int v = 0; v < width; v++)
            out[v8 ? v * picture->rows + first + at : (first + at) * width + v] = values[v];
    }
    free(values);
}

static int same(const void *got, sac_dtype dtype, size_t at, float want)
{
    const float value =
        dtype == SAC_F32 ? ((const float *)got)[at] : sac__half_float(((const uint16_t *)got)[at]);
    const float rounded = dtype == SAC_F32 ? want : sac__half_float(sac__float_half(want));
    if (want != want) return value != value;
    return sac__float_bits(value) == sac__float_bits(rounded);
}

static void check_rows(const struct device_maps *device, const struct picture *pictures, int n)
{
    const sac_dtype dtype = check_int(0, 1) ? SAC_F32 : SAC_F16;
    const size_t count = (size_t)pictures[0].rows * (size_t)sac__maps_width(&device->maps);
    const size_t bytes = count * (size_t)n * sac_dtype_bytes(dtype);
    void *out = device_filled(0xa5, bytes);
    CHECK(!sac__rows_cuda(out, dtype, &device->maps, n, NULL, check_int(0, 1)), "%s",
          sac_error_message());
    void *got = device_read(out, bytes);
    float *want = room(count * sizeof *want);
    for (int p = 0; p < n; p++) {
        for (int k = 0, first = 0; k < device->maps.level_count; k++) {
            const struct sac__map_level *level = &pictures[p].maps.levels[k];
            decode_level(want, &pictures[p], level, first);
            first += level->anchor_count * level->width * level->height;
        }
        for (size_t i = 0; i < count; i++)
            CHECK(same(got, dtype, (size_t)p * count + i, want[i]), "picture %d, value %zu of %zu",
                  p, i, count);
    }
    cuda(cudaFree(out));
    free(got);
    free(want);
}

// ---- boxes --------------------------------------------------------------------------------------

static size_t check_case(sac_workspace *workspace, const struct shape *shape)
{
    const int n = check_int(1, MOST);
    const int32_t classes[] = {check_int(0, shape->classes), 0};
    const sac_nms nms = random_nms(classes);
    struct picture pictures[MOST];
    sac_detections want[MOST] = {{0}};
    for (int p = 0; p < n; p++) pictures[p] = new_picture(shape);
    share_anchors(pictures, n);
    struct device_maps device = upload_all(pictures, n);
    struct boxes_run run =
        boxes_run_open(n, pictures[0].rows, shape->classes, shape->family, &nms);
    printf("%s: %d of %d rows, %d classes, fp%d, conf %g, most %d%s\n",
           sac_head_name(shape->family), n, pictures[0].rows, shape->classes,
           shape->half ? 16 : 32, (double)nms.conf, nms.max_det,
           nms.multi_label ? ", multi-label" : "");
    size_t boxes = 0;
    for (int p = 0; p < n; p++) {
        CHECK(!sac__ops_maps(sac__ops_find("c"), workspace, &want[p], &pictures[p].maps,
                             &pictures[p].fit, &nms),
              "%s", sac_error_message());
        boxes_run_add(&run, &pictures[p].fit);
        boxes += want[p].count;
    }
    for (int turn = 0; turn < 2; turn++) { // the second finds the workspace as the first left it
        run.boxes.blocks = 1 << check_int(0, 3);
        boxes_run_send(&run);
        CHECK(!sac__boxes_maps_cuda(&run.boxes, &device.maps, NULL, turn), "%s",
              sac_error_message());
        boxes_run_check(&run, want);
    }
    check_rows(&device, pictures, n);
    boxes_run_close(&run);
    free_maps(&device);
    for (int p = 0; p < n; p++) {
        sac_detections_free(&want[p]);
        free_picture(&pictures[p]);
    }
    return boxes;
}

// ---- bench --------------------------------------------------------------------------------------

enum { TURNS = 4 };

struct job {
    struct boxes_run runs[TURNS];
    struct device_maps maps[TURNS];
    void *rows;
    int n;
};

static int launch_boxes(void *job, int turn, cudaStream_t stream)
{
    const struct job *j = job;
    return sac__boxes_maps_cuda(&j->runs[turn % TURNS].boxes, &j->maps[turn % TURNS].maps, stream,
                                1);
}

static int launch_rows(void *job, int turn, cudaStream_t stream)
{
    const struct job *j = job;
    return sac__rows_cuda(j->rows, SAC_F32, &j->maps[turn % TURNS].maps, j->n, stream, 1);
}

static void bench(const char *what, struct shape shape, float conf, int n)
{
    struct job job = {.n = n};
    sac_nms nms = SAC_NMS_DEFAULT;
    nms.conf = conf;
    struct picture picture = new_picture(&shape), pictures[MOST_BATCH];
    for (int p = 0; p < n; p++) pictures[p] = picture;
    const size_t values = (size_t)picture.rows * (size_t)sac__maps_width(&picture.maps);
    job.rows = device_filled(0, values * sizeof(float) * (size_t)n);
    for (int k = 0; k < TURNS; k++) {
        job.maps[k] = upload_all(pictures, n);
        job.runs[k] = boxes_run_open(n, picture.rows, shape.classes, shape.family, &nms);
        for (int p = 0; p < n; p++) boxes_run_add(&job.runs[k], &picture.fit);
        boxes_run_send(&job.runs[k]);
    }
    const double us = bench_time(launch_boxes, &job);
    struct sac__found *found = device_read(job.runs[0].boxes.found, sizeof *found);
    char text[96];
    snprintf(text, sizeof text, "%s, batch %d: %lld, %lld boxes", what, n,
             (long long)found->passed, (long long)found->count);
    const double bytes = (double)values * (shape.half ? 2 : 4) * n;
    bench_row(text, us, bytes, 4.3e6);
    snprintf(text, sizeof text, "%s, batch %d: rows", what, n);
    bench_row(text, bench_time(launch_rows, &job), bytes + (double)values * 4 * n, 4.3e6);
    free(found);
    for (int k = 0; k < TURNS; k++) {
        boxes_run_close(&job.runs[k]);
        free_maps(&job.maps[k]);
    }
    cuda(cudaFree(job.rows));
    free_picture(&picture);
}

static void bench_all(void)
{
    const struct shape s = {SAC_HEAD_V5, 640, 80, 3, 3, 0, -4, 0, 1};
    const struct shape few6 = {SAC_HEAD_V5, 1280, 5, 4, 3, 0, -5, 0, 1};
    const struct shape many6 = {SAC_HEAD_V5, 1280, 5, 4, 3, 0, 0, 0, 1};
    const struct shape v8 = {SAC_HEAD_V8, 640, 80, 3, 1, 16, -5, 0, 1};
    bench("v5 640, 80 classes", s, 0.25f, 1);
    bench("v5 640, 80 classes, conf 0.01", s, 0.01f, 1);
    bench("v5 1280, 5 classes, few", few6, 0.25f, 1);
    bench("v5 1280, 5 classes, many", many6, 0.25f, 1);
    bench("v8 640, 80 classes", v8, 0.25f, 1);
    bench("v8 640, 80 classes, conf 0.01", v8, 0.01f, 1);
    bench("v5 640, 80 classes", s, 0.25f, 32);
    bench("v5 1280, 5 classes, many", many6, 0.25f, 8);
}

int main(int count, char **arguments)
{
    const int benching = count > 1 && strcmp(arguments[1], "--bench") == 0;
    check_seed(count > 1 + benching ? arguments[1 + benching] : NULL);
    if (benching) {
        benched = 1;
        bench_all();
        return 0;
    }
    sac_workspace *workspace;
    CHECK(!sac__workspace_open(&workspace), "%s", sac_error_message());
    const int cases = count > 2 ? atoi(arguments[2]) : CASES;
    size_t boxes = 0;
    for (int i = 0; i < cases; i++) {
        const struct shape shape = random_shape();
        boxes += check_case(workspace, &shape);
    }
    CHECK(boxes > 0, "no case has boxes");
    sac__workspace_close(&workspace);
    return 0;
}
