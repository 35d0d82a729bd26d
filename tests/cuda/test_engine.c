// SPDX-License-Identifier: Apache-2.0
// The CUDA engine through the public API: its network equals the reference, both ways of feeding
// give the same boxes from whatever memory, alone and beside others.
//   test_engine FOLDER [PATTERN [PICTURES]]    of the tests to run; at most so many pictures a run
#include "engine_case.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cuda/graph/plan.h"

static size_t pictures = CASE_PICTURES;

// --- the network

static void *read_file(const char *path, size_t *size_out)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *size_out = (size_t)ftell(file);
    rewind(file);
    void *bytes = malloc(*size_out);
    assert_int_equal(fread(bytes, 1, *size_out, file), *size_out);
    fclose(file);
    return bytes;
}

// Rows of the plain C reference, in float.
static float *reference(const char *path, const float *picture, size_t count)
{
    static const int64_t as_is[4] = {0};
    size_t size;
    void *bytes = read_file(path, &size);
    struct sac_plan *plan;
    case_succeed(sac__plan_open(&plan, bytes, size, as_is, sizeof(float)));
    void *arena = calloc(1, plan->arena_bytes);
    float *rows = calloc(count, sizeof *rows);
    case_succeed(sac__plan_run(plan, picture, arena, rows));
    sac__plan_close(&plan);
    free(arena);
    free(bytes);
    return rows;
}

static double normalised_error(const float *got, const float *wanted, size_t count)
{
    double error = 0, square = 0;
    for (size_t i = 0; i < count; i++) {
        error += ((double)got[i] - wanted[i]) * ((double)got[i] - wanted[i]);
        square += (double)wanted[i] * wanted[i];
    }
    return error / square;
}

static void paint(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = 0.5f + 0.4f * sinf((float)i * 0.37f) * cosf((float)(i / 64) * 0.21f);
}

static sac_engine *open_engine(const char *path, sac_precision precision)
{
    sac_engine_options options;
    sac_engine *engine = NULL;
    sac_engine_options_init(&options);
    options.device = "cuda:0";
    options.cache_dir = "";
    options.precision = precision;
    case_succeed(sac_engine_open(&engine, path, &options));
    return engine;
}

// Input and output in `memory`, on the stream; the answer is copied to `rows`.
static void run_network(sac_engine *engine, sac_memory memory, void *stream, const float *picture,
                        float *rows)
{
    sac_tensor input, output, host;
    sac_context *context;
    case_succeed(sac_context_open(&context, engine));
    case_succeed(sac_context_use_stream(context, stream));
    case_succeed(sac_engine_alloc_memory(engine, 0, 0, NULL, memory, &input));
    case_succeed(
        sac_engine_alloc_memory(engine, 1, memory == SAC_HOST_PINNED, NULL, memory, &output));
    case_succeed(sac_context_bind(context, 0, &input));
    case_succeed(sac_context_bind(context, 1, &output));
    const size_t bytes = sac_tensor_bytes(&input);
    case_succeed(cudaMemcpy(input.data, picture, bytes, cudaMemcpyDefault) != cudaSuccess);
    case_succeed(cudaDeviceSynchronize() != cudaSuccess); // the context's stream waits for no other
    case_succeed(sac_context_enqueue(context));
    while (sac_context_done(context) == 0)
        continue;
    case_succeed(sac_context_wait(context));
    case_succeed(sac_context_tensor(context, 1, &host));
    assert_ptr_equal(host.data, output.data);
    case_succeed(cudaMemcpy(rows, output.data, sac_tensor_bytes(&output), cudaMemcpyDefault) !=
                 cudaSuccess);
    sac_context_close(&context);
    sac_tensor_free(&input);
    sac_tensor_free(&output);
}

