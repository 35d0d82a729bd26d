// SPDX-License-Identifier: Apache-2.0
// The detector over the default small model: many threads, many sizes, one answer.
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

enum { PICTURES = 6, WIDTH = 320, HEIGHT = 240 };

static const char *model_path; ///< a v5 model with static shape
static const char *dynamic_path; ///< one with dynamic batch, height and width
static uint8_t pixels[PICTURES][HEIGHT][WIDTH][3];
static sac_image images[PICTURES];

static void draw(void)
{
    uint32_t noise = 1;
    for (int p = 0; p < PICTURES; p++) {
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH * 3; x++) {
                noise = noise * 1664525u + 1013904223u;
                const int block = ((x / 3 / (8 << p % 3)) ^ (y / (8 << p % 3))) & 1;
                (&pixels[p][y][0][0])[x] = (uint8_t)((block ? 200 : 30) + (noise >> 27));
            }
        // Later pictures are smaller views of the same memory: other sizes, other strides.
        assert_int_equal(sac_image_wrap(&images[p], pixels[p], WIDTH - 17 * p, HEIGHT - 11 * p,
                                        WIDTH * 3, p & 1 ? SAC_RGB8 : SAC_BGR8), 0);
    }
}

static void options_for_tests(sac_detector_options *options)
{
    sac_detector_options_init(options);
    options->nms.conf = 0.01f;
    options->engine.cache_dir = "";
    options->engine.precision = SAC_PRECISION_FP32;
}

static sac_detector *open_or_fail(const char *path, const sac_detector_options *options)
{
    sac_detector *detector;
    int error = sac_detector_open(&detector, path, options);
    if (error) fail_msg("%s: %s", path, sac_error_message());
    return detector;
}

static void assert_same(const sac_detections *a, const sac_detections *b)
{
    assert_int_equal(a->count, b->count);
    if (a->count) assert_memory_equal(a->items, b->items, a->count * sizeof *a->items);
}

static void free_all(sac_detections *found, size_t count)
{
    for (size_t i = 0; i < count; i++) sac_detections_free(&found[i]);
}

static void batches_and_single_pictures_agree(void **state)
{
    (void)state;
    sac_detector_options options;
    options_for_tests(&options);
    sac_detector *one = open_or_fail(dynamic_path, &options);
    options.batch = 4;
    sac_detector *four = open_or_fail(dynamic_path, &options);
    assert_int_equal(sac_detector_batch(four), 4);
    sac_detections single[PICTURES], batched[PICTURES];
    assert_int_equal(sac_detector_run(one, images, PICTURES, single), 0);
    assert_int_equal(sac_detector_run(four, images, PICTURES, batched), 0);
    size_t total = 0;
    for (int i = 0; i < PICTURES; i++) {
        total += single[i].count;
        assert_int_equal(single[i].count, batched[i].count);
        for (size_t k = 0; k < single[i].count; k++)
            assert_float_equal(single[i].items[k].score, batched[i].items[k].score, 1e-4);
    }
    assert_true(total > 0);
    free_all(single, PICTURES);
    free_all(batched, PICTURES);
    sac_detector_close(&one);
    sac_detector_close(&four);
    assert_null(one);
}

struct worker {
    sac_detector *detector;
    const sac_detections *expected;
    int failures;
};

static void *run_repeatedly(void *argument)
{
    struct worker *worker = argument;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < PICTURES; i++) {
            sac_detections found;
            if (sac_detector_run(worker->detector, &images[i], 1, &found)) {
                worker->failures++;
                continue;
            }
            const sac_detections *expected = &worker->expected[i];
            worker->failures += found.count != expected->count ||
                                (found.count && memcmp(found.items, expected->items,
                                                       found.count * sizeof *found.items));
            sac_detections_free(&found);
        }
    return NULL;
}

static void threads_get_the_bytes_that_one_gets(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    sac_detector_options options;
    options_for_tests(&options);
    sac_detector *detector = open_or_fail(model_path, &options);
    sac_detections expected[PICTURES];
    assert_int_equal(sac_detector_run(detector, images, PICTURES, expected), 0);
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){detector, expected, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, run_repeatedly, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].failures, 0);
    }
    free_all(expected, PICTURES);
    sac_detector_close(&detector);
}

