// SPDX-License-Identifier: Apache-2.0
// What every set of kernels refuses.
#include "check.h"

#include <math.h>

#include "error.h"

enum { MOST_EXTENT = 1 << 20 };

static int check_extent(const char *what, int extent)
{
    if (extent >= 1 && extent <= MOST_EXTENT) return 0;
    return sac__fail(SAC_EINVAL, "%s %d is not within 1 to %d", what, extent, MOST_EXTENT);
}

int sac__check_sizes(int width0, int height0, int width, int height)
{
    int error = check_extent("picture width", width0);
    if (!error) error = check_extent("picture height", height0);
    if (!error) error = check_extent("input width", width);
    return error ? error : check_extent("input height", height);
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
    struct sac__pixels pixels;
    if (!sac__pixels_order(&pixels, image->format, 0))
        return sac__fail(SAC_EUNSUPPORTED, "unknown pixel format %d", (int)image->format);
    if ((unsigned)image->memory > SAC_CUDA)
        return sac__fail(SAC_EINVAL, "unknown kind of memory %d", (int)image->memory);
    if (image->width != fit->width0 || image->height != fit->height0)
        return sac__fail(SAC_EINVAL, "the picture is %d x %d, its letterbox is for %d x %d",
                         image->width, image->height, fit->width0, fit->height0);
    int error = check_stride(image->stride, (int64_t)image->width * pixels.step, image->height);
    if (error || image->format != SAC_NV12) return error;
    if (!image->chroma) return sac__fail(SAC_EINVAL, "the NV12 picture has no chroma");
    return check_stride(image->chroma_stride, (image->width + 1) / 2 * (int64_t)2,
                        (image->height + 1) / 2);
}

int sac__check_fit(const sac_letterbox *fit)
{
    const int error = sac__check_sizes(fit->width0, fit->height0, fit->width, fit->height);
    if (error) return error;
    if (fit->new_width < 1 || fit->new_height < 1 || fit->left < 0 || fit->top < 0 ||
        fit->left > fit->width - fit->new_width || fit->top > fit->height - fit->new_height)
        return sac__fail(SAC_EINVAL, "a picture of %d x %d at (%d,%d) does not lie within %d x %d",
                         fit->new_width, fit->new_height, fit->left, fit->top, fit->width,
                         fit->height);
    return 0;
}

// ---- boxes --------------------------------------------------------------------------------------

int sac__check_nms(const sac_nms *nms)
{
    if (!(nms->conf >= 0.f && nms->conf <= 1.f))
        return sac__fail(SAC_EINVAL, "a score threshold of %g is not within 0 to 1", nms->conf);
    if (!(nms->iou >= 0.f && nms->iou <= 1.f))
        return sac__fail(SAC_EINVAL, "an overlap threshold of %g is not within 0 to 1", nms->iou);
    if (nms->max_det < 1)
        return sac__fail(SAC_EINVAL, "at most %d boxes: at least 1 is needed", nms->max_det);
    if ((unsigned)nms->compat > SAC_COMPAT_YOLOV5)
        return sac__fail(SAC_EINVAL, "unknown compat form %d", (int)nms->compat);
    if (nms->class_count && !nms->classes)
        return sac__fail(SAC_EINVAL, "classes is NULL, class_count is %zu", nms->class_count);
    return 0;
}

int sac__check_map(const sac_letterbox *fit)
{
    if (fit->width0 < 1 || fit->height0 < 1 || fit->width < 1 || fit->height < 1 ||
        fit->new_width < 1 || fit->new_height < 1 || !(fit->gain > 0) || !isfinite(fit->gain))
        return sac__fail(SAC_EINVAL, "the letterbox is not one of sac_letterbox_fit");
    return 0;
}
