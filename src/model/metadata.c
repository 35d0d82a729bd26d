// SPDX-License-Identifier: Apache-2.0
// Metadata as yolov5 (stride, names) and ultralytics (the rest, too) write it: each value is str()
// of a Python object.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "internal.h"
#include "literal.h"

/// Class ids beyond are taken for damage.
enum { NAMES_MAX = 65536, EXTENT_MAX = 1 << 20 };

static int out_of_memory(void)
{
    return sac__fail(SAC_ENOMEM, "out of memory");
}

static int replace_text(char **text, const char *value)
{
    char *copy = strdup(value);
    if (!copy) return out_of_memory();
    free(*text);
    *text = copy;
    return SAC_OK;
}

// Numbers

/// A whole number in [1, EXTENT_MAX], also written as 32.0; 0 otherwise.
static int whole(const struct sac__node *node)
{
    int number = node->kind == SAC__INT || node->kind == SAC__FLOAT;
    int fits = number && node->real >= 1 && node->real <= EXTENT_MAX;
    return fits && floor(node->real) == node->real ? (int)node->real : 0;
}

/// A number, or the largest of a list of numbers (strides).
static int read_number(int *number_out, const struct sac__literal *literal)
{
    const struct sac__node *root = literal->nodes;
    int largest = root->kind == SAC__LIST ? 0 : whole(root);
    for (size_t i = 1; root->kind == SAC__LIST && i < literal->count; i++) {
        int number = whole(literal->nodes + i);
        if (!number) return sac__fail(SAC_EMODEL, "expected whole numbers, at least 1");
        if (number > largest) largest = number;
    }
    if (!largest) return sac__fail(SAC_EMODEL, "expected a whole number, at least 1");
    *number_out = largest;
    return SAC_OK;
}

static int read_stride(struct sac_model *model, const struct sac__literal *literal)
{
    return read_number(&model->stride, literal);
}

static int read_batch(struct sac_model *model, const struct sac__literal *literal)
{
    return read_number(&model->batch, literal);
}

static int read_channels(struct sac_model *model, const struct sac__literal *literal)
{
    return read_number(&model->channels, literal);
}

/// 640, [640] or [480, 640]: height and width.
static int read_imgsz(struct sac_model *model, const struct sac__literal *literal)
{
    const struct sac__node *root = literal->nodes, *last = root + literal->count - 1;
    const struct sac__node *first = root->kind == SAC__LIST && root->count ? root + 1 : root;
    int height = whole(first), width = whole(last);
    if (literal->count > 3 || !height || !width)
        return sac__fail(SAC_EMODEL, "expected a whole number or a list of two");
    model->imgsz[0] = height;
    model->imgsz[1] = width;
    return SAC_OK;
}

static int is_true(const struct sac__node *node)
{
    return node->kind == SAC__NONE ? 0 : node->integer != 0;
}

static int read_end2end(struct sac_model *model, const struct sac__literal *literal)
{
    model->end2end = is_true(literal->nodes);
    return SAC_OK;
}

static int read_args(struct sac_model *model, const struct sac__literal *literal)
{
    const struct sac__node *nodes = literal->nodes;
    if (nodes->kind != SAC__DICT) return SAC_OK;
    for (size_t key = 1; key < literal->count;) {
        size_t value = nodes[key].next;
        if (nodes[key].kind == SAC__STRING && strcmp(nodes[key].text, "nms") == 0)
            model->nms = is_true(nodes + value);
        key = nodes[value].next;
    }
    return SAC_OK;
}

// Class names

static void free_names(char **names, int count)
{
    for (int i = 0; names && i < count; i++)
        free(names[i]);
    free(names);
}

static char *default_name(int class_id)
{
    char text[32];
    snprintf(text, sizeof text, "class%d", class_id);
    return strdup(text);
}

/// A class id: an integer, or digits in a string (as JSON would have it); -1 otherwise.
static int64_t class_id_of(const struct sac__node *key)
{
    if (key->kind == SAC__INT) return key->integer < 0 ? -1 : key->integer;
    if (key->kind != SAC__STRING || !key->text[0] || strlen(key->text) > 9) return -1;
    return strspn(key->text, "0123456789") == strlen(key->text) ? atol(key->text) : -1;
}

