// SPDX-License-Identifier: Apache-2.0
// The sinks that write pictures, and what they draw with.
#include "sinks.h"

#include <math.h>
#include <pthread.h>

#include "output/draw.h"
#include "output/labels.h"
#include "output/palette.h"

struct canvas {
    uint8_t *before, *after;
    sac_image image;
    sac_detections detections;
    struct item item;
    struct sink_options options;
};

static void canvas_take(struct canvas *c, int width, int height, sac_detection *objects,
                        size_t count)
{
    const size_t size = (size_t)width * (size_t)height * 3;
    *c = (struct canvas){.before = malloc(size), .after = malloc(size)};
    for (size_t i = 0; i < size; i++)
        c->before[i] = c->after[i] = (uint8_t)(100 + i * 7 % 50);
    c->image = (sac_image){
        .data = c->before, .stride = (ptrdiff_t)width * 3, .width = width, .height = height};
    c->detections = (sac_detections){.items = objects, .count = count};
    c->item = (struct item){.source = "in/a.png",
                            .name = "a.png",
                            .image = &c->image,
                            .detections = &c->detections,
                            .model = &sink_test_model};
    c->options = sink_test_options;
}

static void canvas_drop(struct canvas *c)
{
    free(c->before);
    free(c->after);
}

static void canvas_draw(struct canvas *c)
{
    assert_int_equal(draw_boxes(c->after, c->image.stride, &c->item, &c->options), 0);
}

static int changed(const struct canvas *c, int x, int y)
{
    const ptrdiff_t at = y * c->image.stride + x * 3;
    return memcmp(c->before + at, c->after + at, 3) != 0;
}

static int has_color(const struct canvas *c, int x, int y, int32_t class_id)
{
    const struct rgb color = palette_color(class_id);
    const uint8_t *p = c->after + y * c->image.stride + x * 3;
    return fabs(p[2] - color.r * 255) <= 1 && fabs(p[1] - color.g * 255) <= 1 &&
           fabs(p[0] - color.b * 255) <= 1;
}

// The changed pixels' bounds.
static struct area changes(const struct canvas *c)
{
    struct area a = {c->image.width, c->image.height, 0, 0};
    for (int y = 0; y < c->image.height; y++)
        for (int x = 0; x < c->image.width; x++) {
            if (!changed(c, x, y)) continue;
            if (x < a.x1) a.x1 = x;
            if (y < a.y1) a.y1 = y;
            if (x >= a.x2) a.x2 = x + 1;
            if (y >= a.y2) a.y2 = y + 1;
        }
    return a;
}

static void frame_has_its_color_and_leaves_the_rest(void **state)
{
    (void)state;
    sac_detection object = {{200, 150, 400, 300}, 0.9f, 2, 0};
    struct canvas c;
    canvas_take(&c, 640, 480, &object, 1);
    c.options.hide_labels = 1;
    canvas_draw(&c);
    for (int x = 201; x < 399; x++)
        assert_true(has_color(&c, x, 150, 2) && has_color(&c, x, 299, 2));
    for (int y = 151; y < 299; y++)
        assert_true(has_color(&c, 200, y, 2) && has_color(&c, 399, y, 2));
    for (int y = 160; y < 290; y++)
        for (int x = 210; x < 390; x++)
            assert_false(changed(&c, x, y));
    const struct area a = changes(&c);
    assert_true(a.x1 >= 195 && a.y1 >= 145 && a.x2 <= 405 && a.y2 <= 305);
    canvas_drop(&c);
}

static void label_is_above_or_where_there_is_room(void **state)
{
    (void)state;
    const float tops[] = {150, 0}, bottoms[] = {300, 480};
    for (int i = 0; i < 2; i++) {
        sac_detection object = {{200, tops[i], 400, bottoms[i]}, 0.9f, 0, 0};
        struct canvas c;
        canvas_take(&c, 640, 480, &object, 1);
        canvas_draw(&c);
        // The plate is wider than the line: look for its colour off the frame.
        const int y = i == 0 ? (int)tops[i] - 8 : 8;
        int plate = 0;
        for (int x = 200; x < 400; x++)
            plate += has_color(&c, x, y, 0);
        assert_in_range(plate, 20, 200);
        const struct area a = changes(&c);
        assert_true(a.x1 >= 190 && a.x2 <= 410);
        canvas_drop(&c);
    }
}

