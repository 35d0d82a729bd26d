// SPDX-License-Identifier: Apache-2.0
// The chart: a stacked bar for one stream, one for the network alone, one for all cores.
#include <cairo-svg.h>
#include <pango/pangocairo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bench/report.h"
#include "message.h"
#include "output/file.h"

enum { WIDTH = 920, MARGIN = 32, NAMES = 130, BAR = 34, SCALE = 2, MOST_BARS = 3 };

/// One bar: parts in milliseconds, what stands beside and after it.
struct bar {
    const char *name;
    double parts[BENCH_STAGE_COUNT];
    char total[64], detail[96];
};

struct chart {
    cairo_t *cairo;
    const struct bench_report *report;
    struct bar bars[MOST_BARS];
    int count;
    double longest; ///< milliseconds
    double y;       ///< next free line
};

// Okabe and Ito's colours, which the colour-blind tell apart.
static const uint32_t colors[BENCH_STAGE_COUNT] = {0x56b4e9, 0x009e73, 0x0072b2,
                                                   0xe69f00, 0,        0x0072b2};
enum { INK = 0x1f2933, MUTED = 0x647080, PAPER = 0xffffff };

static void set_color(cairo_t *cairo, uint32_t color)
{
    cairo_set_source_rgb(cairo, (color >> 16) / 255.0, (color >> 8 & 255) / 255.0,
                         (color & 255) / 255.0);
}

// Writes at (x, y), the text's top left. Returns its width; with `color` above 24 bits only that.
static double write_text(cairo_t *cairo, double x, double y, const char *font, uint32_t color,
                         const char *text)
{
    int width, height;
    PangoLayout *layout = pango_cairo_create_layout(cairo);
    PangoFontDescription *description = pango_font_description_from_string(font);
    pango_layout_set_font_description(layout, description);
    pango_layout_set_text(layout, text, -1);
    pango_layout_get_pixel_size(layout, &width, &height);
    if (color <= 0xffffff) {
        set_color(cairo, color);
        cairo_move_to(cairo, x, y);
        pango_cairo_show_layout(cairo, layout);
    }
    pango_font_description_free(description);
    g_object_unref(layout);
    return width;
}

static double text_width(cairo_t *cairo, const char *font, const char *text)
{
    return write_text(cairo, 0, 0, font, UINT32_MAX, text);
}

// --- what to draw

static double bar_sum(const struct bar *bar)
{
    double sum = 0;
    for (int i = 0; i < BENCH_STAGE_COUNT; i++) sum += bar->parts[i];
    return sum;
}

static void add_bar(struct chart *chart, const struct bar *bar)
{
    chart->bars[chart->count++] = *bar;
    if (bar_sum(bar) > chart->longest) chart->longest = bar_sum(bar);
}

static void add_latency(struct chart *chart)
{
    const struct bench_latency *latency = chart->report->result->latency;
    const struct bench_latency *whole = &latency[BENCH_WHOLE], *alone = &latency[BENCH_ALONE];
    struct bar bar = {.name = "one stream"};
    for (int i = BENCH_OPEN; i <= BENCH_BOXES; i++) bar.parts[i] = latency[i].mean;
    snprintf(bar.total, sizeof bar.total, "%.2f ms", whole->mean);
    snprintf(bar.detail, sizeof bar.detail, "p50 %.2f · p90 %.2f · p99 %.2f", whole->p50,
             whole->p90, whole->p99);
    add_bar(chart, &bar);
    bar = (struct bar){.name = "network alone", .parts = {[BENCH_ALONE] = alone->mean}};
    snprintf(bar.total, sizeof bar.total, "%.2f ms", alone->mean);
    snprintf(bar.detail, sizeof bar.detail, "p50 %.2f · p90 %.2f · p99 %.2f", alone->p50,
             alone->p90, alone->p99);
    add_bar(chart, &bar);
}

static void add_rate(struct chart *chart)
{
    const struct bench_result *result = chart->report->result;
    struct bar bar = {.name = "all cores"};
    for (int i = BENCH_OPEN; i <= BENCH_BOXES; i++)
        if (result->rate[i] > 0) bar.parts[i] = 1000 / result->rate[i];
    snprintf(bar.total, sizeof bar.total, "%.1f pictures/s", result->rate[BENCH_WHOLE]);
    snprintf(bar.detail, sizeof bar.detail, "%d threads, %.2f ms a picture", result->workers,
             1000 / result->rate[BENCH_WHOLE]);
    add_bar(chart, &bar);
}

