// SPDX-License-Identifier: Apache-2.0
#include "bench/gpu.h"

#include <stdlib.h>
#include <string.h>

#include "interrupt.h"
#include "message.h"
#include "setup.h"

/// The pictures in page-locked memory.
struct frames {
    sac_tensor tensors[BENCH_PICTURES];
    sac_image images[BENCH_PICTURES];
    size_t count;
};

/// One row being measured.
struct gpu_run {
    const struct gpu_plan *plan;
    const struct frames *frames;
    struct gpu_row *row;
    sac_detector *detector;
    sac_image *images;          ///< room for a batch
    sac_detections *detections; ///< likewise
    size_t next;                ///< frame to take next
    size_t boxes, seen;         ///< detections, and the frames that they were in
};

static int fail_library(void)
{
    return message_set("%s", sac_error_message());
}

// --- frames

static int take_frame(struct frames *frames, const sac_engine *engine, const sac_image *image)
{
    sac_tensor *tensor = &frames->tensors[frames->count];
    const int64_t extent[] = {image->height, image->width, 3};
    if (sac_engine_alloc_tensor(engine, SAC_HOST_PINNED, SAC_U8, 3, extent, tensor))
        return fail_library();
    uint8_t *rows = tensor->data;
    for (int y = 0; y < image->height; y++)
        memcpy(rows + (ptrdiff_t)y * image->width * 3, image->data + y * image->stride,
               (size_t)image->width * 3);
    if (sac_image_from_tensor(&frames->images[frames->count], tensor, image->format))
        return fail_library();
    frames->count++;
    return 0;
}

static int frames_open(struct frames *frames, const struct gpu_plan *plan)
{
    const sac_engine *engine = sac_detector_engine(plan->detector);
    for (size_t i = 0; i < plan->pictures->count; i++) {
        sac_image image;
        if (bench_picture_open(plan->pictures, i, &image)) return fail_library();
        int failed = take_frame(frames, engine, &image);
        sac_image_release(&image);
        if (failed) return failed;
    }
    return 0;
}

static void frames_close(struct frames *frames)
{
    for (size_t i = 0; i < BENCH_PICTURES; i++) sac_tensor_free(&frames->tensors[i]);
}

// --- one row

static int run_open(struct gpu_run *run, int time_stages)
{
    sac_detector_options how;
    setup_options(&how, run->plan->options, SAC_MODE_LATENCY);
    how.time_stages = time_stages;
    how.contexts = GPU_JOBS;
    how.feed = run->row->feed;
    how.read_pinned = run->row->read_pinned;
    how.batch = run->row->batch;
    sac_detector_close(&run->detector);
    return sac_detector_open(&run->detector, run->plan->model, &how) ? fail_library() : 0;
}

static void turn_frames(struct gpu_run *run)
{
    for (int i = 0; i < run->row->batch; i++)
        run->images[i] = run->frames->images[run->next++ % run->frames->count];
}

static void free_found(struct gpu_run *run)
{
    for (int i = 0; i < run->row->batch; i++) {
        run->boxes += run->detections[i].count;
        sac_detections_free(&run->detections[i]);
    }
    run->seen += (size_t)run->row->batch;
}

static int run_once(struct gpu_run *run)
{
    turn_frames(run);
    if (sac_detector_run(run->detector, run->images, (size_t)run->row->batch, run->detections))
        return fail_library();
    return 0;
}

static int warm_up(struct gpu_run *run)
{
    for (int i = 0; i < run->plan->options->warmup; i++) {
        if (run_once(run)) return -1;
        free_found(run);
    }
    run->boxes = run->seen = 0;
    return 0;
}

// Whether to go on after `done` runs since `start`.
static int goes_on(const struct gpu_run *run, double start, size_t done)
{
    const struct options *options = run->plan->options;
    if (interrupt_seen()) return 0;
    if (options->count) return done < (size_t)options->count;
    return done < 3 || bench_now() - start < options->seconds * 1e3;
}