static void reference_and_fast_ops_agree(void **state)
{
    (void)state;
    sac_detector_options options;
    options_for_tests(&options);
    sac_detector *fast = open_or_fail(model_path, &options);
    options.ops = "c";
    sac_detector *plain = open_or_fail(model_path, &options);
    sac_detections a[PICTURES], b[PICTURES];
    assert_int_equal(sac_detector_run(fast, images, PICTURES, a), 0);
    assert_int_equal(sac_detector_run(plain, images, PICTURES, b), 0);
    for (int i = 0; i < PICTURES; i++) assert_same(&a[i], &b[i]);
    free_all(a, PICTURES);
    free_all(b, PICTURES);
    sac_detector_close(&fast);
    sac_detector_close(&plain);
}

static void auto_letterbox_takes_what_a_picture_needs(void **state)
{
    (void)state;
    sac_detector_options options;
    options_for_tests(&options);
    options.letterbox.fit = SAC_FIT_AUTO;
    sac_detector *detector = open_or_fail(dynamic_path, &options);
    sac_detections first[PICTURES], second[PICTURES];
    assert_int_equal(sac_detector_run(detector, images, PICTURES, first), 0);
    assert_int_equal(sac_detector_run(detector, images, PICTURES, second), 0);
    for (int i = 0; i < PICTURES; i++) {
        assert_same(&first[i], &second[i]);
        for (size_t k = 0; k < first[i].count; k++) {
            assert_true(first[i].items[k].box[0] >= 0);
            assert_true(first[i].items[k].box[2] <= (float)images[i].width);
        }
    }
    free_all(first, PICTURES);
    free_all(second, PICTURES);
    sac_detector_close(&detector);
    assert_int_equal(sac_detector_open(&detector, model_path, &options), SAC_EINVAL);
    assert_non_null(strstr(sac_error_message(), "auto letterbox"));
}

static void thresholds_can_change(void **state)
{
    (void)state;
    sac_detector_options options;
    options_for_tests(&options);
    sac_detector *detector = open_or_fail(model_path, &options);
    sac_detections many, none;
    assert_int_equal(sac_detector_run(detector, images, 1, &many), 0);
    sac_nms nms = options.nms;
    nms.conf = 1.5f;
    assert_int_equal(sac_detector_set_nms(detector, &nms), SAC_EINVAL);
    nms.conf = 1.f;
    assert_int_equal(sac_detector_set_nms(detector, &nms), 0);
    assert_int_equal(sac_detector_run(detector, images, 1, &none), 0);
    assert_int_equal(none.count, 0);
    assert_true(many.count > 0);
    sac_detections_free(&many);
    sac_detections_free(&none);
    sac_detector_close(&detector);
}

static void only_wanted_classes_come_out(void **state)
{
    (void)state;
    static const int32_t wanted[] = {1, 77, -3};
    sac_detector_options options;
    options_for_tests(&options);
    options.nms.conf = 0.f;
    options.nms.max_det = 30000;
    options.nms.classes = wanted;
    options.nms.class_count = 3;
    sac_detector *detector = open_or_fail(model_path, &options);
    sac_detections found;
    assert_int_equal(sac_detector_run(detector, images, 1, &found), 0);
    assert_true(found.count > 0);
    for (size_t i = 0; i < found.count; i++) assert_int_equal(found.items[i].class_id, 1);
    sac_detections_free(&found);
    options.nms.class_count = 0; // an empty filter
    assert_int_equal(sac_detector_set_nms(detector, &options.nms), 0);
    assert_int_equal(sac_detector_run(detector, images, 1, &found), 0);
    assert_int_equal(found.count, 0);
    sac_detections_free(&found);
    sac_detector_close(&detector);
}

