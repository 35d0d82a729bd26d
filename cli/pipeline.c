// SPDX-License-Identifier: Apache-2.0
// A job is one batch of consecutive inputs. Any worker takes the next job, does all of it, and puts
// it into a ring; whoever completes the oldest job writes it and those behind it that are ready.
// The ring's length bounds memory: a job that would not fit is not begun.
#include "pipeline.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "exit.h"
#include "interrupt.h"
#include "message.h"
#include "progress.h"

/// One input on its way.
struct entry {
    struct input input;
    char *error; ///< why it could not be read, or NULL
    double ms_open;
    size_t boxes, nonfinite, overflow;
    sac_timings ms;
    struct rendered *rendered; ///< one a sink
};

struct job {
    size_t number, first; ///< of the job, and of its first input
    size_t count;
    struct entry entries[];
};

struct pipeline {
    const struct pipeline_request *request;
    const sac_model_info *model;
    size_t batch, window;

    pthread_mutex_t source_lock; // guards the sources and what is counted there
    size_t next_job, next_input;
    int ended;

    pthread_mutex_t lock; // guards the rest; may be taken with source_lock held, never before it
    pthread_cond_t moved;
    struct job **ring; // window of them, by job number
    size_t head;       // oldest job that is not written
    int writing;       // a worker is writing the head
    int failed;        // ends the run
    struct totals totals;

    atomic_size_t counted; // inputs in all, for the bar; 0 while unknown
    atomic_int stop_counting;
};

/// What a worker needs for one job after the other: taken once.
struct worker {
    struct pipeline *pipeline;
    sac_image *images;          ///< batch of them, those that could be read
    sac_detections *detections; ///< likewise
    size_t *places;             ///< the entry that each belongs to
};

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void fail(struct pipeline *pipeline, const char *why)
{
    pthread_mutex_lock(&pipeline->lock);
    int first = !pipeline->failed;
    pipeline->failed = 1;
    pthread_cond_broadcast(&pipeline->moved);
    pthread_mutex_unlock(&pipeline->lock);
    if (first) message_print("%s", why);
}

static int has_failed(struct pipeline *pipeline)
{
    pthread_mutex_lock(&pipeline->lock);
    int failed = pipeline->failed;
    pthread_mutex_unlock(&pipeline->lock);
    return failed;
}

// --- jobs

static void job_free(const struct pipeline *pipeline, struct job *job)
{
    for (size_t i = 0; i < job->count; i++) {
        struct entry *entry = &job->entries[i];
        for (size_t s = 0; entry->rendered && s < pipeline->request->output_count; s++)
            if (entry->rendered[s].release) entry->rendered[s].release(entry->rendered[s].data);
        free(entry->rendered);
        free(entry->error);
        input_free(&entry->input);
    }
    free(job);
}

static struct job *job_new(const struct pipeline *pipeline)
{
    struct job *job = calloc(1, sizeof *job + pipeline->batch * sizeof *job->entries);
    if (!job) message_set("out of memory");
    return job;
}

// Waits until the ring has room for the next job. Nonzero where there will be none.
static int wait_for_room(struct pipeline *pipeline)
{
    pthread_mutex_lock(&pipeline->lock);
    while (!pipeline->failed && pipeline->next_job - pipeline->head >= pipeline->window)
        pthread_cond_wait(&pipeline->moved, &pipeline->lock);
    int over = pipeline->failed || interrupt_seen();
    pthread_mutex_unlock(&pipeline->lock);
    return over;
}

static int add_entry(struct pipeline *pipeline, struct job *job)
{
    struct entry *entry = &job->entries[job->count];
    int got = sources_next(pipeline->request->sources, &entry->input);
    if (got <= 0) return got;
    job->count++;
    entry->rendered = calloc(pipeline->request->output_count + 1, sizeof *entry->rendered);
    return entry->rendered ? 1 : message_set("out of memory");
}

// Fills a job under source_lock: 1, 0 at the end, -1 after message_set.
static int fill_job(struct pipeline *pipeline, struct job *job)
{
    int got = 1;
    while (got == 1 && job->count < pipeline->batch)
        got = add_entry(pipeline, job);
    pipeline->ended = got != 1;
    if (got < 0) return got;
    job->number = pipeline->next_job;
    job->first = pipeline->next_input;
    pipeline->next_input += job->count;
    if (job->count) pipeline->next_job++;
    return job->count > 0;
}

static struct job *take_job(struct pipeline *pipeline)
{
    struct job *job = NULL;
    pthread_mutex_lock(&pipeline->source_lock);
    int got = 0;
    if (!pipeline->ended && !wait_for_room(pipeline)) {
        job = job_new(pipeline);
        got = job ? fill_job(pipeline, job) : -1;
    }
    pthread_mutex_unlock(&pipeline->source_lock);
    if (got < 0) fail(pipeline, message_last());
    if (got != 1 && job) job_free(pipeline, job);
    return got == 1 ? job : NULL;
}

// --- work on a job, without locks

