// SPDX-License-Identifier: Apache-2.0
// The OpenVINO backend through the engine's own functions.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#include "tiny_run.h"

static sac_engine *open_tiny(const struct tiny *tiny, const sac_engine_options *options)
{
    const struct tiny_bytes model = tiny_model(tiny);
    const struct sac_source source = source_of(&model);
    sac_engine *engine = NULL;
    const int error = sac__engine_open(&engine, &source, options);
    if (error) fail_msg("%s", sac_error_message());
    return engine;
}

static int open_error(const struct tiny_bytes *model, const sac_engine_options *options)
{
    const struct sac_source source = source_of(model);
    sac_engine *engine = NULL;
    const int error = sac__engine_open(&engine, &source, options);
    sac_engine_close(&engine);
    return error;
}

static void numbers_and_bindings_are_right(void **state)
{
    (void)state;
    const sac_engine_options options = plain_options();
    sac_engine *engine = open_tiny(&(struct tiny){.input = {2, 3, 9, 17}, .seed = 5}, &options);
    sac_binding binding;
    assert_int_equal(sac_engine_binding_count(engine), 2);
    assert_int_equal(sac_engine_binding(engine, 0, &binding), 0);
    assert_string_equal(binding.name, "X");
    assert_int_equal(binding.is_input, 1);
    assert_int_equal(binding.count, 2 * 3 * 9 * 17);
    assert_int_equal(sac_engine_binding(engine, 1, &binding), 0);
    assert_string_equal(binding.name, "Y");
    assert_int_equal(binding.is_input, 0);
    assert_int_equal(binding.dtype, SAC_F32);
    assert_int_equal(binding.bytes, 2 * 4 * 9 * 17 * 4);
    assert_int_equal(sac_engine_precision(engine), SAC_PRECISION_FP32);
    assert_int_equal(sac_engine_parallel(engine), 1);
    assert_non_null(strstr(sac_engine_where(engine), "fp32, 1 stream"));
    run_and_compare(engine, 2, 9, 17, 5, 1e-5);
    sac_engine_close(&engine);
}

static void dynamic_shapes_run_at_any_size(void **state)
{
    (void)state;
    const sac_engine_options options = plain_options();
    sac_engine *engine = open_tiny(&(struct tiny){.input = {-1, 3, -1, -1}, .seed = 1}, &options);
    sac_binding binding;
    assert_int_equal(sac_engine_binding(engine, 0, &binding), 0);
    assert_int_equal(binding.shape[0], -1);
    assert_int_equal(binding.shape[1], 3);
    assert_int_equal(binding.count, -1);
    assert_int_equal(sac_engine_binding(engine, 1, &binding), 0);
    assert_int_equal(binding.shape[1], 4);
    assert_int_equal(binding.bytes, -1);
    run_and_compare(engine, 1, 8, 8, 1, 1e-5);
    run_and_compare(engine, 3, 31, 5, 1, 1e-5);
    run_and_compare(engine, 1, 1, 1, 1, 1e-5);
    sac_engine_close(&engine);
}

static void one_context_takes_many_sizes(void **state)
{
    (void)state;
    const sac_engine_options options = plain_options();
    sac_engine *engine = open_tiny(&(struct tiny){.input = {-1, 3, -1, -1}, .op = "Neg"}, &options);
    sac_context *context;
    assert_int_equal(sac_context_open(&context, engine), 0);
    for (int side = 1; side < 40; side += 13) {
        const int64_t shape[] = {1, 3, side, 2 * side};
        sac_tensor x, y;
        assert_int_equal(sac_engine_alloc(engine, 0, 0, shape, &x), 0);
        assert_int_equal(sac_context_bind(context, 0, &x), 0);
        assert_int_equal(sac_context_enqueue(context), 0);
        assert_int_equal(sac_context_wait(context), 0);
        assert_int_equal(sac_context_tensor(context, 1, &y), 0);
        assert_int_equal(y.shape[2], side);
        assert_int_equal(y.shape[3], 2 * side);
        assert_int_equal(y.strides[2], 2 * side);
        assert_true(((float *)y.data)[sac_tensor_count(&y) - 1] == 0);
        sac_tensor_free(&x);
    }
    sac_context_close(&context);
    sac_engine_close(&engine);
}

