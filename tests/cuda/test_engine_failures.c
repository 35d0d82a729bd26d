// SPDX-License-Identifier: Apache-2.0
// What the CUDA engine refuses, and what happens when the GPU has no memory: an error that says
// why, nothing lost, and a process that goes on. Most of it needs a GPU whose failures can be
// ordered, so it runs emulated only.
#include "engine_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void refused(int wanted, const char *model, const char *device, sac_precision precision,
                    const char *words)
{
    sac_engine_options options;
    sac_engine *engine = NULL;
    sac_engine_options_init(&options);
    options.device = device;
    options.cache_dir = "";
    options.precision = precision;
    const int error = sac_engine_open(&engine, model, &options);
    if (error != wanted || !strstr(sac_error_message(), words))
        fail_msg("%s instead of %s with \"%s\": %s", sac_error_name(error), sac_error_name(wanted),
                 words, sac_error_message());
    assert_null(engine);
}

static void wrong_requests_are_refused(void **state)
{
    (void)state;
    const sac_precision any = SAC_PRECISION_AUTO;
    refused(SAC_EDEVICE, case_v8, "cuda:7", any, "cuda:7");
    refused(SAC_EINVAL, case_v8, "cuda:x", any, "cuda:x");
    refused(SAC_EINVAL, case_v8, "cuda:", any, "colon");
    refused(SAC_EUNSUPPORTED, case_v8, "cuda", SAC_PRECISION_BF16, "bf16");
    refused(SAC_EUNSUPPORTED, case_unknown, "cuda", any, "odd_one");
    refused(SAC_EUNSUPPORTED, case_v5, "cuda", any, "is open; give a size");
    sac_detector_options options = case_options(SAC_FEED_AUTO, any);
    sac_detector *detector = NULL;
    options.letterbox.fit = SAC_FIT_AUTO;
    assert_int_equal(sac_detector_open(&detector, case_v5, &options), SAC_EUNSUPPORTED);
    assert_non_null(strstr(sac_error_message(), "one input size"));
}

static void a_picture_is_where_it_is_said_to_be(void **state)
{
    (void)state;
    const sac_detector_options options = case_options(SAC_FEED_RESIDENT, SAC_PRECISION_AUTO);
    sac_detector *detector = case_open(case_v5, &options);
    sac_image image = case_images[0];
    sac_detections found;
    image.memory = SAC_CUDA;
    assert_int_equal(sac_detector_run(detector, &image, 1, &found), SAC_EINVAL);
    assert_non_null(strstr(sac_error_message(), "lies in"));
    case_run(detector, case_images, 1, &found);
    sac_detections_free(&found);
    sac_detector_close(&detector);
}

// One device of each kind of trouble, and what `devices` says of it.
static void what_is_missing_is_said(void **state)
{
    (void)state;
#ifdef SAC_EMULATED
    static const struct {
        const char *gpu, *words;
        int available;
    } cases[] = {
        {"none", "sees no GPU", 0},
        {"no-driver", "no NVIDIA driver", 0},
        {"7.5", "7.5; 8.0 or later is needed", 0},
        {"8.0", "compute capability 8.0", 1},
        {"9.0", "compute capability 9.0", 1},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        sac_device devices[8];
        size_t count;
        setenv("SACCADE_EMULATOR_GPU", cases[k].gpu, 1);
        case_succeed(sac_devices_list(devices, 8, &count));
        assert_string_equal(devices[0].backend, "cuda");
        assert_int_equal(devices[0].available, cases[k].available);
        if (!strstr(devices[0].details, cases[k].words)) fail_msg("%s", devices[0].details);
        if (!cases[k].available)
            refused(SAC_EDEVICE, case_v8, "cuda", SAC_PRECISION_AUTO,
                    strcmp(cases[k].gpu, "7.5") ? cases[k].words : "capability 7.5");
    }
    unsetenv("SACCADE_EMULATOR_GPU");
#endif
}

#ifdef SAC_EMULATED
static size_t memory_in_use(void)
{
    size_t unused = 0, total = 0;
    assert_int_equal(cudaMemGetInfo(&unused, &total), cudaSuccess);
    return total - unused;
}

static int open_and_run(const sac_detector_options *options, sac_detections *found)
{
    sac_detector *detector = NULL;
    memset(found, 0, CASE_PICTURES * sizeof *found);
    int error = sac_detector_open(&detector, case_v8, options);
    if (!error) error = sac_detector_run(detector, case_images, CASE_PICTURES, found);
    sac_detector_close(&detector);
    return error;
}

