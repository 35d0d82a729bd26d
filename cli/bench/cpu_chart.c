// SPDX-License-Identifier: Apache-2.0
// The chart on a processor: a bar for one stream, one for the network alone, one for all cores.
#include <stdio.h>
#include <string.h>

#include "bench/chart.h"
#include "bench/report.h"

static struct chart_bar *add_bar(struct chart *chart, const char *name)
{
    struct chart_bar *bar = &chart->bars[chart->bar_count++];
    snprintf(bar->name, sizeof bar->name, "%s", name);
    return bar;
}

static void describe_latency(struct chart_bar *bar, const struct bench_latency *ms)
{
    snprintf(bar->total, sizeof bar->total, "%.2f ms", ms->mean);
    snprintf(bar->detail, sizeof bar->detail, "p50 %.2f · p90 %.2f · p99 %.2f", ms->p50, ms->p90,
             ms->p99);
}

static void add_latency(struct chart *chart, const struct bench_latency *latency)
{
    struct chart_bar *bar = add_bar(chart, "one stream");
    for (int i = BENCH_OPEN; i <= BENCH_BOXES; i++) bar->parts[i] = latency[i].mean;
    describe_latency(bar, &latency[BENCH_WHOLE]);
    bar = add_bar(chart, "network alone");
    bar->parts[BENCH_ALONE] = latency[BENCH_ALONE].mean;
    describe_latency(bar, &latency[BENCH_ALONE]);
}

static void add_rate(struct chart *chart, const struct bench_result *result)
{
    struct chart_bar *bar = add_bar(chart, "all cores");
    for (int i = BENCH_OPEN; i <= BENCH_BOXES; i++)
        if (result->rate[i] > 0) bar->parts[i] = 1000 / result->rate[i];
    snprintf(bar->total, sizeof bar->total, "%.1f pictures/s", result->rate[BENCH_WHOLE]);
    snprintf(bar->detail, sizeof bar->detail, "%d threads, %.2f ms a picture", result->workers,
             1000 / result->rate[BENCH_WHOLE]);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void bench_chart_heading(const struct bench_report *report, char lines[3][512])
{
    char pictures[128];
    bench_describe_pictures(report, pictures, sizeof pictures);
    snprintf(lines[0], 512, "%s · %d×%d · %s", base_name(report->model_path), report->input_width,
             report->input_height, bench_precision(report));
    snprintf(lines[1], 512, "%s, %d cores · %s · saccade %s", report->processor, report->cores,
             sac_engine_backend(report->engine), sac_version());
    snprintf(lines[2], 512, "milliseconds a picture · %s · batch %d · model %.12s…", pictures,
             report->batch, report->model->hash);
}

int bench_draw_chart(const struct bench_report *report, const char *path)
{
    static const uint32_t colors[BENCH_STAGE_COUNT] = {CHART_SKY,    CHART_GREEN, CHART_BLUE,
                                                       CHART_ORANGE, 0,           CHART_BLUE};
    char lines[3][512];
    bench_chart_heading(report, lines);
    struct chart chart = {.title = lines[0],
                          .lines = {lines[1], lines[2]},
                          .part_count = BENCH_STAGE_COUNT,
                          .legend_count = BENCH_WHOLE};
    for (int i = 0; i < BENCH_STAGE_COUNT; i++)
        chart.parts[i] = (struct chart_part){bench_stage_title(i), colors[i]};
    if (report->result->has_latency) add_latency(&chart, report->result->latency);
    if (report->result->has_rate) add_rate(&chart, report->result);
    return chart_draw(&chart, path);
}
