// SPDX-License-Identifier: Apache-2.0
// What the readers of the picture formats share.
#ifndef SAC_SRC_IMAGE_PICTURE_H
#define SAC_SRC_IMAGE_PICTURE_H

#include "saccade/image.h"

/// A picture file in memory.
struct sac__picture {
    const uint8_t *bytes;
    size_t size;
    uint64_t max_pixels; ///< limit on width × height, never 0
};

/// Fills image_out (all zero at entry) and orientation_out (1 at entry; 1 to 8 as in EXIF, or what
/// sac__exif_orientation returned; others are taken for 1).
/// After a failure it may leave pixels in image_out: the caller releases them.
typedef int sac__reader(sac_image *image_out, int *orientation_out,
                        const struct sac__picture *picture);

sac__reader sac__jpeg_read, sac__png_read, sac__webp_read, sac__bmp_read, sac__tiff_read,
    sac__gif_read;

/// SAC_ELIMIT, naming the sizes, when there are more than max_pixels; SAC_EIMAGE when one is 0.
int sac__image_check(uint64_t width, uint64_t height, uint64_t max_pixels);

/// Checks the sizes and takes memory, not zeroed, for (height,width,3) tightly packed BGR bytes.
int sac__image_new(sac_image *image_out, uint64_t width, uint64_t height, uint64_t max_pixels);

/// Describes (height,width,3) tightly packed BGR bytes that malloc gave; sac_image_release frees
/// them.
void sac__image_adopt(sac_image *image_out, uint8_t *pixels, uint32_t width, uint32_t height);

/// The image's first pixel for writing. Only for images that sac__image_new or _adopt made.
uint8_t *sac__image_pixels(sac_image *image);

/// Swaps the first and the third byte of each of count 3-byte pixels.
void sac__swap_red_blue(uint8_t *pixels, size_t count);

/// One channel of an ink as light: ink and black are 0 (none) to 255 (full).
uint8_t sac__ink_to_light(unsigned ink, unsigned black);

/// The orientation (1–8) that an EXIF block states, with or without its "Exif\0\0"; 1 when none.
/// Errors: SAC_ENOMEM.
int sac__exif_orientation(const uint8_t *bytes, size_t size);

/// Turns and mirrors the picture so that orientation 2–8 becomes 1. Errors: SAC_ENOMEM.
int sac__image_orient(sac_image *image, int orientation);

#endif