// --- drawing

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void draw_heading(struct chart *chart)
{
    const struct bench_report *report = chart->report;
    char line[512], pictures[128];
    bench_describe_pictures(report, pictures, sizeof pictures);
    char *name = g_utf8_make_valid(base_name(report->model_path), -1);
    snprintf(line, sizeof line, "%s · %d×%d · %s", name, report->input_width,
             report->input_height, bench_precision(report));
    g_free(name);
    write_text(chart->cairo, MARGIN, 26, "sans-serif Bold 15", INK, line);
    snprintf(line, sizeof line, "%s, %d cores · %s · saccade %s", report->processor, report->cores,
             sac_engine_backend(report->engine), sac_version());
    write_text(chart->cairo, MARGIN, 56, "sans-serif 9", MUTED, line);
    snprintf(line, sizeof line, "milliseconds a picture · %s · batch %d · model %.12s…", pictures,
             report->batch, report->model->hash);
    write_text(chart->cairo, MARGIN, 74, "sans-serif 9", MUTED, line);
    chart->y = 108;
}

static void draw_legend(struct chart *chart)
{
    double x = MARGIN + NAMES;
    for (int i = BENCH_OPEN; i <= BENCH_BOXES; i++) {
        set_color(chart->cairo, colors[i]);
        cairo_rectangle(chart->cairo, x, chart->y + 2, 12, 12);
        cairo_fill(chart->cairo);
        x += 18 + write_text(chart->cairo, x + 18, chart->y, "sans-serif 9", INK,
                             bench_stage_title(i)) + 22;
    }
    chart->y += 34;
}

// The part's number stands in it where there is room.
static double draw_part(cairo_t *cairo, double x, double y, double width, uint32_t color,
                        double value)
{
    char text[24];
    const char *font = "sans-serif Bold 9";
    set_color(cairo, color);
    cairo_rectangle(cairo, x, y, width, BAR);
    cairo_fill(cairo);
    snprintf(text, sizeof text, value < 9.995 ? "%.2f" : "%.1f", value);
    const double room = text_width(cairo, font, text);
    const uint32_t ink = color == 0x0072b2 || color == 0x009e73 ? PAPER : INK;
    if (room + 4 <= width) write_text(cairo, x + (width - room) / 2, y + 9, font, ink, text);
    return x + width;
}

static void draw_bar(struct chart *chart, const struct bar *bar)
{
    cairo_t *cairo = chart->cairo;
    const double room = WIDTH - 2 * MARGIN - NAMES - 220;
    double x = MARGIN + NAMES;
    write_text(cairo, MARGIN, chart->y + 8, "sans-serif 10", INK, bar->name);
    for (int i = 0; i < BENCH_STAGE_COUNT; i++)
        if (bar->parts[i] > 0)
            x = draw_part(cairo, x, chart->y, room * bar->parts[i] / chart->longest, colors[i],
                          bar->parts[i]);
    write_text(cairo, x + 12, chart->y - 1, "sans-serif Bold 11", INK, bar->total);
    write_text(cairo, x + 12, chart->y + 18, "sans-serif 8", MUTED, bar->detail);
    chart->y += BAR + 16;
}

static int chart_height(const struct chart *chart)
{
    return 108 + 34 + chart->count * (BAR + 16) + 12;
}

static void draw_all(struct chart *chart)
{
    set_color(chart->cairo, PAPER);
    cairo_paint(chart->cairo);
    draw_heading(chart);
    draw_legend(chart);
    for (int i = 0; i < chart->count; i++) draw_bar(chart, &chart->bars[i]);
}

// --- files

static cairo_status_t write_bytes(void *user, const unsigned char *bytes, unsigned int size)
{
    return fwrite(bytes, 1, size, user) == size ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

// Draws the whole file into `out`. Returns zero on success.
static int render(struct chart *chart, FILE *out, int svg)
{
    const int height = chart_height(chart);
    cairo_surface_t *surface =
        svg ? cairo_svg_surface_create_for_stream(write_bytes, out, WIDTH, height)
            : cairo_image_surface_create(CAIRO_FORMAT_RGB24, WIDTH * SCALE, height * SCALE);
    chart->cairo = cairo_create(surface);
    if (!svg) cairo_scale(chart->cairo, SCALE, SCALE);
    draw_all(chart);
    int failed = cairo_status(chart->cairo) != CAIRO_STATUS_SUCCESS;
    cairo_destroy(chart->cairo);
    if (!failed && !svg) failed = cairo_surface_write_to_png_stream(surface, write_bytes, out) != 0;
    cairo_surface_finish(surface);
    failed = failed || cairo_surface_status(surface) != CAIRO_STATUS_SUCCESS;
    cairo_surface_destroy(surface);
    return failed;
}

int bench_draw_chart(const struct bench_report *report, const char *path)
{
    const char *dot = strrchr(path, '.');
    struct chart chart = {.report = report};
    if (report->result->has_latency) add_latency(&chart);
    if (report->result->has_rate) add_rate(&chart);
    char *bytes = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&bytes, &size);
    int failed = !out || render(&chart, out, dot && !strcasecmp(dot, ".svg"));
    if (out) failed = fclose(out) || failed;
    failed = failed ? message_set("%s: chart cannot be drawn", path)
                    : file_write(path, bytes, size);
    free(bytes);
    return failed;
}
