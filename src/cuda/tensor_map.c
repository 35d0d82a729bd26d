// SPDX-License-Identifier: Apache-2.0
// Tensor maps are made by the driver, on the host and without a call to the device. The driver's
// function is asked for at run time, so that nothing links libcuda.
#include "tensor_map.h"

#include <string.h>

#include <cuda.h>
#include <cuda_runtime_api.h>

#include "error.h"

typedef CUresult encode_im2col(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *,
                               const cuuint64_t *, const cuuint64_t *, const int *, const int *,
                               cuuint32_t, cuuint32_t, const cuuint32_t *, CUtensorMapInterleave,
                               CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

/// The box that the first tap walks over: from `lower` to the last pixel plus `upper`.
static void corners(const struct sac_im2col *im2col, int lower[2], int upper[2])
{
    const int out[2] = {im2col->out_width, im2col->out_height};
    const int in[2] = {im2col->width, im2col->height};
    for (int axis = 0; axis < 2; axis++) {
        lower[axis] = -im2col->pad[1 - axis];
        upper[axis] = lower[axis] + (out[axis] - 1) * im2col->stride[1 - axis] - (in[axis] - 1);
    }
}

int sac__im2col_fits(const struct sac_im2col *im2col)
{
    int lower[2], upper[2];
    corners(im2col, lower, upper);
    for (int axis = 0; axis < 2; axis++)
        if (lower[axis] < -128 || lower[axis] > 127 || upper[axis] < -128 || upper[axis] > 127 ||
            im2col->stride[axis] < 1 || im2col->stride[axis] > 8)
            return 0;
    return (uintptr_t)im2col->data % 16 == 0 && im2col->pitch % 8 == 0 && im2col->rows <= 256;
}

int sac__im2col_map(struct sac_tensor_map *map_out, const struct sac_im2col *im2col)
{
    void *address = NULL;
    enum cudaDriverEntryPointQueryResult found;
    cudaError_t error = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeIm2col", &address, 12000,
                                                         cudaEnableDefault, &found);
    if (error || found != cudaDriverEntryPointSuccess || !address)
        return sac__fail(SAC_EUNSUPPORTED, "this CUDA driver has no tensor maps");
    encode_im2col *encode;
    memcpy(&encode, &address, sizeof encode);

    int lower[2], upper[2];
    corners(im2col, lower, upper);
    const cuuint64_t pixel = 2 * (cuuint64_t)im2col->pitch, row = pixel * (cuuint64_t)im2col->width;
    const cuuint64_t extents[4] = {(cuuint64_t)im2col->channels, (cuuint64_t)im2col->width,
                                   (cuuint64_t)im2col->height, (cuuint64_t)im2col->n};
    const cuuint64_t pitches[3] = {pixel, row, row * (cuuint64_t)im2col->height};
    const cuuint32_t steps[4] = {1, (cuuint32_t)im2col->stride[1], (cuuint32_t)im2col->stride[0],
                                 1};
    CUtensorMapSwizzle swizzle = im2col->box == 64   ? CU_TENSOR_MAP_SWIZZLE_128B
                                 : im2col->box == 32 ? CU_TENSOR_MAP_SWIZZLE_64B
                                                     : CU_TENSOR_MAP_SWIZZLE_32B;
    void *data;
    memcpy(&data, &im2col->data, sizeof data);
    CUtensorMap map;
    CUresult result = encode(&map, CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 4, data, extents, pitches,
                             lower, upper, (cuuint32_t)im2col->box, (cuuint32_t)im2col->rows, steps,
                             CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle,
                             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    if (result != CUDA_SUCCESS)
        return sac__fail(SAC_EDEVICE, "cuTensorMapEncodeIm2col failed: error %d", (int)result);
    memcpy(map_out, &map, sizeof map);
    return 0;
}
