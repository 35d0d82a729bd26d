// SPDX-License-Identifier: Apache-2.0
// TIFF through libtiff's RGBA reader, which knows strips, tiles, planes and all its compressions:
// the first page, with 1- to 16-bit samples; 16 bits become their high byte.
#include "image/picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

#include "error.h"

struct source {
    const uint8_t *bytes;
    uint64_t size, at;
    char text[512]; // the library's last error
};

static tmsize_t read_bytes(thandle_t handle, void *out, tmsize_t wanted)
{
    struct source *source = handle;
    const uint64_t left = source->at < source->size ? source->size - source->at : 0;
    const uint64_t count = (uint64_t)wanted < left ? (uint64_t)wanted : left;
    memcpy(out, source->bytes + (count ? source->at : 0), (size_t)count);
    source->at += count;
    return (tmsize_t)count;
}

static tmsize_t write_nothing(thandle_t handle, void *bytes, tmsize_t count)
{
    (void)handle, (void)bytes, (void)count;
    return -1;
}

static toff_t seek_to(thandle_t handle, toff_t offset, int whence)
{
    struct source *source = handle;
    const uint64_t from = whence == SEEK_CUR ? source->at : whence == SEEK_END ? source->size : 0;
    source->at = from + offset;
    return source->at;
}

static int close_nothing(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t size_of(thandle_t handle)
{
    return ((struct source *)handle)->size;
}

// The library then reads in place. (Without it, it refuses plain tiles of sizes that are no
// multiple of 1024 bytes.) It never writes there: the file is open for reading.
static int map_bytes(thandle_t handle, void **base_out, toff_t *size_out)
{
    const struct source *source = handle;
    *base_out = (void *)(uintptr_t)source->bytes;
    *size_out = source->size;
    return 1;
}

static void unmap_nothing(thandle_t handle, void *base, toff_t size)
{
    (void)handle, (void)base, (void)size;
}

// Nonzero: handled, nothing is printed.
static int keep_error(TIFF *tiff, void *user, const char *module, const char *format,
                      va_list arguments)
{
    (void)tiff, (void)module;
    struct source *source = user;
    vsnprintf(source->text, sizeof source->text, format, arguments);
    return 1;
}

static int drop_warning(TIFF *tiff, void *user, const char *module, const char *format,
                        va_list arguments)
{
    (void)tiff, (void)user, (void)module, (void)format, (void)arguments;
    return 1;
}

static TIFF *open_tiff(struct source *source, uint64_t max_pixels)
{
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) return NULL;
    // No strip of a picture within the limit is larger: four 16-bit samples, and something over.
    const uint64_t most = (uint64_t)PTRDIFF_MAX / 16;
    const uint64_t pixels = max_pixels < most ? max_pixels : most;
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)(pixels * 8 + (1 << 20)));
    TIFFOpenOptionsSetErrorHandlerExtR(options, keep_error, source);
    TIFFOpenOptionsSetWarningHandlerExtR(options, drop_warning, NULL);
    TIFF *tiff = TIFFClientOpenExt("", "r", source, read_bytes, write_nothing, seek_to,
                                   close_nothing, size_of, map_bytes, unmap_nothing, options);
    TIFFOpenOptionsFree(options);
    return tiff;
}

// The library rounds 16-bit samples and multiplies colours by alpha: its tables are replaced.
static void replace_tables(TIFFRGBAImage *reader)
{
    for (size_t i = 0; i < 65536; i++) {
        if (reader->Bitdepth16To8) reader->Bitdepth16To8[i] = (uint8_t)(i >> 8);
        if (reader->UaToAa) reader->UaToAa[i] = (uint8_t)i; // index: alpha << 8 | colour
    }
}

// Replaces the library's routines for one interleaved gray channel, with others after it or not:
// they step wrongly from row to row in a tile that reaches beyond the picture's right edge.
// skips: pixels from a row's end to the next row, in the tile and in the raster.
static void put_gray(TIFFRGBAImage *reader, uint32_t *out, uint32_t x, uint32_t y, uint32_t width,
                     uint32_t height, int32_t tile_skip, int32_t raster_skip, unsigned char *tile)
{
    (void)x, (void)y;
    const int bytes = reader->bitspersample / 8;
    const ptrdiff_t step = (ptrdiff_t)bytes * reader->samplesperpixel;
    for (; height > 0; height--) {
        for (uint32_t i = 0; i < width; i++, tile += step) {
            uint16_t sample = tile[0];
            if (bytes == 2) memcpy(&sample, tile, sizeof sample); // in the machine's byte order
            *out++ = reader->BWmap[bytes == 2 ? sample >> 8 : sample][0];
        }
        tile += tile_skip * step;
        out += raster_skip;
    }
}

static int is_gray(const TIFFRGBAImage *reader)
{
    return reader->isContig && reader->BWmap && reader->bitspersample >= 8 &&
           (reader->photometric == PHOTOMETRIC_MINISBLACK ||
            reader->photometric == PHOTOMETRIC_MINISWHITE);
}

// From (height,width) words of red, green, blue and alpha to BGR bytes, in place.
static uint8_t *pack(uint32_t *raster, size_t count)
{
    uint8_t *out = (uint8_t *)raster;
    for (size_t i = 0; i < count; i++) {
        const uint32_t pixel = raster[i];
        out[3 * i] = (uint8_t)TIFFGetB(pixel);
        out[3 * i + 1] = (uint8_t)TIFFGetG(pixel);
        out[3 * i + 2] = (uint8_t)TIFFGetR(pixel);
    }
    uint8_t *smaller = realloc(raster, count * 3);
    return smaller ? smaller : out;
}

static int read_raster(TIFFRGBAImage *reader, sac_image *image_out, const struct source *source)
{
    const size_t count = (size_t)reader->width * reader->height;
    uint32_t *raster = malloc(count * sizeof *raster);
    if (!raster) return sac__fail(SAC_ENOMEM, "no memory for %zu pixels", count);
    reader->req_orientation = reader->orientation; // as stored; it is applied later
    replace_tables(reader);
    if (is_gray(reader)) reader->put.contig = put_gray;
    if (!TIFFRGBAImageGet(reader, raster, reader->width, reader->height)) {
        free(raster);
        return sac__fail(SAC_EIMAGE, "damaged or truncated: %s", source->text);
    }
    sac__image_adopt(image_out, pack(raster, count), reader->width, reader->height);
    return 0;
}

static int decode(TIFF *tiff, sac_image *image_out, int *orientation_out,
                  const struct source *source, uint64_t max_pixels)
{
    uint32_t width = 0, height = 0;
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
    int error = sac__image_check(width, height, max_pixels);
    if (error) return error;
    TIFFRGBAImage reader;
    char text[1024] = "";
    if (!TIFFRGBAImageBegin(&reader, tiff, 1, text)) return sac__fail(SAC_EIMAGE, "%s", text);
    error = read_raster(&reader, image_out, source);
    *orientation_out = reader.orientation;
    TIFFRGBAImageEnd(&reader);
    return error;
}

int sac__tiff_read(sac_image *image_out, int *orientation_out, const struct sac__picture *picture)
{
    struct source source = {.bytes = picture->bytes, .size = picture->size};
    TIFF *tiff = open_tiff(&source, picture->max_pixels);
    if (!tiff) return sac__fail(SAC_EIMAGE, "damaged or truncated: %s", source.text);
    const int error = decode(tiff, image_out, orientation_out, &source, picture->max_pixels);
    TIFFClose(tiff);
    return error;
}
