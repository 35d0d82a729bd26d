// SPDX-License-Identifier: Apache-2.0
#include "image/picture.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

// Formats are told apart by their first bytes; '.' stands for any byte.
#define MAGIC_BYTES 12
static const struct format {
    const char *name;
    const char *magic;
    size_t length;
    sac__reader *read;
} formats[] = {
    {"JPEG", "\xff\xd8\xff", 3, sac__jpeg_read},
    {"PNG", "\x89PNG\r\n\x1a\n", 8, sac__png_read},
    {"WebP", "RIFF....WEBP", MAGIC_BYTES, sac__webp_read},
    {"BMP", "BM", 2, sac__bmp_read},
    {"GIF", "GIF8", 4, sac__gif_read},
    {"TIFF", "II*\0", 4, sac__tiff_read},
    {"TIFF", "MM\0*", 4, sac__tiff_read},
    {"TIFF", "II+\0", 4, sac__tiff_read}, // 64-bit offsets
    {"TIFF", "MM\0+", 4, sac__tiff_read},
};

static int starts_with(const uint8_t *bytes, const char *magic, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (magic[i] != '.' && bytes[i] != (uint8_t)magic[i]) return 0;
    return 1;
}

static int find_format(const struct format **format_out, const uint8_t *bytes, size_t size)
{
    if (size == 0) return sac__fail(SAC_EIMAGE, "empty");
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        *format_out = &formats[i];
        if (size >= formats[i].length && starts_with(bytes, formats[i].magic, formats[i].length))
            return 0;
    }
    return sac__fail(SAC_EIMAGE, "not a JPEG, PNG, WebP, BMP, TIFF or GIF picture");
}

int sac__image_check(uint64_t width, uint64_t height, uint64_t max_pixels)
{
    if (width == 0 || height == 0)
        return sac__fail(SAC_EIMAGE, "a picture of %" PRIu64 " x %" PRIu64 " pixels", width,
                         height);
    const uint64_t addressable = PTRDIFF_MAX / 4;
    const uint64_t limit = max_pixels < addressable ? max_pixels : addressable;
    if (width > INT32_MAX || height > INT32_MAX || width > limit / height)
        return sac__fail(SAC_ELIMIT,
                         "%" PRIu64 " x %" PRIu64 " pixels are above the limit of %" PRIu64
                         " pixels; max_pixels raises it",
                         width, height, max_pixels);
    return 0;
}

int sac__image_new(sac_image *image_out, uint64_t width, uint64_t height, uint64_t max_pixels)
{
    const int error = sac__image_check(width, height, max_pixels);
    if (error) return error;
    const size_t bytes = (size_t)(width * height * 3);
    uint8_t *pixels = malloc(bytes);
    if (!pixels) return sac__fail(SAC_ENOMEM, "no memory for %zu bytes of pixels", bytes);
    sac__image_adopt(image_out, pixels, (uint32_t)width, (uint32_t)height);
    return 0;
}

void sac__image_adopt(sac_image *image_out, uint8_t *pixels, uint32_t width, uint32_t height)
{
    *image_out = (sac_image){
        .data = pixels,
        .stride = (ptrdiff_t)width * 3,
        .width = (int32_t)width,
        .height = (int32_t)height,
        .format = SAC_BGR8,
        .release = free,
        .user = pixels,
    };
}

uint8_t *sac__image_pixels(sac_image *image)
{
    return image->user;
}

void sac__swap_red_blue(uint8_t *pixels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t first = pixels[3 * i];
        pixels[3 * i] = pixels[3 * i + 2];
        pixels[3 * i + 2] = first;
    }
}

uint8_t sac__ink_to_light(unsigned ink, unsigned black)
{
    const unsigned light = 255 - black, product = ink * light + 128;
    return (uint8_t)(light - ((product + (product >> 8)) >> 8)); // product / 255, rounded
}

