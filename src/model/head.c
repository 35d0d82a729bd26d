// SPDX-License-Identifier: Apache-2.0
// Which family a raw output belongs to. docs/heads.md has the layouts and the reasons.
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "internal.h"

/// An end-to-end model without metadata does not tell its number of classes.
enum { CLASSES_UNKNOWN = 1000 };

/// Strides of a network's levels, the usual ones first; 0 ends.
static const int32_t level_sets[][6] = {
    {8, 16, 32},        {8, 16, 32, 64}, {4, 8, 16, 32}, {8, 16, 32, 64, 128},
    {4, 8, 16, 32, 64}, {16, 32},        {8, 16},
};
enum { LEVEL_SETS = sizeof level_sets / sizeof *level_sets };

/// What is known beside an output's own shape.
struct facts {
    const struct sac_model *model;
    const sac_binding *bindings;
    size_t count;
    int64_t height, width; ///< of the input, pixels; 0: unknown
};

// Texts for messages

struct text {
    char data[512];
    size_t size;
};

static void add_text(struct text *text, const char *more)
{
    int written = snprintf(text->data + text->size, sizeof text->data - text->size, "%s", more);
    text->size += (size_t)written;
    if (text->size >= sizeof text->data) text->size = sizeof text->data - 1;
}

/// "output0 (1,84,8400)", dynamic extents as "?".
static void add_binding(struct text *text, const sac_binding *binding)
{
    char number[32];
    add_text(text, binding->name);
    add_text(text, " (");
    for (int32_t i = 0; i < binding->ndim; i++) {
        snprintf(number, sizeof number, "%s%lld", i ? "," : "", (long long)binding->shape[i]);
        if (binding->shape[i] < 0) snprintf(number, sizeof number, "%s?", i ? "," : "");
        add_text(text, number);
    }
    add_text(text, ")");
    if (binding->dtype == SAC_F32 || binding->dtype == SAC_F16) return;
    add_text(text, " of ");
    add_text(text, sac_dtype_name(binding->dtype));
}

static struct text binding_text(const sac_binding *binding)
{
    struct text text = {0};
    add_binding(&text, binding);
    return text;
}

static struct text outputs_text(const struct facts *facts)
{
    struct text text = {0};
    for (size_t i = 0; i < facts->count; i++) {
        if (facts->bindings[i].is_input) continue;
        if (text.size) add_text(&text, ", ");
        add_binding(&text, facts->bindings + i);
    }
    return text;
}

// Shapes

/// Cells of all levels of an input; 0 where its size is unknown or not a multiple of the strides.
static int64_t count_cells(const struct facts *facts, const int32_t *strides)
{
    int64_t cells = 0;
    for (int i = 0; strides[i]; i++) {
        if (facts->height % strides[i] || facts->width % strides[i]) return 0;
        cells += (facts->height / strides[i]) * (facts->width / strides[i]);
    }
    return cells;
}

/// The levels that make `rows` rows with `each` of them a cell; NULL when none do.
static const int32_t *find_levels(const struct facts *facts, int64_t rows, int64_t each)
{
    for (int i = 0; i < LEVEL_SETS; i++) {
        int64_t cells = count_cells(facts, level_sets[i]);
        if (cells && rows == each * cells) return level_sets[i];
    }
    return NULL;
}

static void set_head(sac_head *head, sac_head_family family, int64_t classes,
                     const int32_t *strides)
{
    *head = (sac_head){.family = family, .classes = (int32_t)classes};
    if (family == SAC_HEAD_YOLOX)
        memcpy(head->strides, strides ? strides : level_sets[0], sizeof level_sets[0]);
}

/// Rows of cx,cy,w,h,obj,cls…, one a cell: YOLOX or v6. What the graph does with the boxes tells
/// them apart: YOLOX decodes sizes with exp, v6 without, and undecoded YOLOX calculates nothing.
static sac_head_family one_a_cell(const struct facts *facts)
{
    if (facts->model->tail & SAC__TAIL_EXP) return SAC_HEAD_YOLOX_DECODED;
    return facts->model->tail & SAC__TAIL_ARITHMETIC ? SAC_HEAD_V5 : SAC_HEAD_YOLOX;
}

/// Classes of an extent that holds `other` more values; of a dynamic one, what the metadata says.
static int64_t classes_of(const struct facts *facts, int64_t extent, int64_t other)
{
    return extent < 0 ? facts->model->name_count : extent - other;
}