static int set_name(char **names, int64_t class_id, const struct sac__node *value)
{
    char number[32];
    snprintf(number, sizeof number, "%lld", (long long)value->integer);
    if (value->kind != SAC__STRING && value->kind != SAC__INT)
        return sac__fail(SAC_EMODEL, "the name of class %lld is no text", (long long)class_id);
    return replace_text(&names[class_id], value->kind == SAC__INT ? number : value->text);
}

/// How many classes: one more than the largest key, or the list's length. 0 and a message when a
/// key is no class id.
static int count_names(const struct sac__literal *literal)
{
    const struct sac__node *nodes = literal->nodes;
    int64_t largest = nodes->kind == SAC__LIST ? (int64_t)nodes->count - 1 : -1;
    for (size_t key = 1; nodes->kind == SAC__DICT && key < literal->count;) {
        int64_t id = class_id_of(nodes + key);
        if (id < 0) sac__fail(SAC_EMODEL, "a key is no class number (0, 1, 2 …)");
        if (id < 0) return 0;
        if (id > largest) largest = id;
        key = nodes[nodes[key].next].next;
    }
    if (largest < NAMES_MAX) return (int)largest + 1;
    sac__fail(SAC_EMODEL, "class %lld is beyond the limit of %d", (long long)largest, NAMES_MAX);
    return 0;
}

static int fill_from(char **names, const struct sac__literal *literal)
{
    const struct sac__node *nodes = literal->nodes;
    int dict = nodes->kind == SAC__DICT, error = SAC_OK;
    int64_t position = 0;
    for (size_t at = 1; at < literal->count && !error; position++) {
        size_t value = dict ? nodes[at].next : at;
        error = set_name(names, dict ? class_id_of(nodes + at) : position, nodes + value);
        at = nodes[value].next;
    }
    return error;
}

/// Names that are missing between others become class3.
static int fill_gaps(char **names, int count)
{
    for (int i = 0; i < count; i++)
        if (!names[i] && !(names[i] = default_name(i))) return out_of_memory();
    return SAC_OK;
}

static int read_names(struct sac_model *model, const struct sac__literal *literal)
{
    const struct sac__node *root = literal->nodes;
    if (root->kind != SAC__DICT && root->kind != SAC__LIST)
        return sac__fail(SAC_EMODEL, "expected a dict or a list of class names");
    if (root->count == 0) return SAC_OK; // as good as silent
    int count = count_names(literal);
    if (!count) return SAC_EMODEL;
    char **names = calloc((size_t)count, sizeof *names);
    int error = names ? fill_from(names, literal) : out_of_memory();
    if (!error) error = fill_gaps(names, count);
    if (error) {
        free_names(names, count);
        return error;
    }
    free_names(model->names, model->name_count);
    model->names = names;
    model->name_count = count;
    return SAC_OK;
}

int sac__model_fill_names(struct sac_model *model, int classes)
{
    if (model->name_count) return SAC_OK;
    char **names = calloc(classes > 0 ? (size_t)classes : 1, sizeof *names);
    int error = names ? fill_gaps(names, classes) : out_of_memory();
    if (error) {
        free_names(names, classes);
        return error;
    }
    free(model->names);
    model->names = names;
    model->name_count = classes;
    return SAC_OK;
}

// Keys

static const struct {
    const char *key;
    int (*read)(struct sac_model *model, const struct sac__literal *literal);
    int lenient; ///< a value that does not parse is passed over: it is a help, not a need
} keys[] = {
    {"names", read_names, 0}, {"stride", read_stride, 0},     {"imgsz", read_imgsz, 0},
    {"batch", read_batch, 0}, {"channels", read_channels, 0}, {"end2end", read_end2end, 0},
    {"args", read_args, 1},
};

static int set_literal(struct sac_model *model, size_t key, const char *value)
{
    struct sac__literal literal;
    int error = sac__literal_parse(&literal, value, strlen(value));
    if (error == SAC_EMODEL && keys[key].lenient)
        error = SAC_OK;
    else if (!error)
        error = keys[key].read(model, &literal);
    sac__literal_free(&literal);
    if (error != SAC_EMODEL) return error;
    return sac__fail(error, "metadata `%s`: %s", keys[key].key, sac_error_message());
}

int sac__metadata_set(struct sac_model *model, const char *key, const char *value)
{
    if (strcmp(key, "task") == 0) return replace_text(&model->task, value);
    if (strcmp(key, "head") == 0) return replace_text(&model->head, value);
    if (strcmp(key, "description") == 0) return replace_text(&model->description, value);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i].key) == 0) return set_literal(model, i, value);
    return SAC_OK;
}
