// SPDX-License-Identifier: Apache-2.0
// Each allocation of opening a model fails once: SAC_ENOMEM and no leak.
#define _GNU_SOURCE // dladdr
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "failing_malloc.h"
#include "model/model.h"
#include "onnx_file.h"

/// Reads the model with allocation n failing. Returns whether there was an allocation n.
static int read_with_failure(const uint8_t *bytes, size_t size, long n)
{
    struct sac_model *model = NULL;
    const long before = live;
    until_failure = n;
    int error = sac__model_read(&model, bytes, size, "test.onnx");
    if (!error) error = sac__model_fill_names(model, 4);
    const int reached = until_failure < 0;
    until_failure = -1;
    assert_int_equal(error, reached ? SAC_ENOMEM : SAC_OK);
    if (reached) assert_non_null(strstr(sac_error_message(), "out of memory"));
    sac__model_close(&model);
    if (live != before) fail_msg("%ld allocations leak when number %ld fails", live - before, n);
    return reached;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    const struct onnx_file files[] = {
        {.metadata = {"names", "{0: 'a', 3: 'b', 1: 'c', 2: 'd'}", "task", "detect", "args",
                      "{'nms': False}", "description", "x"},
         .ops = "Conv Sigmoid Mul Conv Exp Mul Concat",
         .input = {1, 3, 640, 640}},
        {.external = "weights.bin"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        size_t size;
        uint8_t *bytes = onnx_file_write(&files[i], &size);
        long n = 0;
        while (read_with_failure(bytes, size, n))
            n++;
        assert_true(n > 20);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests_name("model_memory", tests, NULL, NULL);
}
