// SPDX-License-Identifier: Apache-2.0
// The sinks that write text.
#include "sinks.h"

#include <jansson.h>
#include <math.h>

static uint8_t pixels[480 * 640 * 3];
static const sac_image image = {.data = pixels, .stride = 640 * 3, .width = 640, .height = 480};
static sac_detection objects[] = {
    {{0.1f, 20.25f, 320, 479.99997f}, 0.93f, 0, 7},
    {{-0.f, 0, 640, 480}, 0.3333333f, 1, 9},
    {{NAN, 0, 1, 1}, 0.5f, 0, 1},
    {{1e-7f, 1, 2, 3}, 1, 2, 2},
    {{5, 6, 7, 8}, 0.25f, 77, 3},
};
static const sac_detections many = {
    .items = objects, .count = sizeof objects / sizeof *objects, .ms = {0.12345, 10, NAN}};
static const sac_detections none;

static struct item item_of(const char *source, const char *name, const sac_detections *detections)
{
    return (struct item){.source = source,
                         .name = name,
                         .image = detections ? &image : NULL,
                         .detections = detections,
                         .model = &sink_test_model,
                         .ms_open = 1.5,
                         .error = detections ? NULL : "cannot be read"};
}

static void json_lines_are_to_the_letter(void **state)
{
    (void)state;
    char *folder = folder_take();
    const struct item items[] = {item_of("dir/a.jpg", "a.jpg", &many),
                                 item_of("b\xff\"\n.png", "b.png", &none),
                                 item_of("c.jpg", "c.jpg", NULL)};
    const char *path = path_of(folder, "out.jsonl");
    assert_int_equal(sink_run(&sink_jsonl, path, &sink_test_options, items, 3), 0);
    assert_file(
        path,
        "{\"schema\":1,\"source\":\"dir/a.jpg\",\"frame\":0,\"width\":640,\"height\":480,"
        "\"detections\":["
        "{\"class_id\":0,\"class\":\"qr_code\",\"score\":0.93,\"box\":[0.1,20.25,320.0,479.99997]},"
        "{\"class_id\":1,\"class\":\"na\xc3\xafve \xe7\xa0\x81\",\"score\":0.3333333,"
        "\"box\":[-0.0,0.0,640.0,480.0]},"
        "{\"class_id\":2,\"class\":\"a/b,\\\"c\\\"\",\"score\":1.0,\"box\":[1e-7,1.0,2.0,3.0]},"
        "{\"class_id\":77,\"class\":\"class_77\",\"score\":0.25,\"box\":[5.0,6.0,7.0,8.0]}],"
        "\"ms\":{\"open\":1.5,\"letterbox\":0.123,\"network\":10.0,\"boxes\":0.0}}\n"
        "{\"schema\":1,\"source\":\"b\xef\xbf\xbd\\\"\\n.png\",\"frame\":0,\"width\":640,"
        "\"height\":480,\"detections\":[],"
        "\"ms\":{\"open\":1.5,\"letterbox\":0.0,\"network\":0.0,\"boxes\":0.0}}\n"
        "{\"schema\":1,\"source\":\"c.jpg\",\"error\":\"cannot be read\"}\n");
    folder_drop(folder);
}

// Reading a box back as float32 gives the very float.
static void json_floats_survive(void **state)
{
    (void)state;
    char *folder = folder_take();
    sac_detection one = {{0}, 0.5f, 0, 0};
    const sac_detections detections = {.items = &one, .count = 1};
    const struct item item = item_of("a.jpg", "a.jpg", &detections);
    const char *path = path_of(folder, "out.jsonl");
    uint32_t seed = 1;
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < 4; i++) {
            seed = seed * 1664525u + 1013904223u;
            uint32_t bits = (seed >> 9) | (100u + (seed >> 3) % 50u) << 23;
            memcpy(&one.box[i], &bits, 4);
        }
        assert_int_equal(sink_run(&sink_jsonl, path, &sink_test_options, &item, 1), 0);
        json_t *line = json_load_file(path, 0, NULL);
        json_t *box =
            json_object_get(json_array_get(json_object_get(line, "detections"), 0), "box");
        for (size_t i = 0; i < 4; i++) {
            float back = (float)json_number_value(json_array_get(box, i));
            assert_memory_equal(&back, &one.box[i], 4);
        }
        json_decref(line);
    }
    folder_drop(folder);
}

// A line is in the file as soon as it is committed.
static void json_can_be_followed(void **state)
{
    (void)state;
    char *folder = folder_take();
    const struct item item = item_of("c.jpg", "c.jpg", NULL);
    struct sink *sink;
    assert_int_equal(sink_jsonl.open(&sink, path_of(folder, "x"), &sink_test_options), 0);
    assert_int_equal(sink_put(&sink_jsonl, sink, &item), 0);
    assert_file(path_of(folder, "x"),
                "{\"schema\":1,\"source\":\"c.jpg\",\"error\":\"cannot be read\"}\n");
    assert_int_equal(sink_jsonl.close(&sink, 0), 0);
    folder_drop(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_lines_are_to_the_letter),
        cmocka_unit_test(json_floats_survive),
        cmocka_unit_test(json_can_be_followed),
    };
    return cmocka_run_group_tests_name("sinks", tests, NULL, NULL);
}
