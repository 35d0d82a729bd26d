// SPDX-License-Identifier: Apache-2.0
#include "bench/stage.h"

#include <stdlib.h>

#include "message.h"

static int fail_library(void)
{
    return message_set("%s", sac_error_message());
}

static size_t batch_of(const struct bench_worker *worker)
{
    return (size_t)sac_detector_batch(worker->detector);
}

// The input's extents where the model leaves them open: what the detector took.
static int open_input(struct bench_worker *worker)
{
    const sac_engine *engine = sac_detector_engine(worker->detector);
    const sac_model_info *info = sac_detector_info(worker->detector);
    sac_binding binding;
    if (sac_engine_binding(engine, 0, &binding)) return fail_library();
    const int64_t batch = sac_detector_batch(worker->detector);
    const int64_t chosen[] = {batch, 3, info->input_height, info->input_width};
    int64_t shape[4];
    for (int i = 0; i < 4; i++)
        shape[i] = binding.shape[i] > 0 ? binding.shape[i] : chosen[i] > 0 ? chosen[i] : 640;
    if (sac_engine_alloc(engine, 0, 0, shape, &worker->input)) return fail_library();
    if (bench_picture_open(worker->plan->pictures, 0, &worker->image) ||
        sac_letterbox_fit(&worker->letterbox, worker->image.width, worker->image.height,
                          (int)shape[3], (int)shape[2], worker->plan->letterbox))
        return fail_library();
    return 0;
}

static int letterbox_step(struct bench_worker *worker)
{
    const sac_pixels pixels = SAC_PIXELS_DEFAULT;
    for (size_t i = 0; i < batch_of(worker); i++)
        if (sac_letterbox_apply(&worker->input, (int64_t)i, &worker->image, &worker->letterbox,
                                &pixels))
            return fail_library();
    return 0;
}

static int alone_step(struct bench_worker *worker)
{
    if (sac_context_enqueue(worker->context) || sac_context_wait(worker->context))
        return fail_library();
    return 0;
}

// Outputs follow the one input.
static int find_outputs(struct bench_worker *worker)
{
    const size_t count = sac_engine_binding_count(sac_detector_engine(worker->detector));
    worker->outputs = calloc(count, sizeof *worker->outputs);
    if (!worker->outputs) return message_set("out of memory");
    for (size_t i = 1; i < count; i++)
        if (sac_context_tensor(worker->context, i, &worker->outputs[i - 1])) return fail_library();
    return 0;
}

int bench_worker_open(struct bench_worker *worker, const struct bench_plan *plan,
                      sac_detector *detector, size_t first)
{
    *worker = (struct bench_worker){.plan = plan, .detector = detector, .next = first};
    const size_t batch = batch_of(worker);
    worker->images = calloc(batch, sizeof *worker->images);
    worker->detections = calloc(batch, sizeof *worker->detections);
    if (!worker->images || !worker->detections) return message_set("out of memory");
    if (open_input(worker) || letterbox_step(worker)) return -1;
    if (sac_context_open(&worker->context, sac_detector_engine(detector)) ||
        sac_context_bind(worker->context, 0, &worker->input))
        return fail_library();
    return alone_step(worker) || find_outputs(worker) ? -1 : 0;
}

void bench_worker_close(struct bench_worker *worker)
{
    sac_context_close(&worker->context);
    sac_tensor_free(&worker->input);
    sac_image_release(&worker->image);
    free(worker->outputs);
    free(worker->images);
    free(worker->detections);
}

static int open_step(struct bench_worker *worker)
{
    sac_image image;
    if (bench_picture_open(worker->plan->pictures, worker->next++, &image)) return fail_library();
    sac_image_release(&image);
    return 0;
}

static int boxes_step(struct bench_worker *worker)
{
    sac_detections found;
    for (size_t i = 0; i < batch_of(worker); i++) {
        if (sac_detector_boxes(worker->detector, worker->outputs, (int64_t)i, &worker->letterbox,
                               &found))
            return fail_library();
        sac_detections_free(&found);
    }
    return 0;
}

static int open_batch(struct bench_worker *worker, size_t batch, size_t *opened)
{
    for (*opened = 0; *opened < batch; ++*opened)
        if (bench_picture_open(worker->plan->pictures, worker->next++, &worker->images[*opened]))
            return fail_library();
    return 0;
}

static int run_batch(struct bench_worker *worker, size_t batch)
{
    if (sac_detector_run(worker->detector, worker->images, batch, worker->detections))
        return fail_library();
    worker->ms = worker->detections[0].ms;
    worker->pictures += batch;
    for (size_t i = 0; i < batch; i++) {
        worker->boxes += worker->detections[i].count;
        sac_detections_free(&worker->detections[i]);
    }
    return 0;
}

static int whole_step(struct bench_worker *worker)
{
    const size_t batch = batch_of(worker);
    size_t opened;
    const double start = bench_now();
    int failed = open_batch(worker, batch, &opened);
    worker->ms_open = (bench_now() - start) / (double)batch;
    failed = failed || run_batch(worker, batch);
    for (size_t i = 0; i < opened; i++) sac_image_release(&worker->images[i]);
    return failed ? -1 : 0;
}

size_t bench_step_pictures(const struct bench_worker *worker, enum bench_stage stage)
{
    return stage == BENCH_OPEN ? 1 : batch_of(worker);
}

int bench_step(struct bench_worker *worker, enum bench_stage stage)
{
    static int (*const steps[BENCH_STAGE_COUNT])(struct bench_worker *) = {
        open_step, letterbox_step, alone_step, boxes_step, whole_step, alone_step,
    };
    return steps[stage](worker);
}