static int set_error(struct entry *entry, const char *why)
{
    entry->error = strdup(why);
    return entry->error ? 0 : message_set("out of memory");
}

// Opens the job's pictures; those that could be read come to lie side by side.
static int open_pictures(struct worker *worker, struct job *job, size_t *count_out)
{
    size_t count = 0;
    for (size_t i = 0; i < job->count; i++) {
        struct entry *entry = &job->entries[i];
        double start = seconds();
        int error =
            input_open(&entry->input, &worker->pipeline->request->image, &worker->images[count]);
        entry->ms_open = (seconds() - start) * 1e3;
        *count_out = count;
        if (error && set_error(entry, message_last())) return -1;
        if (error) continue;
        worker->places[count++] = i;
        *count_out = count;
    }
    return 0;
}

static int is_pictures_fault(int error)
{
    return error == SAC_EINVAL || error == SAC_EUNSUPPORTED || error == SAC_ELIMIT ||
           error == SAC_EIMAGE;
}

// The batch as a whole was refused: one picture after the other tells whose fault it is.
static int detect_singly(struct worker *worker, struct job *job, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = &job->entries[worker->places[i]];
        char why[5120];
        int error = sac_detector_run(worker->pipeline->request->detector, &worker->images[i], 1,
                                     &worker->detections[i]);
        if (!error) continue;
        if (!is_pictures_fault(error)) return message_set("%s", sac_error_message());
        snprintf(why, sizeof why, "%s: %s", entry->input.source, sac_error_message());
        if (set_error(entry, why)) return -1;
    }
    return 0;
}

static int detect(struct worker *worker, struct job *job, size_t count)
{
    memset(worker->detections, 0, count * sizeof *worker->detections);
    if (!count) return 0;
    int error = sac_detector_run(worker->pipeline->request->detector, worker->images, count,
                                 worker->detections);
    if (is_pictures_fault(error)) return detect_singly(worker, job, count);
    return error ? message_set("%s", sac_error_message()) : 0;
}

// All sinks for one entry. `image` and `detections` are NULL where it could not be read.
static int render(struct pipeline *pipeline, const struct job *job, size_t place,
                  const sac_image *image, const sac_detections *detections)
{
    const struct pipeline_request *request = pipeline->request;
    const struct entry *entry = &job->entries[place];
    const struct item item = {.index = job->first + place,
                              .source = entry->input.source,
                              .name = entry->input.name,
                              .image = image,
                              .detections = detections,
                              .model = pipeline->model,
                              .ms_open = entry->ms_open,
                              .guard = request->guard,
                              .error = entry->error};
    for (size_t s = 0; s < request->output_count; s++) {
        const struct output *output = &request->outputs[s];
        if (output->type->render(output->sink, &item, &entry->rendered[s])) return -1;
    }
    return 0;
}

static void note(struct entry *entry, const sac_detections *detections)
{
    entry->boxes = detections->count;
    entry->nonfinite = detections->nonfinite;
    entry->overflow = detections->overflow;
    entry->ms = detections->ms;
}

static int render_all(struct worker *worker, struct job *job, size_t count)
{
    for (size_t i = 0, next = 0; i < job->count; i++) {
        struct entry *entry = &job->entries[i];
        const int opened = next < count && worker->places[next] == i;
        const int good = opened && !entry->error;
        const size_t at = next;
        next += (size_t)opened;
        if (render(worker->pipeline, job, i, good ? &worker->images[at] : NULL,
                   good ? &worker->detections[at] : NULL))
            return -1;
        if (good) note(entry, &worker->detections[at]);
    }
    return 0;
}

static int do_job(struct worker *worker, struct job *job)
{
    size_t count = 0;
    int failed = open_pictures(worker, job, &count);
    if (!failed) failed = detect(worker, job, count);
    if (!failed) failed = render_all(worker, job, count);
    for (size_t i = 0; i < count; i++) {
        sac_image_release(&worker->images[i]);
        sac_detections_free(&worker->detections[i]);
    }
    return failed;
}

// --- writing, in order

static void count_entry(struct pipeline *pipeline, const struct entry *entry)
{
    struct totals *totals = &pipeline->totals;
    totals->unreadable += entry->error != NULL;
    totals->pictures += entry->error == NULL;
    totals->boxes += entry->boxes;
    totals->nonfinite += entry->nonfinite;
    totals->overflow += entry->overflow;
    totals->open += entry->error ? 0 : entry->ms_open;
    totals->letterbox += entry->ms.letterbox;
    totals->network += entry->ms.network;
    totals->boxes_ms += entry->ms.boxes;
}

