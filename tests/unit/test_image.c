// SPDX-License-Identifier: Apache-2.0
// Pictures without other programs: wrapped pixels, ownership, files, refusals. What opened pictures
// hold is compared with Pillow's and OpenCV's in tests/golden.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "saccade/image.h"

// 2 x 2 pixels as they stand in the file: the bottom row, red and white, then blue and green.
// clang-format off
static const uint8_t bmp[] = {
    'B', 'M', 70, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0,     // size of the file, start of the pixels
    40, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 24, 0,   // header, width, height, planes, bits
    0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 255, 255, 255, 255, 0, 0,
    255, 0, 0, 0, 255, 0, 0, 0,
};
// clang-format on

static void assert_zero(const sac_image *image)
{
    static const sac_image none;
    assert_memory_equal(image, &none, sizeof none);
}

static void assert_message(const char *words)
{
    if (!strstr(sac_error_message(), words))
        fail_msg("'%s' is not in '%s'", words, sac_error_message());
}

static void pixels_are_wrapped(void **state)
{
    (void)state;
    static const uint8_t pixels[4 * 3 * 4];
    sac_image image;
    assert_int_equal(sac_image_wrap(&image, pixels, 4, 3, 0, SAC_BGRA8), 0);
    assert_ptr_equal(image.data, pixels);
    assert_int_equal(image.stride, 16);
    assert_int_equal(image.width, 4);
    assert_int_equal(image.height, 3);
    assert_int_equal(image.memory, SAC_HOST);
    assert_null(image.release);
    sac_image_release(&image);
    assert_zero(&image);
    assert_int_equal(sac_image_wrap(&image, pixels + 32, 4, 3, -16, SAC_RGBA8), 0);
    assert_int_equal(image.stride, -16);
    assert_int_equal(sac_image_wrap(&image, pixels, 3, 3, 16, SAC_RGB8), 0);
    assert_int_equal(image.stride, 16);
}

static void what_cannot_be_wrapped_is_refused(void **state)
{
    (void)state;
    static const uint8_t pixels[48];
    sac_image image;
    assert_int_equal(sac_image_wrap(NULL, pixels, 4, 3, 0, SAC_BGR8), SAC_EINVAL);
    assert_int_equal(sac_image_wrap(&image, NULL, 4, 3, 0, SAC_BGR8), SAC_EINVAL);
    assert_int_equal(sac_image_wrap(&image, pixels, 0, 3, 0, SAC_BGR8), SAC_EINVAL);
    assert_int_equal(sac_image_wrap(&image, pixels, 4, -1, 0, SAC_BGR8), SAC_EINVAL);
    assert_int_equal(sac_image_wrap(&image, pixels, 4, 3, 0, SAC_NV12), SAC_EINVAL);
    assert_int_equal(sac_image_wrap(&image, pixels, 4, 3, 0, (sac_pixel_format)77), SAC_EINVAL);
    assert_int_equal(sac_image_wrap(&image, pixels, 4, 3, 11, SAC_BGR8), SAC_EINVAL);
    assert_int_equal(sac_image_wrap(&image, pixels, 4, 3, -11, SAC_BGR8), SAC_EINVAL);
    assert_message("11");
    assert_zero(&image);
}

static int released;

static void count_release(void *user)
{
    released += *(int *)user;
}

static void release_is_called_once(void **state)
{
    (void)state;
    int weight = 7;
    sac_image image = {.release = count_release, .user = &weight};
    sac_image_release(&image);
    sac_image_release(&image);
    sac_image_release(NULL);
    assert_int_equal(released, 7);
    assert_zero(&image);
}

static void bytes_of_a_pixel(void **state)
{
    (void)state;
    static const int expected[] = {3, 3, 4, 4, 1, 1, 0};
    for (int i = 0; i < 7; i++)
        assert_int_equal(sac_pixel_bytes((sac_pixel_format)i), expected[i]);
    assert_int_equal(sac_pixel_bytes((sac_pixel_format)-1), 0);
}

static void a_picture_is_read(void **state)
{
    (void)state;
    static const uint8_t expected[] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255};
    sac_image image;
    assert_int_equal(sac_image_read(&image, bmp, sizeof bmp, NULL), 0);
    assert_int_equal(image.width, 2);
    assert_int_equal(image.height, 2);
    assert_int_equal(image.format, SAC_BGR8);
    assert_memory_equal(image.data, expected, sizeof expected);
    sac_image_release(&image);
    assert_zero(&image);
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    sac_image image;
    assert_int_equal(sac_image_read(NULL, bmp, sizeof bmp, NULL), SAC_EINVAL);
    assert_int_equal(sac_image_read(&image, NULL, 5, NULL), SAC_EINVAL);
    assert_zero(&image);
    assert_int_equal(sac_image_read(&image, NULL, 0, NULL), SAC_EIMAGE);
    assert_int_equal(sac_image_open(NULL, "x", NULL), SAC_EINVAL);
    assert_int_equal(sac_image_open(&image, NULL, NULL), SAC_EINVAL);
    assert_zero(&image);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    sac_image image;
    for (size_t size = 0; size < sizeof bmp - 2; size++) { // the last 2 bytes are padding
        uint8_t *copy = malloc(size ? size : 1);           // so that reading on is noticed
        memcpy(copy, bmp, size);
        assert_int_equal(sac_image_read(&image, copy, size, NULL), SAC_EIMAGE);
        assert_zero(&image);
        assert_true(sac_error_message()[0] != '\0');
        free(copy);
    }
}

