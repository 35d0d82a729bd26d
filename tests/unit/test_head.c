// SPDX-License-Identifier: Apache-2.0
// Which head is read from which outputs: shapes as the exporters write them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "model/model.h"

enum { ARITH = SAC__TAIL_ARITHMETIC, EXP = SAC__TAIL_EXP, SELECT = SAC__TAIL_SELECT };

/// A model as head recognition sees it. Extents: 0 ends, -1 = dynamic.
struct seen {
    int64_t input[4];
    int64_t outputs[4][6];
    int names; ///< number of class names; 0: none
    unsigned tail;
    int end2end, nms; ///< as the metadata has it plus 1; 0: silent
    const char *task, *head, *layout;
    sac_dtype dtype;
};

struct expected {
    sac_head_family family;
    int classes;
    const char *why;
    int output;     ///< binding
    int strides[8]; ///< undecoded YOLOX
};

static sac_binding binding(const char *name, int index, const int64_t *shape, sac_dtype dtype)
{
    sac_binding b = {.index = index, .is_input = index == 0, .dtype = dtype};
    snprintf(b.name, sizeof b.name, "%s", name);
    for (; b.ndim < 6 && shape[b.ndim]; b.ndim++)
        b.shape[b.ndim] = shape[b.ndim];
    return b;
}

static int recognise(const struct seen *seen, sac_head *head, size_t *output, const char **why)
{
    static char empty[] = "";
    char task[32] = "", kind[32] = "";
    if (seen->task) strcpy(task, seen->task);
    if (seen->head) strcpy(kind, seen->head);
    const struct sac_model model = {.task = task,
                                    .head = kind,
                                    .description = empty,
                                    .name_count = seen->names,
                                    .end2end = seen->end2end - 1,
                                    .nms = seen->nms - 1,
                                    .stride = seen->names ? 32 : 0,
                                    .tail = seen->tail};
    int64_t shape[6] = {0};
    memcpy(shape, seen->input, sizeof seen->input);
    sac_binding bindings[5] = {binding("images", 0, shape, SAC_F32)};
    size_t count = 1;
    for (; count < 5 && seen->outputs[count - 1][0]; count++) {
        char name[16];
        snprintf(name, sizeof name, "output%zu", count - 1);
        bindings[count] = binding(name, (int)count, seen->outputs[count - 1], seen->dtype);
    }
    return sac__head_recognise(head, output, why, &model, bindings, count, seen->layout);
}

static void check(struct seen seen, struct expected expected)
{
    sac_head head;
    size_t output = 99;
    const char *why = NULL;
    int error = recognise(&seen, &head, &output, &why);
    if (error) fail_msg("%s", sac_error_message());
    assert_int_equal(head.family, expected.family);
    assert_int_equal(head.classes, expected.classes);
    if (expected.why) assert_string_equal(why, expected.why);
    assert_int_equal(output, expected.output ? expected.output : 1);
    for (int i = 0; i < 8; i++)
        assert_int_equal(head.strides[i], expected.strides[i]);
}

static void check_refused(struct seen seen, const char *part, const char *other)
{
    sac_head head;
    size_t output;
    const char *why;
    int error = recognise(&seen, &head, &output, &why);
    if (!error) fail_msg("not refused; expected: %s", part);
    assert_int_equal(error, SAC_EMODEL);
    if (!strstr(sac_error_message(), part) || !strstr(sac_error_message(), other))
        fail_msg("\"%s\" lacks \"%s\" or \"%s\"", sac_error_message(), part, other);
}

#define SEEN(...) ((struct seen){__VA_ARGS__})
#define IS(head, number, ...) ((struct expected){.family = head, .classes = number, __VA_ARGS__})
#define AT(h, w) .input = {1, 3, h, w}
#define OUT(...) .outputs = {{__VA_ARGS__}}

