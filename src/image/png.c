// SPDX-License-Identifier: Apache-2.0
// PNG through libspng: all bit depths, palettes and interlacing; 16 bits become their high byte.
#include "image/picture.h"

#include <spng.h>

#include "error.h"

// Decompressed text and profiles, of which nothing is used but EXIF.
static const size_t max_chunk_bytes = 16 << 20, max_chunks_bytes = 64 << 20;

static int is_cut(int code)
{
    return code == SPNG_EOF || code == SPNG_IO_EOF;
}

static int fail(int code)
{
    if (code == SPNG_EMEM) return sac__fail(SAC_ENOMEM, "no memory to decode it");
    return sac__fail(SAC_EIMAGE, "%s: %s", is_cut(code) ? "truncated" : "damaged",
                     spng_strerror(code));
}

static int configure(spng_ctx *png, const struct sac__picture *picture)
{
    int code = spng_set_png_buffer(png, picture->bytes, picture->size);
    if (!code) code = spng_set_chunk_limits(png, max_chunk_bytes, max_chunks_bytes);
    // A wrong checksum of what is not needed for the pixels drops that chunk only.
    if (!code) code = spng_set_crc_action(png, SPNG_CRC_ERROR, SPNG_CRC_DISCARD);
    return code;
}

static int find_orientation(spng_ctx *png)
{
    struct spng_exif exif;
    return spng_get_exif(png, &exif) ? 1 : sac__exif_orientation((uint8_t *)exif.data, exif.length);
}

static int decode(spng_ctx *png, sac_image *image_out, int *orientation_out,
                  const struct sac__picture *picture)
{
    struct spng_ihdr header;
    int code = configure(png, picture);
    if (!code) code = spng_get_ihdr(png, &header);
    if (code) return fail(code);
    const int error = sac__image_new(image_out, header.width, header.height, picture->max_pixels);
    if (error) return error;
    const size_t count = (size_t)header.width * header.height;
    code = spng_decode_image(png, sac__image_pixels(image_out), count * 3, SPNG_FMT_RGB8, 0);
    if (code) return fail(code);
    sac__swap_red_blue(sac__image_pixels(image_out), count);
    code = spng_decode_chunks(png); // EXIF may come after the pixels
    if (is_cut(code)) return fail(code);
    *orientation_out = find_orientation(png);
    return 0;
}

int sac__png_read(sac_image *image_out, int *orientation_out, const struct sac__picture *picture)
{
    spng_ctx *png = spng_ctx_new(0);
    if (!png) return sac__fail(SAC_ENOMEM, "no memory to decode it");
    const int error = decode(png, image_out, orientation_out, picture);
    spng_ctx_free(png);
    return error;
}