static void the_limit_is_a_number_of_pixels(void **state)
{
    (void)state;
    sac_image image;
    sac_image_options options = {.max_pixels = 4};
    assert_int_equal(sac_image_read(&image, bmp, sizeof bmp, &options), 0);
    sac_image_release(&image);
    options.max_pixels = 3;
    assert_int_equal(sac_image_read(&image, bmp, sizeof bmp, &options), SAC_ELIMIT);
    assert_message("2 x 2 pixels are above the limit of 3 pixels; max_pixels raises it");
    assert_zero(&image);
}

static void lying_headers_take_no_memory(void **state)
{
    (void)state;
    sac_image image;
    uint8_t lying[sizeof bmp];
    memcpy(lying, bmp, sizeof bmp);
    memcpy(lying + 18, (uint8_t[]){0x60, 0xea, 0, 0, 0x60, 0xea, 0, 0}, 8);
    assert_int_equal(sac_image_read(&image, lying, sizeof lying, NULL), SAC_ELIMIT);
    assert_message("60000 x 60000");
    const sac_image_options options = {.max_pixels = UINT64_MAX};
    assert_int_equal(sac_image_read(&image, lying, sizeof lying, &options), SAC_EIMAGE);
    assert_message("truncated");
    memset(lying + 18, 0xff, 8); // -1 x -1 pixels
    assert_int_not_equal(sac_image_read(&image, lying, sizeof lying, &options), 0);
    assert_zero(&image);
}

struct folder {
    char path[64];
};

static const char *in(const struct folder *folder, const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder->path, name);
    return path;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static int make_folder(void **state)
{
    static struct folder folder;
    strcpy(folder.path, "/tmp/saccade-image-XXXXXX");
    *state = &folder;
    return mkdtemp(folder.path) ? 0 : -1;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"good.bmp", "empty.bmp", "pipe.bmp", "cut.bmp", "text.bmp"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(in(*state, names[i]));
    return rmdir(((struct folder *)*state)->path);
}

static void assert_refused(const char *path, int error, const char *words)
{
    sac_image image;
    memset(&image, 1, sizeof image);
    assert_int_equal(sac_image_open(&image, path, NULL), error);
    assert_zero(&image);
    assert_message(path);
    assert_message(words);
}

static void files_are_opened_or_named(void **state)
{
    const struct folder *folder = *state;
    write_file(in(folder, "good.bmp"), bmp, sizeof bmp);
    sac_image image;
    assert_int_equal(sac_image_open(&image, in(folder, "good.bmp"), NULL), 0);
    assert_int_equal(image.width, 2);
    sac_image_release(&image);
    write_file(in(folder, "empty.bmp"), bmp, 0);
    write_file(in(folder, "cut.bmp"), bmp, 50);
    write_file(in(folder, "text.bmp"), "no picture at all", 17);
    assert_int_equal(mkfifo(in(folder, "pipe.bmp"), 0600), 0);
    assert_refused(in(folder, "none.bmp"), SAC_EIO, "cannot be opened");
    assert_refused(in(folder, "empty.bmp"), SAC_EIMAGE, "empty");
    assert_refused(in(folder, "cut.bmp"), SAC_EIMAGE, "BMP: truncated");
    assert_refused(in(folder, "text.bmp"), SAC_EIMAGE, "not a JPEG, PNG");
    assert_refused(in(folder, "pipe.bmp"), SAC_EIO, "is not a regular file");
    assert_refused(folder->path, SAC_EIO, "is a directory");
    if (geteuid() != 0) { // root may read everything
        assert_int_equal(chmod(in(folder, "good.bmp"), 0), 0);
        assert_refused(in(folder, "good.bmp"), SAC_EIO, "cannot be opened");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_are_wrapped),
        cmocka_unit_test(what_cannot_be_wrapped_is_refused),
        cmocka_unit_test(release_is_called_once),
        cmocka_unit_test(bytes_of_a_pixel),
        cmocka_unit_test(a_picture_is_read),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(the_limit_is_a_number_of_pixels),
        cmocka_unit_test(lying_headers_take_no_memory),
        cmocka_unit_test_setup_teardown(files_are_opened_or_named, make_folder, remove_folder),
    };
    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
