// SPDX-License-Identifier: Apache-2.0
// Every public function given NULL, and structures that hold nonsense: refused or nothing done.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "saccade/saccade.h"

static const char *model_path;

// Refused, with a message that says something.
static void refused(int error)
{
    assert_int_equal(error, SAC_EINVAL);
    assert_true(strlen(sac_error_message()) > 10);
}

static void nothing_is_closed(void **state)
{
    (void)state;
    sac_engine *engine = NULL;
    sac_context *context = NULL;
    sac_detector *detector = NULL;
    sac_image_release(NULL);
    sac_detections_free(NULL);
    sac_tensor_free(NULL);
    sac_engine_close(NULL);
    sac_engine_close(&engine);
    sac_context_close(NULL);
    sac_context_close(&context);
    sac_detector_close(NULL);
    sac_detector_close(&detector);
    sac_job_close(NULL);
    sac_job_close(&(sac_job *){NULL});
    sac_stream_close(NULL, NULL);
    sac_stream_close(NULL, &(void *){NULL});
    sac_engine_options_init_sized(NULL, sizeof(sac_engine_options));
    sac_detector_options_init_sized(NULL, sizeof(sac_detector_options));
}

static void options_smaller_than_their_size_are_left_alone(void **state)
{
    (void)state;
    sac_engine_options engine = {.threads = 7};
    sac_detector_options detector = {.pad = 7};
    sac_engine_options_init_sized(&engine, 3);
    sac_detector_options_init_sized(&detector, 3);
    assert_int_equal(engine.threads, 7);
    assert_int_equal(detector.pad, 7);
    memset(&detector, 0x55, sizeof detector);
    sac_detector_options_init_sized(&detector, sizeof detector.size);
    assert_int_equal(detector.size, sizeof detector.size);
    assert_int_equal(detector.engine.size, (size_t)0x5555555555555555);
}

static void pictures(void **state)
{
    (void)state;
    sac_image image;
    const uint8_t byte = 0;
    refused(sac_image_open(NULL, "a", NULL));
    refused(sac_image_open(&image, NULL, NULL));
    refused(sac_image_read(NULL, &byte, 1, NULL));
    refused(sac_image_read(&image, NULL, 1, NULL));
    refused(sac_image_wrap(NULL, &byte, 1, 1, 0, SAC_GRAY8));
    refused(sac_image_wrap(&image, NULL, 1, 1, 0, SAC_GRAY8));
    refused(sac_image_wrap(&image, &byte, 1, 1, 0, (sac_pixel_format)-1));
    assert_int_equal(sac_pixel_bytes((sac_pixel_format)99), 0);
    refused(sac_image_wrap_memory(NULL, &byte, 1, 1, 0, SAC_GRAY8, SAC_HOST, 0));
    refused(sac_image_wrap_memory(&image, NULL, 1, 1, 0, SAC_GRAY8, SAC_CUDA, 0));
    refused(sac_image_wrap_memory(&image, &byte, 1, 1, 0, SAC_GRAY8, (sac_memory)3, 0));
    refused(sac_image_wrap_nv12(NULL, &byte, 0, &byte, 0, 2, 2, SAC_HOST, 0));
    refused(sac_image_wrap_nv12(&image, &byte, 0, NULL, 0, 2, 2, SAC_HOST, 0));
    refused(sac_image_wrap_nv12(&image, NULL, 0, &byte, 0, 2, 2, SAC_HOST, 0));
    refused(sac_tensor_from_image(NULL, &image));
    refused(sac_tensor_from_image(&(sac_tensor){0}, NULL));
    refused(sac_image_from_tensor(NULL, &(sac_tensor){0}, SAC_BGR8));
    refused(sac_image_from_tensor(&image, NULL, SAC_BGR8));
}

