// SPDX-License-Identifier: Apache-2.0
// The shared mathematics by itself, and what the steps refuse. Their results are compared in
// tests/check and tests/golden.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ops/math/exp.h"
#include "ops/math/half.h"
#include "ops/ops.h"

static void exp_is_within_two_units(void **state)
{
    (void)state;
    for (double at = -87; at < 88.7; at += 0.00137) {
        const float x = (float)at;
        const double want = exp((double)x), unit = (double)nextafterf((float)want, INFINITY) - want;
        const double error = fabs((double)sac__expf(x) - want);
        if (error > 2.5 * fabs(unit) + 1e-45)
            fail_msg("exp(%a) is %a, not %a", x, sac__expf(x), want);
    }
    assert_true(sac__expf(0.f) == 1.f);
    assert_true(sac__expf(-200.f) == 0.f && sac__expf(-INFINITY) == 0.f);
    assert_true(isinf(sac__expf(88.73f)) && isinf(sac__expf(INFINITY)));
    assert_true(isfinite(sac__expf(88.72f)));
    assert_true(isnan(sac__expf(NAN)));
    assert_true(sac__expf(-100.f) > 0.f && sac__expf(-100.f) < 1e-43f); // subnormal
    assert_true(sac__sigmoidf(0.f) == 0.5f && sac__sigmoidf(100.f) == 1.f);
}

// Each half there and back, and the float midway to the next one goes to the even one.
static void halves_convert_exactly(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7c00; h++) {
        const float x = sac__half_float((uint16_t)h), next = sac__half_float((uint16_t)(h + 1));
        const uint32_t mantissa = h & 0x3ff, exponent = h >> 10;
        const double want = exponent ? ldexp(1024 + mantissa, (int)exponent - 25)
                                     : ldexp(mantissa, -24);
        assert_true((double)x == want);
        assert_int_equal(sac__float_half(x), h);
        assert_int_equal(sac__float_half(-x), h | 0x8000);
        const float middle = h == 0x7bff ? 65520.f : (x + next) / 2;
        assert_int_equal(sac__float_half(middle), h & 1 ? h + 1 : h);
        assert_int_equal(sac__float_half(nextafterf(middle, 0.f)), h);
        assert_int_equal(sac__float_half(nextafterf(middle, INFINITY)), h + 1);
    }
    assert_true(isinf(sac__half_float(0x7c00)) && isnan(sac__half_float(0x7c01)));
    assert_int_equal(sac__float_half(INFINITY), 0x7c00);
    assert_int_equal(sac__float_half(NAN) & 0x7c00, 0x7c00);
    assert_int_not_equal(sac__float_half(NAN) & 0x3ff, 0);
}

static void sets_are_found_by_name(void **state)
{
    (void)state;
    assert_string_equal(sac__ops_name(sac__ops_find("c")), "c");
    assert_non_null(sac__ops_find(NULL));
    assert_ptr_equal(sac__ops_find("auto"), sac__ops_find(NULL));
    assert_null(sac__ops_find("none"));
    assert_string_equal(sac_head_name(SAC_HEAD_END2END), "end2end");
    assert_string_equal(sac_head_name((sac_head_family)99), "unknown");
}

static void letterbox_refuses(void **state)
{
    (void)state;
    uint8_t pixels[12] = {0};
    float values[12];
    const int64_t shape[] = {1, 3, 2, 2};
    const sac_pixels how = SAC_PIXELS_DEFAULT;
    sac_image image = {.data = pixels, .stride = 6, .width = 2, .height = 2};
    sac_tensor input;
    sac_letterbox fit;
    assert_int_equal(sac_letterbox_fit(NULL, 2, 2, 2, 2, NULL), SAC_EINVAL);
    assert_int_equal(sac_letterbox_fit(&fit, 2, 2, 2, 2, NULL), 0);
    assert_int_equal(sac_tensor_wrap(&input, values, SAC_F32, 4, shape), 0);
    assert_int_equal(sac_letterbox_apply(&input, 0, &image, &fit, &how), 0);
    assert_int_equal(sac_letterbox_apply(NULL, 0, &image, &fit, &how), SAC_EINVAL);
    image.stride = 5;
    assert_int_equal(sac_letterbox_apply(&input, 0, &image, &fit, &how), SAC_EINVAL);
    assert_non_null(strstr(sac_error_message(), "stride of 5"));
    image.stride = 6;
    image.format = SAC_NV12;
    assert_int_equal(sac_letterbox_apply(&input, 0, &image, &fit, &how), SAC_EINVAL);
    assert_non_null(strstr(sac_error_message(), "no chroma"));
    image.format = (sac_pixel_format)6;
    assert_int_equal(sac_letterbox_apply(&input, 0, &image, &fit, &how), SAC_EUNSUPPORTED);
    image.format = SAC_BGR8;
    image.memory = SAC_CUDA;
    assert_int_equal(sac_letterbox_apply(&input, 0, &image, &fit, &how), SAC_EUNSUPPORTED);
    image.memory = SAC_HOST;
    input.dtype = SAC_I64;
    assert_int_equal(sac_letterbox_apply(&input, 0, &image, &fit, &how), SAC_EUNSUPPORTED);
    input.dtype = SAC_F32;
    fit.left = 1;
    assert_int_equal(sac_letterbox_apply(&input, 0, &image, &fit, &how), SAC_EINVAL);
    assert_non_null(strstr(sac_error_message(), "does not lie within"));
}

static void head_refuses(void **state)
{
    (void)state;
    float rows[2][6] = {{0}};
    const int64_t shape[] = {1, 2, 6};
    sac_head head = {SAC_HEAD_V5, 1, {0}};
    sac_nms nms = SAC_NMS_DEFAULT;
    sac_tensor output;
    sac_letterbox fit;
    sac_detections found = {.count = 9};
    assert_int_equal(sac_letterbox_fit(&fit, 2, 2, 2, 2, NULL), 0);
    assert_int_equal(sac_tensor_wrap(&output, rows, SAC_F32, 3, shape), 0);
    assert_int_equal(sac_head_read(&found, &output, 0, &head, &fit, &nms), 0);
    assert_int_equal(found.count, 0);
    assert_int_equal(sac_head_read(NULL, &output, 0, &head, &fit, &nms), SAC_EINVAL);
    assert_int_equal(sac_head_read(&found, NULL, 0, &head, &fit, &nms), SAC_EINVAL);
    nms.class_count = 1;
    assert_int_equal(sac_head_read(&found, &output, 0, &head, &fit, &nms), SAC_EINVAL);
    nms.class_count = 0;
    output.dtype = SAC_BF16;
    assert_int_equal(sac_head_read(&found, &output, 0, &head, &fit, &nms), SAC_EUNSUPPORTED);
    assert_non_null(strstr(sac_error_message(), "bfloat16"));
    output.dtype = SAC_F32;
    fit.gain = NAN;
    assert_int_equal(sac_head_read(&found, &output, 0, &head, &fit, &nms), SAC_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_is_within_two_units), cmocka_unit_test(halves_convert_exactly),
        cmocka_unit_test(sets_are_found_by_name),  cmocka_unit_test(letterbox_refuses),
        cmocka_unit_test(head_refuses),
    };
    return cmocka_run_group_tests_name("ops", tests, NULL, NULL);
}
