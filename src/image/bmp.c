// SPDX-License-Identifier: Apache-2.0
// BMP: 1 to 32 bits, run lengths, bit fields, both row orders. Read here because the one small
// library for it, stb_image, takes missing bytes for black and knows no run lengths. The layout is
// that of BITMAPFILEHEADER and BITMAPV5HEADER in Microsoft's documentation, and of OS/2.
#include "image/picture.h"

#include <string.h>

#include "error.h"

enum compression { PLAIN = 0, RLE8 = 1, RLE4 = 2, BIT_FIELDS = 3, ALPHA_BIT_FIELDS = 6 };

// From a 16- or 32-bit pixel to one channel: its at most 8 upper bits, then their 8-bit value.
struct channel {
    uint32_t mask;
    int shift;
    uint8_t value[256];
};

struct bmp {
    const uint8_t *bytes;
    size_t size;
    uint32_t header;           // bytes of the second header
    uint32_t start;            // offset of the pixels
    uint32_t width, height;    // pixels
    int top_down;              // first row first
    unsigned bits;             // a pixel
    uint32_t compression;      // enum compression
    uint8_t palette[256][3];   // black beyond the stored entries
    struct channel channel[3]; // blue, green, red
};

static uint32_t get16(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8;
}

static uint32_t get32(const uint8_t *bytes)
{
    return get16(bytes) | get16(bytes + 2) << 16;
}

static int truncated(void)
{
    return sac__fail(SAC_EIMAGE, "truncated");
}

static int known_kind(unsigned bits, uint32_t compression)
{
    switch (compression) {
    case PLAIN:
        return bits == 1 || bits == 2 || bits == 4 || bits == 8 || bits == 16 || bits == 24 ||
               bits == 32;
    case RLE8:
        return bits == 8;
    case RLE4:
        return bits == 4;
    case BIT_FIELDS:
    case ALPHA_BIT_FIELDS:
        return bits == 16 || bits == 32;
    default:
        return 0;
    }
}

static int parse_header(struct bmp *bmp)
{
    const uint8_t *bytes = bmp->bytes;
    if (bmp->size < 26) return truncated();
    bmp->start = get32(bytes + 10);
    bmp->header = get32(bytes + 14);
    const int old = bmp->header == 12; // OS/2 1.x
    if (!old && (bmp->header < 40 || bmp->header > 124))
        return sac__fail(SAC_EIMAGE, "a header of %u bytes is not known", (unsigned)bmp->header);
    if (bmp->size < 14 + (size_t)bmp->header) return truncated();
    bmp->width = old ? get16(bytes + 18) : get32(bytes + 18);
    bmp->height = old ? get16(bytes + 20) : get32(bytes + 22);
    bmp->bits = old ? get16(bytes + 24) : get16(bytes + 28);
    bmp->compression = old ? PLAIN : get32(bytes + 30);
    bmp->top_down = !old && bmp->height > INT32_MAX; // a negative number
    if (bmp->top_down) bmp->height = 0u - bmp->height;
    if (!known_kind(bmp->bits, bmp->compression))
        return sac__fail(SAC_EIMAGE, "%u bits a pixel with compression %u are not supported",
                         bmp->bits, (unsigned)bmp->compression);
    return 0;
}

static void fill_channel(struct channel *channel, uint32_t mask)
{
    channel->mask = mask;
    channel->shift = 0;
    if (mask == 0) return; // black
    while (!(mask >> channel->shift & 1))
        channel->shift++;
    mask >>= channel->shift;
    for (; mask > 255; mask >>= 1)
        channel->shift++;
    for (uint32_t i = 0; i <= mask; i++)
        channel->value[i] = (uint8_t)((i * 255 + mask / 2) / mask);
}

static int parse_masks(struct bmp *bmp)
{
    static const uint32_t five[3] = {0x1f, 0x3e0, 0x7c00}, eight[3] = {0xff, 0xff00, 0xff0000};
    if (bmp->bits != 16 && bmp->bits != 32) return 0;
    const int stated = bmp->compression != PLAIN;
    if (stated && bmp->size < 66) return truncated();
    for (int c = 0; c < 3; c++) {
        const uint32_t usual = bmp->bits == 16 ? five[c] : eight[c];
        fill_channel(&bmp->channel[c], stated ? get32(bmp->bytes + 62 - 4 * c) : usual);
    }
    return 0;
}

static void parse_palette(struct bmp *bmp)
{
    if (bmp->bits > 8) return;
    const size_t entry = bmp->header == 12 ? 3 : 4, start = 14 + (size_t)bmp->header;
    size_t count = bmp->header == 12 ? 0 : get32(bmp->bytes + 46);
    if (count == 0 || count > (1u << bmp->bits)) count = 1u << bmp->bits;
    // A palette may be cut short by the pixels: some writers leave out what they do not use.
    const size_t end = bmp->start < bmp->size ? bmp->start : bmp->size;
    for (size_t i = 0; i < count && start + (i + 1) * entry <= end; i++)
        memcpy(bmp->palette[i], bmp->bytes + start + i * entry, 3);
}

static void copy_indices(uint8_t *out, const uint8_t *row, const struct bmp *bmp)
{
    const unsigned bits = bmp->bits, mask = (1u << bits) - 1;
    for (uint32_t x = 0; x < bmp->width; x++, out += 3) {
        const uint64_t at = (uint64_t)x * bits;
        memcpy(out, bmp->palette[row[at / 8] >> (8 - bits - at % 8) & mask], 3);
    }
}

