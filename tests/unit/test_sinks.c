// SPDX-License-Identifier: Apache-2.0
// The sinks that write text.
#include "sinks.h"

#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>

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
    .items = objects,
    .count = sizeof objects / sizeof *objects,
    .ms = {.letterbox = 0.12345, .network = 10, .boxes = NAN}};
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
        "\"box\":[0.0,0.0,640.0,480.0]},"
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

static void csv_quotes(void **state)
{
    (void)state;
    char *folder = folder_take();
    const struct item items[] = {item_of("dir/a,\"1\".jpg", "a.jpg", &many),
                                 item_of("b.png", "b.png", &none), item_of("c.jpg", "c.jpg", NULL)};
    const char *path = path_of(folder, "new/out.csv");
    assert_int_equal(sink_run(&sink_csv, path, &sink_test_options, items, 3), 0);
    assert_file(path, "source,frame,width,height,class_id,class,score,x1,y1,x2,y2\n"
                      "\"dir/a,\"\"1\"\".jpg\",0,640,480,0,qr_code,0.93,0.1,20.25,320,479.99997\n"
                      "\"dir/a,\"\"1\"\".jpg\",0,640,480,1,na\xc3\xafve \xe7\xa0\x81,0.3333333,"
                      "0,0,640,480\n"
                      "\"dir/a,\"\"1\"\".jpg\",0,640,480,2,\"a/b,\"\"c\"\"\",1,1e-07,1,2,3\n"
                      "\"dir/a,\"\"1\"\".jpg\",0,640,480,77,class_77,0.25,5,6,7,8\n");
    folder_drop(folder);
}

static void coco_is_one_list(void **state)
{
    (void)state;
    char *folder = folder_take();
    const struct item items[] = {
        item_of("dir/000000000139.jpg", "a.jpg", &many), item_of("b.png", "b.png", &none),
        item_of("c.d.jpg", "c.d.jpg", &many), item_of("c.jpg", "c.jpg", NULL)};
    const char *path = path_of(folder, "out.json");
    assert_int_equal(sink_run(&sink_coco, path, &sink_test_options, items, 4), 0);
    json_t *list = json_load_file(path, 0, NULL);
    assert_int_equal(json_array_size(list), 8);
    char *first = json_dumps(json_array_get(list, 0), JSON_COMPACT | JSON_REAL_PRECISION(12));
    assert_string_equal(first, "{\"image_id\":139,\"category_id\":0,"
                               "\"bbox\":[0.1,20.25,319.9,459.75],\"score\":0.93}");
    free(first);
    char *second = json_dumps(json_array_get(list, 5), JSON_COMPACT | JSON_REAL_PRECISION(12));
    assert_string_equal(second, "{\"image_id\":\"c.d\",\"category_id\":1,"
                                "\"bbox\":[0.0,0.0,640.0,480.0],\"score\":0.33333}");
    free(second);
    json_decref(list);
    folder_drop(folder);
}

static void coco_without_boxes_is_an_empty_list(void **state)
{
    (void)state;
    char *folder = folder_take();
    const struct item item = item_of("b.png", "b.png", &none);
    const char *path = path_of(folder, "out.json");
    assert_int_equal(sink_run(&sink_coco, path, &sink_test_options, &item, 1), 0);
    assert_file(path, "[]\n");
    assert_int_equal(sink_run(&sink_coco, path, &sink_test_options, NULL, 0), 0);
    assert_file(path, "[]\n");
    folder_drop(folder);
}

// Until the end there is nothing, or what an earlier run left; after an interrupt a whole list.
static void documents_appear_whole(void **state)
{
    (void)state;
    char *folder = folder_take();
    const char *path = path_of(folder, "out.json");
    FILE *old = fopen(path, "w");
    fputs("old", old);
    fclose(old);
    const struct item item = item_of("7.png", "7.png", &many);
    struct sink *sink;
    assert_int_equal(sink_coco.open(&sink, path, &sink_test_options), 0);
    assert_int_equal(sink_put(&sink_coco, sink, &item), 0);
    assert_file(path, "old");
    assert_int_equal(sink_coco.close(&sink, 0), 0);
    json_t *list = json_load_file(path, 0, NULL);
    assert_int_equal(json_array_size(list), 4);
    json_decref(list);
    folder_drop(folder);
}