static void the_network_equals_the_reference(void **state)
{
    static const struct {
        sac_precision precision;
        double most;
    } cases[] = {{SAC_PRECISION_FP32, 1e-10}, {SAC_PRECISION_FP16, 1e-5}};
    static const sac_memory memories[] = {SAC_HOST, SAC_HOST_PINNED, SAC_CUDA};
    (void)state;
    for (int c = 0; c < 2; c++) {
        sac_engine *engine = open_engine(case_v8, cases[c].precision);
        sac_binding input, output;
        case_succeed(sac_engine_binding(engine, 0, &input));
        case_succeed(sac_engine_binding(engine, 1, &output));
        assert_string_equal(input.name, "images");
        assert_string_equal(output.name, "output");
        assert_int_equal(sac_engine_precision(engine), cases[c].precision);
        const size_t count = (size_t)output.count;
        float *picture = malloc((size_t)input.bytes), *first = malloc(count * sizeof *first);
        float *rows = malloc(count * sizeof *rows);
        paint(picture, (size_t)input.count);
        float *wanted = reference(case_v8, picture, count);
        for (int m = 0; m < 3; m++) {
            void *stream = NULL;
            if (m) case_succeed(sac_stream_open(&stream, engine));
            run_network(engine, memories[m], stream, picture, m ? rows : first);
            if (m) assert_memory_equal(rows, first, count * sizeof *rows);
            sac_stream_close(engine, &stream);
        }
        const double error = normalised_error(first, wanted, count);
        if (!(error <= cases[c].most)) fail_msg("error %g of at most %g", error, cases[c].most);
        free(picture);
        free(first);
        free(rows);
        free(wanted);
        sac_engine_close(&engine);
    }
}

// --- feeds and memory

static void staged_equals_resident(void **state)
{
    (void)state;
    const char *const models[] = {case_v5, case_v8, case_half};
    for (int k = 0; k < 6; k++) {
        const sac_precision precision = k % 2 ? SAC_PRECISION_FP32 : SAC_PRECISION_FP16;
        sac_detections found[2][CASE_PICTURES];
        if (k == 5) continue; // float16 outputs are rounded once more
        for (int feed = 0; feed < 2; feed++) {
            sac_detector_options options =
                case_options(feed ? SAC_FEED_STAGED : SAC_FEED_RESIDENT, precision);
            if (models[k / 2] == case_v5) options.batch = 3;
            sac_detector *detector = case_open(models[k / 2], &options);
            assert_int_equal(sac_detector_feed(detector), options.feed);
            case_run(detector, case_images, pictures, found[feed]);
            sac_detector_close(&detector);
        }
        if (models[k / 2] != case_half) case_same(found[0], found[1], pictures);
        case_free(found[0], pictures);
        case_free(found[1], pictures);
    }
}

// The picture's whole memory, moved; gaps between rows and all.
static sac_image move(const sac_image *image, sac_memory memory, void **owned)
{
    sac_image moved = *image;
    const size_t rows = (size_t)image->height, bytes = CASE_WIDTH * 4 * rows;
    const uint8_t *first =
        image->stride < 0 ? image->data + (image->height - 1) * image->stride : image->data;
    const cudaError_t status =
        memory == SAC_CUDA ? cudaMalloc(owned, bytes) : cudaHostAlloc(owned, bytes, 0);
    assert_int_equal(status, cudaSuccess);
    assert_int_equal(cudaMemcpy(*owned, first, bytes, cudaMemcpyDefault), cudaSuccess);
    assert_int_equal(cudaDeviceSynchronize(), cudaSuccess); // other streams do not wait for it
    moved.data = (uint8_t *)*owned + (image->data - first);
    moved.memory = memory;
    return moved;
}

static void pictures_may_lie_anywhere(void **state)
{
    (void)state;
    sac_detections wanted[CASE_PICTURES], found[CASE_PICTURES];
    for (int k = 0; k < 4; k++) {
        sac_detector_options options = case_options(SAC_FEED_RESIDENT, SAC_PRECISION_FP16);
        sac_image images[CASE_PICTURES];
        void *owned[CASE_PICTURES];
        options.read_pinned = k == 3;
        options.time_stages = k == 2;
        for (size_t p = 0; p < pictures; p++)
            images[p] = move(&case_images[p], k == 1 ? SAC_CUDA : SAC_HOST_PINNED, &owned[p]);
        sac_detector *detector = case_open(case_v5, &options);
        case_run(detector, case_images, pictures, wanted);
        case_run(detector, images, pictures, found);
        case_same(wanted, found, pictures);
        if (options.time_stages) assert_true(found[0].ms.letterbox > 0 && found[0].ms.boxes > 0);
        sac_detector_close(&detector);
        case_free(wanted, pictures);
        case_free(found, pictures);
        for (size_t p = 0; p < pictures; p++)
            k == 1 ? cudaFree(owned[p]) : cudaFreeHost(owned[p]);
    }
}

