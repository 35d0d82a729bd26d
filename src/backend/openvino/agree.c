// SPDX-License-Identifier: Apache-2.0
// Whether a network may run in bf16: it is run in both precisions on a made-up picture, and what
// comes out is compared. Most trained networks pass; some amplify rounding from layer to layer, or
// do arithmetic on pixel positions inside a matrix product, and those must stay in fp32.
#include "agree.h"

#include <math.h>
#include <stdlib.h>

// A value agrees within SMALL + RELATIVE times itself, at most PIXELS; values below QUIET in both
// (scores of background) say nothing. Of the trained networks at hand 99.7 % of the values agree,
// of random ones 85 to 94 %. docs/backends.md quotes these numbers.
static const double SMALL = 0.02, RELATIVE = 0.02, PIXELS = 2.0, QUIET = 0.05, SHARE = 0.97;
// Outputs of four dimensions are raw maps, whose values are logits: they agree within LOGIT (0.025
// of a score at most); below QUIET_LOGIT (a score of 0.05) in both they are background. Of the
// trained networks 99.9 % agree, of random ones 86 to 95 %.
static const double LOGIT = 0.1, QUIET_LOGIT = -3.0;

// Extents for what a network leaves open: one picture, its sides a multiple of every stride.
static const int64_t usual[] = {1, 3, 320, 320};

// More elements of input than this are not run for a comparison.
enum { MOST_INPUT = 1 << 28 };

enum { LIST_COLUMNS = 8, LIST_ROWS = 1000 };

static float noise(uint32_t x, uint32_t y, uint32_t z)
{
    uint32_t h = x * 0x9E3779B1u ^ y * 0x85EBCA77u ^ z * 0xC2B2AE3Du;
    h = (h ^ h >> 15) * 0x2C1B3C6Du;
    h = (h ^ h >> 12) * 0x297A2D39u;
    return (float)((h ^ h >> 15) >> 8) / 16777216.f;
}

// One picture element, 0 to 1: squares of four sizes over one another, in full contrast, so that
// there are edges of all scales and flat areas of black and white.
static float paint(uint32_t x, uint32_t y, uint32_t z)
{
    const float sum = 0.4f * noise(x / 64, y / 64, z) + 0.3f * noise(x / 16, y / 16, z + 7) +
                      0.2f * noise(x / 4, y / 4, z + 13) + 0.1f * noise(x, y, z + 19);
    return fminf(fmaxf(0.5f + 3.f * (sum - 0.5f), 0.f), 1.f);
}

// (N,C,H,W)
static void draw(float *values, const ov_shape_t *shape)
{
    const uint32_t planes = (uint32_t)(shape->dims[0] * shape->dims[1]);
    for (uint32_t z = 0; z < planes; z++)
        for (uint32_t y = 0; y < (uint32_t)shape->dims[2]; y++)
            for (uint32_t x = 0; x < (uint32_t)shape->dims[3]; x++)
                *values++ = paint(x, y, z);
}

static ov_status_e make_picture(ov_tensor_t **tensor_out, const ov_output_const_port_t *port)
{
    ov_partial_shape_t open = {{0, 0}, NULL};
    ov_element_type_e element = DYNAMIC;
    int64_t extents[4];
    const ov_shape_t shape = {4, extents};
    void *values;
    ov_status_e status = ov_port_get_element_type(port, &element);
    if (status == OK)
        status = ov_port_get_partial_shape(port, &open);
    if (status == OK && (element != F32 || open.rank.min != 4 || open.rank.max != 4))
        status = NOT_IMPLEMENTED;
    for (int64_t i = 0, count = 1; status == OK && i < 4; i++) {
        extents[i] = open.dims[i].min == open.dims[i].max ? open.dims[i].max : usual[i];
        if (extents[i] < 1 || extents[i] > MOST_INPUT / count)
            status = NOT_IMPLEMENTED;
        else
            count *= extents[i];
    }
    if (status == OK)
        status = ov_tensor_create(F32, shape, tensor_out);
    if (status == OK)
        status = ov_tensor_data(*tensor_out, &values);
    if (status == OK)
        draw(values, &shape);
    ov_partial_shape_free(&open);
    return status;
}

struct counts {
    size_t heard, agreed; ///< values above QUIET, and those that agree
};

static int close_enough(double a, double b)
{
    const double tolerance = fmin(SMALL + RELATIVE * fabs(a), PIXELS);
    return fabs(a - b) <= tolerance; // false for NaN
}

static void count_values(struct counts *counts, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (fabs(a[i]) < QUIET && fabs(b[i]) < QUIET)
            continue;
        counts->heard++;
        counts->agreed += (size_t)close_enough(a[i], b[i]);
    }
}

static void count_logits(struct counts *counts, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (a[i] < QUIET_LOGIT && b[i] < QUIET_LOGIT)
            continue;
        counts->heard++;
        counts->agreed += fabs(a[i] - b[i]) <= LOGIT; // false for NaN
    }
}

