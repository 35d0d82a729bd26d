// SPDX-License-Identifier: Apache-2.0
// Jobs: several pictures on their way, boxes in any order, the bytes that sac_detector_run gives.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "saccade/saccade.h"

enum { PICTURES = 6, WIDTH = 320, HEIGHT = 240, CONTEXTS = 3 };

static const char *model_path; ///< a v5 model with dynamic batch, height and width
static const char *device = "auto", *backend = "auto";
static uint8_t pixels[PICTURES][HEIGHT][WIDTH][3];
static sac_image images[PICTURES];

static void draw(void)
{
    uint32_t noise = 7;
    for (int p = 0; p < PICTURES; p++) {
        for (int i = 0; i < HEIGHT * WIDTH * 3; i++) {
            noise = noise * 1664525u + 1013904223u;
            const int x = i / 3 % WIDTH, y = i / 3 / WIDTH;
            const int block = ((x / (8 << p % 3)) ^ (y / (8 << p % 3))) & 1;
            (&pixels[p][0][0][0])[i] = (uint8_t)((block ? 200 : 30) + (noise >> 27));
        }
        assert_int_equal(sac_image_wrap(&images[p], pixels[p], WIDTH - 17 * p, HEIGHT - 11 * p,
                                        WIDTH * 3, p & 1 ? SAC_RGB8 : SAC_BGR8), 0);
    }
}

static sac_detector *open_detector(int batch, sac_feed feed)
{
    sac_detector *detector;
    sac_detector_options options;
    sac_detector_options_init(&options);
    options.nms.conf = 0.01f;
    options.engine.cache_dir = "";
    options.engine.precision = SAC_PRECISION_FP32;
    options.engine.device = device;
    options.engine.backend = backend;
    options.input_width = options.input_height = 128;
    options.batch = batch;
    options.contexts = CONTEXTS;
    options.feed = feed;
    if (sac_detector_open(&detector, model_path, &options))
        fail_msg("%s: %s", model_path, sac_error_message());
    return detector;
}

static sac_job *enqueue(sac_detector *detector, int first, int count)
{
    sac_job *job;
    if (sac_detector_enqueue(&job, detector, &images[first], (size_t)count, NULL))
        fail_msg("%s", sac_error_message());
    return job;
}

static void assert_same(const sac_detections *a, const sac_detections *b)
{
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->candidates, b->candidates);
    if (a->count) assert_memory_equal(a->items, b->items, a->count * sizeof *a->items);
}

static void free_all(sac_detections *found, int count)
{
    for (int i = 0; i < count; i++) sac_detections_free(&found[i]);
}

static void jobs_in_flight_give_what_run_gives(void **state)
{
    (void)state;
    sac_detector *detector = open_detector(2, SAC_FEED_AUTO);
    sac_detections expected[PICTURES], found[2];
    sac_job *jobs[CONTEXTS];
    size_t total = 0;
    assert_int_equal(sac_detector_run(detector, images, PICTURES, expected), 0);
    assert_int_equal(sac_detector_jobs(detector), CONTEXTS);
    for (int i = 0; i < CONTEXTS; i++) jobs[i] = enqueue(detector, 2 * i, 2);
    for (int i = CONTEXTS - 1; i >= 0; i--) { // in the order that suits the caller
        int done = 0;
        while (!(done = sac_job_done(jobs[i]))) continue;
        assert_int_equal(done, 1);
        assert_int_equal(sac_job_wait(jobs[i], found), 0);
        for (int k = 0; k < 2; k++) {
            assert_same(&found[k], &expected[2 * i + k]);
            assert_true(found[k].ms.network > 0);
            total += found[k].count;
        }
        free_all(found, 2);
        sac_job_close(&jobs[i]);
        assert_null(jobs[i]);
    }
    assert_true(total > 0);
    free_all(expected, PICTURES);
    sac_detector_close(&detector);
}

static void a_job_is_waited_for_once(void **state)
{
    (void)state;
    sac_detector *detector = open_detector(1, SAC_FEED_AUTO);
    sac_detections found;
    sac_job *job = enqueue(detector, 0, 1);
    assert_int_equal(sac_job_wait(job, NULL), SAC_EINVAL);
    assert_int_equal(sac_job_wait(job, &found), 0);
    assert_int_equal(sac_job_done(job), 1);
    sac_detections_free(&found);
    assert_int_equal(sac_job_wait(job, &found), SAC_EINVAL);
    assert_null(found.items);
    sac_job_close(&job);
    sac_detector_close(&detector);
}