static void asked_shape_becomes_static(void **state)
{
    (void)state;
    const sac_engine_options options = plain_options();
    const struct tiny_bytes model = tiny_model(&(struct tiny){.input = {-1, 3, -1, 16}});
    struct sac_source source = source_of(&model);
    source.input_ndim = 4;
    memcpy(source.input_shape, (int64_t[]){2, 3, -1, -1}, 4 * sizeof(int64_t));
    sac_engine *engine;
    sac_binding binding;
    assert_int_equal(sac__engine_open(&engine, &source, &options), 0);
    assert_int_equal(sac_engine_binding(engine, 1, &binding), 0);
    assert_int_equal(binding.shape[0], 2);
    assert_int_equal(binding.shape[2], -1);
    assert_int_equal(binding.shape[3], 16);
    run_and_compare(engine, 2, 7, 16, 0, 1e-5);
    sac_engine_close(&engine);
    source.input_shape[3] = 8; // the file says 16
    assert_int_equal(sac__engine_open(&engine, &source, &options), SAC_EINVAL);
    assert_non_null(strstr(sac_error_message(), "16"));
    source.input_ndim = 3;
    assert_int_equal(sac__engine_open(&engine, &source, &options), SAC_EINVAL);
}

// Runs once with X = value everywhere; Y = -conv(X).
static void run_filled(sac_context *context, const sac_tensor *x, float value)
{
    for (int64_t i = 0; i < sac_tensor_count(x); i++) ((float *)x->data)[i] = value;
    assert_int_equal(sac_context_enqueue(context), 0);
    assert_int_equal(sac_context_wait(context), 0);
}

static void callers_memory_is_used_without_copies(void **state)
{
    (void)state;
    const sac_engine_options options = plain_options();
    sac_engine *engine = open_tiny(&(struct tiny){.input = {1, 3, 6, 6}, .op = "Neg"}, &options);
    sac_context *context;
    sac_tensor x, shaped, flat, got;
    assert_int_equal(sac_context_open(&context, engine), 0);
    assert_int_equal(sac_engine_alloc(engine, 0, 1, NULL, &x), 0);
    assert_int_equal(sac_engine_alloc(engine, 1, 0, NULL, &shaped), 0);
    assert_int_equal(sac_engine_alloc(engine, 1, 1, NULL, &flat), 0);
    assert_int_equal(sac_context_bind(context, 0, &x), 0);
    assert_int_equal(sac_context_bind(context, 1, &shaped), 0);
    run_filled(context, &x, 1);
    assert_int_equal(sac_context_tensor(context, 1, &got), 0);
    assert_ptr_equal(got.data, shaped.data);
    const float once = ((float *)shaped.data)[14];
    assert_true(once != 0);
    run_filled(context, &x, 2); // the input is read where it lies
    assert_float_equal(((float *)shaped.data)[14], 2 * once, 1e-5);
    assert_int_equal(sac_context_bind(context, 1, &flat), 0);
    run_filled(context, &x, 4);
    assert_float_equal(((float *)flat.data)[14], 4 * once, 1e-5);
    assert_float_equal(((float *)shaped.data)[14], 2 * once, 1e-5);
    assert_int_equal(sac_context_tensor(context, 1, &got), 0);
    assert_ptr_equal(got.data, flat.data);
    assert_int_equal(got.ndim, 4);
    sac_context_close(&context);
    sac_tensor_free(&x);
    sac_tensor_free(&shaped);
    sac_tensor_free(&flat);
    sac_engine_close(&engine);
}

static void other_element_types_work(void **state)
{
    (void)state;
    const sac_engine_options options = plain_options();
    sac_engine *engine =
        open_tiny(&(struct tiny){.input = {1, 3, 4, 4}, .dtype = 11, .op = "Neg"}, &options);
    sac_binding binding;
    assert_int_equal(sac_engine_binding(engine, 0, &binding), 0);
    assert_int_equal(binding.dtype, SAC_F64);
    assert_int_equal(binding.bytes, 3 * 4 * 4 * 8);
    sac_engine_close(&engine);
}

