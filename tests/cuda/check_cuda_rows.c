// SPDX-License-Identifier: Apache-2.0
// Head and NMS on rows equal the C set's, bit for bit, for every family.
//   check_cuda_rows [SEED [CASES [ROWS]]]   ROWS: at most about so many, which are hard for NMS
//   check_cuda_rows --bench [SEED]    microseconds (for a GPU)
#include "boxes_run.h"
#include "check/rows_case.h"

enum { MOST = 3, CASES = CHECK_CASES(20, 600), MOST_HARD = CHECK_CASES(1300, 30000) };

static struct sac__rows rows_of(const struct output *output, const void *data)
{
    const int across = output->head.family == SAC_HEAD_V8;
    const int64_t *shape = output->tensor.shape;
    return (struct sac__rows){
        .data = data,
        .half = output->tensor.dtype == SAC_F16,
        .count = (int32_t)shape[across ? 2 : 1],
        .row_step = across ? 1 : shape[2],
        .value_step = across ? shape[2] : 1,
        .head = output->head,
        .width = output->fit.width,
        .height = output->fit.height,
    };
}

/// All pictures' rows, one behind the other, on the device.
static void *upload(const struct output *outputs, int n)
{
    const size_t bytes = sac_tensor_bytes(&outputs[0].tensor);
    uint8_t *all = room(bytes * (size_t)n);
    for (int k = 0; k < n; k++) memcpy(all + bytes * (size_t)k, outputs[k].tensor.data, bytes);
    void *device = device_copy(all, bytes * (size_t)n);
    free(all);
    return device;
}

/// Twice: the second run finds the workspace as the first one left it. Long lists take an emulator
/// too long with several blocks.
static void run_twice(struct boxes_run *run, const struct output *outputs, const void *data,
                      const sac_detections *want)
{
    const struct sac__rows rows = rows_of(outputs, data);
    const int64_t step = sac_tensor_count(&outputs[0].tensor);
    for (int turn = 0; turn < 2; turn++) {
        run->boxes.blocks = CHECK_CASES(rows.count > 5000, 0) ? 1 : 1 << check_int(0, 3);
        boxes_run_send(run);
        CHECK(!sac__boxes_rows_cuda(&run->boxes, &rows, step, NULL, turn), "%s",
              sac_error_message());
        boxes_run_check(run, want);
    }
}

// ---- what is hard for NMS -----------------------------------------------------------------------

enum hard { SAME_BOX, CHAIN, APART, CLUSTERS, HARD_COUNT };

static void set_box(float *row, enum hard hard, int r, int rows)
{
    const float apart[4] = {(float)(r % 200) * 30, (float)(r / 200) * 30, 20, 20};
    const float chain[4] = {(float)r * 3, 50, 20, 20}; // meets the few before and after it
    const float same[4] = {100, 100, 30, 40};
    const int cluster = (int)((long long)r * 37 / rows);
    const float clusters[4] = {(float)cluster * 60, (float)check_int(0, 4), 50, 50};
    const float *const boxes[] = {same, chain, apart, clusters};
    memcpy(row, boxes[hard], 4 * sizeof *row);
}

/// Rows with boxes of one kind and few different scores (`steps`), by rising or falling row.
static struct output hard_output(sac_head_family family, enum hard hard, int rows, int steps)
{
    const struct shape shape = {family, rows, 1, 640, 0.5f, 0};
    struct output output = new_output(&shape, SAC_F32);
    const int falling = check_int(0, 1);
    for (int r = 0; r < rows; r++) {
        float *row = (float *)output.tensor.data + 6 * (size_t)r;
        set_box(row, hard, r, rows);
        const int step = (falling ? rows - r : r) / (rows / steps + 1);
        row[4] = 0.3f + 0.6f * (float)step / (float)steps;
        row[5] = family == SAC_HEAD_END2END ? 0.f : 1.f;
    }
    return output;
}

