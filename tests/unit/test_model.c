// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/model.h"
#include "onnx_file.h"

static int read_model(struct sac_model **model, struct onnx_file file)
{
    size_t size;
    uint8_t *bytes = onnx_file_write(&file, &size);
    int error = sac__model_read(model, bytes, size, "test.onnx");
    free(bytes);
    return error;
}

static struct sac_model *open_model(struct onnx_file file)
{
    struct sac_model *model;
    if (read_model(&model, file)) fail_msg("%s", sac_error_message());
    return model;
}

#define FILE_OF(...) ((struct onnx_file){__VA_ARGS__})

static struct sac_model *with_names(const char *literal)
{
    return open_model(FILE_OF(.metadata = {"names", literal}));
}

static void check_refused(struct onnx_file file, const char *message)
{
    struct sac_model *model = NULL;
    assert_int_equal(read_model(&model, file), SAC_EMODEL);
    assert_string_equal(sac_error_message(), message);
    assert_null(model);
}

static void silent_metadata(void **state)
{
    (void)state;
    struct sac_model *model = open_model(FILE_OF(.input = {1, 3, 640, 480}));
    assert_string_equal(model->task, "");
    assert_string_equal(model->head, "");
    assert_string_equal(model->description, "");
    assert_int_equal(model->name_count, 0);
    assert_int_equal(model->stride, 0);
    assert_int_equal(model->end2end, -1);
    assert_int_equal(model->nms, -1);
    assert_int_equal(model->self_contained, 1);
    assert_int_equal(model->input_ndim, 4);
    assert_int_equal(model->input_shape[3], 480);
    sac__model_close(&model);
    assert_null(model);
    sac__model_close(&model);
}

static void all_metadata(void **state)
{
    (void)state;
    struct sac_model *model =
        open_model(FILE_OF(.metadata = {"task", "detect", "description", "It's \"mine\"", "stride",
                                        "64", "names", "{0: 'a', 1: 'b'}"}));
    assert_string_equal(model->task, "detect");
    assert_string_equal(model->description, "It's \"mine\"");
    assert_int_equal(model->stride, 64);
    assert_string_equal(model->names[1], "b");
    sac__model_close(&model);
    model = open_model(FILE_OF(.metadata = {"imgsz", "[480, 640]", "batch", "8", "channels", "3",
                                            "end2end", "True"}));
    assert_int_equal(model->imgsz[0], 480);
    assert_int_equal(model->imgsz[1], 640);
    assert_int_equal(model->batch, 8);
    assert_int_equal(model->channels, 3);
    assert_int_equal(model->end2end, 1);
    sac__model_close(&model);
    model =
        open_model(FILE_OF(.metadata = {"args", "{'nms': True, 'x': [1, {2: 3}]}", "imgsz", "640",
                                        "stride", "[8.0, 32.0, 16]", "end2end", "False"}));
    assert_int_equal(model->nms, 1);
    assert_int_equal(model->imgsz[0], 640);
    assert_int_equal(model->imgsz[1], 640);
    assert_int_equal(model->stride, 32);
    assert_int_equal(model->end2end, 0);
    sac__model_close(&model);
}

static void names_of_all_forms(void **state)
{
    (void)state;
    struct sac_model *model = with_names("['a', 'it\\'s', \"c\"]");
    assert_int_equal(model->name_count, 3);
    assert_string_equal(model->names[1], "it's");
    sac__model_close(&model);
    model = with_names("{2: 'c', 0: 'a', '1': 'b'}");
    assert_int_equal(model->name_count, 3);
    assert_string_equal(model->names[1], "b");
    assert_string_equal(model->names[2], "c");
    sac__model_close(&model);
    model = with_names("{4: 'e', 0: 'a', 0: 'A', 2: 7}");
    assert_int_equal(model->name_count, 5);
    assert_string_equal(model->names[0], "A");
    assert_string_equal(model->names[2], "7");
    assert_string_equal(model->names[3], "class3");
    sac__model_close(&model);
    model = with_names("{}");
    assert_int_equal(model->name_count, 0);
    sac__model_close(&model);
}

static void default_names(void **state)
{
    (void)state;
    struct sac_model *model = open_model(FILE_OF(.ops = NULL));
    assert_int_equal(sac__model_fill_names(model, 3), 0);
    assert_int_equal(model->name_count, 3);
    assert_string_equal(model->names[2], "class2");
    sac__model_close(&model);
    model = with_names("['a']");
    assert_int_equal(sac__model_fill_names(model, 3), 0); // what is there stays
    assert_int_equal(model->name_count, 1);
    sac__model_close(&model);
}

