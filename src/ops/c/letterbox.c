// SPDX-License-Identifier: Apache-2.0
#include "c.h"

static void write_value(const struct sac__letterbox_job *job, size_t at, uint8_t byte)
{
    const float value = sac__input_value(byte, job->scaled);
    switch (job->dtype) {
    case SAC_F32: ((float *)job->dst)[at] = value; break;
    case SAC_F16: ((uint16_t *)job->dst)[at] = sac__float_half(value); break;
    default: ((uint8_t *)job->dst)[at] = byte; break;
    }
}

// One row of one channel; `row` is NULL above and below the picture.
static void write_row(const struct sac__letterbox_job *job, int channel, int32_t y,
                      const struct sac__tap *row, const struct sac__tap *columns)
{
    const sac_letterbox *fit = &job->fit;
    const size_t start = ((size_t)channel * fit->height + y) * fit->width;
    for (int32_t x = 0; x < fit->width; x++) {
        const int32_t d = x - fit->left;
        const int inside = row && d >= 0 && d < fit->new_width;
        write_value(job, start + x,
                    inside ? sac__resized_byte(&job->src, channel, *row, columns[d])
                           : (uint8_t)job->pad);
    }
}

int sac__letterbox_c(sac_workspace *workspace, const struct sac__letterbox_job *job)
{
    const sac_letterbox *fit = &job->fit;
    const int error = sac__block_reserve(&workspace->columns,
                                         (size_t)fit->new_width * sizeof(struct sac__tap));
    if (error) return error;
    struct sac__tap *columns = workspace->columns.data;
    const double across = sac__resize_scale(fit->new_width, fit->width0);
    const double down = sac__resize_scale(fit->new_height, fit->height0);
    for (int32_t x = 0; x < fit->new_width; x++)
        columns[x] = sac__resize_column(x, across, fit->width0);
    for (int channel = 0; channel < 3; channel++) {
        for (int32_t y = 0; y < fit->height; y++) {
            const int32_t d = y - fit->top;
            struct sac__tap row;
            const int inside = d >= 0 && d < fit->new_height;
            if (inside) row = sac__resize_row(d, down, fit->height0);
            write_row(job, channel, y, inside ? &row : NULL, columns);
        }
    }
    return 0;
}
