// SPDX-License-Identifier: Apache-2.0
// GIF through giflib: the first frame on its canvas. What the frame leaves open or makes
// transparent has the background colour, black without one.
#include "image/picture.h"

#include <gif_lib.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

struct bytes {
    const uint8_t *next;
    size_t left;
};

static int read_bytes(GifFileType *gif, GifByteType *out, int wanted)
{
    struct bytes *bytes = gif->UserData;
    const size_t count = (size_t)wanted < bytes->left ? (size_t)wanted : bytes->left;
    memcpy(out, bytes->next, count);
    bytes->next += count;
    bytes->left -= count;
    return (int)count;
}

static int fail(int code)
{
    if (code == D_GIF_ERR_NOT_ENOUGH_MEM) return sac__fail(SAC_ENOMEM, "no memory to decode it");
    const char *text = GifErrorString(code);
    if (code == D_GIF_ERR_READ_FAILED || code == D_GIF_ERR_EOF_TOO_SOON ||
        code == D_GIF_ERR_NO_SCRN_DSCR)
        return sac__fail(SAC_EIMAGE, "truncated");
    return sac__fail(SAC_EIMAGE, "damaged: %s", text ? text : "no reason given");
}

static int read_extension(GifFileType *gif, int *transparent_out)
{
    int code;
    GifByteType *block;
    if (DGifGetExtension(gif, &code, &block) == GIF_ERROR) return fail(gif->Error);
    GraphicsControlBlock control;
    if (code == GRAPHICS_EXT_FUNC_CODE && block &&
        DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK)
        *transparent_out = control.TransparentColor;
    while (block)
        if (DGifGetExtensionNext(gif, &block) == GIF_ERROR) return fail(gif->Error);
    return 0;
}

// Goes to the first frame's pixels. transparent_out: a palette index, or -1.
static int find_frame(GifFileType *gif, int *transparent_out)
{
    GifRecordType type;
    *transparent_out = NO_TRANSPARENT_COLOR;
    for (;;) {
        if (DGifGetRecordType(gif, &type) == GIF_ERROR) return fail(gif->Error);
        if (type == TERMINATE_RECORD_TYPE) return sac__fail(SAC_EIMAGE, "holds no frame");
        if (type == IMAGE_DESC_RECORD_TYPE) break;
        const int error = type == EXTENSION_RECORD_TYPE ? read_extension(gif, transparent_out) : 0;
        if (error) return error;
    }
    return DGifGetImageDesc(gif) == GIF_ERROR ? fail(gif->Error) : 0;
}

static void put_colour(uint8_t *bgr, const ColorMapObject *map, int index)
{
    const GifColorType black = {0, 0, 0};
    const GifColorType colour = map && index < map->ColorCount ? map->Colors[index] : black;
    bgr[0] = colour.Blue;
    bgr[1] = colour.Green;
    bgr[2] = colour.Red;
}

static void put_line(uint8_t *out, const GifFileType *gif, const GifPixelType *line,
                     int transparent)
{
    const ColorMapObject *map = gif->Image.ColorMap ? gif->Image.ColorMap : gif->SColorMap;
    for (int x = 0; x < gif->Image.Width; x++)
        if (line[x] != transparent) put_colour(out + 3 * x, map, line[x]);
}

static int read_lines(GifFileType *gif, sac_image *image, GifPixelType *line, int transparent)
{
    static const int first[] = {0, 4, 2, 1}, step[] = {8, 8, 4, 2};
    const int passes = gif->Image.Interlace ? 4 : 1;
    for (int pass = 0; pass < passes; pass++)
        for (int y = passes == 1 ? 0 : first[pass]; y < gif->Image.Height;
             y += passes == 1 ? 1 : step[pass]) {
            if (DGifGetLine(gif, line, gif->Image.Width) == GIF_ERROR) return fail(gif->Error);
            uint8_t *out = sac__image_pixels(image) + (gif->Image.Top + y) * image->stride +
                           (ptrdiff_t)gif->Image.Left * 3;
            put_line(out, gif, line, transparent);
        }
    return 0;
}

static void fill_background(const GifFileType *gif, sac_image *image)
{
    const size_t count = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < count; i++)
        put_colour(sac__image_pixels(image) + 3 * i, gif->SColorMap, gif->SBackGroundColor);
}

static uint64_t larger(int canvas, int frame_end)
{
    return (uint64_t)(canvas > frame_end ? canvas : frame_end);
}

static int decode(GifFileType *gif, sac_image *image_out, const struct sac__picture *picture)
{
    int transparent;
    int error = find_frame(gif, &transparent);
    if (error) return error;
    const GifImageDesc *frame = &gif->Image;
    if (frame->Width < 1 || frame->Height < 1)
        return sac__fail(SAC_EIMAGE, "a frame of %d x %d pixels", frame->Width, frame->Height);
    if (!frame->ColorMap && !gif->SColorMap) return sac__fail(SAC_EIMAGE, "has no colours");
    // A frame that reaches beyond the canvas enlarges it, as in other programs.
    error = sac__image_new(image_out, larger(gif->SWidth, frame->Left + frame->Width),
                           larger(gif->SHeight, frame->Top + frame->Height), picture->max_pixels);
    if (error) return error;
    fill_background(gif, image_out);
    GifPixelType *line = malloc((size_t)frame->Width);
    if (!line) return sac__fail(SAC_ENOMEM, "no memory for a line");
    error = read_lines(gif, image_out, line, transparent);
    free(line);
    return error;
}

int sac__gif_read(sac_image *image_out, int *orientation_out, const struct sac__picture *picture)
{
    (void)orientation_out; // the format states none
    struct bytes bytes = {picture->bytes, picture->size};
    int code = 0;
    GifFileType *gif = DGifOpen(&bytes, read_bytes, &code);
    if (!gif) return fail(code);
    const int error = decode(gif, image_out, picture);
    DGifCloseFile(gif, &code);
    return error;
}
