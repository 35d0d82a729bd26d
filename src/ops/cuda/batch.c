// SPDX-License-Identifier: Apache-2.0
// The block of memory that tells the kernels what a batch is; written by the host.
#include <string.h>

#include "error.h"
#include "ops.h"
#include "ops/check.h"

// The kernels find the pictures right behind it.
_Static_assert(sizeof(struct sac__batch) % 16 == 0, "pictures are aligned");
_Static_assert(sizeof(struct sac__picture) % 8 == 0, "pictures are aligned");

static uint8_t *wanted_of(struct sac__batch *batch)
{
    return (uint8_t *)(sac__batch_pictures(batch) + batch->capacity);
}

size_t sac__batch_bytes(int capacity, int classes)
{
    return sizeof(struct sac__batch) + (size_t)capacity * sizeof(struct sac__picture) +
           ((size_t)classes + 15) / 16 * 16;
}

void sac__batch_start(struct sac__batch *batch, int capacity, int classes)
{
    memset(batch, 0, sac__batch_bytes(capacity, classes));
    batch->capacity = capacity;
    batch->classes = classes;
}

int sac__batch_nms(struct sac__batch *batch, const sac_nms *nms, sac_head_family family)
{
    const int error = sac__check_nms(nms);
    if (error) return error;
    batch->max_det = nms->max_det;
    batch->agnostic = nms->agnostic != 0;
    batch->multi_label = nms->multi_label != 0;
    batch->filtered = nms->classes != NULL;
    batch->compat = nms->compat;
    batch->whole = family == SAC_HEAD_YOLOX || family == SAC_HEAD_YOLOX_DECODED;
    batch->conf = nms->conf + 0.f; // -0 becomes 0
    batch->iou = nms->iou;
    batch->limit = sac__maps_limit(batch->conf);
    memset(wanted_of(batch), 0, (size_t)batch->classes);
    for (size_t i = 0; batch->filtered && i < nms->class_count; i++)
        if (nms->classes[i] >= 0 && nms->classes[i] < batch->classes)
            wanted_of(batch)[nms->classes[i]] = 1;
    return 0;
}

// Just behind a plane's last byte.
static const uint8_t *end_of(const uint8_t *first, ptrdiff_t stride, int32_t rows, int32_t row)
{
    const uint8_t *lowest = stride > 0 ? first + stride * (rows - 1) : first;
    return lowest + row;
}

static int set_source(struct sac__picture *picture, const sac_image *image,
                      const sac_letterbox *fit, const sac_pixels *pixels)
{
    struct sac__pixels *src = &picture->src;
    if (image->memory == SAC_HOST)
        return sac__fail(SAC_EUNSUPPORTED, "the picture is in memory that the device cannot read");
    const int error = sac__check_image(image, fit);
    if (error) return error;
    *src = sac__pixels_of(image, pixels->bgr);
    const int32_t width = image->width, height = image->height;
    picture->luma_end = end_of(src->data, src->stride, height, width * src->step);
    if (src->chroma)
        picture->chroma_end = end_of(src->chroma, src->chroma_stride, (height + 1) / 2,
                                     (width + 1) / 2 * 2);
    picture->scale_x = sac__resize_scale(fit->new_width, fit->width0);
    picture->scale_y = sac__resize_scale(fit->new_height, fit->height0);
    return 0;
}

int sac__batch_picture(struct sac__batch *batch, int index, const sac_image *image,
                       const sac_letterbox *fit, const sac_pixels *pixels)
{
    if (index < 0 || index >= batch->capacity)
        return sac__fail(SAC_EINVAL, "picture %d of a batch of %d", index, batch->capacity);
    struct sac__picture picture = {.fit = *fit};
    int error = sac__check_map(fit);
    if (!error && image) error = sac__check_fit(fit);
    if (!error && image) error = set_source(&picture, image, fit, pixels);
    if (error) return error;
    const int whole = batch->whole && fit->left == 0 && fit->top == 0;
    picture.map = sac__map_make(fit, (sac_compat)batch->compat, whole);
    sac__batch_pictures(batch)[index] = picture;
    if (batch->count <= index) batch->count = index + 1;
    return 0;
}
