// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "saccade/tensor.h"

static void shaped_and_flat_share_bytes(void **state)
{
    (void)state;
    const int64_t shape[] = {1, 3, 1280, 1280};
    sac_tensor shaped, flat, again;
    assert_int_equal(sac_tensor_alloc(&shaped, SAC_F32, 4, shape), 0);
    assert_int_equal(sac_tensor_flatten(&flat, &shaped), 0);
    assert_int_equal(flat.ndim, 1);
    assert_int_equal(flat.shape[0], 4915200);
    assert_ptr_equal(flat.data, shaped.data);
    assert_null(flat.owned);
    assert_int_equal(sac_tensor_bytes(&flat), 4915200 * 4);
    assert_int_equal(sac_tensor_reshape(&again, &flat, 4, shape), 0);
    assert_int_equal(again.strides[1], 1280 * 1280);
    sac_tensor_free(&shaped);
    assert_null(shaped.data);
}

static void bad_shapes_are_refused(void **state)
{
    (void)state;
    sac_tensor tensor;
    const int64_t negative[] = {1, -3}, huge[] = {INT64_MAX, 2}, six[] = {6}, five[] = {5};
    assert_int_equal(sac_tensor_alloc(&tensor, SAC_F32, 2, negative), SAC_EINVAL);
    assert_int_equal(sac_tensor_alloc(&tensor, SAC_F32, 2, huge), SAC_EINVAL);
    assert_int_equal(sac_tensor_alloc(&tensor, (sac_dtype)99, 1, six), SAC_EINVAL);
    assert_int_equal(sac_tensor_alloc(&tensor, SAC_F32, 9, huge), SAC_EINVAL);
    assert_int_equal(sac_tensor_alloc(&tensor, SAC_U8, 1, six), 0);
    sac_tensor other;
    assert_int_equal(sac_tensor_reshape(&other, &tensor, 1, five), SAC_EINVAL);
    tensor.strides[0] = 2;
    assert_int_equal(sac_tensor_flatten(&other, &tensor), SAC_EINVAL);
    sac_tensor_free(&tensor);
}

static void nothing_is_contiguous(void **state)
{
    (void)state;
    const int64_t shape[] = {1, 84, 0};
    sac_tensor tensor;
    assert_int_equal(sac_tensor_alloc(&tensor, SAC_F32, 3, shape), 0);
    assert_int_equal(sac_tensor_is_contiguous(&tensor), 1);
    sac_tensor_free(&tensor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shaped_and_flat_share_bytes),
        cmocka_unit_test(nothing_is_contiguous),
        cmocka_unit_test(bad_shapes_are_refused),
    };
    return cmocka_run_group_tests_name("tensor", tests, NULL, NULL);
}
