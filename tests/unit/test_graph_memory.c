// SPDX-License-Identifier: Apache-2.0
// Compiling a network with each of its allocations failing once: an error, nothing leaked.
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "backend/cuda/graph/plan.h"
#include "failing_malloc.h"

static uint8_t bytes[1 << 16];

static size_t read_seed(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", CORPUS, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return size;
}

static void every_allocation_may_fail(void **state)
{
    static const char *const seeds[] = {"c3-v5.onnx", "c2f-v8-dynamic.onnx", "pyramid-v5-half.onnx",
                                        "attention-v5.onnx"};
    const int64_t shape[4] = {1, 3, 32, 32};
    (void)state;
    for (size_t k = 0; k < sizeof seeds / sizeof *seeds; k++) {
        size_t size = read_seed(seeds[k]);
        long failures = 0;
        for (int error = SAC_ENOMEM; error;) {
            struct sac_plan *plan;
            long before = live;
            until_failure = failures++;
            error = sac__plan_open(&plan, bytes, size, shape, 4);
            int failed = until_failure < 0;
            until_failure = -1;
            assert_int_equal(error != 0, plan == NULL);
            if (!failed) assert_int_equal(error, 0);
            sac__plan_close(&plan);
            assert_int_equal(live, before);
        }
        assert_true(failures > 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests_name("graph_memory", tests, NULL, NULL);
}
