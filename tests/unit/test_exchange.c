// SPDX-License-Identifier: Apache-2.0
// Pictures of any memory, pictures as tensors, and tensors as other libraries hand them on.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <dlpack/dlpack.h>

#include "saccade/saccade.h"

static uint8_t bytes[6 * 40];

static void pictures_say_where_they_live(void **state)
{
    (void)state;
    sac_image image;
    assert_int_equal(sac_image_wrap_memory(&image, bytes, 8, 6, 40, SAC_BGR8, SAC_CUDA, 3), 0);
    assert_int_equal(image.memory, SAC_CUDA);
    assert_int_equal(image.device, 3);
    assert_int_equal(image.stride, 40);
    assert_int_equal(sac_image_wrap_memory(&image, bytes, 8, 6, 0, SAC_BGR8, SAC_HOST_PINNED, 0),
                     0);
    assert_int_equal(image.stride, 24);
    assert_int_equal(
        sac_image_wrap_memory(&image, bytes, 8, 6, 0, SAC_BGR8, SAC_HOST_PINNED, 1), SAC_EINVAL);
    assert_null(image.data);
    assert_int_equal(sac_image_wrap_memory(&image, bytes, 8, 6, 0, SAC_BGR8, SAC_CUDA, -1),
                     SAC_EINVAL);
    assert_int_equal(sac_image_wrap_nv12(&image, bytes, 40, bytes + 160, 0, 7, 4, SAC_CUDA, 1), 0);
    assert_int_equal(image.format, SAC_NV12);
    assert_int_equal(image.memory, SAC_CUDA);
    assert_int_equal(image.chroma_stride, 8);
    assert_ptr_equal(image.chroma, bytes + 160);
    assert_int_equal(sac_image_wrap_nv12(&image, bytes, 0, bytes, 0, 7, 4, SAC_HOST, 1),
                     SAC_EINVAL);
    assert_int_equal(sac_image_wrap_nv12(&image, bytes, 0, bytes, 7, 7, 4, SAC_HOST, 0),
                     SAC_EINVAL);
    assert_int_equal(sac_image_wrap_nv12(&image, bytes, 6, bytes, 0, 8, 4, SAC_HOST, 0),
                     SAC_EINVAL);
    assert_null(image.data);
}

static void a_picture_is_a_tensor_and_back(void **state)
{
    (void)state;
    sac_image image, again;
    sac_tensor tensor;
    assert_int_equal(sac_image_wrap_memory(&image, bytes, 8, 6, 40, SAC_RGBA8, SAC_CUDA, 2), 0);
    assert_int_equal(sac_tensor_from_image(&tensor, &image), 0);
    assert_int_equal(tensor.ndim, 3);
    assert_int_equal(tensor.shape[0], 6);
    assert_int_equal(tensor.shape[1], 8);
    assert_int_equal(tensor.shape[2], 4);
    assert_int_equal(tensor.strides[0], 40);
    assert_int_equal(sac_image_from_tensor(&again, &tensor, SAC_RGBA8), 0);
    assert_ptr_equal(again.data, image.data);
    assert_int_equal(again.stride, image.stride);
    assert_int_equal(again.width, image.width);
    assert_int_equal(again.height, image.height);
    assert_int_equal(again.format, image.format);
    assert_int_equal(again.memory, image.memory);
    assert_int_equal(again.device, image.device);
    image.stride = -40;
    assert_int_equal(sac_tensor_from_image(&tensor, &image), SAC_EINVAL);
}

static void tensors_that_are_no_pictures_are_refused(void **state)
{
    (void)state;
    const int64_t shape[] = {6, 8, 3};
    sac_tensor good, bad;
    sac_image image;
    assert_int_equal(sac_tensor_wrap(&good, bytes, SAC_U8, 3, shape), 0);
    assert_int_equal(sac_image_from_tensor(&image, &good, SAC_BGR8), 0);
    assert_int_equal(sac_image_from_tensor(&image, &good, SAC_BGRA8), SAC_EINVAL);
    assert_int_equal(sac_image_from_tensor(&image, &good, SAC_NV12), SAC_EINVAL);
    bad = good, bad.dtype = SAC_I8;
    assert_int_equal(sac_image_from_tensor(&image, &bad, SAC_BGR8), SAC_EINVAL);
    bad = good, bad.strides[1] = 4;
    assert_int_equal(sac_image_from_tensor(&image, &bad, SAC_BGR8), SAC_EINVAL);
    bad = good, bad.strides[2] = 2;
    assert_int_equal(sac_image_from_tensor(&image, &bad, SAC_BGR8), SAC_EINVAL);
    bad = good, bad.shape[0] = 0;
    assert_int_equal(sac_image_from_tensor(&image, &bad, SAC_BGR8), SAC_EINVAL);
    assert_int_equal(sac_tensor_wrap(&good, bytes, SAC_U8, 2, shape), 0);
    assert_int_equal(sac_image_from_tensor(&image, &good, SAC_GRAY8), 0);
    assert_int_equal(image.stride, 8);
}

