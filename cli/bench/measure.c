// SPDX-License-Identifier: Apache-2.0
#include "bench/measure.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/stage.h"
#include "interrupt.h"
#include "message.h"

double bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

// --- samples

int bench_add_sample(struct bench_samples *samples, double ms)
{
    if (samples->count == samples->capacity) {
        size_t capacity = samples->capacity ? 2 * samples->capacity : 1024;
        double *more = realloc(samples->ms, capacity * sizeof *more);
        if (!more) return message_set("out of memory");
        samples->ms = more;
        samples->capacity = capacity;
    }
    samples->ms[samples->count++] = ms;
    return 0;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const struct bench_samples *sorted, double share)
{
    size_t rank = (size_t)ceil(share * (double)sorted->count);
    return sorted->ms[rank ? rank - 1 : 0];
}

struct bench_latency bench_reduce(struct bench_samples *samples)
{
    struct bench_latency latency = {.count = samples->count};
    if (!samples->count) return latency;
    qsort(samples->ms, samples->count, sizeof *samples->ms, by_value);
    for (size_t i = 0; i < samples->count; i++) latency.mean += samples->ms[i];
    latency.mean /= (double)samples->count;
    latency.p50 = quantile(samples, 0.5);
    latency.p90 = quantile(samples, 0.9);
    latency.p99 = quantile(samples, 0.99);
    latency.least = samples->ms[0];
    return latency;
}

// --- one stream

/// Samples of all stages of one stream.
struct stream_run {
    struct bench_worker worker;
    struct bench_samples samples[BENCH_STAGE_COUNT];
    double spent[2]; ///< milliseconds on the whole, and on the network alone
};

static int sample_whole(struct stream_run *run)
{
    struct bench_worker *worker = &run->worker;
    const double start = bench_now();
    if (bench_step(worker, BENCH_WHOLE)) return -1;
    const double whole = bench_now() - start;
    run->spent[0] += whole;
    const double values[] = {worker->ms_open, worker->ms.letterbox, worker->ms.network,
                             worker->ms.boxes,
                             whole / (double)bench_step_pictures(worker, BENCH_WHOLE)};
    for (int i = BENCH_OPEN; i <= BENCH_WHOLE; i++)
        if (bench_add_sample(&run->samples[i], values[i])) return -1;
    return 0;
}

static int sample_alone(struct stream_run *run)
{
    const double start = bench_now();
    if (bench_step(&run->worker, BENCH_ALONE)) return -1;
    const double ms = bench_now() - start;
    run->spent[1] += ms;
    return bench_add_sample(&run->samples[BENCH_ALONE],
                      ms / (double)bench_step_pictures(&run->worker, BENCH_ALONE));
}

// How far a stage is, 0–1.
static double progress(const struct stream_run *run, const struct bench_plan *plan, int turn,
                       enum bench_stage stage)
{
    if (plan->count) return (double)run->samples[stage].count / (double)plan->count;
    return run->spent[turn] / (plan->seconds * 1e3);
}

// Ten turns each, so that a slow spell of the machine meets both.
static int sample_in_turns(struct stream_run *run, const struct bench_plan *plan)
{
    static const enum bench_stage stages[] = {BENCH_WHOLE, BENCH_ALONE};
    static int (*const samplers[])(struct stream_run *) = {sample_whole, sample_alone};
    for (int i = 0; i < 20; i++) {
        const int turn = i % 2;
        while (progress(run, plan, turn, stages[turn]) < (i / 2 + 1) * 0.1) {
            if (interrupt_seen()) return message_set("interrupted");
            if (samplers[turn](run)) return -1;
        }
    }
    return 0;
}

static int warm_up(struct bench_worker *worker)
{
    for (size_t i = 0; i < worker->plan->warmup; i++)
        if (bench_step(worker, BENCH_WHOLE) || bench_step(worker, BENCH_ALONE)) return -1;
    worker->boxes = worker->pictures = 0;
    return 0;
}