static int finish(struct bench_latency *latency, struct bench_samples *samples, int failed)
{
    *latency = bench_reduce(samples);
    free(samples->ms);
    if (!failed && interrupt_seen()) return message_set("interrupted");
    return failed;
}

static int add_stages(struct bench_samples *samples, const sac_timings *ms, int batch)
{
    const double values[GPU_STAGE_COUNT] = {ms->upload, ms->letterbox, ms->network, ms->boxes,
                                            ms->download};
    for (int i = 0; i < GPU_STAGE_COUNT; i++)
        if (values[i] > 0 && bench_add_sample(&samples[i], values[i] * batch)) return -1;
    return 0;
}

static int measure_stages(struct gpu_run *run)
{
    struct bench_samples samples[GPU_STAGE_COUNT] = {{0}};
    int failed = run_open(run, 1) || warm_up(run);
    const double start = bench_now();
    for (size_t done = 0; !failed && goes_on(run, start, done); done++) {
        failed = run_once(run);
        if (failed) break;
        failed = add_stages(samples, &run->detections[0].ms, run->row->batch);
        free_found(run);
    }
    for (int i = 0; i < GPU_STAGE_COUNT; i++)
        failed = finish(&run->row->stages[i], &samples[i], failed);
    return failed;
}

static int measure_whole(struct gpu_run *run)
{
    struct bench_samples samples = {0};
    int failed = run_open(run, 0) || warm_up(run);
    const double start = bench_now();
    for (size_t done = 0; !failed && goes_on(run, start, done); done++) {
        const double before = bench_now();
        failed = run_once(run);
        if (failed) break;
        failed = bench_add_sample(&samples, bench_now() - before);
        free_found(run);
    }
    if (run->seen) run->row->boxes = (double)run->boxes / (double)run->seen;
    return finish(&run->row->whole, &samples, failed);
}

static int end_job(struct gpu_run *run, sac_job **job)
{
    int error = 0;
    if (!*job) return 0;
    error = sac_job_wait(*job, run->detections);
    sac_job_close(job);
    if (error) return fail_library();
    free_found(run);
    return 0;
}

// Each place of the ring holds a job on its way; its pictures are values, so they may be reused.
static int measure_rate(struct gpu_run *run)
{
    sac_job *jobs[GPU_JOBS] = {NULL};
    size_t started = 0;
    int failed = 0;
    const double start = bench_now();
    for (; !failed && goes_on(run, start, started); started++) {
        sac_job **job = &jobs[started % GPU_JOBS];
        failed = end_job(run, job);
        turn_frames(run);
        if (!failed && sac_detector_enqueue(job, run->detector, run->images,
                                            (size_t)run->row->batch, NULL))
            failed = fail_library();
    }
    for (int i = 0; i < GPU_JOBS; i++)
        if (end_job(run, &jobs[i])) failed = -1;
    run->row->rate = (double)started * run->row->batch / (bench_now() - start) * 1e3;
    return failed;
}

// --- the network alone

static int fill_input(struct gpu_run *run, sac_context *context, sac_tensor *input)
{
    const sac_pixels pixels = SAC_PIXELS_DEFAULT;
    turn_frames(run);
    for (int i = 0; i < run->row->batch; i++) {
        sac_letterbox fit;
        if (sac_letterbox_fit(&fit, run->images[i].width, run->images[i].height,
                              (int)input->shape[3], (int)input->shape[2], NULL) ||
            sac_context_letterbox(context, input, i, &run->images[i], &fit, &pixels))
            return fail_library();
    }
    return sac_context_bind(context, 0, input) || sac_context_wait(context) ? fail_library() : 0;
}