// A whole number of times as large as the network's input: not all of their rows are copied.
static void large_pictures_are_found_the_same_in(void **state)
{
    enum { MOST = 6, WIDTH = 64 * MOST, HEIGHT = 48 * MOST };
    static const sac_pixel_format formats[] = {SAC_BGR8, SAC_RGBA8, SAC_NV12, SAC_GRAY8};
    static const int pixel[] = {3, 4, 1, 1};
    static uint8_t bytes[HEIGHT * 3 / 2][WIDTH * 4];
    (void)state;
    for (int y = 0; y < HEIGHT * 3 / 2; y++)
        for (int x = 0; x < WIDTH * 4; x++)
            bytes[y][x] = (uint8_t)(((x / 90 ^ y / 40) & 1 ? 200 : 30) + (x * 7 + y * 13) % 31);
    const int every = pictures > 1 ? 1 : 2; // all formats either way
    for (int k = 0; k < 2 * (MOST - 2); k += every) {
        sac_image image;
        sac_detections found[2];
        const int step = 3 + k % 4, format = (k + k / 4) % 4, width = 64 * step, height = 48 * step;
        const int stride = k / 4 ? WIDTH * 4 : width * pixel[format];
        if (formats[format] == SAC_NV12)
            case_succeed(sac_image_wrap_nv12(&image, bytes, stride, bytes[0] + height * stride,
                                             stride, width, height, SAC_HOST, 0));
        else
            case_succeed(
                sac_image_wrap(&image, bytes, width, height, stride, formats[format]));
        if (k % 3 == 2 && formats[format] != SAC_NV12) {
            image.data += (height - 1) * image.stride;
            image.stride = -image.stride;
        }
        for (int feed = 0; feed < 2; feed++) {
            const sac_detector_options options =
                case_options(feed ? SAC_FEED_STAGED : SAC_FEED_RESIDENT, SAC_PRECISION_FP32);
            sac_detector *detector = case_open(case_v5, &options);
            case_run(detector, &image, 1, &found[feed]);
            sac_detector_close(&detector);
        }
        case_same(&found[0], &found[1], 1);
        case_free(found, 2);
    }
}

// --- beside others

struct worker {
    sac_detector *detector;
    const sac_detections *wanted;
    int failed;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    for (int turn = 0; turn < 3 && !worker->failed; turn++) {
        sac_detections found[CASE_PICTURES];
        worker->failed |= sac_detector_run(worker->detector, case_images, pictures, found);
        for (size_t p = 0; p < pictures && !worker->failed; p++)
            worker->failed |= found[p].count != worker->wanted[p].count ||
                              (found[p].count && memcmp(found[p].items, worker->wanted[p].items,
                                                        found[p].count * sizeof *found[p].items));
        case_free(found, pictures);
    }
    return NULL;
}

// Four threads, two detectors: the second on the GPU of this name.
static void find_at_once(const char *second)
{
    const char *const models[] = {case_v5, case_v8}, *const devices[] = {"cuda:0", second};
    sac_detections wanted[2][CASE_PICTURES];
    struct worker workers[4];
    pthread_t threads[4];
    for (int d = 0; d < 2; d++) {
        sac_detector_options options = case_options(SAC_FEED_RESIDENT, SAC_PRECISION_FP16);
        options.engine.device = devices[d];
        workers[d] = (struct worker){case_open(models[d], &options), wanted[d], 0};
        case_run(workers[d].detector, case_images, pictures, wanted[d]);
        workers[d + 2] = workers[d];
    }
    for (int t = 0; t < 4; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, work, &workers[t]), 0);
    for (int t = 0; t < 4; t++) {
        pthread_join(threads[t], NULL);
        assert_false(workers[t].failed);
    }
    for (int d = 0; d < 2; d++) {
        sac_detector_close(&workers[d].detector);
        case_free(wanted[d], pictures);
    }
}

