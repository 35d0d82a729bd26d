// SPDX-License-Identifier: Apache-2.0
// Planning and applying a letterbox: checks what came in, then hands it to a set of kernels.
#include <stdlib.h>

#include "error.h"
#include "table.h"

enum { MOST_EXTENT = 1 << 20, DEFAULT_STRIDE = 32 };

static int check_extent(const char *what, int extent)
{
    if (extent >= 1 && extent <= MOST_EXTENT) return 0;
    return sac__fail(SAC_EINVAL, "%s %d is not within 1 to %d", what, extent, MOST_EXTENT);
}

static int check_sizes(int width0, int height0, int width, int height)
{
    int error = check_extent("picture width", width0);
    if (!error) error = check_extent("picture height", height0);
    if (!error) error = check_extent("input width", width);
    return error ? error : check_extent("input height", height);
}

int sac_letterbox_fit(sac_letterbox *letterbox_out, int width0, int height0, int width, int height,
                      const sac_letterbox_options *options)
{
    if (!letterbox_out) return sac__fail(SAC_EINVAL, "letterbox_out is NULL");
    sac_letterbox_options chosen = {0};
    if (options) chosen = *options;
    if (chosen.stride == 0) chosen.stride = DEFAULT_STRIDE;
    if ((unsigned)chosen.fit > SAC_FIT_TOP_LEFT)
        return sac__fail(SAC_EINVAL, "unknown fit %d", (int)chosen.fit);
    if (chosen.stride < 1) return sac__fail(SAC_EINVAL, "stride %d is below 1", chosen.stride);
    const int error = check_sizes(width0, height0, width, height);
    if (!error) *letterbox_out = sac__fit(width0, height0, width, height, chosen);
    return error;
}

// ---- applying -----------------------------------------------------------------------------------

// Fills in how the picture's pixels lie.
static int read_format(struct sac__pixels *pixels_out, const sac_image *image, int bgr)
{
    if (image->memory == SAC_CUDA)
        return sac__fail(SAC_EUNSUPPORTED, "the picture is in device memory");
    *pixels_out = (struct sac__pixels){.data = image->data, .stride = image->stride};
    if (!sac__pixels_order(pixels_out, image->format, bgr))
        return sac__fail(SAC_EUNSUPPORTED, "unknown pixel format %d", (int)image->format);
    if (image->format != SAC_NV12) return 0;
    pixels_out->chroma = image->chroma;
    pixels_out->chroma_stride = image->chroma_stride;
    return 0;
}

static int check_stride(ptrdiff_t stride, int64_t row, int32_t rows)
{
    if (rows == 1 || stride >= row || stride <= -row) return 0;
    return sac__fail(SAC_EINVAL, "a stride of %lld bytes is too small for rows of %lld",
                     (long long)stride, (long long)row);
}

int sac__check_image(const sac_image *image, const sac_letterbox *fit)
{
    if (!image->data) return sac__fail(SAC_EINVAL, "the picture has no pixels");
    const int bytes = sac_pixel_bytes(image->format);
    if (!bytes) return sac__fail(SAC_EUNSUPPORTED, "unknown pixel format %d", (int)image->format);
    if ((unsigned)image->memory > SAC_CUDA)
        return sac__fail(SAC_EINVAL, "unknown kind of memory %d", (int)image->memory);
    if (image->width != fit->width0 || image->height != fit->height0)
        return sac__fail(SAC_EINVAL, "the picture is %d x %d, its letterbox is for %d x %d",
                         image->width, image->height, fit->width0, fit->height0);
    int error = check_stride(image->stride, (int64_t)image->width * bytes, image->height);
    if (error || image->format != SAC_NV12) return error;
    if (!image->chroma) return sac__fail(SAC_EINVAL, "the NV12 picture has no chroma");
    return check_stride(image->chroma_stride, (image->width + 1) / 2 * (int64_t)2,
                        (image->height + 1) / 2);
}

static int check_letterbox(const sac_letterbox *fit)
{
    const int error = check_sizes(fit->width0, fit->height0, fit->width, fit->height);
    if (error) return error;
    if (fit->new_width < 1 || fit->new_height < 1 || fit->left < 0 || fit->top < 0 ||
        fit->left > fit->width - fit->new_width || fit->top > fit->height - fit->new_height)
        return sac__fail(SAC_EINVAL, "a picture of %d x %d at (%d,%d) does not lie within %d x %d",
                         fit->new_width, fit->new_height, fit->left, fit->top, fit->width,
                         fit->height);
    return 0;
}

static int check_input(const sac_tensor *input, int64_t index, const sac_letterbox *fit)
{
    if (!input->data) return sac__fail(SAC_EINVAL, "the input tensor has no data");
    if (input->dtype != SAC_F32 && input->dtype != SAC_F16 && input->dtype != SAC_U8)
        return sac__fail(SAC_EUNSUPPORTED, "an input of type %s cannot be written",
                         sac_dtype_name(input->dtype));
    if (input->ndim != 4 || input->shape[1] != 3 || input->shape[2] != fit->height ||
        input->shape[3] != fit->width)
        return sac__fail(SAC_EINVAL, "the input tensor is not (N,3,%d,%d)", fit->height,
                         fit->width);
    if (!sac_tensor_is_contiguous(input))
        return sac__fail(SAC_EINVAL, "the input tensor is not contiguous");
    if (index < 0 || index >= input->shape[0])
        return sac__fail(SAC_EINVAL, "picture %lld of an input for %lld", (long long)index,
                         (long long)input->shape[0]);
    return 0;
}

int sac__check_letterbox(const sac_tensor *input, int64_t index, const sac_image *image,
                         const sac_letterbox *letterbox, const sac_pixels *pixels)
{
    if (!input || !image || !letterbox || !pixels)
        return sac__fail(SAC_EINVAL, "input_out, image, letterbox or pixels is NULL");
    if (pixels->pad < 0 || pixels->pad > 255)
        return sac__fail(SAC_EINVAL, "a padding value of %d is not within 0 to 255", pixels->pad);
    int error = check_letterbox(letterbox);
    if (!error) error = sac__check_image(image, letterbox);
    return error ? error : check_input(input, index, letterbox);
}

int sac__ops_letterbox(const struct sac_ops *ops, sac_workspace *workspace, sac_tensor *input_out,
                       int64_t index, const sac_image *image, const sac_letterbox *letterbox,
                       const sac_pixels *pixels)
{
    int error = sac__check_letterbox(input_out, index, image, letterbox, pixels);
    if (error) return error;
    if (input_out->memory == SAC_CUDA)
        return sac__fail(SAC_EUNSUPPORTED, "the input tensor is in device memory");
    struct sac__letterbox_job job = {
        .fit = *letterbox,
        .dtype = input_out->dtype,
        .scaled = !pixels->no_scaling && input_out->dtype != SAC_U8,
        .pad = pixels->pad,
    };
    error = read_format(&job.src, image, pixels->bgr);
    if (error) return error;
    const size_t bytes = (size_t)3 * letterbox->height * letterbox->width;
    job.dst = (uint8_t *)input_out->data + index * bytes * sac_dtype_bytes(input_out->dtype);
    return ops->letterbox(workspace, &job);
}