// Text that runs from right to left is still drawn on its plate, not at the picture's right edge.
static void right_to_left_label_is_on_its_plate(void **state)
{
    (void)state;
    static const char *const names[] = {"\xd7\xa7\xd7\x95\xd7\x93"}; // Hebrew: code
    const sac_model_info model = {.head = {SAC_HEAD_V5, 1, {0}}, .names = names};
    sac_detection object = {{100, 150, 400, 300}, 0.9f, 0, 0};
    struct canvas c;
    canvas_take(&c, 640, 480, &object, 1);
    c.item.model = &model;
    canvas_draw(&c);
    const struct area a = changes(&c);
    assert_true(a.x1 >= 90 && a.x2 <= 410);
    int plate = 0, text = 0;
    for (int y = 137; y < 147; y++)
        for (int x = 106; x < 160; x++) {
            plate += has_color(&c, x, y, 0);
            text += changed(&c, x, y) && !has_color(&c, x, y, 0);
        }
    assert_in_range(plate, 200, 540);
    assert_in_range(text, 50, 340);
    canvas_drop(&c);
}

static void odd_pictures_are_drawn(void **state)
{
    (void)state;
    const int sizes[][2] = {{1, 1}, {8000, 200}, {40000, 4}, {3, 40000}, {33, 33}, {5000, 4500}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const float w = (float)sizes[i][0], h = (float)sizes[i][1];
        sac_detection objects[] = {{{0, 0, w, h}, 0.9f, 1, 0},
                                   {{w - 1, h - 1, w, h}, 0.8f, -3, 0},
                                   {{w / 2, 0, w / 2, h}, 0.7f, INT32_MAX, 0},
                                   {{w / 3, h / 3, w / 2, h / 2}, 0.6f, 3, 0}};
        struct canvas c;
        canvas_take(&c, sizes[i][0], sizes[i][1], objects, 4);
        canvas_draw(&c);
        assert_true(changed(&c, 0, 0));
        assert_true(changed(&c, sizes[i][0] - 1, sizes[i][1] - 1));
        canvas_drop(&c);
    }
}

static void nothing_and_nonsense_change_nothing(void **state)
{
    (void)state;
    sac_detection objects[] = {{{NAN, 0, 10, 10}, 0.9f, 0, 0}, {{0, 0, INFINITY, 9}, 0.9f, 0, 0}};
    struct canvas c;
    canvas_take(&c, 64, 48, objects, 2);
    canvas_draw(&c);
    assert_memory_equal(c.before, c.after, 64 * 48 * 3);
    c.detections.count = 0;
    canvas_draw(&c);
    assert_memory_equal(c.before, c.after, 64 * 48 * 3);
    canvas_drop(&c);
}

static void *draw_on_thread(void *user)
{
    canvas_draw(user);
    return NULL;
}