// Only one thread at a time is here, so the totals need no lock.
static int write_job(struct pipeline *pipeline, const struct job *job)
{
    const struct pipeline_request *request = pipeline->request;
    for (size_t i = 0; i < job->count; i++) {
        const struct entry *entry = &job->entries[i];
        // A read that the interrupt broke off is no fault of the input's.
        if (entry->error && entry->input.is_stdin && interrupt_seen()) continue;
        if (entry->error) message_print("%s", entry->error);
        for (size_t s = 0; s < request->output_count; s++) {
            const struct output *output = &request->outputs[s];
            if (!entry->rendered[s].data) continue;
            if (output->type->commit(output->sink, &entry->rendered[s])) return -1;
        }
        count_entry(pipeline, entry);
    }
    progress_update(pipeline->totals.pictures + pipeline->totals.unreadable,
                    atomic_load(&pipeline->counted));
    return 0;
}

// Puts a finished job into the ring and writes what is due, unless another worker is at it.
static void hand_over(struct pipeline *pipeline, struct job *job)
{
    pthread_mutex_lock(&pipeline->lock);
    pipeline->ring[job->number % pipeline->window] = job;
    struct job **due;
    while (!pipeline->writing && !pipeline->failed &&
           *(due = &pipeline->ring[pipeline->head % pipeline->window])) {
        struct job *writing = *due;
        *due = NULL;
        pipeline->writing = 1;
        pthread_mutex_unlock(&pipeline->lock);
        if (write_job(pipeline, writing)) fail(pipeline, message_last());
        job_free(pipeline, writing);
        pthread_mutex_lock(&pipeline->lock);
        pipeline->writing = 0;
        pipeline->head++;
        pthread_cond_broadcast(&pipeline->moved);
    }
    pthread_mutex_unlock(&pipeline->lock);
}

// --- threads

static int worker_open(struct worker *worker, struct pipeline *pipeline)
{
    worker->pipeline = pipeline;
    worker->images = calloc(pipeline->batch, sizeof *worker->images);
    worker->detections = calloc(pipeline->batch, sizeof *worker->detections);
    worker->places = calloc(pipeline->batch, sizeof *worker->places);
    if (worker->images && worker->detections && worker->places) return 0;
    return message_set("out of memory");
}

static void worker_close(struct worker *worker)
{
    free(worker->images);
    free(worker->detections);
    free(worker->places);
}

static void *work(void *argument)
{
    struct worker worker;
    struct pipeline *pipeline = argument;
    struct job *job;
    if (worker_open(&worker, pipeline)) fail(pipeline, message_last());
    while (!has_failed(pipeline) && (job = take_job(pipeline))) {
        if (do_job(&worker, job)) {
            fail(pipeline, message_last());
            job_free(pipeline, job);
        } else {
            hand_over(pipeline, job);
        }
    }
    worker_close(&worker);
    return NULL;
}

static void *count_sources(void *argument)
{
    struct pipeline *pipeline = argument;
    size_t count = sources_count(pipeline->request->countable, &pipeline->stop_counting);
    if (!atomic_load(&pipeline->stop_counting)) atomic_store(&pipeline->counted, count);
    return NULL;
}

// As many as the system gives; one is enough.
static void run_workers(struct pipeline *pipeline)
{
    pthread_t counter, *threads = calloc((size_t)pipeline->request->workers, sizeof *threads);
    int started = 0;
    int counting = pipeline->request->countable && progress_is_shown() &&
                   !pthread_create(&counter, NULL, count_sources, pipeline);
    while (threads && started + 1 < pipeline->request->workers &&
           !pthread_create(&threads[started], NULL, work, pipeline))
        started++;
    work(pipeline);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&pipeline->stop_counting, 1);
    if (counting) pthread_join(counter, NULL);
    free(threads);
}

static void pipeline_close(struct pipeline *pipeline)
{
    for (size_t i = 0; pipeline->ring && i < pipeline->window; i++)
        if (pipeline->ring[i]) job_free(pipeline, pipeline->ring[i]);
    free(pipeline->ring);
    pthread_cond_destroy(&pipeline->moved);
    pthread_mutex_destroy(&pipeline->lock);
    pthread_mutex_destroy(&pipeline->source_lock);
}

static int outcome(const struct pipeline *pipeline)
{
    if (pipeline->failed) return CLI_FAILED;
    if (interrupt_seen()) return CLI_INTERRUPTED;
    return pipeline->totals.unreadable ? CLI_INPUT : CLI_DONE;
}

int pipeline_run(const struct pipeline_request *request, struct totals *totals_out)
{
    struct pipeline pipeline = {.request = request,
                                .model = sac_detector_info(request->detector),
                                .batch = (size_t)sac_detector_batch(request->detector),
                                .window = 3 * (size_t)request->workers};
    pthread_mutex_init(&pipeline.source_lock, NULL);
    pthread_mutex_init(&pipeline.lock, NULL);
    pthread_cond_init(&pipeline.moved, NULL);
    pipeline.ring = calloc(pipeline.window, sizeof *pipeline.ring);
    double start = seconds();
    if (pipeline.ring)
        run_workers(&pipeline);
    else
        fail(&pipeline, "out of memory");
    pipeline.totals.seconds = seconds() - start;
    int code = outcome(&pipeline);
    *totals_out = pipeline.totals;
    pipeline_close(&pipeline);
    return code;
}