// Each call of the runtime may fail for good; what it was is said, nothing is lost.
static void every_call_may_fail(sac_feed feed)
{
    static const char *const calls[] = {
        "cudaGetDeviceProperties", "cudaStreamCreateWithFlags", "cudaEventCreateWithFlags",
        "cudaMemsetAsync",         "cudaStreamBeginCapture",    "cudaGraphInstantiate",
        "cudaGraphUpload",         "cudaGraphLaunch",           "cudaMemcpyAsync",
        "cudaEventRecord",         "cudaEventSynchronize",      "cudaStreamSynchronize",
        "cudaPointerGetAttributes"};
    const sac_detector_options options = case_options(feed, SAC_PRECISION_AUTO);
    sac_detections found[CASE_PICTURES];
    const size_t before = memory_in_use();
    for (size_t k = 0; k < sizeof calls / sizeof *calls; k++) {
        setenv("SACCADE_EMULATOR_BREAK", calls[k], 1);
        const int error = open_and_run(&options, found);
        unsetenv("SACCADE_EMULATOR_BREAK");
        if (error != SAC_EBACKEND || !strstr(sac_error_message(), calls[k]) ||
            !strstr(sac_error_message(), "can no longer use the GPU"))
            fail_msg("%s: %s: %s", calls[k], sac_error_name(error), sac_error_message());
        assert_int_equal(memory_in_use(), before);
    }
    case_succeed(open_and_run(&options, found));
    case_free(found, CASE_PICTURES);
}

// The runtime counts from its first allocation on, so the n-th from here is set as the count grows.
static void every_allocation_may_fail(sac_feed feed)
{
    const sac_detector_options options = case_options(feed, SAC_PRECISION_AUTO);
    sac_detections wanted[CASE_PICTURES], found[CASE_PICTURES];
    case_succeed(open_and_run(&options, wanted));
    const size_t before = memory_in_use();
    int failures = 0;
    for (size_t n = 1;; n++) {
        char text[32];
        snprintf(text, sizeof text, "%zu", emulator_allocations() + n);
        setenv("SACCADE_EMULATOR_FAIL", text, 1);
        const int error = open_and_run(&options, found);
        unsetenv("SACCADE_EMULATOR_FAIL");
        if (!error) break; // all of them were passed
        if (error != SAC_ENOMEM) fail_msg("%s: %s", sac_error_name(error), sac_error_message());
        assert_int_equal(memory_in_use(), before);
        failures++;
    }
    assert_true(failures > 5);
    case_same(wanted, found, CASE_PICTURES);
    case_free(wanted, CASE_PICTURES);
    case_free(found, CASE_PICTURES);
}
#endif

static void calls_may_fail(void **state)
{
    (void)state;
#ifdef SAC_EMULATED
    every_call_may_fail(SAC_FEED_RESIDENT);
    every_call_may_fail(SAC_FEED_STAGED);
#endif
}

static void memory_may_be_short_resident(void **state)
{
    (void)state;
#ifdef SAC_EMULATED
    every_allocation_may_fail(SAC_FEED_RESIDENT);
#endif
}

static void memory_may_be_short_staged(void **state)
{
    (void)state;
#ifdef SAC_EMULATED
    every_allocation_may_fail(SAC_FEED_STAGED);
#endif
}

// A batch that no GPU has memory for, on whatever GPU this is.
static void a_huge_batch_is_an_error(void **state)
{
    (void)state;
    sac_detector_options options = case_options(SAC_FEED_RESIDENT, SAC_PRECISION_AUTO);
    sac_detector *detector = NULL;
    options.input_width = options.input_height = 1920;
    options.batch = 4096;
    const int error = sac_detector_open(&detector, case_v5, &options);
    if (error != SAC_ENOMEM && error != SAC_ELIMIT && error != SAC_EUNSUPPORTED &&
        error != SAC_EMODEL)
        fail_msg("%s: %s", sac_error_name(error), sac_error_message());
    options = case_options(SAC_FEED_RESIDENT, SAC_PRECISION_AUTO);
    detector = case_open(case_v5, &options);
    sac_detections found;
    case_run(detector, case_images, 1, &found);
    sac_detections_free(&found);
    sac_detector_close(&detector);
}

// The caller's device and its last error are as they were, whichever GPU finds the boxes.
static void the_callers_device_stays(void **state)
{
    (void)state;
    sac_detector_options options = case_options(SAC_FEED_RESIDENT, SAC_PRECISION_AUTO);
    sac_detections wanted, found;
    int device = -1;
    const int callers = case_gpus() - 1;
    if (callers < 1) skip();
    assert_int_equal(cudaSetDevice(callers), cudaSuccess);
    sac_detector *detector = case_open(case_v8, &options);
    case_run(detector, case_images, 1, &wanted);
    sac_detector_close(&detector);
    options.engine.device = "cuda:1";
    detector = case_open(case_v8, &options);
    case_run(detector, case_images, 1, &found);
    assert_int_equal(sac_engine_device(sac_detector_engine(detector)), 1);
    sac_detector_close(&detector);
    case_same(&wanted, &found, 1);
    assert_int_equal(cudaGetDevice(&device), cudaSuccess);
    assert_int_equal(device, callers);
    assert_int_equal(cudaGetLastError(), cudaSuccess);
    assert_int_equal(cudaSetDevice(0), cudaSuccess);
    sac_detections_free(&wanted);
    sac_detections_free(&found);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_requests_are_refused),
        cmocka_unit_test(a_picture_is_where_it_is_said_to_be),
        cmocka_unit_test(what_is_missing_is_said),
        cmocka_unit_test(calls_may_fail),
        cmocka_unit_test(memory_may_be_short_resident),
        cmocka_unit_test(memory_may_be_short_staged),
        cmocka_unit_test(a_huge_batch_is_an_error),
        cmocka_unit_test(the_callers_device_stays),
    };
    case_setup(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
