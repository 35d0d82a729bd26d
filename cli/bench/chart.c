// SPDX-License-Identifier: Apache-2.0
#include "bench/chart.h"

#include <cairo-svg.h>
#include <pango/pangocairo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "message.h"
#include "output/file.h"

enum { WIDTH = 920, MARGIN = 32, BAR = 34, SCALE = 2, DETAIL = 220, HEADING = 108, LEGEND = 34 };

struct drawing {
    cairo_t *cairo;
    const struct chart *chart;
    double names;   ///< width of the names before the bars
    double longest; ///< sum of a bar's parts
    double y;       ///< next free line
};

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

// --- drawing

static double bar_sum(const struct chart *chart, int bar)
{
    double sum = 0;
    for (int i = 0; i < chart->part_count; i++) sum += chart->bars[bar].parts[i];
    return sum;
}

static void draw_heading(struct drawing *drawing)
{
    const struct chart *chart = drawing->chart;
    char *title = g_utf8_make_valid(chart->title, -1);
    write_text(drawing->cairo, MARGIN, 26, "sans-serif Bold 15", INK, title);
    g_free(title);
    write_text(drawing->cairo, MARGIN, 56, "sans-serif 9", MUTED, chart->lines[0]);
    write_text(drawing->cairo, MARGIN, 74, "sans-serif 9", MUTED, chart->lines[1]);
    drawing->y = HEADING;
}

static void draw_legend(struct drawing *drawing)
{
    double x = MARGIN + drawing->names;
    for (int i = 0; i < drawing->chart->legend_count; i++) {
        const struct chart_part *part = &drawing->chart->parts[i];
        set_color(drawing->cairo, part->color);
        cairo_rectangle(drawing->cairo, x, drawing->y + 2, 12, 12);
        cairo_fill(drawing->cairo);
        x += 18 + write_text(drawing->cairo, x + 18, drawing->y, "sans-serif 9", INK, part->name) +
             22;
    }
    drawing->y += LEGEND;
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

static void draw_bar(struct drawing *drawing, int index)
{
    cairo_t *cairo = drawing->cairo;
    const struct chart *chart = drawing->chart;
    const struct chart_bar *bar = &chart->bars[index];
    const double room = WIDTH - 2 * MARGIN - drawing->names - DETAIL;
    double x = MARGIN + drawing->names;
    write_text(cairo, MARGIN, drawing->y + 8, "sans-serif 10", INK, bar->name);
    for (int i = 0; i < chart->part_count; i++)
        if (bar->parts[i] > 0)
            x = draw_part(cairo, x, drawing->y, room * bar->parts[i] / drawing->longest,
                          chart->parts[i].color, bar->parts[i]);
    write_text(cairo, x + 12, drawing->y - 1, "sans-serif Bold 11", INK, bar->total);
    write_text(cairo, x + 12, drawing->y + 18, "sans-serif 8", MUTED, bar->detail);
    drawing->y += BAR + 16;
}

static void measure(struct drawing *drawing)
{
    const struct chart *chart = drawing->chart;
    for (int i = 0; i < chart->bar_count; i++) {
        const double sum = bar_sum(chart, i);
        const double name = text_width(drawing->cairo, "sans-serif 10", chart->bars[i].name) + 24;
        if (sum > drawing->longest) drawing->longest = sum;
        if (name > drawing->names) drawing->names = name;
    }
}

static void draw_all(struct drawing *drawing)
{
    set_color(drawing->cairo, PAPER);
    cairo_paint(drawing->cairo);
    measure(drawing);
    draw_heading(drawing);
    draw_legend(drawing);
    for (int i = 0; i < drawing->chart->bar_count; i++) draw_bar(drawing, i);
}

// --- files

static cairo_status_t write_bytes(void *user, const unsigned char *bytes, unsigned int size)
{
    return fwrite(bytes, 1, size, user) == size ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

// Draws the whole file into `out`. Returns zero on success.
static int render(const struct chart *chart, FILE *out, int svg)
{
    struct drawing drawing = {.chart = chart, .names = 130};
    const int height = HEADING + LEGEND + chart->bar_count * (BAR + 16) + 12;
    cairo_surface_t *surface =
        svg ? cairo_svg_surface_create_for_stream(write_bytes, out, WIDTH, height)
            : cairo_image_surface_create(CAIRO_FORMAT_RGB24, WIDTH * SCALE, height * SCALE);
    drawing.cairo = cairo_create(surface);
    if (!svg) cairo_scale(drawing.cairo, SCALE, SCALE);
    draw_all(&drawing);
    int failed = cairo_status(drawing.cairo) != CAIRO_STATUS_SUCCESS;
    cairo_destroy(drawing.cairo);
    if (!failed && !svg) failed = cairo_surface_write_to_png_stream(surface, write_bytes, out) != 0;
    cairo_surface_finish(surface);
    failed = failed || cairo_surface_status(surface) != CAIRO_STATUS_SUCCESS;
    cairo_surface_destroy(surface);
    return failed;
}

int chart_draw(const struct chart *chart, const char *path)
{
    const char *dot = strrchr(path, '.');
    char *bytes = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&bytes, &size);
    int failed = !out || render(chart, out, dot && !strcasecmp(dot, ".svg"));
    if (out) failed = fclose(out) || failed;
    failed = failed ? message_set("%s: chart cannot be drawn", path)
                    : file_write(path, bytes, size);
    free(bytes);
    return failed;
}
