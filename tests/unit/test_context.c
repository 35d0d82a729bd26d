// SPDX-License-Identifier: Apache-2.0
// The steps around a run on the engine's own calls: memory of its kind, a stream, letterbox, copy,
// run, boxes. The boxes are those of the detector.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "saccade/saccade.h"

enum { WIDTH = 320, HEIGHT = 200 };

static const char *model_path; ///< a v5 model with static shape
static const char *device = "auto", *backend = "auto";
static uint8_t pixels[HEIGHT][WIDTH][3];
static sac_image image;
static const sac_pixels how = SAC_PIXELS_DEFAULT;
static const sac_nms nms = {0.01f, 0.45f, 300, 0, 0, SAC_COMPAT_EXACT, 0, 0};

/// An engine with a context, a letterbox for the picture, and its head.
struct setting {
    sac_engine *engine;
    sac_context *context;
    void *stream;
    sac_letterbox letterbox;
    sac_head head;
    size_t output;
    sac_tensor host[2], own[2]; ///< of input and output, in host memory and in the engine's
};

static void draw(void)
{
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < 3; c++)
                pixels[y][x][c] = (uint8_t)(((x / 16 ^ y / 16) & 1 ? 190 : 20) + (x * y + c) % 50);
    assert_int_equal(sac_image_wrap(&image, pixels, WIDTH, HEIGHT, 0, SAC_BGR8), 0);
}

static void succeed(int error)
{
    if (error) fail_msg("%s", sac_error_message());
}

static void open_setting(struct setting *s)
{
    sac_engine_options options;
    sac_binding input;
    *s = (struct setting){0};
    sac_engine_options_init(&options);
    options.device = device;
    options.backend = backend;
    options.cache_dir = "";
    options.precision = SAC_PRECISION_FP32;
    succeed(sac_engine_open(&s->engine, model_path, &options));
    succeed(sac_context_open(&s->context, s->engine));
    succeed(sac_stream_open(&s->stream, s->engine));
    succeed(sac_context_use_stream(s->context, s->stream));
    succeed(sac_engine_head(s->engine, &s->head, &s->output));
    succeed(sac_engine_binding(s->engine, 0, &input));
    succeed(sac_letterbox_fit(&s->letterbox, WIDTH, HEIGHT, (int)input.shape[3],
                              (int)input.shape[2], NULL));
    for (int i = 0; i < 2; i++) {
        const size_t at = i ? s->output : 0;
        succeed(sac_engine_alloc_memory(s->engine, at, 1, NULL, SAC_HOST_PINNED, &s->host[i]));
        succeed(sac_engine_alloc_memory(s->engine, at, 0, NULL, sac_engine_memory(s->engine),
                                        &s->own[i]));
        succeed(sac_context_bind(s->context, at, &s->own[i]));
    }
}

static void close_setting(struct setting *s)
{
    for (int i = 0; i < 2; i++) {
        sac_tensor_free(&s->host[i]);
        sac_tensor_free(&s->own[i]);
    }
    sac_context_close(&s->context);
    sac_stream_close(s->engine, &s->stream);
    sac_engine_close(&s->engine);
}

static void detect(sac_detections *found_out)
{
    sac_detector *detector;
    sac_detector_options options;
    sac_detector_options_init(&options);
    options.engine.device = device;
    options.engine.backend = backend;
    options.engine.cache_dir = "";
    options.engine.precision = SAC_PRECISION_FP32;
    options.nms = nms;
    options.keep_head = 1;
    succeed(sac_detector_open(&detector, model_path, &options));
    succeed(sac_detector_run(detector, &image, 1, found_out));
    sac_detector_close(&detector);
}

static void assert_same(sac_detections *found, sac_detections *expected)
{
    assert_true(expected->count > 0);
    assert_int_equal(found->count, expected->count);
    assert_memory_equal(found->items, expected->items, found->count * sizeof *found->items);
    sac_detections_free(found);
    sac_detections_free(expected);
}