static void v5_rows(void **state)
{
    (void)state;
    check(SEEN(AT(640, 640), OUT(1, 25200, 85), .names = 80, .tail = ARITH),
          IS(SAC_HEAD_V5, 80, .why = "shape"));
    check(SEEN(AT(640, 640), OUT(1, 25200, 85), .tail = ARITH),
          IS(SAC_HEAD_V5, 80, .why = "shape"));
    check(SEEN(AT(1280, 1280), OUT(1, 102000, 10), .names = 5), IS(SAC_HEAD_V5, 5, .why = "shape"));
    check(SEEN(AT(1280, 1280), OUT(1, 100800, 10), .names = 5), IS(SAC_HEAD_V5, 5, .why = "shape"));
    check(SEEN(AT(384, 640), OUT(1, 15120, 8), .names = 3), IS(SAC_HEAD_V5, 3, .output = 1));
    check(SEEN(AT(64, 64), OUT(1, 252, 85), .names = 80), IS(SAC_HEAD_V5, 80, .output = 1));
    check(SEEN(AT(64, 64), OUT(1, 255, 85), .names = 80), IS(SAC_HEAD_V5, 80, .output = 1)); // P6
    check(SEEN(AT(640, 640), OUT(1, 102000, 85), .names = 80),
          IS(SAC_HEAD_V5, 80, .output = 1)); // P2
    check(SEEN(AT(416, 416), OUT(1, 2535, 85), .names = 80),
          IS(SAC_HEAD_V5, 80, .output = 1)); // tiny: 16, 32
    check(SEEN(.input = {-1, 3, 640, 640}, OUT(-1, 25200, 85)), IS(SAC_HEAD_V5, 80, .output = 1));
    check(SEEN(AT(640, 640), OUT(8, 25200, 85), .names = 80), IS(SAC_HEAD_V5, 80, .output = 1));
    check(SEEN(AT(640, 640), OUT(1, 25200, 85), .dtype = SAC_F16),
          IS(SAC_HEAD_V5, 80, .output = 1));
}

static void v5_with_one_class_is_not_end_to_end(void **state)
{
    (void)state;
    check(SEEN(AT(640, 640), OUT(1, 25200, 6), .names = 1, .tail = ARITH),
          IS(SAC_HEAD_V5, 1, .output = 1));
    check(SEEN(AT(640, 640), OUT(1, 25200, 6), .tail = ARITH), IS(SAC_HEAD_V5, 1, .why = "shape"));
    check(SEEN(AT(1280, 1280), OUT(1, 102000, 6), .names = 1), IS(SAC_HEAD_V5, 1, .output = 1));
    check(SEEN(.input = {-1, 3, -1, -1}, OUT(-1, -1, 6), .names = 1, .tail = ARITH),
          IS(SAC_HEAD_V5, 1, .output = 1));
    // 300 rows are also 3 × (8² + 4² + …)? No input has that many; but 252 at 64 × 64 are.
    check(SEEN(AT(64, 64), OUT(1, 252, 6), .tail = ARITH | SELECT),
          IS(SAC_HEAD_END2END, 1000, .output = 1));
}

static void v5_with_raw_maps(void **state)
{
    (void)state;
    check(
        SEEN(
            AT(640, 640),
            .outputs = {{1, 25200, 85}, {1, 3, 80, 80, 85}, {1, 3, 40, 40, 85}, {1, 3, 20, 20, 85}},
            .names = 80),
        IS(SAC_HEAD_V5, 80, .why = "shape", .output = 1));
    check(
        SEEN(
            AT(640, 640),
            .outputs = {{1, 3, 80, 80, 85}, {1, 3, 40, 40, 85}, {1, 3, 20, 20, 85}, {1, 25200, 85}},
            .names = 80),
        IS(SAC_HEAD_V5, 80, .why = "shape", .output = 4));
    check(SEEN(AT(640, 640), .outputs = {{1, 84, 8400}, {1, 144, 80, 80}, {1, 144, 40, 40}},
               .names = 80),
          IS(SAC_HEAD_V8, 80, .why = "shape", .output = 1));
}

