// SPDX-License-Identifier: Apache-2.0
// The OpenVINO backend through the engine's own functions.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine.h"
#include "tiny_onnx.h"

static char log_text[4096];

static void note(void *user, const char *line)
{
    (void)user;
    strncat(log_text, line, sizeof log_text - strlen(log_text) - 2);
    strcat(log_text, "\n");
}

static sac_engine_options plain_options(void)
{
    sac_engine_options options;
    sac_engine_options_init(&options);
    options.precision = SAC_PRECISION_FP32;
    options.cache_dir = "";
    options.log = note;
    log_text[0] = 0;
    return options;
}

static struct sac_source source_of(const struct tiny_bytes *model)
{
    return (struct sac_source){
        .bytes = model->at, .size = model->size, .hash = "tiny", .self_contained = 1};
}

// Y as arithmetic says, in double.
static double expected(const float *x, int height, int width, const float *w, int o, int r, int c)
{
    double sum = 0;
    for (int i = 0; i < TINY_IN; i++)
        for (int dy = 0; dy < 3; dy++)
            for (int dx = 0; dx < 3; dx++) {
                const int y = r + dy - 1, z = c + dx - 1;
                if (y < 0 || y >= height || z < 0 || z >= width) continue;
                sum += (double)x[(i * height + y) * width + z] *
                       w[((o * TINY_IN + i) * 3 + dy) * 3 + dx];
            }
    return 1 / (1 + exp(-sum));
}

// Runs pictures of random values through the engine and compares with arithmetic.
static void run_and_compare(sac_engine *engine, int batch, int height, int width, int seed,
                            double tolerance)
{
    sac_context *context;
    assert_int_equal(sac_context_open(&context, engine), 0);
    const int64_t shape[] = {batch, TINY_IN, height, width};
    sac_tensor x, y;
    assert_int_equal(sac_engine_alloc(engine, 0, 0, shape, &x), 0);
    float *values = x.data, weights[TINY_WEIGHTS];
    const int64_t count = sac_tensor_count(&x), plane = (int64_t)height * width;
    for (int64_t i = 0; i < count; i++) values[i] = (float)((i * 7919 + seed) % 1000) / 1000.f;
    tiny_weights(weights, seed);
    assert_int_equal(sac_context_bind(context, 0, &x), 0);
    assert_int_equal(sac_context_enqueue(context), 0);
    assert_int_equal(sac_context_wait(context), 0);
    assert_int_equal(sac_context_tensor(context, 1, &y), 0);
    assert_int_equal(y.ndim, 4);
    assert_int_equal(y.shape[0], batch);
    assert_int_equal(y.shape[3], width);
    double worst = 0;
    for (int64_t i = 0; i < sac_tensor_count(&y); i++) {
        const int o = (int)(i / plane % TINY_OUT), r = (int)(i / width % height);
        const double e = expected(values + i / plane / TINY_OUT * TINY_IN * plane, height, width,
                                  weights, o, r, (int)(i % width));
        worst = fmax(worst, fabs(((float *)y.data)[i] - e));
    }
    if (!(worst <= tolerance)) fail_msg("off by %g", worst);
    sac_context_close(&context);
    sac_tensor_free(&x);
}

static void numbers_are_right(void **state)
{
    (void)state;
    const struct tiny_bytes model = tiny_model(&(struct tiny){.input = {2, 3, 9, 17}, .seed = 5});
    const struct sac_source source = source_of(&model);
    const sac_engine_options options = plain_options();
    sac_engine *engine;
    assert_int_equal(sac__engine_open(&engine, &source, &options), 0);
    sac_binding binding;
    assert_int_equal(sac_engine_binding_count(engine), 2);
    assert_int_equal(sac_engine_binding(engine, 0, &binding), 0);
    assert_string_equal(binding.name, "X");
    assert_int_equal(binding.is_input, 1);
    assert_int_equal(binding.count, 2 * 3 * 9 * 17);
    assert_int_equal(sac_engine_binding(engine, 1, &binding), 0);
    assert_string_equal(binding.name, "Y");
    assert_int_equal(binding.bytes, 2 * 4 * 9 * 17 * 4);
    print_message("%s\n", sac_engine_where(engine));
    run_and_compare(engine, 2, 9, 17, 5, 1e-5);
    sac_engine_close(&engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_right),
    };
    return cmocka_run_group_tests_name("openvino", tests, NULL, NULL);
}