static void unsupported_operators_are_named(void **state)
{
    (void)state;
    const sac_engine_options options = plain_options();
    const struct tiny_bytes model =
        tiny_model(&(struct tiny){.input = {1, 3, 4, 4}, .op = "FooBar"});
    assert_int_equal(open_error(&model, &options), SAC_EMODEL);
    const char *message = sac_error_message();
    assert_non_null(strstr(message, "unsupported operators: FooBar"));
    assert_null(strchr(message, '\n'));
    assert_null(strstr(message, ".cpp"));
}

static void layers_that_do_not_fit_are_named(void **state)
{
    (void)state;
    const sac_engine_options options = plain_options();
    const struct tiny_bytes model = tiny_model(&(struct tiny){.input = {1, 5, 4, 4}});
    assert_int_equal(open_error(&model, &options), SAC_EMODEL);
    assert_non_null(strstr(sac_error_message(), "node Conv (Conv): "));
    assert_null(strstr(sac_error_message(), "Check '"));
}

static void hostile_bytes_are_refused(void **state)
{
    (void)state;
    const sac_engine_options options = plain_options();
    const struct tiny_bytes model = tiny_model(&(struct tiny){.input = {1, 3, 4, 4}});
    struct tiny_bytes bad = model;
    for (bad.size = 0; bad.size < model.size; bad.size += 1 + model.size / 29)
        assert_int_equal(open_error(&bad, &options), SAC_EMODEL);
    bad.size = model.size;
    uint32_t x = 20261122;
    for (int i = 0; i < 40; i++) {
        memcpy(bad.at, model.at, model.size);
        for (int k = 0; k < 4; k++) {
            x ^= x << 13, x ^= x >> 17, x ^= x << 5;
            bad.at[x % bad.size] ^= (uint8_t)(x >> 24);
        }
        const int error = open_error(&bad, &options);
        assert_true(error == 0 || error == SAC_EMODEL);
    }
    memset(bad.at, 'A', sizeof bad.at);
    assert_int_equal(open_error(&bad, &options), SAC_EMODEL);
}

static sac_device find_processor(void)
{
    sac_device devices[32];
    size_t count;
    assert_int_equal(sac_devices_list(devices, 32, &count), 0);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(devices[i].device, "cpu")) return devices[i];
    fail_msg("the processor is not listed");
    return devices[0];
}

static int processor_has(const char *precision)
{
    const sac_device device = find_processor();
    return strstr(device.details, precision) != NULL;
}

static void low_precisions_need_the_processor(void **state)
{
    (void)state;
    static const char *const names[] = {"auto", "fp32", "bf16", "fp16"};
    sac_engine_options options = plain_options();
    const struct tiny_bytes model = tiny_model(&(struct tiny){.input = {1, 3, 20, 20}});
    const struct sac_source source = source_of(&model);
    for (int p = SAC_PRECISION_FP32; p <= SAC_PRECISION_FP16; p++) {
        options.precision = (sac_precision)p;
        sac_engine *engine = NULL;
        const int error = sac__engine_open(&engine, &source, &options);
        assert_int_equal(error, processor_has(names[p]) ? 0 : SAC_EUNSUPPORTED);
        if (error) {
            assert_non_null(strstr(sac_error_message(), names[p]));
            continue;
        }
        assert_int_equal(sac_engine_precision(engine), p);
        assert_non_null(strstr(sac_engine_where(engine), names[p]));
        run_and_compare(engine, 1, 20, 20, 0, p == SAC_PRECISION_FP32 ? 1e-5 : 0.02);
        sac_engine_close(&engine);
    }
}

// bf16 rounds to 1/256 of a value: nothing after a sigmoid, many units of values in the thousands.
static void auto_takes_bf16_only_where_it_keeps_the_numbers(void **state)
{
    (void)state;
    sac_engine_options options = plain_options();
    options.precision = SAC_PRECISION_AUTO;
    const int native = processor_has("bf16");
    const struct tiny large = {.input = {1, 3, 64, 64}, .op = "Neg", .scale = 3000};
    sac_engine *engine = open_tiny(&(struct tiny){.input = {-1, 3, -1, -1}}, &options);
    assert_int_equal(sac_engine_precision(engine),
                     native ? SAC_PRECISION_BF16 : SAC_PRECISION_FP32);
    run_and_compare(engine, 1, 20, 20, 0, 0.02);
    sac_engine_close(&engine);
    assert_string_equal(log_text, "");
    engine = open_tiny(&large, &options);
    assert_int_equal(sac_engine_precision(engine), SAC_PRECISION_FP32);
    assert_int_equal(strstr(log_text, "precision auto: fp32") != NULL, native);
    assert_int_equal(strstr(log_text, " % of") != NULL, native);
    sac_engine_close(&engine);
    log_text[0] = 0;
    engine = open_tiny(&(struct tiny){.input = {1, 3, 8, 8}, .dtype = 11}, &options); // double
    assert_int_equal(sac_engine_precision(engine), SAC_PRECISION_FP32);
    assert_int_equal(strstr(log_text, "cannot be tried") != NULL, native);
    assert_null(strstr(log_text, " % of"));
    sac_engine_close(&engine);
}