static void check_hard(sac_workspace *workspace, sac_head_family family, enum hard hard, int rows,
                       int steps, int max_det)
{
    struct output output = hard_output(family, hard, rows, steps);
    sac_nms nms = SAC_NMS_DEFAULT;
    nms.max_det = max_det;
    if (hard == CHAIN && check_int(0, 1)) nms.iou = 340.f / 460.f; // of neighbours, exactly
    sac_detections want;
    CHECK(!sac__ops_boxes(sac__ops_find("c"), workspace, &want, &output.tensor, 0, &output.head,
                          &output.fit, &nms),
          "%s", sac_error_message());
    struct boxes_run run = boxes_run_open(1, rows, 1, family, &nms);
    boxes_run_add(&run, &output.fit);
    printf("hard %d: %d rows, %d scores, most %d: %zu boxes\n", (int)hard, rows, steps, max_det,
           want.count);
    void *data = upload(&output, 1);
    run_twice(&run, &output, data, &want);
    boxes_run_close(&run);
    cuda(cudaFree(data));
    sac_detections_free(&want);
    sac_tensor_free(&output.tensor);
}

static void check_all_hard(sac_workspace *workspace, int most)
{
    for (int hard = 0; hard < HARD_COUNT; hard++) {
        const int rows = check_int(600, most);
        if (most >= MOST_HARD) check_hard(workspace, SAC_HEAD_V5, (enum hard)hard, rows, 1, 300);
        if (most >= MOST_HARD) check_hard(workspace, SAC_HEAD_V5, (enum hard)hard, rows, 2, rows);
        check_hard(workspace, SAC_HEAD_V5, (enum hard)hard, rows, rows, rows);
    }
    if (most < MOST_HARD) return;
    for (int rows = 511; rows < 514; rows++)
        check_hard(workspace, SAC_HEAD_V5, APART, rows, rows, 512);
    // Several windows; in the third, more boxes stay than are compared at a time.
    check_hard(workspace, SAC_HEAD_V5, APART, 3000, 3000, 3000);
    check_hard(workspace, SAC_HEAD_V5, CHAIN, 4000, 4000, 4000);
    check_hard(workspace, SAC_HEAD_V5, SAME_BOX, 31000, 3, 300);
    check_hard(workspace, SAC_HEAD_END2END, APART, 31000, 7, 40000);
}

static size_t check_case(sac_workspace *workspace, const struct shape *shape)
{
    const int n = check_int(1, MOST);
    const sac_dtype dtype = check_int(0, 2) ? SAC_F32 : SAC_F16;
    const int32_t classes[] = {check_int(0, shape->classes), 0, check_int(-1, shape->classes)};
    const sac_nms nms = random_nms(classes);
    struct output outputs[MOST];
    sac_detections want[MOST] = {{0}};
    struct boxes_run run =
        boxes_run_open(n, shape->rows, shape->classes, shape->family, &nms);
    printf("%s: %d of %d rows, %d classes, conf %g, most %d\n", sac_head_name(shape->family), n,
           shape->rows, shape->classes, (double)nms.conf, nms.max_det);
    size_t boxes = 0;
    for (int k = 0; k < n; k++) {
        outputs[k] = new_output(shape, dtype);
        CHECK(!sac__ops_boxes(sac__ops_find("c"), workspace, &want[k], &outputs[k].tensor, 0,
                              &outputs[k].head, &outputs[k].fit, &nms),
              "%s", sac_error_message());
        if (k == 0 || check_int(0, 3)) boxes_run_add(&run, &outputs[k].fit);
        else break; // places that are not in use
        boxes += want[k].count;
    }
    for (int k = run.count + (run.count < n); k < n; k++) outputs[k] = new_output(shape, dtype);
    void *data = upload(outputs, n);
    run_twice(&run, outputs, data, want);
    boxes_run_close(&run);
    cuda(cudaFree(data));
    for (int k = 0; k < n; k++) {
        sac_detections_free(&want[k]);
        sac_tensor_free(&outputs[k].tensor);
    }
    return boxes;
}