static void bad_metadata_is_named(void **state)
{
    (void)state;
    check_refused(FILE_OF(.metadata = {"names", "{0: 'a', 1 'b'}"}),
                  "test.onnx: metadata `names`: expected ':' at character 12");
    check_refused(FILE_OF(.metadata = {"names", "{'a': 'b'}"}),
                  "test.onnx: metadata `names`: a key is no class number (0, 1, 2 …)");
    check_refused(FILE_OF(.metadata = {"names", "{-1: 'b'}"}),
                  "test.onnx: metadata `names`: a key is no class number (0, 1, 2 …)");
    check_refused(FILE_OF(.metadata = {"names", "{1000000000: 'b'}"}),
                  "test.onnx: metadata `names`: class 1000000000 is beyond the limit of 65536");
    check_refused(FILE_OF(.metadata = {"names", "[None]"}),
                  "test.onnx: metadata `names`: the name of class 0 is no text");
    check_refused(FILE_OF(.metadata = {"names", "'person'"}),
                  "test.onnx: metadata `names`: expected a dict or a list of class names");
    check_refused(FILE_OF(.metadata = {"stride", "0"}),
                  "test.onnx: metadata `stride`: expected a whole number, at least 1");
    check_refused(FILE_OF(.metadata = {"stride", "32.5"}),
                  "test.onnx: metadata `stride`: expected a whole number, at least 1");
    check_refused(FILE_OF(.metadata = {"imgsz", "[640, 0]"}),
                  "test.onnx: metadata `imgsz`: expected a whole number or a list of two");
    check_refused(FILE_OF(.metadata = {"imgsz", "[1, 2, 3]"}),
                  "test.onnx: metadata `imgsz`: expected a whole number or a list of two");
    check_refused(FILE_OF(.metadata = {"batch", "1e99"}),
                  "test.onnx: metadata `batch`: expected a whole number, at least 1");
    struct sac_model *model = open_model(FILE_OF(.metadata = {"args", "Namespace(a=1)", "x", "{"}));
    assert_int_equal(model->nms, -1); // args only help; other keys are nobody's
    sac__model_close(&model);
}

static unsigned tail_of(const char *ops)
{
    struct sac_model *model = open_model(FILE_OF(.ops = ops));
    unsigned tail = model->tail;
    sac__model_close(&model);
    return tail;
}

static void tails(void **state)
{
    (void)state;
    assert_int_equal(tail_of("Conv Sigmoid Concat Reshape Transpose"), 0);
    assert_int_equal(tail_of("Exp Mul Conv Sigmoid"), 0);
    assert_int_equal(tail_of("Conv Exp Mul Concat"), SAC__TAIL_EXP | SAC__TAIL_ARITHMETIC);
    assert_int_equal(tail_of("Conv Pow Concat"), SAC__TAIL_ARITHMETIC);
    assert_int_equal(tail_of("Conv TopK Gather"), SAC__TAIL_SELECT);
    assert_int_equal(tail_of("Conv NonMaxSuppression Gather"), SAC__TAIL_SELECT);
    struct sac_model *model = open_model(FILE_OF(.ops = "Exp Conv Pow Concat", .reversed = 1));
    assert_int_equal(model->tail, SAC__TAIL_ARITHMETIC);
    sac__model_close(&model);
}

static void inputs(void **state)
{
    (void)state;
    struct sac_model *model =
        open_model(FILE_OF(.input = {-1, 3, -1, 640}, .weights_as_inputs = 1));
    assert_int_equal(model->input_ndim, 4);
    assert_int_equal(model->input_shape[0], -1);
    assert_int_equal(model->input_shape[1], 3);
    assert_int_equal(model->input_shape[3], 640);
    sac__model_close(&model);
    model = open_model(FILE_OF(.ops = NULL));
    assert_int_equal(model->input_ndim, 0);
    sac__model_close(&model);
}

static void external_weights(void **state)
{
    (void)state;
    struct sac_model *model = open_model(FILE_OF(.external = "weights.bin"));
    assert_int_equal(model->self_contained, 0);
    sac__model_close(&model);
}

static void check_bytes(const void *bytes, size_t size, const char *message)
{
    struct sac_model *model = NULL;
    assert_int_equal(sac__model_read(&model, bytes, size, "x"), SAC_EMODEL);
    assert_string_equal(sac_error_message(), message);
    assert_null(model);
}

