// SPDX-License-Identifier: Apache-2.0
// Opens tiny models with an engine, runs them and compares with arithmetic. Include cmocka first.
#ifndef SAC_TESTS_TINY_RUN_H
#define SAC_TESTS_TINY_RUN_H

#include <math.h>
#include <stdlib.h>

#include "engine.h"
#include "tiny_onnx.h"

static char log_text[4096];

static void note(void *user, const char *line)
{
    (void)user;
    strncat(log_text, line, sizeof log_text - strlen(log_text) - 2);
    strcat(log_text, "\n");
}

static inline sac_engine_options plain_options(void)
{
    sac_engine_options options;
    sac_engine_options_init(&options);
    options.precision = SAC_PRECISION_FP32;
    options.cache_dir = "";
    options.log = note;
    log_text[0] = 0;
    return options;
}

static inline struct sac_source source_of(const struct tiny_bytes *model)
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
static inline void run_and_compare(sac_engine *engine, int batch, int height, int width, int seed,
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

#endif
