// SPDX-License-Identifier: Apache-2.0
// The graph compiler on the command line, for test_graph.py:
//   graph_tool plan MODEL N H W [BYTES]       prints the plan (BYTES an activation: 2 or 4)
//   graph_tool run  MODEL N H W FOLDER        reads FOLDER/input.f32 (N,3,H,W), runs the reference,
//       writes FOLDER/rows.f32 and FOLDER/rawK.f32, and prints "K NAME N C H W" for each raw map
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cuda/graph/plan.h"

static void *file_read(const char *path, size_t *size_out)
{
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    *size_out = (size_t)ftell(file);
    rewind(file);
    void *bytes = malloc(*size_out + 1);
    if (bytes && fread(bytes, 1, *size_out, file) != *size_out) {
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    return bytes;
}

static int file_write(const char *folder, const char *name, const float *values, size_t count)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    int ok = file && fwrite(values, sizeof *values, count, file) == count;
    if (file && fclose(file)) ok = 0;
    return ok ? 0 : 1;
}

/// A raw map as (N,C,H,W).
static int write_raw(const struct sac_plan *plan, const struct sac_view *view, void *arena,
                     const char *folder, int number)
{
    const struct sac_buffer *b = &plan->buffers[view->buffer];
    int64_t area = b->height * b->width, count = b->n * area * view->channels;
    float *values = malloc((size_t)count * sizeof *values);
    const float *from = sac__view_data(plan, view, arena);
    char name[32];
    if (!values) return 1;
    for (int64_t p = 0; p < b->n * area; p++)
        for (int64_t c = 0; c < view->channels; c++)
            values[(p / area * view->channels + c) * area + p % area] = from[p * b->pitch + c];
    printf("%d %s %lld %lld %lld %lld\n", number, b->name, (long long)b->n,
           (long long)view->channels, (long long)b->height, (long long)b->width);
    snprintf(name, sizeof name, "raw%d.f32", number);
    int failed = file_write(folder, name, values, (size_t)count);
    free(values);
    return failed;
}

static size_t rows_count(const struct sac_plan *plan)
{
    size_t count = 1;
    for (int k = 0; k < plan->output_ndim; k++)
        count *= (size_t)plan->output_shape[k];
    return count;
}

static int write_all(const struct sac_plan *plan, void *arena, const char *folder,
                     const float *rows)
{
    const struct sac_head_plan *head = &plan->head;
    size_t count = rows_count(plan);
    int failed = file_write(folder, "rows.f32", rows, count), number = 0;
    for (int k = 0; k < head->level_count; k++) {
        failed |= write_raw(plan, &head->levels[k].raw, arena, folder, number++);
        if (head->levels[k].scores.buffer >= 0)
            failed |= write_raw(plan, &head->levels[k].scores, arena, folder, number++);
    }
    return failed;
}

static int run(const struct sac_plan *plan, const char *folder)
{
    char path[4096];
    size_t size = 0;
    snprintf(path, sizeof path, "%s/input.f32", folder);
    const int64_t *in = plan->input_shape;
    float *picture = file_read(path, &size);
    void *arena = malloc(plan->arena_bytes);
    float *rows = malloc(rows_count(plan) * sizeof *rows);
    int failed = !picture || !arena || !rows ||
                 size != (size_t)(in[0] * in[1] * in[2] * in[3]) * sizeof *picture;
    if (!failed) memset(arena, 0xff, plan->arena_bytes); // NaN wherever a layer forgot to write
    if (!failed) failed = sac__plan_run(plan, picture, arena, rows) != 0;
    if (!failed) failed = write_all(plan, arena, folder, rows);
    free(picture);
    free(arena);
    free(rows);
    return failed;
}

int main(int argc, char **argv)
{
    struct sac_plan *plan;
    size_t size = 0;
    if (argc < 6) return 2;
    void *bytes = file_read(argv[2], &size);
    if (!bytes) return 2;
    int printing = !strcmp(argv[1], "plan");
    const int64_t shape[4] = {atoll(argv[3]), 0, atoll(argv[4]), atoll(argv[5])};
    int error =
        sac__plan_open(&plan, bytes, size, shape, printing && argc > 6 && *argv[6] == '2' ? 2 : 4);
    free(bytes);
    if (error) {
        fprintf(stderr, "%s: %s\n", sac_error_name(error), sac_error_message());
        return 1;
    }
    if (printing) sac__plan_print(plan, stdout);
    int failed = printing ? 0 : argc < 7 || run(plan, argv[6]);
    sac__plan_close(&plan);
    return failed;
}