static void pictures_in_the_engines_memory(void **state)
{
    (void)state;
    struct setting s;
    sac_detections found, expected;
    sac_tensor source, frame;
    sac_image there;
    detect(&expected);
    open_setting(&s);
    const int64_t extent[] = {HEIGHT, WIDTH, 3};
    succeed(sac_tensor_from_image(&source, &image));
    succeed(sac_engine_alloc_tensor(s.engine, sac_engine_memory(s.engine), SAC_U8, 3, extent,
                                    &frame));
    succeed(sac_context_copy(s.context, &frame, &source));
    succeed(sac_image_from_tensor(&there, &frame, SAC_BGR8));
    for (int round = 0; round < 3; round++) {
        succeed(sac_context_letterbox(s.context, &s.own[0], 0, &there, &s.letterbox, &how));
        succeed(sac_context_enqueue(s.context));
        succeed(sac_context_boxes(s.context, &found, &s.own[1], 0, &s.head, &s.letterbox, &nms));
        succeed(sac_context_wait(s.context));
        if (round < 2) sac_detections_free(&found);
    }
    assert_same(&found, &expected);
    sac_tensor_free(&frame);
    close_setting(&s);
}

static void copies_by_way_of_host_memory(void **state)
{
    (void)state;
    struct setting s;
    sac_detections found, expected;
    sac_tensor input, output;
    sac_binding binding;
    detect(&expected);
    open_setting(&s);
    for (int i = 0; i < 2; i++) {
        succeed(sac_engine_binding(s.engine, i ? s.output : 0, &binding));
        assert_int_equal(s.host[i].ndim, 1);
        succeed(sac_tensor_reshape(i ? &output : &input, &s.host[i], binding.ndim, binding.shape));
    }
    succeed(sac_letterbox_apply(&input, 0, &image, &s.letterbox, &how));
    succeed(sac_context_copy(s.context, &s.own[0], &s.host[0]));
    succeed(sac_context_enqueue(s.context));
    succeed(sac_context_copy(s.context, &s.host[1], &s.own[1]));
    int done;
    while (!(done = sac_context_done(s.context))) continue;
    assert_int_equal(done, 1);
    succeed(sac_context_wait(s.context));
    succeed(sac_head_read(&found, &output, 0, &s.head, &s.letterbox, &nms));
    assert_same(&found, &expected);
    close_setting(&s);
}

static void refused(int error, int expected)
{
    assert_int_equal(error, expected);
    assert_true(strlen(sac_error_message()) > 10);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct setting s;
    sac_tensor bad;
    sac_detections found;
    open_setting(&s);
    refused(sac_context_copy(s.context, &s.own[0], &s.own[1]), SAC_EINVAL);
    bad = s.host[0], bad.dtype = SAC_I32;
    refused(sac_context_copy(s.context, &s.own[0], &bad), SAC_EINVAL);
    bad = s.host[0], bad.data = NULL;
    refused(sac_context_copy(s.context, &s.own[0], &bad), SAC_EINVAL);
    bad = s.own[0], bad.shape[3]++;
    refused(sac_context_letterbox(s.context, &bad, 0, &image, &s.letterbox, &how), SAC_EINVAL);
    refused(sac_context_letterbox(s.context, &s.own[0], 1, &image, &s.letterbox, &how), SAC_EINVAL);
    refused(sac_context_letterbox(s.context, &s.own[0], 0, &image, &s.letterbox, NULL), SAC_EINVAL);
    refused(sac_context_boxes(s.context, &found, &s.own[0], 0, &s.head, &s.letterbox, &nms),
            SAC_EINVAL);
    refused(sac_engine_alloc_memory(s.engine, 0, 0, NULL, (sac_memory)3, &bad), SAC_EINVAL);
    const sac_memory own = sac_engine_memory(s.engine);
    bad = s.own[0], bad.memory = SAC_CUDA, bad.device = 77;
    refused(sac_context_copy(s.context, &bad, &s.host[0]),
            own == SAC_CUDA ? SAC_EINVAL : SAC_EUNSUPPORTED);
    if (own == SAC_HOST) {
        int stream;
        refused(sac_engine_alloc_memory(s.engine, 0, 0, NULL, SAC_CUDA, &bad), SAC_EUNSUPPORTED);
        refused(sac_context_use_stream(s.context, &stream), SAC_EUNSUPPORTED);
        refused(sac_stream_wait(s.engine, &stream), SAC_EINVAL);
        assert_int_equal(s.host[0].memory, SAC_HOST);
    }
    succeed(sac_stream_wait(s.engine, s.stream));
    assert_int_equal(sac_context_done(s.context), 1);
    close_setting(&s);
}

int main(int argc, char **argv)
{
    if (argc < 3) return fprintf(stderr, "usage: test_context MODEL STATIC [DEVICE BACKEND]\n"), 2;
    model_path = argv[2];
    if (argc > 4) device = argv[3], backend = argv[4];
    draw();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_in_the_engines_memory),
        cmocka_unit_test(copies_by_way_of_host_memory),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests_name("context", tests, NULL, NULL);
}