static int64_t end2end_classes(const struct facts *facts)
{
    return facts->model->name_count ? facts->model->name_count : CLASSES_UNKNOWN;
}

// Rules, the surest first. Each returns nonzero, and why through why_out, when it knows the head of
// an output (B,rows,columns).

typedef int rule(sac_head *head, const char **why_out, const struct facts *facts, int64_t rows,
                 int64_t columns);

static int says_end2end(sac_head *head, const char **why_out, const struct facts *facts,
                        int64_t rows, int64_t columns)
{
    (void)rows;
    int metadata = facts->model->end2end == 1 || facts->model->nms == 1;
    if (columns != 6 || !(metadata || facts->model->tail & SAC__TAIL_SELECT)) return 0;
    set_head(head, SAC_HEAD_END2END, end2end_classes(facts), NULL);
    *why_out = metadata ? "metadata" : "graph";
    return 1;
}

static int rows_fit(sac_head *head, const char **why_out, const struct facts *facts, int64_t rows,
                    int64_t columns)
{
    int wide = columns >= 6, tall = rows >= 5;
    const int32_t *one = wide ? find_levels(facts, rows, 1) : NULL;
    *why_out = one ? "graph" : "shape";
    if (one)
        set_head(head, one_a_cell(facts), columns - 5, one);
    else if (wide && find_levels(facts, rows, 3))
        set_head(head, SAC_HEAD_V5, columns - 5, NULL);
    else if (tall && find_levels(facts, columns, 1))
        set_head(head, SAC_HEAD_V8, rows - 4, NULL);
    else
        return 0;
    return 1;
}

static int dynamic_fits(sac_head *head, const char **why_out, const struct facts *facts,
                        int64_t rows, int64_t columns)
{
    if (rows >= 5 && columns < 0) {
        set_head(head, SAC_HEAD_V8, rows - 4, NULL);
        *why_out = "shape";
    } else if (rows < 0 && columns >= 6) {
        sac_head_family family = one_a_cell(facts);
        set_head(head, family, columns - 5, NULL);
        *why_out = family == SAC_HEAD_V5 ? "shape" : "graph";
    } else {
        return 0;
    }
    return 1;
}

/// Levels that we do not know, but as many classes as the metadata names.
static int names_fit(sac_head *head, const char **why_out, const struct facts *facts, int64_t rows,
                     int64_t columns)
{
    int names = facts->model->name_count;
    *why_out = "metadata";
    if (!names || !strcmp(facts->model->head, "RTDETRDecoder")) return 0;
    if (rows == 4 + names && columns > rows)
        set_head(head, SAC_HEAD_V8, names, NULL);
    else if (columns == 5 + names && rows > columns && facts->model->stride)
        set_head(head, SAC_HEAD_V5, names, NULL);
    else
        return 0;
    return 1;
}

static int six_columns(sac_head *head, const char **why_out, const struct facts *facts,
                       int64_t rows, int64_t columns)
{
    if (columns != 6 || rows < 1 || !strcmp(facts->model->head, "RTDETRDecoder")) return 0;
    set_head(head, SAC_HEAD_END2END, end2end_classes(facts), NULL);
    *why_out = "shape";
    return 1;
}

static rule *const rules[] = {says_end2end, rows_fit, dynamic_fits, names_fit, six_columns};

/// Nonzero for a (B,…,…) output of floating-point numbers.
static int is_candidate(const sac_binding *binding)
{
    return !binding->is_input && binding->ndim == 3 &&
           (binding->dtype == SAC_F32 || binding->dtype == SAC_F16);
}

static int recognise_output(sac_head *head, const char **why_out, const struct facts *facts,
                            const sac_binding *output)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i](head, why_out, facts, output->shape[1], output->shape[2])) return 1;
    return 0;
}

// Four outputs

enum { COUNTS, BOXES, SCORES, CLASSES };

static int is_real(const sac_binding *b)
{
    return b->dtype == SAC_F32 || b->dtype == SAC_F16;
}

/// What an output of EfficientNMS is: an index of roles_out; -1: none of them.
static int role_of(const sac_binding *b)
{
    const int whole = b->dtype == SAC_I32;
    if (b->is_input) return -1;
    if (b->ndim == 3 && b->shape[2] == 4 && is_real(b)) return BOXES;
    if (whole && (b->ndim == 1 || (b->ndim == 2 && b->shape[1] == 1))) return COUNTS;
    if (b->ndim != 2) return -1;
    return whole ? CLASSES : is_real(b) ? SCORES : -1;
}