static int read_picture(sac_image *image_out, const struct format *format,
                        const struct sac__picture *picture, int raw_orientation)
{
    int orientation = 1;
    int error = format->read(image_out, &orientation, picture);
    if (!error && orientation < 0) error = orientation;
    if (!error && !raw_orientation && orientation >= 2 && orientation <= 8)
        error = sac__image_orient(image_out, orientation);
    if (!error) return 0;
    sac_image_release(image_out);
    return sac__fail_in(error, format->name);
}

int sac_image_read(sac_image *image_out, const void *bytes, size_t size,
                   const sac_image_options *options)
{
    if (!image_out) return sac__fail(SAC_EINVAL, "image_out is NULL");
    memset(image_out, 0, sizeof *image_out);
    if (!bytes && size) return sac__fail(SAC_EINVAL, "bytes is NULL");
    const sac_image_options chosen = options ? *options : (sac_image_options){0};
    const struct sac__picture picture = {
        .bytes = bytes,
        .size = size,
        .max_pixels = chosen.max_pixels ? chosen.max_pixels : SAC_IMAGE_MAX_PIXELS,
    };
    const struct format *format = NULL;
    const int error = find_format(&format, bytes, size);
    return error ? error : read_picture(image_out, format, &picture, chosen.raw_orientation);
}

// Reads until size bytes or the file's end, which may come early when another process cuts it.
static int read_bytes(int file, uint8_t *bytes, size_t size, size_t *got_out)
{
    size_t got = 0;
    while (got < size) {
        const ssize_t count = read(file, bytes + got, size - got);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return sac__fail(SAC_EIO, "cannot be read: %s", strerror(errno));
        if (count == 0) break;
        got += (size_t)count;
    }
    *got_out = got;
    return 0;
}

// Twice what four plain 16-bit samples a pixel take. A lower limit on pixels does not lower it:
// much else may be in the file.
static uint64_t max_file_bytes(const sac_image_options *options)
{
    const uint64_t asked = options ? options->max_pixels : 0;
    const uint64_t pixels = asked > SAC_IMAGE_MAX_PIXELS ? asked : SAC_IMAGE_MAX_PIXELS;
    return pixels > UINT64_MAX / 16 ? UINT64_MAX : pixels * 16;
}

// Looks at the first bytes before it takes memory for all: what is no picture costs nothing.
static int read_file(int file, uint64_t max_bytes, uint8_t **bytes_out, size_t *size_out)
{
    struct stat status;
    if (fstat(file, &status)) return sac__fail(SAC_EIO, "cannot be read: %s", strerror(errno));
    if (S_ISDIR(status.st_mode)) return sac__fail(SAC_EIO, "is a directory");
    if (!S_ISREG(status.st_mode)) return sac__fail(SAC_EIO, "is not a regular file");
    uint8_t start[MAGIC_BYTES];
    const struct format *format = NULL;
    size_t got = 0;
    int error = read_bytes(file, start, sizeof start, &got);
    if (!error) error = find_format(&format, start, got);
    if (error) return error;
    const uint64_t stated = (uint64_t)status.st_size;
    if (stated > max_bytes)
        return sac__fail(SAC_ELIMIT,
                         "%" PRIu64 " bytes are above the limit of %" PRIu64
                         "; max_pixels raises it",
                         stated, max_bytes);
    const size_t size = stated < got ? got : (size_t)stated;
    uint8_t *bytes = malloc(size);
    if (!bytes) return sac__fail(SAC_ENOMEM, "no memory for %zu bytes of file", size);
    memcpy(bytes, start, got);
    error = read_bytes(file, bytes + got, size - got, size_out);
    *size_out += got;
    *bytes_out = bytes;
    return error;
}