static int sample_alone(struct gpu_run *run, sac_context *context)
{
    struct bench_samples samples = {0};
    const double start = bench_now();
    int failed = 0;
    for (int i = 0; i < run->plan->options->warmup && !failed; i++)
        failed = sac_context_enqueue(context) || sac_context_wait(context) ? fail_library() : 0;
    for (size_t done = 0; !failed && goes_on(run, start, done); done++) {
        const double before = bench_now();
        if (sac_context_enqueue(context) || sac_context_wait(context)) failed = fail_library();
        else failed = bench_add_sample(&samples, bench_now() - before);
    }
    return finish(&run->row->alone, &samples, failed);
}

static int measure_alone(struct gpu_run *run)
{
    sac_engine *engine = sac_detector_engine(run->detector);
    sac_context *context = NULL;
    sac_tensor input = {0};
    int failed = sac_context_open(&context, engine) ||
                         sac_engine_alloc_memory(engine, 0, 0, NULL, sac_engine_memory(engine),
                                                 &input)
                     ? fail_library()
                     : 0;
    if (!failed) failed = fill_input(run, context, &input);
    if (!failed) failed = sample_alone(run, context);
    sac_context_close(&context);
    sac_tensor_free(&input);
    return failed;
}

// --- all rows

static int measure_row(const struct gpu_plan *plan, const struct frames *frames,
                       struct gpu_row *row)
{
    struct gpu_run run = {.plan = plan, .frames = frames, .row = row};
    run.images = calloc((size_t)row->batch, sizeof *run.images);
    run.detections = calloc((size_t)row->batch, sizeof *run.detections);
    int failed = run.images && run.detections ? 0 : message_set("out of memory");
    if (!failed)
        failed = measure_stages(&run) || measure_whole(&run) || measure_rate(&run) ||
                 measure_alone(&run);
    sac_detector_close(&run.detector);
    free(run.images);
    free(run.detections);
    return failed;
}

// Reads the next number of "1,8,32". Returns it, 0 at the end, or -1 after message_set.
static int next_batch(const char **at)
{
    char *end;
    if (!**at) return 0;
    const long batch = strtol(*at, &end, 10);
    if (end == *at || batch < 1 || batch > 4096 || (*end && *end != ','))
        return message_set("--batches: '%s' is no list such as 1,8,32", *at);
    *at = *end ? end + 1 : end;
    return (int)batch;
}

// Staged, resident, and resident without the copy.
static int add_rows(struct gpu_result *result, const struct gpu_plan *plan, int batch)
{
    static const struct gpu_row ways[] = {{.feed = SAC_FEED_STAGED},
                                          {.feed = SAC_FEED_RESIDENT},
                                          {.feed = SAC_FEED_RESIDENT, .read_pinned = 1}};
    const int wanted = plan->options->feed;
    const int can = sac_detector_feed(plan->detector) == SAC_FEED_RESIDENT;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        const int feed = (int)ways[i].feed;
        if ((wanted && wanted != feed) || (feed == SAC_FEED_RESIDENT && !can)) continue;
        if (result->count == GPU_ROWS) return message_set("--batches: too many");
        result->rows[result->count] = ways[i];
        result->rows[result->count++].batch = batch;
    }
    return 0;
}

static int choose_rows(struct gpu_result *result, const struct gpu_plan *plan)
{
    const int open = sac_detector_info(plan->detector)->batch < 0 && !plan->options->batch;
    if (!open) return add_rows(result, plan, sac_detector_batch(plan->detector));
    const char *at = plan->options->batches;
    int batch;
    while ((batch = next_batch(&at)) > 0)
        if (add_rows(result, plan, batch)) return -1;
    return batch;
}

int gpu_measure(struct gpu_result *result, const struct gpu_plan *plan)
{
    struct frames *frames = calloc(1, sizeof *frames);
    if (!frames) return message_set("out of memory");
    result->count = 0;
    int failed = choose_rows(result, plan);
    if (!failed) failed = frames_open(frames, plan);
    for (int i = 0; i < result->count && !failed; i++)
        failed = measure_row(plan, frames, &result->rows[i]);
    frames_close(frames);
    free(frames);
    return failed ? -1 : 0;
}