static void too_many_jobs_are_told_so(void **state)
{
    (void)state;
    sac_detector *detector = open_detector(1, SAC_FEED_AUTO);
    sac_job *jobs[CONTEXTS], *more = (sac_job *)1;
    sac_detections found;
    for (int i = 0; i < CONTEXTS; i++) jobs[i] = enqueue(detector, i, 1);
    assert_int_equal(sac_detector_enqueue(&more, detector, images, 1, NULL), SAC_EBUSY);
    assert_null(more);
    assert_non_null(strstr(sac_error_message(), "3 jobs"));
    assert_int_equal(sac_detector_run(detector, images, 1, &found), SAC_EBUSY); // no dead lock
    sac_job_close(&jobs[1]); // nobody wants its boxes
    jobs[1] = enqueue(detector, 0, 1);
    sac_job_close(&jobs[0]);
    assert_int_equal(sac_detector_run(detector, images, 1, &found), 0);
    sac_detections_free(&found);
    for (int i = 1; i < CONTEXTS; i++) sac_job_close(&jobs[i]);
    sac_detector_close(&detector);
}

static void what_is_no_job_is_refused(void **state)
{
    (void)state;
    sac_detector *detector = open_detector(2, SAC_FEED_AUTO);
    sac_job *job;
    sac_image bad[2] = {images[0], images[1]};
    bad[1].data = NULL;
    assert_int_equal(sac_detector_enqueue(&job, detector, images, 0, NULL), SAC_EINVAL);
    assert_int_equal(sac_detector_enqueue(&job, detector, images, 3, NULL), SAC_EINVAL);
    assert_int_equal(sac_detector_enqueue(&job, detector, NULL, 1, NULL), SAC_EINVAL);
    for (int i = 0; i < 2 * CONTEXTS; i++) { // a failed one holds nothing
        assert_int_equal(sac_detector_enqueue(&job, detector, bad, 2, NULL), SAC_EINVAL);
        assert_string_equal(sac_error_message(), "picture 1: the picture has no pixels");
        assert_null(job);
    }
    sac_detector_close(&detector);
}

static void a_processor_is_fed_by_staging(void **state)
{
    (void)state;
    sac_detector *detector = open_detector(1, SAC_FEED_STAGED);
    assert_int_equal(sac_detector_feed(detector), SAC_FEED_STAGED);
    if (sac_engine_memory(sac_detector_engine(detector)) == SAC_HOST) {
        sac_job *job;
        int stream;
        sac_image away = images[0];
        away.memory = SAC_CUDA;
        assert_int_equal(sac_detector_enqueue(&job, detector, images, 1, &stream),
                         SAC_EUNSUPPORTED);
        assert_int_equal(sac_detector_enqueue(&job, detector, &away, 1, NULL), SAC_EUNSUPPORTED);
        sac_detector_options options;
        sac_detector *resident = NULL;
        sac_detector_options_init(&options);
        options.engine.cache_dir = "";
        options.feed = SAC_FEED_RESIDENT;
        assert_int_equal(sac_detector_open(&resident, model_path, &options), SAC_EUNSUPPORTED);
        assert_non_null(strstr(sac_error_message(), "feed resident"));
        options.feed = (sac_feed)3;
        assert_int_equal(sac_detector_open(&resident, model_path, &options), SAC_EINVAL);
        assert_null(resident);
    }
    sac_detector_close(&detector);
}

struct worker {
    sac_detector *detector;
    const sac_detections *expected;
    int failures;
};

static void *enqueue_and_run(void *argument)
{
    struct worker *worker = argument;
    for (int i = 0; i < 3 * PICTURES; i++) {
        const int at = i % PICTURES;
        sac_detections found = {0};
        sac_job *job = NULL;
        int error = i & 1 ? sac_detector_run(worker->detector, &images[at], 1, &found)
                          : sac_detector_enqueue(&job, worker->detector, &images[at], 1, NULL);
        if (error == SAC_EBUSY) continue; // the others' jobs hold all
        if (job && !error) error = sac_job_wait(job, &found);
        sac_job_close(&job);
        const sac_detections *expected = &worker->expected[at];
        worker->failures += error || found.count != expected->count ||
                            (found.count && memcmp(found.items, expected->items,
                                                   found.count * sizeof *found.items));
        sac_detections_free(&found);
    }
    return NULL;
}

static void threads_share_jobs_and_calls(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    sac_detector *detector = open_detector(1, SAC_FEED_AUTO);
    sac_detections expected[PICTURES];
    assert_int_equal(sac_detector_run(detector, images, PICTURES, expected), 0);
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){detector, expected, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, enqueue_and_run, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].failures, 0);
    }
    free_all(expected, PICTURES);
    sac_detector_close(&detector);
}

int main(int argc, char **argv)
{
    if (argc < 2) return fprintf(stderr, "usage: test_jobs MODEL [MODEL [DEVICE BACKEND]]\n"), 2;
    model_path = argv[1];
    if (argc > 4) device = argv[3], backend = argv[4];
    draw();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_in_flight_give_what_run_gives),
        cmocka_unit_test(a_job_is_waited_for_once),
        cmocka_unit_test(too_many_jobs_are_told_so),
        cmocka_unit_test(what_is_no_job_is_refused),
        cmocka_unit_test(a_processor_is_fed_by_staging),
        cmocka_unit_test(threads_share_jobs_and_calls),
    };
    return cmocka_run_group_tests_name("jobs", tests, NULL, NULL);
}
