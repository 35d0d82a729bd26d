// SPDX-License-Identifier: Apache-2.0
// JPEG through libjpeg-turbo with its defaults (accurate integer DCT, smooth upsampling), as OpenCV
// and Pillow use it. A picture of which pixels are missing or made up is refused; other warnings of
// the library, as of stray bytes between its segments, are not errors.
#include "image/picture.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h> // after jpeglib.h: its numbers depend on the library's configuration

#include "error.h"

struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    int ended; // the file's bytes ran out
};

// More scans than any camera or optimiser writes: each costs a pass over the whole picture.
static const int max_scans = 500;

static void fail(j_common_ptr common)
{
    struct decoder *decoder = common->client_data;
    longjmp(decoder->failed, 1);
}

static void note_warning(j_common_ptr common, int level)
{
    if (level >= 0) return; // a trace
    struct decoder *decoder = common->client_data;
    switch (common->err->msg_code) {
    case JWRN_JPEG_EOF:
        decoder->ended = 1;
        break;
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
        fail(common);
    }
}

static void stay_silent(j_common_ptr common)
{
    (void)common;
}

static void limit_scans(j_common_ptr common)
{
    const struct decoder *decoder = common->client_data;
    if (common->is_decompressor && decoder->jpeg.input_scan_number > max_scans)
        ERREXIT(common, JERR_BAD_PROGRESSION);
}

static void create(struct decoder *decoder, const struct sac__picture *picture)
{
    jpeg_create_decompress(&decoder->jpeg);
    decoder->progress.progress_monitor = limit_scans;
    decoder->jpeg.progress = &decoder->progress;
    jpeg_mem_src(&decoder->jpeg, picture->bytes, (unsigned long)picture->size);
    jpeg_save_markers(&decoder->jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&decoder->jpeg, TRUE);
}

static int find_orientation(const struct jpeg_decompress_struct *jpeg)
{
    for (jpeg_saved_marker_ptr marker = jpeg->marker_list; marker; marker = marker->next)
        if (marker->data_length > 6 && memcmp(marker->data, "Exif\0", 6) == 0)
            return sac__exif_orientation(marker->data, marker->data_length);
    return 1;
}

static void read_bgr(struct jpeg_decompress_struct *jpeg, sac_image *image)
{
    JSAMPROW rows[16];
    while (jpeg->output_scanline < jpeg->output_height) {
        const JDIMENSION left = jpeg->output_height - jpeg->output_scanline;
        const JDIMENSION count = left < 16 ? left : 16;
        for (JDIMENSION i = 0; i < count; i++)
            rows[i] =
                sac__image_pixels(image) + (ptrdiff_t)(jpeg->output_scanline + i) * image->stride;
        jpeg_read_scanlines(jpeg, rows, count);
    }
}

// Inks are stored inverted, as Adobe's programs do and everybody else by now.
static void read_cmyk(struct jpeg_decompress_struct *jpeg, sac_image *image)
{
    JSAMPARRAY row =
        jpeg->mem->alloc_sarray((j_common_ptr)jpeg, JPOOL_IMAGE, jpeg->output_width * 4, 1);
    uint8_t *out = sac__image_pixels(image);
    while (jpeg->output_scanline < jpeg->output_height) {
        jpeg_read_scanlines(jpeg, row, 1);
        const uint8_t *in = row[0];
        for (JDIMENSION x = 0; x < jpeg->output_width; x++, in += 4)
            for (int c = 2; c >= 0; c--)
                *out++ = sac__ink_to_light(255u - in[c], 255u - in[3]);
    }
}

static int decode(struct decoder *decoder, sac_image *image_out, int *orientation_out,
                  const struct sac__picture *picture)
{
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    create(decoder, picture);
    const int error =
        sac__image_new(image_out, jpeg->image_width, jpeg->image_height, picture->max_pixels);
    if (error) return error;
    *orientation_out = find_orientation(jpeg);
    const int inks = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
    jpeg->out_color_space = inks ? JCS_CMYK : JCS_EXT_BGR;
    jpeg_start_decompress(jpeg);
    if (inks)
        read_cmyk(jpeg, image_out);
    else
        read_bgr(jpeg, image_out);
    // With one scan all pixels have been there; with several a later one may be missing.
    if (decoder->ended && jpeg_has_multiple_scans(jpeg)) fail((j_common_ptr)jpeg);
    return 0;
}

static int explain(struct decoder *decoder)
{
    if (decoder->errors.msg_code == JERR_OUT_OF_MEMORY)
        return sac__fail(SAC_ENOMEM, "no memory to decode it");
    if (decoder->ended)
        return sac__fail(SAC_EIMAGE, "truncated: pixels are missing from row %u of %u on",
                         decoder->jpeg.output_scanline, decoder->jpeg.image_height);
    char text[JMSG_LENGTH_MAX];
    decoder->errors.format_message((j_common_ptr)&decoder->jpeg, text);
    return sac__fail(SAC_EIMAGE, "damaged: %s", text);
}

// The library's errors come back here; nothing of this frame changes after setjmp.
static int decode_guarded(struct decoder *decoder, sac_image *image_out, int *orientation_out,
                          const struct sac__picture *picture)
{
    if (setjmp(decoder->failed)) return explain(decoder);
    return decode(decoder, image_out, orientation_out, picture);
}

int sac__jpeg_read(sac_image *image_out, int *orientation_out, const struct sac__picture *picture)
{
    struct decoder decoder = {.jpeg.client_data = &decoder};
    decoder.jpeg.err = jpeg_std_error(&decoder.errors);
    decoder.errors.error_exit = fail;
    decoder.errors.emit_message = note_warning;
    decoder.errors.output_message = stay_silent;
    const int error = decode_guarded(&decoder, image_out, orientation_out, picture);
    jpeg_destroy_decompress(&decoder.jpeg);
    return error;
}
