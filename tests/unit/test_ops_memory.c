// SPDX-License-Identifier: Apache-2.0
// Each allocation of a letterbox and of reading a head fails once: SAC_ENOMEM, nothing left behind.
#define _GNU_SOURCE // dladdr
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "failing_malloc.h"
#include "saccade/ops.h"

static float input_values[3 * 16 * 16];
static float rows[2][7] = {{5, 5, 4, 4, .9f, .9f, .1f}, {9, 9, 4, 4, .8f, .1f, .9f}};
static uint8_t pixels[9 * 7 * 3];

static int run_both(void)
{
    const int64_t input_shape[] = {1, 3, 16, 16}, output_shape[] = {1, 2, 7};
    const int32_t classes[] = {0, 1};
    const sac_image image = {.data = pixels, .stride = 27, .width = 9, .height = 7};
    const sac_pixels how = SAC_PIXELS_DEFAULT;
    const sac_head head = {SAC_HEAD_V5, 2, {0}};
    sac_nms nms = SAC_NMS_DEFAULT;
    nms.classes = classes;
    nms.class_count = 2;
    sac_letterbox fit;
    sac_tensor input, output;
    sac_detections found = {0};
    assert_int_equal(sac_letterbox_fit(&fit, 9, 7, 16, 16, NULL), 0);
    assert_int_equal(sac_tensor_wrap(&input, input_values, SAC_F32, 4, input_shape), 0);
    assert_int_equal(sac_tensor_wrap(&output, rows, SAC_F32, 3, output_shape), 0);
    int error = sac_letterbox_apply(&input, 0, &image, &fit, &how);
    if (!error) error = sac_head_read(&found, &output, 0, &head, &fit, &nms);
    assert_int_equal(found.count, error ? 0 : 2);
    assert_true(!error || !found.items);
    sac_detections_free(&found);
    return error;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    int n = 0;
    for (int reached = 1; reached; n++) {
        const long before = live;
        until_failure = n;
        const int error = run_both();
        reached = until_failure < 0;
        until_failure = -1;
        assert_int_equal(error, reached ? SAC_ENOMEM : 0);
        if (live != before) fail_msg("allocations leak when number %d fails", n);
    }
    assert_true(n >= 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests_name("ops_memory", tests, NULL, NULL);
}