static void v8_columns(void **state)
{
    (void)state;
    check(SEEN(AT(640, 640), OUT(1, 84, 8400), .names = 80), IS(SAC_HEAD_V8, 80, .why = "shape"));
    check(SEEN(AT(640, 640), OUT(1, 84, 8400)), IS(SAC_HEAD_V8, 80, .output = 1));
    check(SEEN(AT(640, 640), OUT(1, 5, 8400), .names = 1), IS(SAC_HEAD_V8, 1, .output = 1));
    check(SEEN(AT(640, 640), OUT(1, 6, 8400), .names = 2), IS(SAC_HEAD_V8, 2, .output = 1));
    check(SEEN(AT(320, 320), OUT(1, 9, 2100), .names = 5, .end2end = 1, .nms = 1),
          IS(SAC_HEAD_V8, 5, .output = 1));
    check(SEEN(AT(1280, 1280), OUT(1, 84, 34000), .names = 80),
          IS(SAC_HEAD_V8, 80, .output = 1)); // P6
    check(SEEN(AT(640, 640), OUT(1, 84, 34000), .names = 80),
          IS(SAC_HEAD_V8, 80, .output = 1)); // P2
    check(SEEN(AT(64, 64), OUT(1, 604, 84), .names = 600),
          IS(SAC_HEAD_V8, 600, .output = 1)); // wider than tall
    check(SEEN(.input = {-1, 3, -1, -1}, OUT(-1, 84, -1), .names = 80),
          IS(SAC_HEAD_V8, 80, .output = 1));
    check(SEEN(AT(640, 640), OUT(1, 84, 9999), .names = 80, .task = "detect"),
          IS(SAC_HEAD_V8, 80, .why = "metadata"));
}

static void end_to_end(void **state)
{
    (void)state;
    check(SEEN(AT(640, 640), OUT(1, 300, 6), .names = 80, .end2end = 2, .tail = SELECT),
          IS(SAC_HEAD_END2END, 80, .why = "metadata"));
    check(SEEN(AT(640, 640), OUT(1, 300, 6), .names = 80, .nms = 2),
          IS(SAC_HEAD_END2END, 80, .why = "metadata"));
    check(SEEN(AT(640, 640), OUT(1, 300, 6), .names = 80, .tail = SELECT | ARITH),
          IS(SAC_HEAD_END2END, 80, .why = "graph"));
    check(SEEN(AT(640, 640), OUT(1, 100, 6)), IS(SAC_HEAD_END2END, 1000, .why = "shape"));
    check(SEEN(AT(640, 640), OUT(1, 25200, 6), .names = 1, .end2end = 2),
          IS(SAC_HEAD_END2END, 1, .why = "metadata"));
    check(SEEN(.input = {-1, 3, -1, -1}, OUT(-1, -1, 6), .names = 3, .nms = 2),
          IS(SAC_HEAD_END2END, 3, .why = "metadata"));
    check(SEEN(AT(640, 640), OUT(1, 84, 8400), .names = 80, .end2end = 2), // without its last step
          IS(SAC_HEAD_V8, 80, .output = 1));
}