int sac_image_open(sac_image *image_out, const char *path, const sac_image_options *options)
{
    if (!image_out) return sac__fail(SAC_EINVAL, "image_out is NULL");
    memset(image_out, 0, sizeof *image_out);
    if (!path) return sac__fail(SAC_EINVAL, "path is NULL");
    // O_NONBLOCK: a FIFO without a writer would make open wait for ever.
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0) return sac__fail(SAC_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    uint8_t *bytes = NULL;
    size_t size = 0;
    int error = read_file(file, max_file_bytes(options), &bytes, &size);
    close(file);
    if (!error) error = sac_image_read(image_out, bytes, size, options);
    free(bytes);
    return error ? sac__fail_in(error, path) : 0;
}

static int place(sac_image *image, sac_memory memory, int device)
{
    if ((unsigned)memory > SAC_CUDA || device < 0 || (device && memory != SAC_CUDA)) {
        *image = (sac_image){0};
        return sac__fail(SAC_EINVAL, "memory of kind %d on device %d", (int)memory, device);
    }
    image->memory = memory;
    image->device = device;
    return 0;
}

int sac_image_wrap_memory(sac_image *image_out, const void *data, int width, int height,
                          ptrdiff_t stride, sac_pixel_format format, sac_memory memory, int device)
{
    int error = sac_image_wrap(image_out, data, width, height, stride, format);
    return error ? error : place(image_out, memory, device);
}

int sac_image_wrap_nv12(sac_image *image_out, const void *luma, ptrdiff_t luma_stride,
                        const void *chroma, ptrdiff_t chroma_stride, int width, int height,
                        sac_memory memory, int device)
{
    int error = sac_image_wrap(image_out, luma, width, height, luma_stride, SAC_GRAY8);
    if (error) return error;
    sac_image image = *image_out;
    *image_out = (sac_image){0};
    const ptrdiff_t row = ((ptrdiff_t)width + 1) / 2 * 2;
    if (chroma_stride == 0) chroma_stride = row;
    if (!chroma) return sac__fail(SAC_EINVAL, "chroma is NULL");
    if (chroma_stride < row && chroma_stride > -row)
        return sac__fail(SAC_EINVAL, "a chroma stride of %td bytes is less than a row's %td",
                         chroma_stride, row);
    image.format = SAC_NV12;
    image.chroma = chroma;
    image.chroma_stride = chroma_stride;
    error = place(&image, memory, device);
    if (!error) *image_out = image;
    return error;
}

int sac_image_wrap(sac_image *image_out, const void *data, int width, int height, ptrdiff_t stride,
                   sac_pixel_format format)
{
    if (!image_out) return sac__fail(SAC_EINVAL, "image_out is NULL");
    memset(image_out, 0, sizeof *image_out);
    if (!data) return sac__fail(SAC_EINVAL, "data is NULL");
    if (width < 1 || height < 1)
        return sac__fail(SAC_EINVAL, "a picture of %d x %d pixels", width, height);
    const int bytes = sac_pixel_bytes(format);
    if (bytes == 0 || format == SAC_NV12)
        return sac__fail(SAC_EINVAL, "pixel format %d cannot be wrapped", (int)format);
    const ptrdiff_t row = (ptrdiff_t)width * bytes;
    if (stride == 0) stride = row;
    if (stride < row && stride > -row)
        return sac__fail(SAC_EINVAL, "a stride of %td bytes is less than a row's %td", stride, row);
    *image_out = (sac_image){
        .data = data, .stride = stride, .width = width, .height = height, .format = format};
    return 0;
}

void sac_image_release(sac_image *image)
{
    if (!image) return;
    if (image->release) image->release(image->user);
    memset(image, 0, sizeof *image);
}

int sac_pixel_bytes(sac_pixel_format format)
{
    static const int bytes[] = {
        [SAC_BGR8] = 3,  [SAC_RGB8] = 3,  [SAC_BGRA8] = 4,
        [SAC_RGBA8] = 4, [SAC_GRAY8] = 1, [SAC_NV12] = 1,
    };
    const unsigned index = (unsigned)format;
    return index < sizeof bytes / sizeof *bytes ? bytes[index] : 0;
}
