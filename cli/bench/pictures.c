// SPDX-License-Identifier: Apache-2.0
#include "bench/pictures.h"

#include <cairo.h>
#include <stdlib.h>
#include <string.h>

#include "exit.h"
#include "input/source.h"
#include "message.h"
#include "output/encode.h"

enum { GENERATED = 8, SHAPES = 60, QUALITY = 90, LARGEST = 16384 };

int bench_picture_open(const struct bench_pictures *pictures, size_t index, sac_image *image_out)
{
    const struct bench_picture *picture = &pictures->items[index % pictures->count];
    if (picture->path) return sac_image_open(image_out, picture->path, &pictures->options);
    return sac_image_read(image_out, picture->bytes, picture->size, &pictures->options);
}

void bench_pictures_free(struct bench_pictures *pictures)
{
    for (size_t i = 0; i < pictures->count; i++) {
        free(pictures->items[i].path);
        free(pictures->items[i].bytes);
    }
    pictures->count = 0;
}

// --- generated ones

// xorshift32 (Marsaglia, 2003): the same pictures on every machine.
static uint32_t random_next(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

static double random_unit(uint32_t *state)
{
    return random_next(state) / 4294967296.0;
}

static void draw_shape(cairo_t *cairo, double width, double height, uint32_t *state)
{
    const double x = random_unit(state) * width, y = random_unit(state) * height;
    const double size = (0.02 + 0.2 * random_unit(state)) * height;
    const double r = random_unit(state), g = random_unit(state), b = random_unit(state);
    cairo_set_source_rgba(cairo, r, g, b, 0.3 + 0.7 * random_unit(state));
    if (random_next(state) & 0x10000) {
        cairo_new_sub_path(cairo);
        cairo_arc(cairo, x, y, size / 2, 0, 6.2831853);
    } else {
        cairo_rectangle(cairo, x, y, size, size * (0.3 + random_unit(state)));
    }
    cairo_fill(cairo);
}

static void draw_scene(cairo_t *cairo, double width, double height, uint32_t *state)
{
    cairo_pattern_t *sky = cairo_pattern_create_linear(0, 0, width / 3, height);
    cairo_pattern_add_color_stop_rgb(sky, 0, random_unit(state), random_unit(state), 0.8);
    cairo_pattern_add_color_stop_rgb(sky, 1, 0.3, random_unit(state), random_unit(state));
    cairo_set_source(cairo, sky);
    cairo_paint(cairo);
    cairo_pattern_destroy(sky);
    for (int i = 0; i < SHAPES; i++) draw_shape(cairo, width, height, state);
}

static uint8_t noisy(uint32_t value, uint32_t noise)
{
    int sum = (int)(value & 255) + (int)(noise % 17) - 8;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

// Noise such as a camera's, or JPEG would have too easy a time. Rows of 4 bytes become rows of 3.
static void add_noise(uint8_t *bgr, cairo_surface_t *surface, uint32_t *state)
{
    const int width = cairo_image_surface_get_width(surface);
    const int height = cairo_image_surface_get_height(surface);
    const int pitch = cairo_image_surface_get_stride(surface);
    const unsigned char *rows = cairo_image_surface_get_data(surface);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, bgr += 3) {
            uint32_t pixel, noise = random_next(state);
            memcpy(&pixel, rows + (ptrdiff_t)y * pitch + (ptrdiff_t)x * 4, 4);
            bgr[0] = noisy(pixel, noise);
            bgr[1] = noisy(pixel >> 8, noise >> 8);
            bgr[2] = noisy(pixel >> 16, noise >> 16);
        }
}

static int generate(struct bench_picture *picture, uint32_t seed)
{
    const int width = picture->width, height = picture->height;
    uint32_t state = 0x9e3779b9u * (seed + 1);
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    cairo_t *cairo = cairo_create(surface);
    draw_scene(cairo, width, height, &state);
    cairo_surface_flush(surface);
    uint8_t *bgr = malloc((size_t)width * (size_t)height * 3);
    int error = bgr && !cairo_status(cairo) ? 0 : SAC_ENOMEM;
    if (!error) {
        add_noise(bgr, surface, &state);
        error = encode_bgr(&picture->bytes, &picture->size, ".jpg", bgr, width, height,
                           (ptrdiff_t)width * 3, QUALITY);
    }
    free(bgr);
    cairo_destroy(cairo);
    cairo_surface_destroy(surface);
    return error ? message_set("pictures cannot be generated: %s", sac_error_text(error)) : 0;
}

// Reads the next "WIDTHxHEIGHT" of a list with commas. Returns 0, or -1 after message_set.
static int read_size(const char **at, int *width, int *height)
{
    char *end;
    long w = strtol(*at, &end, 10), h = 0;
    if (end != *at && *end == 'x') h = strtol(end + 1, &end, 10);
    if (w < 1 || h < 1 || w > LARGEST || h > LARGEST || (*end && *end != ','))
        return message_set("--sizes: '%s' is no list such as 1920x1080,640x480 (sides up to %d)",
                           *at, LARGEST);
    *width = (int)w;
    *height = (int)h;
    *at = *end ? end + 1 : end;
    return 0;
}

// The sizes take turns.
static int generate_all(struct bench_pictures *pictures, const char *sizes)
{
    const char *at = sizes;
    pictures->generated = 1;
    while (pictures->count < GENERATED || *at) {
        struct bench_picture *picture = &pictures->items[pictures->count];
        if (pictures->count == BENCH_PICTURES) return message_set("--sizes: too many");
        if (!*at) at = sizes;
        if (read_size(&at, &picture->width, &picture->height)) return CLI_USAGE;
        if (generate(picture, (uint32_t)pictures->count)) return CLI_FAILED;
        pictures->count++;
    }
    return CLI_DONE;
}

// --- the user's

// Takes the input's path, if it opens.
static int take_input(struct bench_pictures *pictures, struct input *input)
{
    sac_image image;
    if (input->error || input_open(input, &pictures->options, &image)) {
        message_print("%s", input->error ? input->error : message_last());
        return 0;
    }
    pictures->items[pictures->count++] =
        (struct bench_picture){.path = input->source, .width = image.width, .height = image.height};
    input->source = NULL;
    sac_image_release(&image);
    return 0;
}

static int take_files(struct bench_pictures *pictures, struct sources *sources)
{
    struct input input;
    int got = 0;
    while (pictures->count < BENCH_PICTURES && (got = sources_next(sources, &input)) > 0) {
        take_input(pictures, &input);
        input_free(&input);
    }
    if (got < 0) return CLI_FAILED;
    if (pictures->count) return CLI_DONE;
    message_set("no picture to measure with");
    return CLI_INPUT;
}

struct sources_request bench_pictures_request(const struct options *options, size_t first)
{
    static const struct strings none = {0};
    return (struct sources_request){.operands = options->operands.items + first,
                                    .operand_count = options->operands.count - first,
                                    .lists = &none,
                                    .recursive = options->recursive};
}

int bench_pictures_take(struct bench_pictures *pictures, const struct options *options,
                        size_t first)
{
    pictures->options.max_pixels = options->max_pixels;
    if (first >= options->operands.count) return generate_all(pictures, options->sizes);
    const struct sources_request request = bench_pictures_request(options, first);
    struct sources *sources;
    if (sources_open(&sources, &request)) return CLI_FAILED;
    int code = take_files(pictures, sources);
    sources_close(&sources);
    return code;
}