static void tensors(void **state)
{
    (void)state;
    const int64_t one = 1;
    float value = 0;
    sac_tensor tensor, other;
    refused(sac_tensor_wrap(NULL, &value, SAC_F32, 1, &one));
    refused(sac_tensor_wrap(&tensor, &value, SAC_F32, 1, NULL));
    refused(sac_tensor_alloc(NULL, SAC_F32, 1, &one));
    refused(sac_tensor_alloc(&tensor, SAC_F32, 1, NULL));
    refused(sac_tensor_flatten(NULL, &tensor));
    refused(sac_tensor_flatten(&tensor, NULL));
    assert_int_equal(sac_tensor_wrap(&tensor, &value, SAC_F32, 1, &one), 0);
    refused(sac_tensor_reshape(NULL, &tensor, 1, &one));
    refused(sac_tensor_reshape(&other, NULL, 1, &one));
    refused(sac_tensor_reshape(&other, &tensor, 1, NULL));
    assert_int_equal(sac_tensor_count(NULL), 0);
    assert_int_equal(sac_tensor_bytes(NULL), 0);
    assert_int_equal(sac_tensor_is_contiguous(NULL), 0);
    refused(sac_tensor_to_dlpack(NULL, &other));
    refused(sac_tensor_to_dlpack(&tensor, NULL));
    refused(sac_tensor_from_dlpack(NULL, &tensor));
    refused(sac_tensor_from_dlpack(&tensor, NULL));
    tensor.dtype = (sac_dtype)99;
    refused(sac_tensor_flatten(&other, &tensor));
    tensor.dtype = SAC_F32;
    tensor.ndim = SAC_MAX_DIMS + 1;
    refused(sac_tensor_flatten(&other, &tensor));
    assert_int_equal(sac_tensor_count(&tensor), 0);
}

static void steps(void **state)
{
    (void)state;
    uint8_t pixel[3] = {0};
    float values[18] = {0};
    const int64_t in[] = {1, 3, 1, 1}, out[] = {1, 3, 6};
    const sac_pixels how = SAC_PIXELS_DEFAULT;
    const sac_nms nms = SAC_NMS_DEFAULT;
    const sac_head head = {.family = SAC_HEAD_V5, .classes = 1};
    sac_letterbox fit;
    sac_image image;
    sac_tensor input, output;
    sac_detections found;
    refused(sac_letterbox_fit(NULL, 1, 1, 1, 1, NULL));
    assert_int_equal(sac_letterbox_fit(&fit, 1, 1, 1, 1, NULL), 0);
    assert_int_equal(sac_image_wrap(&image, pixel, 1, 1, 0, SAC_BGR8), 0);
    assert_int_equal(sac_tensor_wrap(&input, values, SAC_F32, 4, in), 0);
    assert_int_equal(sac_tensor_wrap(&output, values, SAC_F32, 3, out), 0);
    refused(sac_letterbox_apply(NULL, 0, &image, &fit, &how));
    refused(sac_letterbox_apply(&input, 0, NULL, &fit, &how));
    refused(sac_letterbox_apply(&input, 0, &image, NULL, &how));
    refused(sac_letterbox_apply(&input, 0, &image, &fit, NULL));
    assert_int_equal(sac_letterbox_apply(&input, 0, &image, &fit, &how), 0);
    refused(sac_head_read(NULL, &output, 0, &head, &fit, &nms));
    refused(sac_head_read(&found, NULL, 0, &head, &fit, &nms));
    refused(sac_head_read(&found, &output, 0, NULL, &fit, &nms));
    refused(sac_head_read(&found, &output, 0, &head, NULL, &nms));
    refused(sac_head_read(&found, &output, 0, &head, &fit, NULL));
    assert_int_equal(sac_head_read(&found, &output, 0, &head, &fit, &nms), 0);
    sac_detections_free(&found);
}

