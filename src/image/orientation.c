// SPDX-License-Identifier: Apache-2.0
// EXIF orientation: where the stored picture's first row and column belong.
#include "image/picture.h"

#include <libexif/exif-data.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

static const uint8_t exif_start[] = {'E', 'x', 'i', 'f', 0, 0};

static int orientation_of(ExifData *data)
{
    ExifEntry *entry = exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
    if (!entry || entry->format != EXIF_FORMAT_SHORT || entry->size < 2) return 1;
    const int value = exif_get_short(entry->data, exif_data_get_byte_order(data));
    return value >= 1 && value <= 8 ? value : 1;
}

int sac__exif_orientation(const uint8_t *bytes, size_t size)
{
    // libexif counts in unsigned int and wants the block to start with "Exif\0\0".
    if (size < sizeof exif_start || size > 1 << 24) return 1;
    const int whole = memcmp(bytes, exif_start, sizeof exif_start) == 0;
    const size_t start = whole ? 0 : sizeof exif_start;
    uint8_t *block = malloc(start + size);
    if (!block) return sac__fail(SAC_ENOMEM, "no memory for %zu bytes of EXIF", start + size);
    memcpy(block, exif_start, sizeof exif_start);
    memcpy(block + start, bytes, size);
    ExifData *data = exif_data_new_from_data(block, (unsigned)(start + size));
    free(block);
    if (!data) return sac__fail(SAC_ENOMEM, "no memory to read EXIF");
    const int orientation = orientation_of(data);
    exif_data_unref(data);
    return orientation;
}

// The source as the turned picture walks it: bytes from a pixel to the next one right and below.
struct walk {
    const uint8_t *origin;
    ptrdiff_t right, down;
};

static struct walk walk_of(const sac_image *image, int orientation)
{
    const int mirrored = orientation == 2 || orientation == 3 || orientation >= 7;
    const int upside_down =
        orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    const ptrdiff_t pixel = mirrored ? -3 : 3;
    const ptrdiff_t row = upside_down ? -image->stride : image->stride;
    const uint8_t *origin = image->data;
    if (mirrored) origin += ((ptrdiff_t)image->width - 1) * 3;
    if (upside_down) origin += ((ptrdiff_t)image->height - 1) * image->stride;
    if (orientation >= 5) return (struct walk){origin, row, pixel};
    return (struct walk){origin, pixel, row};
}

static void copy_tile(uint8_t *dst, ptrdiff_t dst_stride, struct walk walk, int width, int height)
{
    for (int y = 0; y < height; y++) {
        const uint8_t *src = walk.origin + y * walk.down;
        uint8_t *out = dst + y * dst_stride;
        for (int x = 0; x < width; x++, src += walk.right, out += 3) {
            out[0] = src[0];
            out[1] = src[1];
            out[2] = src[2];
        }
    }
}

int sac__image_orient(sac_image *image, int orientation)
{
    enum { tile = 32 }; // 32 rows of 32 pixels of source and result stay in the first cache
    const struct walk walk = walk_of(image, orientation);
    const int width = orientation >= 5 ? image->height : image->width;
    const int height = orientation >= 5 ? image->width : image->height;
    sac_image turned = {0};
    const int error = sac__image_new(&turned, (uint64_t)width, (uint64_t)height, UINT64_MAX);
    if (error) return error;
    for (ptrdiff_t y = 0; y < height; y += tile)
        for (ptrdiff_t x = 0; x < width; x += tile) {
            const struct walk part = {walk.origin + y * walk.down + x * walk.right, walk.right,
                                      walk.down};
            copy_tile(sac__image_pixels(&turned) + y * turned.stride + x * 3, turned.stride, part,
                      width - x < tile ? (int)(width - x) : tile,
                      height - y < tile ? (int)(height - y) : tile);
        }
    sac_image_release(image);
    *image = turned;
    return 0;
}