static void threads_draw_the_same(void **state)
{
    (void)state;
    static sac_detection objects[300];
    for (int i = 0; i < 300; i++) {
        const float x = (float)(i * 37 % 1000), y = (float)(i * 91 % 700);
        objects[i] = (sac_detection){{x, y, x + 50, y + 40}, 1 - (float)i / 400, i % 5, i};
    }
    struct canvas c[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        canvas_take(&c[i], 1100, 800, objects, 300);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, draw_on_thread, &c[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_true(changed(&c[0], 0, 0));
    for (int i = 1; i < 4; i++)
        assert_memory_equal(c[0].after, c[i].after, 1100 * 800 * 3);
    for (int i = 0; i < 4; i++)
        canvas_drop(&c[i]);
}

static void labels_stay_in_the_picture_and_apart(void **state)
{
    (void)state;
    const struct area picture = {0, 0, 640, 480};
    struct area placed[40];
    for (int i = 0; i < 40; i++) {
        const int x = i % 8 * 80, y = i / 8 * 96;
        const struct area box = {x, y, x + 70, y + 80};
        placed[i] = label_place(box, 60, 12, picture, placed, (size_t)i);
        assert_true(placed[i].x1 >= 0 && placed[i].y1 >= 0);
        assert_true(placed[i].x2 <= 640 && placed[i].y2 <= 480);
        for (int k = 0; k < i; k++)
            assert_true(placed[i].x1 >= placed[k].x2 || placed[k].x1 >= placed[i].x2 ||
                        placed[i].y1 >= placed[k].y2 || placed[k].y1 >= placed[i].y2);
    }
}

static double luminance(struct rgb c)
{
    const double v[] = {c.r, c.g, c.b}, weight[] = {0.2126, 0.7152, 0.0722};
    double sum = 0;
    for (int i = 0; i < 3; i++)
        sum += weight[i] * (v[i] <= 0.04045 ? v[i] / 12.92 : pow((v[i] + 0.055) / 1.055, 2.4));
    return sum;
}

static void colors_stay_apart_and_text_is_legible(void **state)
{
    (void)state;
    for (int i = 0; i < 80; i++) {
        const struct rgb a = palette_color(i), text = palette_text_on(a);
        const double l1 = luminance(a) + 0.05, l2 = luminance(text) + 0.05;
        assert_true(fmax(l1, l2) / fmin(l1, l2) >= 3);
        for (int k = 0; k < i && i < 20; k++) {
            const struct rgb b = palette_color(k);
            assert_true(fabs(a.r - b.r) + fabs(a.g - b.g) + fabs(a.b - b.b) > 0.15);
        }
    }
}

static uint32_t big_endian(const char *bytes)
{
    const unsigned char *b = (const unsigned char *)bytes;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void assert_png(const char *path, uint32_t width, uint32_t height)
{
    char *bytes = file_bytes(path, NULL);
    if (!bytes) fail_msg("%s is missing", path);
    assert_memory_equal(bytes, "\x89PNG", 4);
    assert_int_equal(big_endian(bytes + 16), width);
    assert_int_equal(big_endian(bytes + 20), height);
    free(bytes);
}

static void saved_pictures_have_their_name_and_size(void **state)
{
    (void)state;
    char *folder = folder_take();
    sac_detection object = {{2, 3, 40, 30}, 0.9f, 0, 0};
    struct canvas c;
    canvas_take(&c, 64, 48, &object, 1);
    struct item items[] = {c.item, c.item, c.item};
    items[1].name = "sub/b.JPG";
    items[2].image = NULL;
    items[2].name = "c.png";
    assert_int_equal(sink_run(&sink_annotate, folder, &c.options, items, 3), 0);
    assert_png(path_of(folder, "a.png"), 64, 48);
    char *jpeg = file_bytes(path_of(folder, "sub/b.jpg"), NULL);
    assert_non_null(jpeg);
    assert_memory_equal(jpeg, "\xff\xd8", 2);
    free(jpeg);
    assert_int_equal(access(path_of(folder, "c.png"), F_OK), -1);
    c.options.image_format = "webp";
    assert_int_equal(sink_run(&sink_annotate, folder, &c.options, items, 1), 0);
    char *webp = file_bytes(path_of(folder, "a.webp"), NULL);
    assert_memory_equal(webp, "RIFF", 4);
    free(webp);
    canvas_drop(&c);
    folder_drop(folder);
}

static void crops_are_clamped_and_filed_by_class(void **state)
{
    (void)state;
    char *folder = folder_take();
    static const char *const names[] = {"qr", "../up", "\xe7\xa0\x81", ".", "a/b"};
    const sac_model_info model = {.head = {SAC_HEAD_V5, 5, {0}}, .names = names};
    sac_detection objects[] = {{{0.5f, 3, 40.2f, 48}, 0.9f, 0, 0}, {{10, 10, 10, 10}, 0.8f, 1, 0},
                               {{64, 48, 64, 48}, 0.8f, 2, 0},     {{1, 1, 3, 3}, 0.8f, 3, 0},
                               {{NAN, 1, 3, 3}, 0.8f, 3, 0},       {{20, 20, 30, 40}, 0.8f, 4, 0}};
    struct canvas c;
    canvas_take(&c, 64, 48, objects, 6);
    c.item.model = &model;
    c.item.name = "sub/p.q.png";
    c.options.image_format = "png";
    assert_int_equal(sink_run(&sink_crops, folder, &c.options, &c.item, 1), 0);
    assert_png(path_of(folder, "qr/sub/p.q-0.png"), 41, 45);
    assert_png(path_of(folder, "_._up/sub/p.q-1.png"), 1, 1);
    assert_png(path_of(folder, "\xe7\xa0\x81/sub/p.q-2.png"), 1, 1);
    assert_png(path_of(folder, "_/sub/p.q-3.png"), 2, 2);
    assert_int_equal(access(path_of(folder, "_/sub/p.q-4.png"), F_OK), -1);
    assert_png(path_of(folder, "a_b/sub/p.q-5.png"), 10, 20);
    c.options.crop_margin = 0.5;
    c.options.image_format = "auto";
    assert_int_equal(sink_run(&sink_crops, folder, &c.options, &c.item, 1), 0);
    assert_int_equal(access(path_of(folder, "a_b/sub/p.q-5.jpg"), F_OK), 0);
    canvas_drop(&c);
    folder_drop(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_has_its_color_and_leaves_the_rest),
        cmocka_unit_test(label_is_above_or_where_there_is_room),
        cmocka_unit_test(right_to_left_label_is_on_its_plate),
        cmocka_unit_test(odd_pictures_are_drawn),
        cmocka_unit_test(nothing_and_nonsense_change_nothing),
        cmocka_unit_test(threads_draw_the_same),
        cmocka_unit_test(labels_stay_in_the_picture_and_apart),
        cmocka_unit_test(colors_stay_apart_and_text_is_legible),
        cmocka_unit_test(saved_pictures_have_their_name_and_size),
        cmocka_unit_test(crops_are_clamped_and_filed_by_class),
    };
    return cmocka_run_group_tests_name("sinks_pictures", tests, NULL, NULL);
}