static void other_files_are_refused(void **state)
{
    (void)state;
    check_bytes("", 0, "x: no ONNX model but an empty file");
    check_bytes("PK\003\004rest", 8,
                "x: no ONNX model but a PyTorch checkpoint or another archive; export it to ONNX "
                "first");
    check_bytes("\xff\xd8\xff\xe0", 4, "x: no ONNX model but a picture; the model comes first");
    check_bytes("hello world", 11, "x: no ONNX model, or a damaged one");
    check_bytes("\010\010", 2, "x: no ONNX model: it holds no network");
    size_t size;
    uint8_t *bytes = onnx_file_write(&FILE_OF(.ops = NULL), &size);
    check_bytes(bytes, size - 1, "x: no ONNX model, or a damaged one");
    free(bytes);
}

/// graph { node { attribute { g { node … }}}}: messages within messages, 20000 deep.
static void deep_nesting_is_refused(void **state)
{
    (void)state;
    enum { LEVELS = 60000, ROOM = 6 * LEVELS };
    static const uint8_t fields[] = {0x0a, 0x2a, 0x32}; // node, attribute, g
    uint8_t *bytes = malloc(ROOM), *at = bytes + ROOM;
    for (int i = 0; i < LEVELS; i++) {
        size_t size = (size_t)(bytes + ROOM - at);
        *--at = (uint8_t)(size >> 14);
        *--at = (uint8_t)(size >> 7 & 0x7f) | 0x80;
        *--at = (uint8_t)(size & 0x7f) | 0x80;
        *--at = i == LEVELS - 1 ? 0x3a : fields[(LEVELS - 2 - i) % 3];
    }
    check_bytes(at, (size_t)(bytes + ROOM - at), "x: no ONNX model, or a damaged one");
    free(bytes);
}

static void files(void **state)
{
    (void)state;
    struct sac_model *model = NULL;
    assert_int_equal(sac__model_open(&model, "/nonexistent/m.onnx"), SAC_EIO);
    assert_string_equal(sac_error_message(),
                        "/nonexistent/m.onnx: cannot be opened: No such file or directory");
    assert_int_equal(sac__model_open(&model, "/tmp"), SAC_EIO);
    assert_string_equal(sac_error_message(), "/tmp: no regular file");
    char path[] = "/tmp/sac_test_model_XXXXXX";
    int fd = mkstemp(path);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(10); // a pipe that no one writes to: an error, not a wait
    assert_int_equal(sac__model_open(&model, path), SAC_EIO);
    alarm(0);
    assert_non_null(strstr(sac_error_message(), ": no regular file"));
    unlink(path);
    close(fd);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    size_t size;
    uint8_t *bytes = onnx_file_write(&FILE_OF(.metadata = {"stride", "32"}), &size);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
    assert_int_equal(sac__model_open(&model, path), 0);
    unlink(path);
    assert_int_equal(model->size, size);
    assert_memory_equal(model->bytes, bytes, size);
    assert_int_equal(model->stride, 32);
    sac__model_close(&model);
    free(bytes);
}

/// Against xxh128sum's answer for the same two hundred bytes 0, 1, … 199 as metadata would be
/// brittle; so the hash must be that of the bytes, printed big end first.
static void hash_is_xxh128(void **state)
{
    (void)state;
    struct sac_model *model = open_model(FILE_OF(.ops = NULL));
    char path[] = "/tmp/sac_test_hash_XXXXXX", command[128], line[64] = "";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, model->bytes, model->size), model->size);
    close(fd);
    snprintf(command, sizeof command, "xxh128sum %s 2>/dev/null", path);
    FILE *tool = popen(command, "r");
    size_t length = fread(line, 1, 32, tool);
    int missing = pclose(tool);
    unlink(path);
    if (!missing && length == 32) assert_string_equal(model->hash, line);
    assert_int_equal(strspn(model->hash, "0123456789abcdef"), 32);
    sac__model_close(&model);
    if (missing) skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silent_metadata),
        cmocka_unit_test(all_metadata),
        cmocka_unit_test(names_of_all_forms),
        cmocka_unit_test(default_names),
        cmocka_unit_test(bad_metadata_is_named),
        cmocka_unit_test(tails),
        cmocka_unit_test(inputs),
        cmocka_unit_test(external_weights),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(files),
        cmocka_unit_test(hash_is_xxh128),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
