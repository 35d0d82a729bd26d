// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "bench/chart.h"
#include "bench/gpu.h"
#include "output/values.h"
#include "print.h"

static const char *const stage_names[GPU_STAGE_COUNT] = {
#define NAME(id, name) name,
    GPU_STAGES(NAME)
#undef NAME
};

static const char *feed_name(const struct gpu_row *row)
{
    if (row->feed == SAC_FEED_STAGED) return "staged";
    return row->read_pinned ? "resident, no copy" : "resident";
}

// --- table

enum { NUMBERS = GPU_STAGE_COUNT + 4, COLUMNS = NUMBERS + 2 };

static void print_row(struct table *table, const struct gpu_row *row)
{
    const double values[NUMBERS] = {row->stages[0].p50, row->stages[1].p50, row->stages[2].p50,
                                    row->stages[3].p50, row->stages[4].p50, row->whole.p50,
                                    row->whole.p99,     row->alone.p50,     row->rate};
    char batch[16], texts[NUMBERS][24];
    const char *cells[COLUMNS] = {batch, feed_name(row)};
    snprintf(batch, sizeof batch, "%d", row->batch);
    for (int i = 0; i < NUMBERS; i++) {
        const int decimals = i == NUMBERS - 1 ? 1 : 3;
        texts[i][0] = 0;
        if (values[i] > 0) snprintf(texts[i], sizeof texts[i], "%.*f", decimals, values[i]);
        cells[i + 2] = texts[i];
    }
    table_row(table, cells);
}

void gpu_print_table(const struct bench_report *report, const struct gpu_result *result)
{
    struct table table = {.columns = COLUMNS, .right = 0x7fd};
    bench_print_heading(report);
    table_row(&table, (const char *[COLUMNS]){"batch", "feed", stage_names[0], stage_names[1],
                                              stage_names[2], stage_names[3], stage_names[4],
                                              "end to end", "p99", "network alone", "frames/s"});
    for (int i = 0; i < result->count; i++) print_row(&table, &result->rows[i]);
    table_print(&table, stdout);
    printf("\nmedians in ms a run: stages by the device's events (staged: by the clock, copies "
           "inside network), end to end and network alone by the clock; frames from page-locked "
           "memory, which without a copy the letterbox reads itself; frames/s with %d runs in "
           "flight\n", GPU_JOBS);
}

// --- JSON

static json_t *stages_json(const struct gpu_row *row)
{
    json_t *object = json_object();
    for (int i = 0; i < GPU_STAGE_COUNT; i++)
        if (row->stages[i].count)
            json_object_set_new(object, stage_names[i], bench_latency_json(&row->stages[i]));
    return object;
}

static json_t *row_json(const struct gpu_row *row)
{
    return json_pack("{s:i, s:s, s:o, s:o, s:o, s:f, s:f}", "batch", row->batch, "feed",
                     feed_name(row), "stages_ms", stages_json(row), "end_to_end_ms",
                     bench_latency_json(&row->whole), "network_alone_ms",
                     bench_latency_json(&row->alone), "frames_per_second",
                     rounded_to(row->rate, 3), "boxes_a_frame", rounded_to(row->boxes, 3));
}

int gpu_print_json(const struct bench_report *report, const struct gpu_result *result)
{
    json_t *object = bench_report_json(report), *rows = json_array();
    for (int i = 0; i < result->count; i++)
        json_array_append_new(rows, row_json(&result->rows[i]));
    if (object) json_object_set_new(object, "gpu", rows);
    else json_decref(rows);
    return print_json(object);
}

// --- chart

static void add_bar(struct chart *chart, const struct gpu_row *row)
{
    struct chart_bar *bar = &chart->bars[chart->bar_count++];
    snprintf(bar->name, sizeof bar->name, "%s, %d frame%s", feed_name(row), row->batch,
             row->batch == 1 ? "" : "s");
    for (int i = 0; i < GPU_STAGE_COUNT; i++) bar->parts[i] = row->stages[i].p50;
    snprintf(bar->total, sizeof bar->total, "%.3f ms end to end", row->whole.p50);
    snprintf(bar->detail, sizeof bar->detail, "p99 %.3f · %.0f frames/s", row->whole.p99,
             row->rate);
}

int gpu_draw_chart(const struct bench_report *report, const struct gpu_result *result,
                   const char *path)
{
    static const uint32_t colors[GPU_STAGE_COUNT] = {CHART_SKY, CHART_GREEN, CHART_BLUE,
                                                     CHART_ORANGE, CHART_RED};
    char lines[3][512];
    bench_chart_heading(report, lines);
    snprintf(lines[1], sizeof lines[1], "%s · saccade %s", sac_engine_where(report->engine),
             sac_version());
    snprintf(lines[2], sizeof lines[2],
             "milliseconds a run, medians · frames from page-locked memory · model %.12s…",
             report->model->hash);
    struct chart chart = {.title = lines[0],
                          .lines = {lines[1], lines[2]},
                          .part_count = GPU_STAGE_COUNT,
                          .legend_count = GPU_STAGE_COUNT};
    for (int i = 0; i < GPU_STAGE_COUNT; i++)
        chart.parts[i] = (struct chart_part){stage_names[i], colors[i]};
    for (int i = 0; i < result->count; i++) add_bar(&chart, &result->rows[i]);
    return chart_draw(&chart, path);
}
