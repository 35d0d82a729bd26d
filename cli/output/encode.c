// SPDX-License-Identifier: Apache-2.0
#include "output/encode.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jpeglib.h>
#include <spng.h>
#include <webp/encode.h>

#include "saccade/error.h"

struct pixels {
    const uint8_t *bgr;
    int width, height;
    ptrdiff_t stride;
    int quality; ///< 1–100
};

typedef int encoder(uint8_t **bytes_out, size_t *size_out, const struct pixels *pixels);

struct jpeg_writer {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    jmp_buf failed;
    unsigned char *bytes;
    unsigned long size;
};

static void jpeg_fail(j_common_ptr common)
{
    struct jpeg_writer *writer = common->client_data;
    longjmp(writer->failed, 1);
}

static void jpeg_write(struct jpeg_writer *writer, const struct pixels *pixels)
{
    struct jpeg_compress_struct *jpeg = &writer->jpeg;
    jpeg_create_compress(jpeg);
    jpeg_mem_dest(jpeg, &writer->bytes, &writer->size);
    jpeg->image_width = (JDIMENSION)pixels->width;
    jpeg->image_height = (JDIMENSION)pixels->height;
    jpeg->input_components = 3;
    jpeg->in_color_space = JCS_EXT_BGR;
    jpeg_set_defaults(jpeg);
    jpeg_set_quality(jpeg, pixels->quality, TRUE);
    // No chroma subsampling: thin coloured lines and letters would fray.
    jpeg->comp_info[0].h_samp_factor = jpeg->comp_info[0].v_samp_factor = 1;
    jpeg_start_compress(jpeg, TRUE);
    while (jpeg->next_scanline < jpeg->image_height) {
        JSAMPROW row = (JSAMPROW)(pixels->bgr + (ptrdiff_t)jpeg->next_scanline * pixels->stride);
        jpeg_write_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_compress(jpeg);
}

// The library's errors come back here; nothing of this frame changes after setjmp.
static int jpeg_write_guarded(struct jpeg_writer *writer, const struct pixels *pixels)
{
    if (setjmp(writer->failed)) return SAC_ENOMEM; // the sizes are checked: nothing else can fail
    jpeg_write(writer, pixels);
    return 0;
}

static int encode_jpeg(uint8_t **bytes_out, size_t *size_out, const struct pixels *pixels)
{
    if (pixels->width > JPEG_MAX_DIMENSION || pixels->height > JPEG_MAX_DIMENSION)
        return SAC_ELIMIT;
    struct jpeg_writer writer = {.jpeg.client_data = &writer};
    writer.jpeg.err = jpeg_std_error(&writer.errors);
    writer.errors.error_exit = jpeg_fail;
    const int error = jpeg_write_guarded(&writer, pixels);
    jpeg_destroy_compress(&writer.jpeg);
    if (error) {
        free(writer.bytes);
        return error;
    }
    *bytes_out = writer.bytes;
    *size_out = writer.size;
    return 0;
}

static void copy_rgb(uint8_t *rgb, const uint8_t *bgr, int width)
{
    for (int x = 0; x < width; x++, rgb += 3, bgr += 3) {
        rgb[0] = bgr[2];
        rgb[1] = bgr[1];
        rgb[2] = bgr[0];
    }
}

static int png_rows(spng_ctx *png, uint8_t *row, const struct pixels *pixels)
{
    const size_t row_bytes = (size_t)pixels->width * 3;
    int code = spng_encode_image(png, NULL, 0, SPNG_FMT_PNG,
                                 SPNG_ENCODE_PROGRESSIVE | SPNG_ENCODE_FINALIZE);
    for (int y = 0; y < pixels->height && code == 0; y++) {
        copy_rgb(row, pixels->bgr + y * pixels->stride, pixels->width);
        code = spng_encode_scanline(png, row, row_bytes);
    }
    return code == SPNG_EOI ? 0 : SAC_ENOMEM; // the sizes are checked: nothing else can fail
}

static int encode_png(uint8_t **bytes_out, size_t *size_out, const struct pixels *pixels)
{
    spng_ctx *png = spng_ctx_new(SPNG_CTX_ENCODER);
    uint8_t *row = malloc((size_t)pixels->width * 3);
    int error = png && row ? 0 : SAC_ENOMEM;
    struct spng_ihdr header = {.width = (uint32_t)pixels->width,
                               .height = (uint32_t)pixels->height,
                               .bit_depth = 8,
                               .color_type = SPNG_COLOR_TYPE_TRUECOLOR};
    if (!error) {
        spng_set_option(png, SPNG_ENCODE_TO_BUFFER, 1);
        // Quick rather than small, as OpenCV's writer: less than half the time of the defaults.
        spng_set_option(png, SPNG_IMG_COMPRESSION_LEVEL, 1);
        spng_set_option(png, SPNG_FILTER_CHOICE, SPNG_FILTER_CHOICE_SUB);
        error = spng_set_ihdr(png, &header) ? SAC_EINVAL : png_rows(png, row, pixels);
    }
    int code = 0;
    if (!error) *bytes_out = spng_get_png_buffer(png, size_out, &code);
    if (!error && !*bytes_out) error = SAC_ENOMEM;
    free(row);
    spng_ctx_free(png);
    return error;
}

static int encode_webp(uint8_t **bytes_out, size_t *size_out, const struct pixels *pixels)
{
    if (pixels->width > WEBP_MAX_DIMENSION || pixels->height > WEBP_MAX_DIMENSION)
        return SAC_ELIMIT;
    WebPConfig config;
    WebPPicture picture;
    WebPMemoryWriter writer;
    if (!WebPConfigPreset(&config, WEBP_PRESET_PHOTO, (float)pixels->quality) ||
        !WebPPictureInit(&picture))
        return SAC_EUNSUPPORTED; // a library of another version
    config.method = 2;           // quick
    picture.width = pixels->width;
    picture.height = pixels->height;
    WebPMemoryWriterInit(&writer);
    picture.writer = WebPMemoryWrite;
    picture.custom_ptr = &writer;
    const int done = WebPPictureImportBGR(&picture, pixels->bgr, (int)pixels->stride) &&
                     WebPEncode(&config, &picture);
    WebPPictureFree(&picture);
    if (!done) {
        WebPMemoryWriterClear(&writer);
        return SAC_ENOMEM;
    }
    *bytes_out = writer.mem;
    *size_out = writer.size;
    return 0;
}

static encoder *find_encoder(const char *name)
{
    static const struct {
        const char *extension;
        encoder *encode;
    } table[] = {{".jpg", encode_jpeg},
                 {".jpeg", encode_jpeg},
                 {".png", encode_png},
                 {".webp", encode_webp}};
    const char *extension = strrchr(name, '.');
    for (size_t i = 0; extension && i < sizeof table / sizeof *table; i++)
        if (strcasecmp(extension, table[i].extension) == 0) return table[i].encode;
    return NULL;
}

int encode_bgr(uint8_t **bytes_out, size_t *size_out, const char *name, const uint8_t *bgr,
               int width, int height, ptrdiff_t stride, int quality)
{
    *bytes_out = NULL;
    *size_out = 0;
    if (width < 1 || height < 1) return SAC_EINVAL;
    encoder *encode = find_encoder(name);
    const struct pixels pixels = {bgr, width, height, stride, quality};
    return encode ? encode(bytes_out, size_out, &pixels) : SAC_EUNSUPPORTED;
}

int encode_knows(const char *name)
{
    return find_encoder(name) != NULL;
}
