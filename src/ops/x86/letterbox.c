// SPDX-License-Identifier: Apache-2.0
// Letterbox: each source row that is needed is resampled across once, into three lines of 16-bit
// values; two such sets of lines are blended into a row of the input, converted and stored.
#include "ops/c/c.h"
#include "x86.h"

enum { TAPS = 64 };

// Two resampled source rows.
struct lines {
    int16_t *lines[2];
    int32_t row[2]; ///< source row in it, -1: none
};

struct letterbox {
    const struct sac__row_kernels *kernels;
    const struct sac__letterbox_job *job;
    struct sac__columns columns;
    struct lines lines;
    double down; ///< source rows a row
    float scale;
};

// ---- tables -------------------------------------------------------------------------------------

// Fills one group's byte positions; returns zero when they do not all fit.
static int set_taps(uint8_t *taps, const int32_t *offset, int32_t step)
{
    for (int i = 0; i < SAC__COLUMNS; i++) {
        const int32_t left = offset[i] - offset[0];
        if (left + 2 * step > 128) return 0;
        taps[4 * i] = (uint8_t)left;
        taps[4 * i + 2] = (uint8_t)(left + step);
    }
    return 1;
}

static int open_columns(struct sac__columns *columns, sac_workspace *workspace,
                        const struct sac__letterbox_job *job)
{
    const int32_t count = job->fit.new_width, width0 = job->fit.width0, step = job->src.step;
    const int32_t groups = (count + SAC__COLUMNS - 1) / SAC__COLUMNS;
    const int32_t padded = groups * SAC__COLUMNS;
    const int error = sac__block_reserve(
        &workspace->columns, (size_t)groups * TAPS + (size_t)padded * 2 * sizeof(int32_t));
    if (error) return error;
    uint8_t(*taps)[TAPS] = workspace->columns.data;
    int32_t *offset = (int32_t *)(void *)(taps + groups), *weights = offset + padded;
    const double scale = sac__resize_scale(count, width0);
    for (int32_t x = 0; x < padded; x++) {
        const struct sac__tap tap = sac__resize_column(x < count ? x : count - 1, scale, width0);
        offset[x] = tap.first * step;
        weights[x] = tap.weight0 | tap.weight1 << 16;
    }
    int fits = 1;
    memset(taps, 0, (size_t)groups * TAPS);
    for (int32_t g = 0; g < groups && fits; g++)
        fits = set_taps(taps[g], offset + g * SAC__COLUMNS, step);
    *columns = (struct sac__columns){
        .count = count,
        .padded = padded,
        .step = step,
        .byte = {job->src.byte[0], job->src.byte[1], job->src.byte[2]},
        .row_bytes = width0 * step,
        .offset = offset,
        .weights = weights,
        .taps = fits ? (const uint8_t(*)[TAPS])taps : NULL,
    };
    return 0;
}

static int open_lines(struct lines *lines, struct sac__columns *columns, sac_workspace *workspace)
{
    // 64: lines and rows may be read past their end by a vector.
    const size_t values = (size_t)columns->padded * 3, tail = (size_t)columns->row_bytes + 64;
    const int error =
        sac__block_reserve(&workspace->lines, 2 * values * sizeof(int16_t) + tail);
    if (error) return error;
    lines->lines[0] = workspace->lines.data;
    lines->lines[1] = lines->lines[0] + values;
    lines->row[0] = lines->row[1] = -1;
    columns->tail = (uint8_t *)(lines->lines[1] + values);
    memset(columns->tail, 0, tail);
    return 0;
}

// ---- padding ------------------------------------------------------------------------------------

static size_t value_bytes(const struct sac__letterbox_job *job)
{
    return job->dtype == SAC_F32 ? sizeof(float) : job->dtype == SAC_F16 ? sizeof(uint16_t) : 1;
}

static void *value_at(const struct sac__letterbox_job *job, size_t at)
{
    return (uint8_t *)job->dst + at * value_bytes(job);
}