int sac__head_four(size_t *first_out, int roles_out[4], const sac_binding *bindings, size_t count)
{
    size_t first = 0;
    unsigned seen = 0;
    while (first < count && bindings[first].is_input) first++;
    if (count - first != 4) return 0;
    for (int i = 0; i < 4; i++) {
        const int role = role_of(&bindings[first + (size_t)i]);
        if (role < 0) return 0;
        roles_out[role] = i;
        seen |= 1u << role;
    }
    *first_out = first;
    if (seen != 15) return 0;
    const int64_t most = bindings[first + (size_t)roles_out[BOXES]].shape[1];
    return bindings[first + (size_t)roles_out[SCORES]].shape[1] == most &&
           bindings[first + (size_t)roles_out[CLASSES]].shape[1] == most;
}

static int four_fit(sac_head *head, size_t *output_out, const char **why_out,
                    const struct facts *facts)
{
    int roles[4];
    if (!sac__head_four(output_out, roles, facts->bindings, facts->count)) return 0;
    set_head(head, SAC_HEAD_EFFICIENT_NMS, end2end_classes(facts), NULL);
    *why_out = "shape";
    return 1;
}

// The layout option

static int find_layout(sac_head_family *family_out, const char *layout)
{
#define FIND(name, value, text)                                                                    \
    if (strcmp(layout, text) == 0) {                                                               \
        *family_out = name;                                                                        \
        return SAC_OK;                                                                             \
    }
#define LIST(name, value, text) " " text
    SAC_HEADS(FIND)
    return sac__fail(SAC_EINVAL, "layout '%s' is unknown; known are:" SAC_HEADS(LIST), layout);
#undef LIST
#undef FIND
}

/// Reads an output as the family asked for; nonzero when its shape allows that.
static int force_output(sac_head *head, const struct facts *facts, sac_head_family family,
                        const sac_binding *output)
{
    int64_t rows = output->shape[1], columns = output->shape[2];
    int column_major = family == SAC_HEAD_V8;
    int64_t values = column_major ? rows : columns, other = column_major ? 4 : 5;
    int64_t classes = classes_of(facts, values, other);
    const int32_t *strides = NULL;
    if (family == SAC_HEAD_YOLOX && rows > 0 && facts->height)
        if (!(strides = find_levels(facts, rows, 1))) return 0;
    if (family == SAC_HEAD_END2END) {
        if (columns >= 0 && columns != 6) return 0;
        classes = end2end_classes(facts);
    }
    if (classes < 1) return 0;
    set_head(head, family, classes, strides);
    return 1;
}

static int force_layout(sac_head *head_out, size_t *output_out, const struct facts *facts,
                        const char *layout)
{
    sac_head_family family = SAC_HEAD_V5;
    const char *why;
    int error = find_layout(&family, layout);
    if (error) return error;
    if (family == SAC_HEAD_EFFICIENT_NMS && four_fit(head_out, output_out, &why, facts))
        return SAC_OK;
    for (size_t i = 0; i < facts->count; i++) {
        if (!is_candidate(facts->bindings + i) || family == SAC_HEAD_EFFICIENT_NMS) continue;
        if (!force_output(head_out, facts, family, facts->bindings + i)) continue;
        *output_out = i;
        return SAC_OK;
    }
    return sac__fail(SAC_EMODEL, "no output can be read as layout '%s': the model gives %s", layout,
                     outputs_text(facts).data);
}

// Refusals

static int check_task(const struct sac_model *model)
{
    if (!model->task[0] || !strcmp(model->task, "detect")) return SAC_OK;
    return sac__fail(SAC_EMODEL,
                     "task '%s': saccade reads detection models; export one with task=detect",
                     model->task);
}

/// Mask prototypes (B,M,H/4,W/4) beside the rows give a segmentation model away.
static int has_masks(const struct facts *facts)
{
    for (size_t i = 0; i < facts->count; i++) {
        const sac_binding *b = facts->bindings + i;
        if (b->is_input || b->ndim != 4) continue;
        if (facts->height ? b->shape[2] * 4 == facts->height : b->shape[1] == 32) return 1;
    }
    return 0;
}