int bench_measure_latency(struct bench_result *result, sac_detector *detector,
                          const struct bench_plan *plan)
{
    struct stream_run run = {.spent = {0}};
    int failed = bench_worker_open(&run.worker, plan, detector, 0) || warm_up(&run.worker) ||
                 sample_in_turns(&run, plan);
    for (int i = 0; i < BENCH_STAGE_COUNT; i++) {
        result->latency[i] = bench_reduce(&run.samples[i]);
        free(run.samples[i].ms);
    }
    if (run.worker.pictures)
        result->boxes = (double)run.worker.boxes / (double)run.worker.pictures;
    result->has_latency = !failed;
    bench_worker_close(&run.worker);
    return failed ? -1 : 0;
}

// --- all cores

/// Threads wait here until all have been started.
struct gate {
    pthread_mutex_t mutex;
    int cancelled;
};

struct rate_thread {
    struct bench_worker worker;
    enum bench_stage stage;
    struct gate *gate;
    double rate; ///< pictures a second; negative after a failure
    char why[512];
};

static int gate_pass(struct gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    int cancelled = gate->cancelled;
    pthread_mutex_unlock(&gate->mutex);
    return cancelled ? message_set("cancelled") : 0;
}

// Each thread has a clock of its own, so that none waits for the last.
static int rate_loop(struct rate_thread *thread)
{
    struct bench_worker *worker = &thread->worker;
    const double start = bench_now(), until = start + worker->plan->seconds * 1e3;
    size_t pictures = 0;
    double now = start;
    while (now < until) {
        if (interrupt_seen()) return message_set("interrupted");
        if (bench_step(worker, thread->stage)) return -1;
        pictures += bench_step_pictures(worker, thread->stage);
        now = bench_now();
    }
    thread->rate = (double)pictures / (now - start) * 1e3;
    return 0;
}

static void *rate_main(void *user)
{
    struct rate_thread *thread = user;
    if (gate_pass(thread->gate) || bench_step(&thread->worker, thread->stage) ||
        rate_loop(thread)) {
        snprintf(thread->why, sizeof thread->why, "%s", message_last());
        thread->rate = -1;
    }
    return NULL;
}

// Starts the threads and waits for them. Returns 0, or -1 after message_set.
static int rate_run(struct rate_thread *threads, pthread_t *ids, int count, struct gate *gate)
{
    int started = 0;
    pthread_mutex_lock(&gate->mutex);
    while (started < count && !pthread_create(&ids[started], NULL, rate_main, &threads[started]))
        started++;
    gate->cancelled = started < count;
    pthread_mutex_unlock(&gate->mutex);
    for (int i = 0; i < started; i++) pthread_join(ids[i], NULL);
    if (started < count) return message_set("%d threads cannot be started", count);
    for (int i = 0; i < count; i++)
        if (threads[i].rate < 0) return message_set("%s", threads[i].why);
    return 0;
}

static int rate_stage(struct bench_result *result, struct rate_thread *threads, int count,
                      enum bench_stage stage)
{
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, 0};
    pthread_t *ids = calloc((size_t)count, sizeof *ids);
    if (!ids) return message_set("out of memory");
    for (int i = 0; i < count; i++) {
        threads[i].stage = stage;
        threads[i].gate = &gate;
    }
    int failed = rate_run(threads, ids, count, &gate);
    for (int i = 0; i < count && !failed; i++) result->rate[stage] += threads[i].rate;
    free(ids);
    pthread_mutex_destroy(&gate.mutex);
    return failed;
}

int bench_measure_rate(struct bench_result *result, sac_detector *detector,
                       const struct bench_plan *plan)
{
    static const enum bench_stage stages[] = {BENCH_OPEN, BENCH_LETTERBOX, BENCH_NETWORK,
                                              BENCH_BOXES, BENCH_WHOLE};
    struct rate_thread *threads = calloc((size_t)plan->workers, sizeof *threads);
    if (!threads) return message_set("out of memory");
    int opened = 0, failed = 0;
    for (; opened < plan->workers && !failed; opened++)
        failed = bench_worker_open(&threads[opened].worker, plan, detector, (size_t)opened);
    for (size_t i = 0; i < sizeof stages / sizeof *stages && !failed; i++)
        failed = rate_stage(result, threads, plan->workers, stages[i]);
    for (int i = 0; i < opened; i++) bench_worker_close(&threads[i].worker);
    free(threads);
    result->workers = plan->workers;
    result->has_rate = !failed;
    return failed ? -1 : 0;
}