static void pad(const struct letterbox *letterbox, size_t at, size_t count)
{
    const struct sac__letterbox_job *job = letterbox->job;
    if (count == 0) return;
    const float value = sac__input_value((uint8_t)job->pad, job->scaled);
    uint32_t pattern = (uint32_t)job->pad * 0x01010101u;
    if (job->dtype == SAC_F32) pattern = sac__float_bits(value);
    if (job->dtype == SAC_F16) pattern = sac__float_half(value) * 0x00010001u;
    letterbox->kernels->fill(value_at(job, at), count * value_bytes(job), pattern);
}

// Rows above and below the picture.
static void pad_rows(const struct letterbox *letterbox)
{
    const sac_letterbox *fit = &letterbox->job->fit;
    const size_t width = fit->width, below = (size_t)fit->top + fit->new_height;
    for (size_t channel = 0; channel < 3; channel++) {
        const size_t start = channel * fit->height * width;
        pad(letterbox, start, fit->top * width);
        pad(letterbox, start + below * width, (fit->height - below) * width);
    }
}

// ---- rows ---------------------------------------------------------------------------------------

// Which lines hold a source row: those at hand, or made in the slot that is not `other`.
static int line_of(struct letterbox *letterbox, int32_t source_row, int other)
{
    struct lines *lines = &letterbox->lines;
    for (int slot = 0; slot < 2; slot++)
        if (lines->row[slot] == source_row) return slot;
    const int slot = other == 0;
    const struct sac__pixels *src = &letterbox->job->src;
    letterbox->kernels->across(lines->lines[slot], &letterbox->columns,
                               src->data + source_row * src->stride);
    lines->row[slot] = source_row;
    return slot;
}

// Where row y of a channel begins; pads its sides.
static void *open_row(const struct letterbox *letterbox, int channel, int32_t y)
{
    const sac_letterbox *fit = &letterbox->job->fit;
    const size_t at = ((size_t)channel * fit->height + fit->top + y) * fit->width;
    const size_t right = (size_t)fit->left + fit->new_width;
    pad(letterbox, at, fit->left);
    pad(letterbox, at + right, fit->width - right);
    return value_at(letterbox->job, at + fit->left);
}

static void write_resized(struct letterbox *letterbox, int32_t y)
{
    const struct sac__letterbox_job *job = letterbox->job;
    const struct sac__tap row = sac__resize_row(y, letterbox->down, job->fit.height0);
    const int32_t second = row.weight1 ? row.second : row.first; // weight 0: any row will do
    const int upper = line_of(letterbox, row.first, letterbox->lines.row[0] != second);
    const int lower = line_of(letterbox, second, upper);
    for (int channel = 0; channel < 3; channel++) {
        const size_t line = (size_t)channel * letterbox->columns.padded;
        letterbox->kernels->down(open_row(letterbox, channel, y), job->dtype, job->fit.new_width,
                                 letterbox->lines.lines[upper] + line,
                                 letterbox->lines.lines[lower] + line, row, letterbox->scale);
    }
}

static void write_same(const struct letterbox *letterbox, int32_t y)
{
    const struct sac__letterbox_job *job = letterbox->job;
    const uint8_t *row = job->src.data + y * job->src.stride;
    for (int channel = 0; channel < 3; channel++)
        letterbox->kernels->same(open_row(letterbox, channel, y), job->dtype, job->fit.new_width,
                                 row, job->src.step, job->src.byte[channel], letterbox->scale);
}

int sac__letterbox_x86(const struct sac__row_kernels *kernels, sac_workspace *workspace,
                       const struct sac__letterbox_job *job)
{
    if (job->src.chroma) return sac__letterbox_c(workspace, job);
    struct letterbox letterbox = {
        .kernels = kernels,
        .job = job,
        .down = sac__resize_scale(job->fit.new_height, job->fit.height0),
        .scale = job->scaled ? 1 / 255.f : 1.f,
    };
    const int same = job->fit.new_width == job->fit.width0 &&
                     job->fit.new_height == job->fit.height0;
    int error = same ? 0 : open_columns(&letterbox.columns, workspace, job);
    if (!error && !same) error = open_lines(&letterbox.lines, &letterbox.columns, workspace);
    if (error) return error;
    pad_rows(&letterbox);
    for (int32_t y = 0; y < job->fit.new_height; y++) {
        if (same) write_same(&letterbox, y);
        else write_resized(&letterbox, y);
    }
    return 0;
}