static void engine_without_one(void **state)
{
    (void)state;
    sac_engine *engine = NULL;
    sac_context *context = NULL;
    sac_binding binding;
    sac_tensor tensor = {0};
    refused(sac_engine_open(NULL, "a", NULL));
    refused(sac_engine_open(&engine, NULL, NULL));
    refused(sac_engine_read(NULL, "a", 1, NULL));
    refused(sac_engine_read(&engine, NULL, 1, NULL));
    assert_string_equal(sac_engine_backend(NULL), "");
    assert_string_equal(sac_engine_where(NULL), "");
    assert_int_equal(sac_engine_precision(NULL), SAC_PRECISION_AUTO);
    assert_int_equal(sac_engine_parallel(NULL), 0);
    assert_int_equal(sac_engine_binding_count(NULL), 0);
    refused(sac_engine_binding(NULL, 0, &binding));
    refused(sac_engine_alloc(NULL, 0, 0, NULL, &tensor));
    refused(sac_context_open(NULL, NULL));
    refused(sac_context_open(&context, NULL));
    refused(sac_context_bind(NULL, 0, &tensor));
    refused(sac_context_enqueue(NULL));
    refused(sac_context_wait(NULL));
    refused(sac_context_tensor(NULL, 0, &tensor));
    refused(sac_engine_alloc_memory(NULL, 0, 0, NULL, SAC_HOST, &tensor));
    refused(sac_engine_alloc_tensor(NULL, SAC_HOST, SAC_U8, 0, NULL, &tensor));
    refused(sac_engine_head(NULL, &(sac_head){0}, &(size_t){0}));
    refused(sac_engine_layers(NULL, NULL, 0, &(size_t){0}));
    assert_int_equal(sac_engine_memory(NULL), SAC_HOST);
    assert_int_equal(sac_engine_device(NULL), 0);
    refused(sac_stream_open(NULL, NULL));
    refused(sac_stream_wait(NULL, NULL));
    refused(sac_context_done(NULL));
    refused(sac_context_use_stream(NULL, NULL));
    refused(sac_context_copy(NULL, &tensor, &tensor));
    refused(sac_context_letterbox(NULL, &tensor, 0, NULL, NULL, NULL));
    refused(sac_context_boxes(NULL, NULL, &tensor, 0, NULL, NULL, NULL));
    refused(sac_context_boxes(NULL, &(sac_detections){0}, &tensor, 0, NULL, NULL, NULL));
    refused(sac_devices_list(NULL, 1, &(size_t){0}));
    refused(sac_devices_list(NULL, 0, NULL));
    assert_null(sac_backend_name((size_t)-1));
}

static void detector_without_one(void **state)
{
    (void)state;
    sac_detector *detector = NULL;
    sac_detections found;
    const sac_nms nms = SAC_NMS_DEFAULT;
    sac_image image = {0};
    refused(sac_detector_open(NULL, "a", NULL));
    refused(sac_detector_open(&detector, NULL, NULL));
    refused(sac_detector_read(NULL, "a", 1, NULL));
    refused(sac_detector_read(&detector, NULL, 1, NULL));
    refused(sac_detector_run(NULL, &image, 1, &found));
    refused(sac_detector_set_nms(NULL, &nms));
    assert_null(sac_detector_info(NULL));
    assert_int_equal(sac_detector_reads_maps(NULL), 0);
    refused(sac_detector_boxes(NULL, &(sac_tensor){0}, 0, &(sac_letterbox){0}, &found));
    refused(sac_detector_boxes(NULL, NULL, 0, NULL, NULL));
    assert_null(sac_detector_engine(NULL));
    assert_int_equal(sac_detector_batch(NULL), 0);
    assert_int_equal(sac_detector_jobs(NULL), 0);
    assert_int_equal(sac_detector_feed(NULL), SAC_FEED_AUTO);
    sac_job *job;
    refused(sac_detector_enqueue(&job, NULL, &image, 1, NULL));
    refused(sac_detector_enqueue(NULL, NULL, &image, 1, NULL));
    refused(sac_job_done(NULL));
    refused(sac_job_wait(NULL, &found));
    refused(sac_detect(NULL, "a", "b"));
    refused(sac_detect(&found, "a", NULL));
}

// Leaves the context with a run done; free input_out after it.
static void tensors_that_do_not_fit(sac_engine *engine, sac_context *context,
                                    sac_tensor *input_out)
{
    sac_tensor input, bad;
    assert_int_equal(sac_engine_alloc(engine, 0, 0, NULL, &input), 0);
    refused(sac_context_bind(context, 0, NULL));
    refused(sac_context_bind(context, 99, &input));
    refused(sac_context_tensor(context, 99, &bad));
    refused(sac_context_enqueue(context)); // nothing bound
    bad = input, bad.data = NULL;
    refused(sac_context_bind(context, 0, &bad));
    bad = input, bad.dtype = SAC_U8;
    refused(sac_context_bind(context, 0, &bad));
    assert_non_null(strstr(sac_error_message(), "uint8"));
    bad = input, bad.ndim = SAC_MAX_DIMS + 1;
    refused(sac_context_bind(context, 0, &bad));
    bad = input, bad.shape[3] = -1;
    refused(sac_context_bind(context, 0, &bad));
    bad = input, bad.memory = SAC_CUDA;
    refused(sac_context_bind(context, 0, &bad));
    assert_non_null(strstr(sac_error_message(), "device memory"));
    refused(sac_context_enqueue(context)); // still nothing bound
    assert_int_equal(sac_context_wait(context), 0); // nothing to wait for
    assert_int_equal(sac_context_bind(context, 0, &input), 0);
    assert_int_equal(sac_context_enqueue(context), 0);
    assert_int_equal(sac_context_wait(context), 0);
    *input_out = input;
}