static int check_classes(const struct facts *facts, const sac_head *head, size_t output)
{
    int names = facts->model->name_count;
    if (has_masks(facts))
        return sac__fail(SAC_EMODEL,
                         "a segmentation model (%s): saccade reads detection models; export one "
                         "with task=detect",
                         outputs_text(facts).data);
    if (head->classes < 1 || (names && names != head->classes))
        return sac__fail(
            SAC_EMODEL,
            "%s read as layout '%s' has %d classes, but the metadata names %d: another "
            "kind of model (pose, OBB, segmentation), another layout (--layout), or "
            "wrong `names`",
            binding_text(facts->bindings + output).data, sac_head_name(head->family),
            (int)head->classes, names);
    return SAC_OK;
}

/// Says what was found, and what an input of this size would lead one to expect.
static int refuse(const struct facts *facts)
{
    struct text found = outputs_text(facts);
    for (size_t i = 0; i < facts->count; i++) {
        const sac_binding *b = facts->bindings + i;
        if (!b->is_input && b->ndim == 2 && b->shape[0] <= 64)
            return sac__fail(SAC_EMODEL,
                             "%s looks like a classification model: saccade reads detection "
                             "models; export one with task=detect",
                             found.data);
    }
    int64_t cells = count_cells(facts, level_sets[0]);
    char rows[3][24] = {"A", "3A", "A"};
    for (int i = 0; cells && i < 3; i++)
        snprintf(rows[i], sizeof rows[i], "%lld", (long long)(i == 1 ? 3 * cells : cells));
    return sac__fail(SAC_EMODEL,
                     "no known head: the model gives %s; known are (B,4+classes,%s) v8, "
                     "(B,%s,5+classes) v5, (B,%s,5+classes) YOLOX or v6, (B,K,6) end to end; "
                     "--layout forces one",
                     found.data[0] ? found.data : "no output", rows[0], rows[1], rows[2]);
}

static int find_input(struct facts *facts)
{
    const sac_binding *input = NULL;
    for (size_t i = 0; i < facts->count; i++) {
        const sac_binding *b = facts->bindings + i;
        if (!b->is_input) continue;
        if (input)
            return sac__fail(SAC_EMODEL, "two inputs, '%s' and '%s': saccade gives a picture only",
                             input->name, b->name);
        input = b;
    }
    if (!input || input->ndim != 4 || input->shape[2] < 1 || input->shape[3] < 1) return SAC_OK;
    facts->height = input->shape[2];
    facts->width = input->shape[3];
    return SAC_OK;
}

int sac__head_recognise(sac_head *head_out, size_t *output_out, const char **why_out,
                        const struct sac_model *model, const sac_binding *bindings, size_t count,
                        const char *layout)
{
    struct facts facts = {.model = model, .bindings = bindings, .count = count};
    int error = find_input(&facts);
    if (error) return error;
    if (layout) {
        *why_out = "layout option";
        error = force_layout(head_out, output_out, &facts, layout);
        return error ? error : check_classes(&facts, head_out, *output_out);
    }
    error = check_task(model);
    if (error) return error;
    if (four_fit(head_out, output_out, why_out, &facts)) return SAC_OK;
    for (size_t i = 0; i < count; i++) {
        if (!is_candidate(bindings + i)) continue;
        if (!recognise_output(head_out, why_out, &facts, bindings + i)) continue;
        *output_out = i;
        return check_classes(&facts, head_out, i);
    }
    return refuse(&facts);
}

int sac__model_check_input(const sac_binding *input)
{
    struct text found = binding_text(input);
    int64_t channels = input->ndim == 4 ? input->shape[1] : 0;
    if (input->ndim == 4 && channels != 3 && input->shape[3] == 3)
        return sac__fail(SAC_EMODEL,
                         "input %s has the channels last: export it with channels first, (B,3,H,W)",
                         found.data);
    if (channels > 0 && channels != 3)
        return sac__fail(SAC_EMODEL, "input %s: saccade gives 3 channels, (B,3,H,W), not %lld",
                         found.data, (long long)channels);
    if (input->ndim != 4)
        return sac__fail(SAC_EMODEL, "input %s is no picture (B,3,H,W)", found.data);
    if (input->dtype != SAC_F32 && input->dtype != SAC_F16 && input->dtype != SAC_U8)
        return sac__fail(SAC_EMODEL, "input %s: known types are float32, float16 and uint8",
                         found.data);
    return SAC_OK;
}