static void one_row_a_cell(void **state)
{
    (void)state;
    check(SEEN(AT(640, 640), OUT(1, 8400, 85)),
          IS(SAC_HEAD_YOLOX, 80, .why = "graph", .strides = {8, 16, 32}));
    check(SEEN(AT(416, 416), OUT(1, 3549, 85)),
          IS(SAC_HEAD_YOLOX, 80, .why = "graph", .strides = {8, 16, 32}));
    check(SEEN(AT(1280, 1280), OUT(1, 34000, 85)),
          IS(SAC_HEAD_YOLOX, 80, .why = "graph", .strides = {8, 16, 32, 64}));
    check(SEEN(AT(640, 640), OUT(1, 8400, 85), .tail = EXP | ARITH),
          IS(SAC_HEAD_YOLOX_DECODED, 80, .why = "graph"));
    check(SEEN(AT(640, 640), OUT(1, 8400, 85), .tail = ARITH), IS(SAC_HEAD_V5, 80, .why = "graph"));
    check(SEEN(.input = {-1, 3, -1, -1}, OUT(-1, -1, 85)),
          IS(SAC_HEAD_YOLOX, 80, .why = "graph", .strides = {8, 16, 32}));
    check(SEEN(.input = {-1, 3, -1, -1}, OUT(-1, -1, 85), .tail = EXP | ARITH),
          IS(SAC_HEAD_YOLOX_DECODED, 80, .why = "graph"));
    check(SEEN(.input = {-1, 3, -1, -1}, OUT(-1, -1, 85), .tail = ARITH),
          IS(SAC_HEAD_V5, 80, .why = "shape"));
    check(SEEN(AT(640, 640), OUT(1, 8400, 6), .tail = EXP | ARITH),
          IS(SAC_HEAD_YOLOX_DECODED, 1, .output = 1));
}

static void layout_option(void **state)
{
    (void)state;
    check(SEEN(AT(640, 640), OUT(1, 8400, 85), .layout = "yolox-decoded"),
          IS(SAC_HEAD_YOLOX_DECODED, 80, .why = "layout option"));
    check(SEEN(AT(640, 640), OUT(1, 8400, 85), .tail = EXP, .layout = "yolox"),
          IS(SAC_HEAD_YOLOX, 80, .why = "layout option", .strides = {8, 16, 32}));
    check(SEEN(AT(640, 640), OUT(1, 12345, 85), .layout = "v5"), IS(SAC_HEAD_V5, 80, .output = 1));
    check(SEEN(AT(640, 640), OUT(1, 25200, 6), .layout = "end2end"),
          IS(SAC_HEAD_END2END, 1000, .output = 1));
    check(SEEN(AT(640, 640), OUT(1, 300, 6), .names = 1, .layout = "v5"),
          IS(SAC_HEAD_V5, 1, .output = 1));
    check(SEEN(.input = {-1, 3, -1, -1}, OUT(-1, -1, -1), .names = 7, .layout = "v8"),
          IS(SAC_HEAD_V8, 7, .output = 1));
    check(SEEN(AT(640, 640), .outputs = {{1, 4}, {1, 8400}, {1, 84, 77}}, .layout = "v8"),
          IS(SAC_HEAD_V8, 80, .why = "layout option", .output = 3));
    check_refused(SEEN(AT(640, 640), OUT(1, 1000), .layout = "v8"), "'v8'", "output0 (1,1000)");
    check_refused(SEEN(AT(640, 640), OUT(1, 3, 8400), .layout = "v8"), "'v8'", "(1,3,8400)");
    check_refused(SEEN(AT(640, 640), OUT(1, 300, 7), .layout = "end2end"), "'end2end'",
                  "(1,300,7)");
    check_refused(SEEN(AT(640, 640), OUT(1, 999, 85), .layout = "yolox"), "'yolox'", "(1,999,85)");
    check_refused(SEEN(AT(640, 640), OUT(1, -1, -1), .layout = "v5"), "'v5'", "(1,?,?)");
    check_refused(SEEN(AT(640, 640), OUT(1, 84, 8400), .names = 3, .layout = "v8"), "80 classes",
                  "3");
}

static void unknown_layout(void **state)
{
    (void)state;
    sac_head head;
    size_t output;
    const char *why;
    const struct seen seen = {AT(640, 640), OUT(1, 84, 8400), .layout = "v9"};
    assert_int_equal(recognise(&seen, &head, &output, &why), SAC_EINVAL);
    assert_string_equal(sac_error_message(),
                        "layout 'v9' is unknown; known are: v5 v8 end2end yolox yolox-decoded "
                        "efficient-nms");
}