static void threads_on_two_detectors_find_the_same(void **state)
{
    (void)state;
    find_at_once("cuda:0");
}

static void threads_on_two_gpus_find_the_same(void **state)
{
    (void)state;
    if (case_gpus() < 2) skip();
    find_at_once("cuda:1");
}

static void a_job_works_in_the_callers_stream(void **state)
{
    (void)state;
    const sac_detector_options options = case_options(SAC_FEED_RESIDENT, SAC_PRECISION_FP16);
    sac_detector *detector = case_open(case_v5, &options);
    sac_detections wanted, found;
    cudaStream_t stream;
    void *owned;
    sac_job *job;
    case_run(detector, case_images, 1, &wanted);
    sac_image image = move(&case_images[0], SAC_CUDA, &owned);
    assert_int_equal(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    // The pixels come in the stream itself, just before.
    assert_int_equal(cudaMemsetAsync(owned, 0, 64, stream), cudaSuccess);
    assert_int_equal(
        cudaMemcpyAsync(owned, case_images[0].data, 64, cudaMemcpyHostToDevice, stream),
        cudaSuccess);
    case_succeed(sac_detector_enqueue(&job, detector, &image, 1, stream));
    while (sac_job_done(job) == 0)
        continue;
    case_succeed(sac_job_wait(job, &found));
    case_same(&wanted, &found, 1);
    sac_job_close(&job);
    sac_detector_close(&detector);
    sac_detections_free(&wanted);
    sac_detections_free(&found);
    cudaFree(owned);
    cudaStreamDestroy(stream);
}

static void the_plan_is_described(void **state)
{
    (void)state;
    sac_engine *engine = open_engine(case_v8, SAC_PRECISION_FP16);
    sac_layer_info layers[64];
    size_t count = 0;
    case_succeed(sac_engine_layers(engine, layers, 64, &count));
    assert_true(count > 5 && count <= 64);
    for (size_t k = 0; k < count; k++) {
        assert_non_null(layers[k].kernel);
        assert_true(strlen(layers[k].shape) > 8 && layers[k].bytes > 0);
    }
    sac_engine_close(&engine);
}

static void kernels_can_be_left_out(void **state)
{
    (void)state;
    sac_layer_info layers[64];
    size_t count = 0, plain = 0;
    setenv("SACCADE_CUDA_WITHOUT", "mma,halo,wgmma", 1);
    sac_engine *engine = open_engine(case_v8, SAC_PRECISION_FP16);
    unsetenv("SACCADE_CUDA_WITHOUT");
    case_succeed(sac_engine_layers(engine, layers, 64, &count));
    for (size_t k = 0; k < count; k++) {
        plain += !strncmp(layers[k].kernel, "plain", 5);
        assert_null(strstr(layers[k].kernel, "mma")); // nor wgmma
        assert_null(strstr(layers[k].kernel, "halo"));
    }
    assert_true(plain > 0);
    sac_engine_close(&engine);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_network_equals_the_reference),
        cmocka_unit_test(staged_equals_resident),
        cmocka_unit_test(pictures_may_lie_anywhere),
        cmocka_unit_test(large_pictures_are_found_the_same_in),
        cmocka_unit_test(threads_on_two_detectors_find_the_same),
        cmocka_unit_test(threads_on_two_gpus_find_the_same),
        cmocka_unit_test(a_job_works_in_the_callers_stream),
        cmocka_unit_test(the_plan_is_described),
        cmocka_unit_test(kernels_can_be_left_out),
    };
    case_setup(argc, argv);
    if (argc > 2) cmocka_set_test_filter(argv[2]);
    if (argc > 3) pictures = strtoul(argv[3], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