// ---- bench --------------------------------------------------------------------------------------

enum { TURNS = 4 };

struct job {
    struct boxes_run runs[TURNS];
    struct sac__rows rows[TURNS];
    int64_t step;
};

static int launch(void *job, int turn, cudaStream_t stream)
{
    const struct job *j = job;
    return sac__boxes_rows_cuda(&j->runs[turn % TURNS].boxes, &j->rows[turn % TURNS], j->step,
                                stream, 1);
}

static void bench(const char *what, struct shape shape, sac_dtype dtype, float conf, int blocks)
{
    struct job job;
    struct output output = new_output(&shape, dtype);
    sac_nms nms = SAC_NMS_DEFAULT;
    nms.conf = conf;
    job.step = sac_tensor_count(&output.tensor);
    for (int k = 0; k < TURNS; k++) {
        job.runs[k] = boxes_run_open(1, shape.rows, shape.classes, shape.family, &nms);
        job.runs[k].boxes.blocks = blocks;
        boxes_run_add(&job.runs[k], &output.fit);
        boxes_run_send(&job.runs[k]);
        job.rows[k] = rows_of(&output, upload(&output, 1));
    }
    const double us = bench_time(launch, &job);
    struct sac__found *found = device_read(job.runs[0].boxes.found, sizeof *found);
    char text[96];
    snprintf(text, sizeof text, "%s, %d blocks: %lld, %lld boxes", what, blocks,
             (long long)found->passed, (long long)found->count);
    bench_row(text, us, (double)sac_tensor_bytes(&output.tensor), 4.3e6);
    free(found);
    for (int k = 0; k < TURNS; k++) {
        boxes_run_close(&job.runs[k]);
        cuda(cudaFree((void *)job.rows[k].data));
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
    for (int blocks = 1; blocks <= 16; blocks *= blocks == 1 ? 4 : 2) {
        bench("v5 25200x85 fp32", few5, SAC_F32, 0.3f, blocks);
        bench("v5 102000x10 fp32", many5, SAC_F32, 0.25f, blocks);
        bench("v5 102000x7 fp32", crowd5, SAC_F32, 0.25f, blocks);
        bench("v8 84x8400 fp32", few8, SAC_F32, 0.35f, blocks);
        bench("v8 84x8400 fp32", many8, SAC_F32, 0.25f, blocks);
    }
}

int main(int count, char **arguments)
{
    const int benching = count > 1 && strcmp(arguments[1], "--bench") == 0;
    check_seed(count > 1 + benching ? arguments[1 + benching] : NULL);
    if (benching) {
        bench_all();
        return 0;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    sac_workspace *workspace;
    CHECK(!sac__workspace_open(&workspace), "%s", sac_error_message());
    const int cases = count > 2 ? atoi(arguments[2]) : CASES;
    const int most = count > 3 ? atoi(arguments[3]) : MOST_HARD;
    size_t boxes = 0;
    for (int i = 0; i < cases; i++) {
        const struct shape shape = random_shape();
        boxes += check_case(workspace, &shape);
    }
    const struct shape crowd = {SAC_HEAD_V5, 40000, 3, 1280, 0.95f, 0}; // more than 30000
    if (most >= MOST_HARD) boxes += check_case(workspace, &crowd);
    check_all_hard(workspace, most);
    CHECK(!sac__boxes_workspace(1, 1 << 24, 1000, 0), "keys have 32 bits for row and class");
    CHECK(sac__boxes_workspace(2, 102000, 80, 1) > sac__boxes_workspace(2, 102000, 80, 0),
          "labels need room");
    CHECK(boxes > 0, "no case has boxes");
    sac__workspace_close(&workspace);
    return 0;
}