static void txt_is_normalised(void **state)
{
    (void)state;
    char *folder = folder_take();
    const struct item items[] = {item_of("a.jpg", "sub/a.jpg", &many),
                                 item_of("b.png", "b.png", &none), item_of("c.jpg", "c.jpg", NULL)};
    struct sink_options options = sink_test_options;
    assert_int_equal(sink_run(&sink_yolotxt, folder, &options, items, 3), 0);
    assert_file(path_of(folder, "sub/a.txt"), "0 0.250078 0.521094 0.499844 0.957812\n"
                                              "1 0.5 0.5 1 1\n"
                                              "2 0.0015625 0.00416667 0.003125 0.00416667\n"
                                              "77 0.009375 0.0145833 0.003125 0.00416667\n");
    assert_file(path_of(folder, "b.txt"), "");
    assert_int_equal(access(path_of(folder, "c.txt"), F_OK), -1);
    options.txt_conf = 1;
    assert_int_equal(sink_run(&sink_yolotxt, folder, &options, items, 1), 0);
    char *text = file_bytes(path_of(folder, "sub/a.txt"), NULL);
    assert_non_null(strstr(text, "1 0.5 0.5 1 1 0.333333\n"));
    free(text);
    folder_drop(folder);
}

static void inputs_are_not_overwritten(void **state)
{
    (void)state;
    char *folder = folder_take();
    const char *path = path_of(folder, "a.txt");
    FILE *file = fopen(path, "w");
    fputs("input", file);
    fclose(file);
    const struct item item = item_of(path, "a.txt", &none);
    assert_int_equal(sink_run(&sink_yolotxt, folder, &sink_test_options, &item, 1), -1);
    assert_non_null(strstr(message_last(), "a.txt"));
    assert_file(path, "input");
    folder_drop(folder);
}

// What an unwritable target gives: a message with its path, never a crash or a leftover.
static void bad_targets_are_named(void **state)
{
    (void)state;
    const struct sink_type *types[] = {&sink_jsonl, &sink_csv, &sink_coco, &sink_yolotxt};
    const struct item item = item_of("a.jpg", "a.jpg", &many);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        message_set("%s", "");
        assert_int_equal(sink_run(types[i], "/dev/full/x", &sink_test_options, &item, 1), -1);
        assert_non_null(strstr(message_last(), "/dev/full/x"));
        message_set("%s", "");
        assert_int_equal(sink_run(types[i], "/dev/full", &sink_test_options, &item, 1), -1);
        assert_non_null(strstr(message_last(), "/dev/full"));
        message_set("%s", "");
        assert_int_equal(sink_run(types[i], "/proc/x", &sink_test_options, &item, 1), -1);
        assert_non_null(strstr(message_last(), "/proc/x"));
    }
}

// On a disk that fills up, every line that is there is whole.
static void full_disk_leaves_whole_lines(void **state)
{
    (void)state;
    char *folder = folder_take();
    const char *path = path_of(folder, "out.jsonl");
    const struct item item = item_of("a.jpg", "a.jpg", &many);
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 1500;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    const struct item items[] = {item, item, item, item, item, item};
    assert_int_equal(sink_run(&sink_jsonl, path, &sink_test_options, items, 6), -1);
    const char *document = path_of(folder, "out.csv");
    const struct item longs[] = {item, item, item, item, item, item, item, item, item, item};
    assert_int_equal(sink_run(&sink_csv, document, &sink_test_options, longs, 10), -1);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    size_t size = 0;
    char *text = file_bytes(path, &size);
    assert_non_null(text);
    assert_in_range(size, 400, 1500);
    assert_int_equal(text[size - 1], '\n');
    free(text);
    folder_drop(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_lines_are_to_the_letter),
        cmocka_unit_test(json_floats_survive),
        cmocka_unit_test(json_can_be_followed),
        cmocka_unit_test(csv_quotes),
        cmocka_unit_test(coco_is_one_list),
        cmocka_unit_test(coco_without_boxes_is_an_empty_list),
        cmocka_unit_test(documents_appear_whole),
        cmocka_unit_test(txt_is_normalised),
        cmocka_unit_test(inputs_are_not_overwritten),
        cmocka_unit_test(bad_targets_are_named),
        cmocka_unit_test(full_disk_leaves_whole_lines),
    };
    return cmocka_run_group_tests_name("sinks", tests, NULL, NULL);
}