static void other_tasks_are_refused(void **state)
{
    (void)state;
    const char *tasks[] = {"classify", "segment", "pose", "obb"};
    for (int i = 0; i < 4; i++)
        check_refused(SEEN(AT(640, 640), OUT(1, 84, 8400), .names = 80, .task = tasks[i]), tasks[i],
                      "task=detect");
    check_refused(SEEN(AT(224, 224), OUT(1, 1000)), "output0 (1,1000)", "classification");
    check_refused(SEEN(AT(640, 640), .outputs = {{1, 116, 8400}, {1, 32, 160, 160}}),
                  "segmentation", "task=detect");
    check_refused(SEEN(.input = {-1, 3, -1, -1}, .outputs = {{-1, 116, -1}, {-1, 32, -1, -1}}),
                  "segmentation", "task=detect");
    check_refused(SEEN(AT(640, 640), .outputs = {{1, 25200, 117}, {1, 32, 160, 160}}, .names = 80),
                  "segmentation", "output1 (1,32,160,160)");
    check_refused(SEEN(AT(640, 640), OUT(1, 56, 8400), .names = 1), "52 classes", "pose");
    check_refused(SEEN(AT(640, 640), OUT(1, 84, 8400), .names = 3), "80 classes", "names 3");
}

static void unknown_shapes_are_refused(void **state)
{
    (void)state;
    check_refused(SEEN(AT(640, 640), OUT(1, 300, 84), .names = 80), "(1,300,84)", "--layout");
    check_refused(SEEN(AT(640, 640), OUT(1, 300, 6), .names = 2, .head = "RTDETRDecoder"),
                  "(1,300,6)", "--layout");
    check_refused(SEEN(AT(640, 640), OUT(1, 12345, 85)), "(1,12345,85)", "25200");
    check_refused(SEEN(AT(640, 640), OUT(1, 8400, 84), .names = 80), "79 classes", "names 80");
    check_refused(SEEN(AT(640, 640), OUT(1, 255, 80, 80)), "(1,255,80,80)", "8400");
    check_refused(SEEN(.input = {-1, 3, -1, -1}, OUT(-1, -1, -1)), "(?,?,?)", "3A");
    check_refused(SEEN(AT(640, 640), .outputs = {{0}}), "no output", "v8");
    check_refused(SEEN(AT(640, 640), OUT(1, 84, 8400), .dtype = SAC_I32), "(1,84,8400)", "");
}

static void two_inputs_are_refused(void **state)
{
    (void)state;
    static char empty[] = "";
    const struct sac_model model = {.task = empty, .head = empty, .description = empty};
    const int64_t picture[6] = {1, 3, 608, 608}, shape[6] = {1, 2}, boxes[6] = {1, 84, 8400};
    sac_binding bindings[3] = {binding("image", 0, picture, SAC_F32),
                               binding("im_shape", 0, shape, SAC_F32),
                               binding("out", 1, boxes, SAC_F32)};
    sac_head head;
    size_t output;
    const char *why;
    assert_int_equal(sac__head_recognise(&head, &output, &why, &model, bindings, 3, NULL),
                     SAC_EMODEL);
    assert_string_equal(sac_error_message(),
                        "two inputs, 'image' and 'im_shape': saccade gives a picture only");
}

static void check_input(const char *expected, sac_dtype dtype, int ndim, const int64_t *shape)
{
    int64_t extents[6] = {0};
    memcpy(extents, shape, (size_t)ndim * sizeof *shape);
    const sac_binding input = binding("images", 0, extents, dtype);
    int error = sac__model_check_input(&input);
    if (!expected) assert_int_equal(error, SAC_OK);
    if (!expected) return;
    assert_int_equal(error, SAC_EMODEL);
    assert_non_null(strstr(sac_error_message(), expected));
}

