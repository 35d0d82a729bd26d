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

typedef CUresult encode_tiled(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *,
                              const cuuint64_t *, const cuuint64_t *, const cuuint32_t *,
                              const cuuint32_t *, CUtensorMapInterleave, CUtensorMapSwizzle,
                              CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

/// The driver's function; `pointer` is where a pointer to it is kept.
static int find(const char *name, void *pointer)
{
    void *address = NULL;
    enum cudaDriverEntryPointQueryResult found;
    cudaError_t error =
        cudaGetDriverEntryPointByVersion(name, &address, 12000, cudaEnableDefault, &found);
    if (error || found != cudaDriverEntryPointSuccess || !address)
        return sac__fail(SAC_EUNSUPPORTED, "this CUDA driver has no tensor maps");
    memcpy(pointer, &address, sizeof address);
    return 0;
}

/// (N,H,W,C) as the driver counts: from the innermost axis on.
struct axes {
    cuuint64_t extents[4], pitches[3];
    void *data;
};

static struct axes axes_of(const void *data, const int extents[4], int pitch)
{
    struct axes axes = {{0}, {2 * (cuuint64_t)pitch, 0, 0}, NULL};
    for (int axis = 0; axis < 4; axis++)
        axes.extents[axis] = (cuuint64_t)extents[axis];
    axes.pitches[1] = axes.pitches[0] * axes.extents[1];
    axes.pitches[2] = axes.pitches[1] * axes.extents[2];
    memcpy(&axes.data, &data, sizeof axes.data); // the driver wants it without const
    return axes;
}

static CUtensorMapSwizzle swizzle_of(int box)
{
    return box == 64   ? CU_TENSOR_MAP_SWIZZLE_128B
           : box == 32 ? CU_TENSOR_MAP_SWIZZLE_64B
                       : CU_TENSOR_MAP_SWIZZLE_32B;
}

static int keep(struct sac_tensor_map *map_out, const CUtensorMap *map, CUresult result)
{
    if (result != CUDA_SUCCESS)
        return sac__fail(SAC_EDEVICE, "the driver made no tensor map: error %d", (int)result);
    memcpy(map_out, map, sizeof *map);
    return 0;
}

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
    const int extents[4] = {im2col->channels, im2col->width, im2col->height, im2col->n};
    const cuuint32_t steps[4] = {1, (cuuint32_t)im2col->stride[1], (cuuint32_t)im2col->stride[0],
                                 1};
    int lower[2], upper[2];
    encode_im2col *encode = NULL;
    CUtensorMap map;
    int error = find("cuTensorMapEncodeIm2col", (void *)&encode);
    if (error) return error;
    corners(im2col, lower, upper);
    struct axes axes = axes_of(im2col->data, extents, im2col->pitch);
    return keep(map_out, &map,
                encode(&map, CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 4, axes.data, axes.extents,
                       axes.pitches, lower, upper, (cuuint32_t)im2col->box,
                       (cuuint32_t)im2col->rows, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
                       swizzle_of(im2col->box), CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                       CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
}

int sac__tile_map(struct sac_tensor_map *map_out, const struct sac_tile *tile)
{
    const int extents[4] = {tile->channels, tile->width, tile->height, tile->n};
    const cuuint32_t box[4] = {(cuuint32_t)tile->box, (cuuint32_t)(tile->across * tile->step),
                               (cuuint32_t)tile->down, 1};
    const cuuint32_t steps[4] = {1, (cuuint32_t)tile->step, 1, 1};
    encode_tiled *encode = NULL;
    CUtensorMap map;
    int error = find("cuTensorMapEncodeTiled", (void *)&encode);
    if (error) return error;
    struct axes axes = axes_of(tile->data, extents, tile->pitch);
    return keep(map_out, &map,
                encode(&map, CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 4, axes.data, axes.extents,
                       axes.pitches, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
                       swizzle_of(tile->box), CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                       CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
}
