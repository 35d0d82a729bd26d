// SPDX-License-Identifier: Apache-2.0
// Pictures that the sinks write, read again by the library: PNG is exact, JPEG and WebP are near.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "output/encode.h"
#include "saccade/image.h"

enum { WIDTH = 67, HEIGHT = 41, STRIDE = WIDTH * 3 + 5 };

static uint8_t pixels[HEIGHT * STRIDE];

static int fill_pixels(void **state)
{
    (void)state;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH * 3; x++)
            pixels[y * STRIDE + x] = (uint8_t)(x % 3 * 60 + x / 3 + (x % 3 == 1 ? 2 * y : y));
    return 0;
}

// The largest difference between the rows and the same picture after a file.
static int difference_after(const char *name, const uint8_t *bgr, int width, int height,
                            ptrdiff_t stride, int quality)
{
    uint8_t *bytes;
    size_t size;
    sac_image image;
    assert_int_equal(encode_bgr(&bytes, &size, name, bgr, width, height, stride, quality), 0);
    assert_int_equal(sac_image_read(&image, bytes, size, NULL), 0);
    assert_int_equal(image.width, width);
    assert_int_equal(image.height, height);
    int most = 0;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width * 3; x++) {
            const int difference = abs(image.data[y * image.stride + x] - bgr[y * stride + x]);
            if (difference > most) most = difference;
        }
    sac_image_release(&image);
    free(bytes);
    return most;
}

static void what_is_written_reads_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int quality, most;
    } cases[] = {{"a.png", 90, 0},
                 {"b.c.PNG", 1, 0},
                 {"a.jpg", 95, 12},
                 {"a.JPEG", 95, 12},
                 {"dir.png/a.webp", 95, 24}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *name = cases[i].name;
        const int quality = cases[i].quality, most = cases[i].most;
        assert_in_range(difference_after(name, pixels, WIDTH, HEIGHT, STRIDE, quality), 0, most);
        const uint8_t *last = pixels + (HEIGHT - 1) * STRIDE;
        assert_in_range(difference_after(name, last, WIDTH, HEIGHT, -STRIDE, quality), 0, most);
        assert_in_range(difference_after(name, pixels, 1, HEIGHT, STRIDE, quality), 0, most);
        assert_in_range(difference_after(name, pixels, WIDTH, 1, STRIDE, quality), 0, most);
        assert_in_range(difference_after(name, pixels, 1, 1, STRIDE, quality), 0, most);
    }
}

static void quality_changes_the_size(void **state)
{
    (void)state;
    static const char *const names[] = {"a.jpg", "a.webp"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t low, high;
        uint8_t *bytes;
        assert_int_equal(encode_bgr(&bytes, &low, names[i], pixels, WIDTH, HEIGHT, STRIDE, 20), 0);
        free(bytes);
        assert_int_equal(encode_bgr(&bytes, &high, names[i], pixels, WIDTH, HEIGHT, STRIDE, 98), 0);
        free(bytes);
        assert_true(low < high);
    }
}

static void what_cannot_be_written_is_refused(void **state)
{
    (void)state;
    static const uint8_t column[70000 * 3];
    uint8_t *bytes = pixels;
    size_t size = 1;
    static const struct {
        const char *name;
        int width, height, error;
    } cases[] = {{"a.tif", 4, 4, SAC_EUNSUPPORTED},   {"jpg", 4, 4, SAC_EUNSUPPORTED},
                 {"a.jpg/x", 4, 4, SAC_EUNSUPPORTED}, {"a.jpg", 0, 4, SAC_EINVAL},
                 {"a.png", 4, -4, SAC_EINVAL},        {"a.jpg", 1, 65501, SAC_ELIMIT},
                 {"a.webp", 1, 16384, SAC_ELIMIT}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(encode_bgr(&bytes, &size, cases[i].name, column, cases[i].width,
                                    cases[i].height, 3, 90),
                         cases[i].error);
        assert_null(bytes);
        assert_int_equal(size, 0);
    }
    assert_int_equal(difference_after("a.jpg", column, 1, 65500, 3, 90), 0);
    assert_int_equal(difference_after("a.png", column, 1, 70000, 3, 90), 0);
}

static void names_that_are_known(void **state)
{
    (void)state;
    assert_true(encode_knows("x.jpg") && encode_knows("x.y.WebP") && encode_knows(".png"));
    assert_false(encode_knows("x.gif") || encode_knows("png") || encode_knows(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_the_same),
        cmocka_unit_test(quality_changes_the_size),
        cmocka_unit_test(what_cannot_be_written_is_refused),
        cmocka_unit_test(names_that_are_known),
    };
    return cmocka_run_group_tests_name("encode", tests, fill_pixels, NULL);
}