static void dlpack_says_the_same(void **state)
{
    (void)state;
    static const DLDeviceType devices[] = {kDLCPU, kDLCUDAHost, kDLCUDA};
    for (int memory = SAC_HOST; memory <= SAC_CUDA; memory++)
        for (int dtype = 0; dtype < SAC_DTYPE_COUNT; dtype++) {
            const int64_t shape[] = {2, 3, 4};
            sac_tensor tensor, again;
            DLTensor packed;
            assert_int_equal(sac_tensor_wrap(&tensor, bytes, (sac_dtype)dtype, 3, shape), 0);
            tensor.memory = (sac_memory)memory;
            tensor.device = memory == SAC_CUDA ? 1 : 0;
            assert_int_equal(sac_tensor_to_dlpack(&tensor, &packed), 0);
            assert_int_equal(packed.device.device_type, devices[memory]);
            assert_int_equal(packed.dtype.bits, 8 * sac_dtype_bytes((sac_dtype)dtype));
            assert_ptr_equal(packed.shape, tensor.shape);
            assert_int_equal(sac_tensor_from_dlpack(&again, &packed), 0);
            assert_memory_equal(&again, &tensor, sizeof tensor);
        }
}

static void dlpack_of_others_is_understood(void **state)
{
    (void)state;
    int64_t shape[] = {6, 8, 3}, strides[] = {40, 3, 1};
    DLTensor packed = {.data = bytes,
                       .device = {kDLCUDAManaged, 1},
                       .ndim = 3,
                       .dtype = {kDLUInt, 8, 1},
                       .shape = shape,
                       .byte_offset = 3};
    sac_tensor tensor;
    sac_image image;
    assert_int_equal(sac_tensor_from_dlpack(&tensor, &packed), 0);
    assert_ptr_equal(tensor.data, bytes + 3);
    assert_int_equal(tensor.memory, SAC_CUDA);
    assert_int_equal(tensor.strides[0], 24); // compact where it has none
    packed.strides = strides;
    assert_int_equal(sac_tensor_from_dlpack(&tensor, &packed), 0);
    assert_int_equal(sac_image_from_tensor(&image, &tensor, SAC_RGB8), 0);
    assert_int_equal(image.stride, 40);
    assert_int_equal(image.device, 1);
    packed.dtype.lanes = 4;
    assert_int_equal(sac_tensor_from_dlpack(&tensor, &packed), SAC_EUNSUPPORTED);
    packed.dtype.lanes = 1;
    packed.dtype.code = kDLComplex;
    assert_int_equal(sac_tensor_from_dlpack(&tensor, &packed), SAC_EUNSUPPORTED);
    packed.dtype.code = kDLUInt;
    packed.device.device_type = kDLROCM;
    assert_int_equal(sac_tensor_from_dlpack(&tensor, &packed), SAC_EUNSUPPORTED);
    packed.device.device_type = kDLCPU;
    packed.ndim = SAC_MAX_DIMS + 1;
    assert_int_equal(sac_tensor_from_dlpack(&tensor, &packed), SAC_EINVAL);
    assert_null(tensor.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_say_where_they_live),
        cmocka_unit_test(a_picture_is_a_tensor_and_back),
        cmocka_unit_test(tensors_that_are_no_pictures_are_refused),
        cmocka_unit_test(dlpack_says_the_same),
        cmocka_unit_test(dlpack_of_others_is_understood),
    };
    return cmocka_run_group_tests_name("exchange", tests, NULL, NULL);
}