static void *run_some(void *engine)
{
    for (int i = 0; i < 5; i++) run_and_compare(engine, 1, 33, 47, 9, 1e-5);
    return NULL;
}

static void threads_share_an_engine(void **state)
{
    (void)state;
    sac_engine_options options = plain_options();
    options.mode = SAC_MODE_THROUGHPUT;
    options.streams = 2;
    options.threads = 2;
    sac_engine *engine = open_tiny(&(struct tiny){.input = {1, 3, 33, 47}, .seed = 9}, &options);
    assert_int_equal(sac_engine_parallel(engine), 2);
    assert_non_null(strstr(sac_engine_where(engine), "2 streams, 2 threads"));
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_some, engine), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    sac_engine_close(&engine);
}

static void contexts_overlap(void **state)
{
    (void)state;
    sac_engine_options options = plain_options();
    options.threads = 1;
    sac_engine *engine = open_tiny(&(struct tiny){.input = {1, 3, 8, 8}, .op = "Neg"}, &options);
    assert_non_null(strstr(sac_engine_where(engine), "1 stream, 1 thread"));
    sac_context *contexts[3];
    sac_tensor x[3], y;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sac_context_open(&contexts[i], engine), 0);
        assert_int_equal(sac_engine_alloc(engine, 0, 0, NULL, &x[i]), 0);
        for (int k = 0; k < 3 * 64; k++) ((float *)x[i].data)[k] = (float)i;
        assert_int_equal(sac_context_bind(contexts[i], 0, &x[i]), 0);
        assert_int_equal(sac_context_enqueue(contexts[i]), 0);
    }
    float first = 0;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sac_context_wait(contexts[i]), 0);
        assert_int_equal(sac_context_tensor(contexts[i], 1, &y), 0);
        if (i == 1) first = ((float *)y.data)[20];
        assert_float_equal(((float *)y.data)[20], first * (float)i, 1e-5);
    }
    assert_int_equal(sac_context_enqueue(contexts[0]), 0); // closed with a run in flight
    for (int i = 0; i < 3; i++) {
        sac_context_close(&contexts[i]);
        sac_tensor_free(&x[i]);
    }
    sac_engine_close(&engine);
}

static void the_processor_is_listed(void **state)
{
    (void)state;
    const sac_device device = find_processor();
    assert_string_equal(device.backend, "openvino");
    assert_int_equal(device.available, 1);
    assert_true(strlen(device.name) > 3);
    assert_int_equal(strncmp(device.details, "OpenVINO 20", 11), 0);
    assert_non_null(strstr(device.details, "fp32"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_bindings_are_right),
        cmocka_unit_test(dynamic_shapes_run_at_any_size),
        cmocka_unit_test(one_context_takes_many_sizes),
        cmocka_unit_test(asked_shape_becomes_static),
        cmocka_unit_test(callers_memory_is_used_without_copies),
        cmocka_unit_test(other_element_types_work),
        cmocka_unit_test(unsupported_operators_are_named),
        cmocka_unit_test(layers_that_do_not_fit_are_named),
        cmocka_unit_test(hostile_bytes_are_refused),
        cmocka_unit_test(low_precisions_need_the_processor),
        cmocka_unit_test(auto_takes_bf16_only_where_it_keeps_the_numbers),
        cmocka_unit_test(threads_share_an_engine),
        cmocka_unit_test(contexts_overlap),
        cmocka_unit_test(the_processor_is_listed),
    };
    return cmocka_run_group_tests_name("openvino", tests, NULL, NULL);
}