static void inputs(void **state)
{
    (void)state;
    check_input(NULL, SAC_F32, 4, (int64_t[]){1, 3, 640, 640});
    check_input(NULL, SAC_F16, 4, (int64_t[]){8, 3, 384, 640});
    check_input(NULL, SAC_U8, 4, (int64_t[]){-1, 3, -1, -1});
    check_input(NULL, SAC_F32, 4, (int64_t[]){-1, -1, -1, -1});
    check_input(NULL, SAC_F32, 4, (int64_t[]){1, 3, 640, 3});
    check_input("images (1,1,640,640): saccade gives 3", SAC_F32, 4, (int64_t[]){1, 1, 640, 640});
    check_input("not 6", SAC_F32, 4, (int64_t[]){1, 6, 640, 640});
    check_input("channels last", SAC_F32, 4, (int64_t[]){1, 640, 640, 3});
    check_input("images (1,1228800) is no picture", SAC_F32, 2, (int64_t[]){1, 1228800});
    check_input("int64", SAC_I64, 4, (int64_t[]){1, 3, 640, 640});
}

static sac_binding four_part(int index, sac_dtype dtype, int ndim, int64_t a, int64_t b, int64_t c)
{
    return (sac_binding){.index = index, .dtype = dtype, .ndim = ndim, .shape = {a, b, c}};
}

// In any order, told apart by shape and type.
static void efficient_nms_has_four_outputs(void **state)
{
    (void)state;
    static char empty[] = "";
    const struct sac_model model = {.task = empty, .head = empty, .description = empty,
                                    .name_count = 3, .end2end = -1, .nms = -1};
    const int64_t input[6] = {1, 3, 64, 64};
    sac_binding bindings[5] = {binding("images", 0, input, SAC_F32),
                               four_part(1, SAC_F32, 2, 1, 100, 0),  // scores
                               four_part(2, SAC_I32, 2, 1, 1, 0),    // how many
                               four_part(3, SAC_I32, 2, 1, 100, 0),  // classes
                               four_part(4, SAC_F32, 3, 1, 100, 4)}; // boxes
    sac_head head;
    size_t output = 9, first = 9;
    int roles[4];
    const char *why;
    assert_int_equal(sac__head_recognise(&head, &output, &why, &model, bindings, 5, NULL), 0);
    assert_int_equal(head.family, SAC_HEAD_EFFICIENT_NMS);
    assert_int_equal(head.classes, 3);
    assert_true(sac__head_four(&first, roles, bindings, 5));
    assert_int_equal(first, 1);
    assert_true(roles[0] == 1 && roles[1] == 3 && roles[2] == 0 && roles[3] == 2);
    assert_int_equal(sac__head_recognise(&head, &output, &why, &model, bindings, 5,
                                         "efficient-nms"), 0);
    bindings[4].shape[1] = 99; // as many boxes as scores
    assert_false(sac__head_four(&first, roles, bindings, 5));
    assert_int_equal(sac__head_recognise(&head, &output, &why, &model, bindings, 5,
                                         "efficient-nms"), SAC_EMODEL);
    assert_false(sac__head_four(&first, roles, bindings, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(efficient_nms_has_four_outputs),
        cmocka_unit_test(v5_rows),
        cmocka_unit_test(v5_with_one_class_is_not_end_to_end),
        cmocka_unit_test(v5_with_raw_maps),
        cmocka_unit_test(v8_columns),
        cmocka_unit_test(end_to_end),
        cmocka_unit_test(one_row_a_cell),
        cmocka_unit_test(layout_option),
        cmocka_unit_test(unknown_layout),
        cmocka_unit_test(other_tasks_are_refused),
        cmocka_unit_test(unknown_shapes_are_refused),
        cmocka_unit_test(two_inputs_are_refused),
        cmocka_unit_test(inputs),
    };
    return cmocka_run_group_tests_name("head", tests, NULL, NULL);
}
