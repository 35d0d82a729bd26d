// SPDX-License-Identifier: Apache-2.0
// Planning and applying a letterbox: checks what came in, then hands it to a set of kernels.
#include "check.h"
#include "error.h"
#include "table.h"

enum { DEFAULT_STRIDE = 32 };

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
    const int error = sac__check_sizes(width0, height0, width, height);
    if (!error) *letterbox_out = sac__fit(width0, height0, width, height, chosen);
    return error;
}

// ---- applying -----------------------------------------------------------------------------------

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
    int error = sac__check_fit(letterbox);
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
    if (image->memory == SAC_CUDA)
        return sac__fail(SAC_EUNSUPPORTED, "the picture is in device memory");
    struct sac__letterbox_job job = {
        .src = sac__pixels_of(image, pixels->bgr),
        .fit = *letterbox,
        .dtype = input_out->dtype,
        .scaled = !pixels->no_scaling && input_out->dtype != SAC_U8,
        .pad = pixels->pad,
    };
    const size_t bytes = (size_t)3 * letterbox->height * letterbox->width;
    job.dst = (uint8_t *)input_out->data + index * bytes * sac_dtype_bytes(input_out->dtype);
    return ops->letterbox(workspace, &job);
}