static void copy_fields(uint8_t *out, const uint8_t *row, const struct bmp *bmp)
{
    const unsigned bytes = bmp->bits / 8;
    for (uint32_t x = 0; x < bmp->width; x++, out += 3, row += bytes) {
        const uint32_t pixel = bytes == 2 ? get16(row) : get32(row);
        for (int c = 0; c < 3; c++) {
            const struct channel *channel = &bmp->channel[c];
            out[c] = channel->value[(pixel & channel->mask) >> channel->shift & 255];
        }
    }
}

static void copy_row(uint8_t *out, const uint8_t *row, const struct bmp *bmp)
{
    if (bmp->bits == 24)
        memcpy(out, row, (size_t)bmp->width * 3);
    else if (bmp->bits <= 8)
        copy_indices(out, row, bmp);
    else
        copy_fields(out, row, bmp);
}

static uint8_t *row_out(sac_image *image, const struct bmp *bmp, uint32_t y)
{
    const uint32_t from_top = bmp->top_down ? y : bmp->height - 1 - y;
    return sac__image_pixels(image) + (ptrdiff_t)from_top * image->stride;
}

static int read_plain(sac_image *image_out, const struct bmp *bmp, uint64_t max_pixels)
{
    const uint64_t row_bits = (uint64_t)bmp->width * bmp->bits, stride = (row_bits + 31) / 32 * 4;
    // The last row may lack its padding.
    if (bmp->start + stride * (bmp->height - 1) + (row_bits + 7) / 8 > bmp->size)
        return truncated();
    const int error = sac__image_new(image_out, bmp->width, bmp->height, max_pixels);
    if (error) return error;
    for (uint32_t y = 0; y < bmp->height; y++)
        copy_row(row_out(image_out, bmp, y), bmp->bytes + bmp->start + y * stride, bmp);
    return 0;
}

// Where the next pixel of run-length data goes; x may run past the row's end, y past the last row.
struct cursor {
    sac_image *image;
    const struct bmp *bmp;
    uint64_t x;
    uint32_t y;
};

static void put_index(struct cursor *cursor, unsigned index)
{
    if (cursor->x < cursor->bmp->width)
        memcpy(row_out(cursor->image, cursor->bmp, cursor->y) + cursor->x * 3,
               cursor->bmp->palette[index], 3);
    cursor->x++;
}

// count pixels of the indices in bytes; a repeated run has one byte for all.
static void put_run(struct cursor *cursor, const uint8_t *bytes, unsigned count, int repeated)
{
    for (unsigned i = 0; i < count; i++) {
        if (cursor->bmp->compression == RLE8)
            put_index(cursor, bytes[repeated ? 0 : i]);
        else
            put_index(cursor, bytes[repeated ? 0 : i / 2] >> (i % 2 ? 0 : 4) & 15);
    }
}

// One code after a zero byte. Returns the bytes that it takes beyond its two, or -1 at the end.
static int64_t read_escape(struct cursor *cursor, const uint8_t *bytes, size_t left)
{
    const unsigned code = bytes[1];
    if (code == 1) return -1;
    if (code == 0) {
        cursor->x = 0;
        cursor->y++;
        return 0;
    }
    const int delta = code == 2;
    const size_t run = cursor->bmp->compression == RLE8 ? code : (code + 1) / 2;
    const size_t taken = delta ? 2 : (run + 1) / 2 * 2;
    if (left < 2 + (delta ? 2 : run)) return (int64_t)left; // cut
    if (delta) {
        cursor->x += bytes[2];
        cursor->y += bytes[3];
    } else {
        put_run(cursor, bytes + 2, code, 0);
    }
    return (int64_t)taken;
}

static int read_runs(struct cursor *cursor)
{
    const struct bmp *bmp = cursor->bmp;
    size_t at = bmp->start;
    while (cursor->y < bmp->height) {
        if (at >= bmp->size || bmp->size - at < 2) {
            const int all = cursor->y == bmp->height - 1 && cursor->x >= bmp->width;
            return all ? 0 : truncated();
        }
        const uint8_t *bytes = bmp->bytes + at;
        at += 2;
        if (bytes[0]) {
            put_run(cursor, bytes + 1, bytes[0], 1);
            continue;
        }
        const int64_t taken = read_escape(cursor, bytes, bmp->size - at + 2);
        if (taken < 0) return 0;
        at += (size_t)taken;
    }
    return 0;
}

static int read_compressed(sac_image *image_out, const struct bmp *bmp, uint64_t max_pixels)
{
    const int error = sac__image_new(image_out, bmp->width, bmp->height, max_pixels);
    if (error) return error;
    struct cursor cursor = {.image = image_out, .bmp = bmp};
    for (uint32_t y = 0; y < bmp->height; y++) // what the runs leave out has index 0
        for (uint32_t x = 0; x < bmp->width; x++)
            memcpy(row_out(image_out, bmp, y) + (size_t)x * 3, bmp->palette[0], 3);
    return read_runs(&cursor);
}

int sac__bmp_read(sac_image *image_out, int *orientation_out, const struct sac__picture *picture)
{
    (void)orientation_out; // the format states none
    struct bmp bmp = {.bytes = picture->bytes, .size = picture->size};
    int error = parse_header(&bmp);
    if (!error) error = sac__image_check(bmp.width, bmp.height, picture->max_pixels);
    if (!error) error = parse_masks(&bmp);
    if (error) return error;
    parse_palette(&bmp);
    const int runs = bmp.compression == RLE8 || bmp.compression == RLE4;
    return runs ? read_compressed(image_out, &bmp, picture->max_pixels)
                : read_plain(image_out, &bmp, picture->max_pixels);
}
