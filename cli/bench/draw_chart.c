// SPDX-License-Identifier: Apache-2.0
// Draws a chart from JSON, for the reports of bench/: draw_chart CHART.json FILE.svg|FILE.png
//   {"title": "…", "lines": ["…", "…"], "parts": ["upload", …],
//    "bars": [{"name": "…", "parts": [0.1, …], "total": "…", "detail": "…"}]}
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "bench/chart.h"
#include "message.h"

static const uint32_t colors[] = {CHART_SKY, CHART_GREEN, CHART_BLUE, CHART_ORANGE, CHART_RED};
enum { COLORS = sizeof colors / sizeof *colors };

static const char *text_of(const json_t *value)
{
    const char *text = json_string_value(value);
    return text ? text : "";
}

static void take_bar(struct chart *chart, const json_t *from)
{
    struct chart_bar *bar = &chart->bars[chart->bar_count++];
    const json_t *parts = json_object_get(from, "parts");
    snprintf(bar->name, sizeof bar->name, "%s", text_of(json_object_get(from, "name")));
    snprintf(bar->total, sizeof bar->total, "%s", text_of(json_object_get(from, "total")));
    snprintf(bar->detail, sizeof bar->detail, "%s", text_of(json_object_get(from, "detail")));
    for (int i = 0; i < chart->part_count; i++)
        bar->parts[i] = json_number_value(json_array_get(parts, (size_t)i));
}

static void take_chart(struct chart *chart, const json_t *from)
{
    const json_t *lines = json_object_get(from, "lines"), *parts = json_object_get(from, "parts");
    const json_t *bars = json_object_get(from, "bars");
    chart->title = text_of(json_object_get(from, "title"));
    for (size_t i = 0; i < 2; i++) chart->lines[i] = text_of(json_array_get(lines, i));
    for (size_t i = 0; i < json_array_size(parts) && i < COLORS; i++)
        chart->parts[chart->part_count++] =
            (struct chart_part){text_of(json_array_get(parts, i)), colors[i]};
    chart->legend_count = chart->part_count;
    for (size_t i = 0; i < json_array_size(bars) && i < CHART_BARS; i++)
        take_bar(chart, json_array_get(bars, i));
}

int main(int argc, char **argv)
{
    struct chart chart = {.title = ""};
    json_error_t error;
    if (argc != 3) return fprintf(stderr, "usage: draw_chart CHART.json FILE.svg|FILE.png\n"), 2;
    json_t *from = json_load_file(argv[1], 0, &error);
    if (!from) return fprintf(stderr, "%s: %s\n", argv[1], error.text), 1;
    take_chart(&chart, from);
    const int failed = !chart.bar_count || chart_draw(&chart, argv[2]);
    if (failed) fprintf(stderr, "%s: %s\n", argv[2], chart.bar_count ? message_last() : "no bars");
    json_decref(from);
    return failed ? 1 : 0;
}