// The outputs of a run by hand: everything about them that can be wrong.
static void outputs_that_do_not_fit(sac_detector *detector, sac_context *context)
{
    sac_tensor outputs[8], bad[8];
    sac_letterbox fit;
    sac_detections found;
    const size_t count = sac_engine_binding_count(sac_detector_engine(detector)) - 1;
    assert_int_equal(sac_letterbox_fit(&fit, 100, 100, 256, 256, NULL), 0);
    assert_true(count <= 8);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(sac_context_tensor(context, i + 1, &outputs[i]), 0);
    memcpy(bad, outputs, sizeof bad);
    refused(sac_detector_boxes(detector, NULL, 0, &fit, &found));
    refused(sac_detector_boxes(detector, outputs, 0, NULL, &found));
    refused(sac_detector_boxes(detector, outputs, 0, &fit, NULL));
    refused(sac_detector_boxes(detector, outputs, 1, &fit, &found));
    refused(sac_detector_boxes(detector, outputs, -1, &fit, &found));
    bad[0].data = NULL;
    refused(sac_detector_boxes(detector, bad, 0, &fit, &found));
    bad[0] = outputs[0], bad[0].ndim = SAC_MAX_DIMS + 1;
    refused(sac_detector_boxes(detector, bad, 0, &fit, &found));
    bad[0] = outputs[0], bad[0].shape[1]--;
    refused(sac_detector_boxes(detector, bad, 0, &fit, &found));
    assert_int_equal(sac_detector_boxes(detector, outputs, 0, &fit, &found), 0);
    sac_detections_free(&found);
}

static void opened_ones(void **state)
{
    (void)state;
    sac_detector_options options;
    sac_detector_options_init(&options);
    options.engine.cache_dir = "";
    sac_detector *detector = NULL;
    sac_context *context = NULL;
    sac_tensor tensor;
    sac_image image = {.width = 1, .height = 1};
    sac_detections found;
    assert_int_equal(sac_detector_open(&detector, model_path, &options), 0);
    sac_engine *engine = sac_detector_engine(detector);
    refused(sac_detector_set_nms(detector, NULL));
    refused(sac_detector_run(detector, NULL, 1, &found));
    refused(sac_detector_run(detector, &image, 1, NULL));
    refused(sac_detector_run(detector, &image, 1, &found)); // without pixels
    assert_int_equal(found.count, 0);
    assert_null(found.items);
    assert_int_equal(sac_detector_run(detector, NULL, 0, NULL), 0);
    refused(sac_engine_binding(engine, 0, NULL));
    refused(sac_engine_binding(engine, 99, &(sac_binding){0}));
    refused(sac_engine_alloc(engine, 0, 0, NULL, NULL));
    refused(sac_engine_alloc(engine, 99, 0, NULL, &tensor));
    refused(sac_context_open(NULL, engine));
    assert_int_equal(sac_context_open(&context, engine), 0);
    refused(sac_context_tensor(context, 0, NULL));
    tensors_that_do_not_fit(engine, context, &tensor);
    outputs_that_do_not_fit(detector, context);
    sac_context_close(&context);
    sac_tensor_free(&tensor);
    sac_detector_close(&detector);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_closed),
        cmocka_unit_test(options_smaller_than_their_size_are_left_alone),
        cmocka_unit_test(pictures),
        cmocka_unit_test(tensors),
        cmocka_unit_test(steps),
        cmocka_unit_test(engine_without_one),
        cmocka_unit_test(detector_without_one),
        cmocka_unit_test(opened_ones),
    };
    if (argc != 2) return 2;
    model_path = argv[1];
    return cmocka_run_group_tests_name("null", tests, NULL, NULL);
}