// A program built against an older header knows fewer fields: the others are default.
static void older_programs_get_defaults(void **state)
{
    (void)state;
    struct {
        sac_detector_options options;
        uint8_t guard;
    } older;
    memset(&older, 0x55, sizeof older);
    const size_t size = offsetof(sac_detector_options, pad);
    sac_detector_options_init_sized(&older.options, size);
    assert_int_equal(older.options.pad, 0x55555555); // beyond what the program has
    older.options.nms.conf = 0.01f;
    older.options.engine.cache_dir = "";
    older.options.engine.precision = SAC_PRECISION_FP32;
    sac_detector *old = open_or_fail(model_path, &older.options);
    sac_detector_options options;
    options_for_tests(&options);
    sac_detector *now = open_or_fail(model_path, &options);
    sac_detections a, b;
    assert_int_equal(sac_detector_run(old, images, 1, &a), 0);
    assert_int_equal(sac_detector_run(now, images, 1, &b), 0);
    assert_true(a.count > 0);
    assert_same(&a, &b);
    sac_detections_free(&a);
    sac_detections_free(&b);
    sac_detector_close(&old);
    sac_detector_close(&now);
    options.size++;
    assert_int_equal(sac_detector_open(&now, model_path, &options), SAC_EINVAL);
    assert_non_null(strstr(sac_error_message(), "sac_detector_options_init"));
}

static void bad_options_are_named(void **state)
{
    (void)state;
    static const struct {
        size_t offset;
        int value;
        const char *word;
    } bad[] = {{offsetof(sac_detector_options, pad), 256, "pad"},
               {offsetof(sac_detector_options, batch), -1, "batch"},
               {offsetof(sac_detector_options, nms.max_det), 0, "max_det"},
               {offsetof(sac_detector_options, input_width), 96, "input width 96"},
               {offsetof(sac_detector_options, nms.compat), 2, "compat"},
               {offsetof(sac_detector_options, letterbox.fit), -1, "fit"},
               {offsetof(sac_detector_options, letterbox.stride), -1, "stride"},
               {offsetof(sac_detector_options, engine.precision), 4, "precision 4"},
               {offsetof(sac_detector_options, engine.mode), 2, "mode 2"},
               {offsetof(sac_detector_options, engine.threads), -2, "threads"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sac_detector *detector = NULL;
        sac_detector_options options;
        options_for_tests(&options);
        memcpy((char *)&options + bad[i].offset, &bad[i].value, sizeof(int));
        assert_int_equal(sac_detector_open(&detector, model_path, &options), SAC_EINVAL);
        assert_null(detector);
        if (!strstr(sac_error_message(), bad[i].word))
            fail_msg("'%s' does not name %s", sac_error_message(), bad[i].word);
    }
    sac_detector *detector = NULL;
    sac_detector_options options;
    options_for_tests(&options);
    options.engine.device = "cpu:1";
    assert_int_equal(sac_detector_open(&detector, model_path, &options), SAC_EDEVICE);
    assert_non_null(strstr(sac_error_message(), "cpu:1"));
    assert_int_equal(sac_detector_open(&detector, "/nowhere.onnx", NULL), SAC_EIO);
    assert_non_null(strstr(sac_error_message(), "/nowhere.onnx"));
}

static void bad_pictures_are_numbered(void **state)
{
    (void)state;
    sac_detector_options options;
    options_for_tests(&options);
    options.batch = 2;
    sac_detector *detector = open_or_fail(dynamic_path, &options);
    sac_image bad[PICTURES];
    sac_detections found[PICTURES];
    memcpy(bad, images, sizeof bad);
    bad[3].data = NULL;
    assert_int_equal(sac_detector_run(detector, bad, PICTURES, found), SAC_EINVAL);
    assert_string_equal(sac_error_message(), "picture 3: the picture has no pixels");
    for (int i = 0; i < PICTURES; i++) assert_null(found[i].items);
    assert_int_equal(sac_detector_run(detector, bad + 3, 1, found), SAC_EINVAL);
    assert_string_equal(sac_error_message(), "the picture has no pixels");
    sac_detector_close(&detector);
}

int main(int argc, char **argv)
{
    if (argc != 3) return fprintf(stderr, "usage: test_detector STATIC DYNAMIC\n"), 2;
    model_path = argv[1];
    dynamic_path = argv[2];
    draw();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_and_single_pictures_agree),
        cmocka_unit_test(threads_get_the_bytes_that_one_gets),
        cmocka_unit_test(reference_and_fast_ops_agree),
        cmocka_unit_test(auto_letterbox_takes_what_a_picture_needs),
        cmocka_unit_test(thresholds_can_change),
        cmocka_unit_test(only_wanted_classes_come_out),
        cmocka_unit_test(older_programs_get_defaults),
        cmocka_unit_test(bad_options_are_named),
        cmocka_unit_test(bad_pictures_are_numbered),
    };
    return cmocka_run_group_tests_name("detector", tests, NULL, NULL);
}