static int is_quiet(const float *row, int64_t columns)
{
    for (int64_t k = 0; k < columns; k++)
        if (!(fabs(row[k]) < QUIET))
            return 0;
    return 1;
}

// Near-equal scores may swap rows, so each is looked for anywhere.
static int has_row(const float *list, int64_t rows, const float *row, int64_t columns)
{
    for (int64_t i = 0; i < rows; i++) {
        int64_t k = 0;
        while (k < columns && close_enough(row[k], list[i * columns + k]))
            k++;
        if (k == columns)
            return 1;
    }
    return 0;
}

// A list of detections, the unused rows all zero: those of each in the other.
static void count_rows(struct counts *counts, const float *a, const float *b, int64_t rows,
                       int64_t columns)
{
    for (int64_t i = 0; i < 2 * rows; i++) {
        const float *row = i < rows ? a + i * columns : b + (i - rows) * columns;
        if (is_quiet(row, columns))
            continue;
        counts->heard++;
        counts->agreed += (size_t)has_row(i < rows ? b : a, rows, row, columns);
    }
}

static int same_shape(const ov_shape_t *a, const ov_shape_t *b)
{
    int same = a->rank == b->rank;
    for (int64_t i = 0; same && i < a->rank; i++)
        same = a->dims[i] == b->dims[i];
    return same;
}

static ov_status_e compare(struct counts *counts, const ov_tensor_t *a, const ov_tensor_t *b)
{
    ov_element_type_e element = DYNAMIC;
    ov_shape_t shape_a = {0, NULL}, shape_b = {0, NULL};
    void *values_a = NULL, *values_b = NULL;
    size_t count = 0;
    ov_status_e status = ov_tensor_get_element_type(a, &element);
    if (status != OK || element != F32)
        return status; // indices and counts follow from what is compared
    status = ov_tensor_get_shape(a, &shape_a);
    if (status == OK)
        status = ov_tensor_get_shape(b, &shape_b);
    if (status == OK && !same_shape(&shape_a, &shape_b))
        status = RESULT_NOT_READY; // another number of boxes
    if (status == OK)
        status = ov_tensor_get_size(a, &count);
    if (status == OK && count > 0)
        status = ov_tensor_data(a, &values_a);
    if (status == OK && count > 0)
        status = ov_tensor_data(b, &values_b);
    const int64_t *dims = shape_a.dims;
    if (status == OK && shape_a.rank == 3 && dims[2] <= LIST_COLUMNS && dims[1] <= LIST_ROWS)
        count_rows(counts, values_a, values_b, dims[0] * dims[1], dims[2]);
    else if (status == OK && shape_a.rank == 4)
        count_logits(counts, values_a, values_b, count);
    else if (status == OK)
        count_values(counts, values_a, values_b, count);
    ov_shape_free(&shape_a);
    ov_shape_free(&shape_b);
    return status;
}

static ov_status_e run(ov_infer_request_t **request_out, const ov_compiled_model_t *network,
                       const ov_tensor_t *picture)
{
    ov_status_e status = ov_compiled_model_create_infer_request(network, request_out);
    if (status == OK)
        status = ov_infer_request_set_input_tensor(*request_out, picture);
    if (status == OK)
        status = ov_infer_request_infer(*request_out);
    return status;
}

static ov_status_e compare_outputs(struct counts *counts, const ov_infer_request_t *a,
                                   const ov_infer_request_t *b, size_t outputs)
{
    ov_status_e status = OK;
    for (size_t i = 0; i < outputs && status == OK; i++) {
        ov_tensor_t *from_a = NULL, *from_b = NULL;
        status = ov_infer_request_get_output_tensor_by_index(a, i, &from_a);
        if (status == OK)
            status = ov_infer_request_get_output_tensor_by_index(b, i, &from_b);
        if (status == OK)
            status = compare(counts, from_a, from_b);
        ov_tensor_free(from_a);
        ov_tensor_free(from_b);
    }
    return status;
}

double sac__openvino_agreement(const ov_compiled_model_t *exact, const ov_compiled_model_t *fast)
{
    struct counts counts = {0, 0};
    ov_output_const_port_t *port = NULL;
    ov_tensor_t *picture = NULL;
    ov_infer_request_t *a = NULL, *b = NULL;
    size_t outputs = 0;
    ov_status_e status = ov_compiled_model_input(exact, &port); // fails where there are several
    if (status == OK)
        status = make_picture(&picture, port);
    if (status == OK)
        status = run(&a, exact, picture);
    if (status == OK)
        status = run(&b, fast, picture);
    if (status == OK)
        status = ov_compiled_model_outputs_size(exact, &outputs);
    if (status == OK)
        status = compare_outputs(&counts, a, b, outputs);
    ov_infer_request_free(a);
    ov_infer_request_free(b);
    ov_tensor_free(picture);
    ov_output_const_port_free(port);
    return status == OK && counts.heard > 0 ? (double)counts.agreed / (double)counts.heard : -1;
}

int sac__openvino_agrees(double agreement)
{
    return agreement >= SHARE;
}
