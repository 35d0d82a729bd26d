// SPDX-License-Identifier: Apache-2.0
#include "output/draw.h"

#include <math.h>
#include <pango/pangocairo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "output/labels.h"
#include "output/palette.h"
#include "output/values.h"

// A cairo surface takes at most 32767 pixels a side, and a small one keeps memory down.
enum { TILE = 4096 };

// More labels than this nobody reads; boxes beyond are drawn without.
enum { MAX_LABELS = 1000 };

// One box on its way to the surface.
struct mark {
    struct area outer; ///< of the line, in pixels
    struct area plate; ///< empty: no label
    struct area reach; ///< every pixel it may touch
    int line;          ///< width in pixels
    struct rgb color;
    const sac_detection *detection;
};

struct drawing {
    const struct item *item;
    const struct sink_options *options;
    struct area picture;
    struct mark *marks; ///< by falling score
    size_t count;
    int line;       ///< widest line, pixels
    int font;       ///< letter size, pixels; 0: no labels
    cairo_t *cairo; ///< on a small surface of its own; for measuring
    PangoLayout *layout;
};

int draw_has_font(void)
{
    PangoFontFamily **families = NULL;
    int count = 0;
    pango_font_map_list_families(pango_cairo_font_map_get_default(), &families, &count);
    g_free(families);
    return count > 0;
}

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

// Sizes follow the geometric mean of the sides, so that a panorama's lines stay thin; many boxes
// get smaller letters.
static void choose_sizes(struct drawing *drawing)
{
    const double w = drawing->picture.x2, h = drawing->picture.y2, side = sqrt(w * h);
    const struct sink_options *options = drawing->options;
    drawing->line = options->line_width ? options->line_width : (int)fmax(rint(side / 400), 2);
    double font = clamp(side / 55, 12, 200);
    if (options->line_width) font = fmax(font, 5.0 * options->line_width);
    if (drawing->count > 25) font *= clamp(sqrt(25.0 / (double)drawing->count), 0.5, 1);
    font = fmin(fmax(font, 11), fmin(w, h) / 8);
    drawing->font = options->hide_labels || font < 7 ? 0 : (int)rint(font);
}

static PangoLayout *layout_open(cairo_t *cairo, int font)
{
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_SLIGHT);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_ON);
    PangoLayout *layout = pango_cairo_create_layout(cairo);
    pango_cairo_context_set_font_options(pango_layout_get_context(layout), options);
    cairo_font_options_destroy(options);
    PangoFontDescription *description = pango_font_description_from_string("sans-serif Semi-Bold");
    pango_font_description_set_absolute_size(description, font * PANGO_SCALE);
    pango_layout_set_font_description(layout, description);
    pango_font_description_free(description);
    pango_layout_set_ellipsize(layout, PANGO_ELLIPSIZE_END);
    pango_layout_set_single_paragraph_mode(layout, TRUE);
    return layout;
}

static int padding_of(int font)
{
    return (int)rint(font * 0.3);
}

// Puts a mark's label into the layout, cut to what fits in the picture.
static void set_label(const struct drawing *drawing, const struct mark *mark)
{
    struct class_label spare;
    char *name = utf8_copy(class_name(drawing->item->model, mark->detection->class_id, &spare));
    char *label = drawing->options->hide_scores
                      ? g_strdup(name)
                      : g_strdup_printf("%s %.2f", name, (double)mark->detection->score);
    const int room = drawing->picture.x2 - 2 * padding_of(drawing->font);
    pango_layout_set_width(drawing->layout, room * PANGO_SCALE);
    pango_layout_set_text(drawing->layout, label, -1);
    g_free(label);
    utf8_free(name);
}

static void place_label(struct drawing *drawing, struct mark *mark, struct area *placed,
                        size_t count)
{
    int width, height;
    set_label(drawing, mark);
    pango_layout_get_pixel_size(drawing->layout, &width, &height);
    width += 2 * padding_of(drawing->font);
    if (width > drawing->picture.x2 || height > drawing->picture.y2) return;
    mark->plate = label_place(mark->outer, width, height, drawing->picture, placed, count);
    placed[count] = mark->plate;
}

static int place_labels(struct drawing *drawing)
{
    size_t count = drawing->count < MAX_LABELS ? drawing->count : MAX_LABELS, placed_count = 0;
    struct area *placed = malloc((count + 1) * sizeof *placed);
    if (!placed) return message_set("out of memory");
    for (size_t i = 0; i < count; i++) {
        place_label(drawing, &drawing->marks[i], placed, placed_count);
        placed_count += drawing->marks[i].plate.x2 > 0;
    }
    free(placed);
    return 0;
}

// The line lies around the box's edge, but within the picture, in whole pixels: it stays crisp.
static struct mark mark_of(const struct drawing *drawing, const sac_detection *d)
{
    const struct area picture = drawing->picture;
    const double side = fmin(d->box[2] - d->box[0], d->box[3] - d->box[1]);
    const int line =
        drawing->options->line_width ? drawing->line : (int)clamp(rint(side / 8), 1, drawing->line);
    const int out = line / 2;
    struct area a = {(int)clamp(rint(d->box[0]) - out, 0, picture.x2 - 1),
                     (int)clamp(rint(d->box[1]) - out, 0, picture.y2 - 1),
                     (int)clamp(rint(d->box[2]) + out, 1, picture.x2),
                     (int)clamp(rint(d->box[3]) + out, 1, picture.y2)};
    if (a.x2 <= a.x1) a.x2 = a.x1 + 1;
    if (a.y2 <= a.y1) a.y2 = a.y1 + 1;
    return (struct mark){
        .outer = a, .line = line, .color = palette_color(d->class_id), .detection = d};
}

static int take_marks(struct drawing *drawing)
{
    const sac_detections *detections = drawing->item->detections;
    drawing->marks = malloc((detections->count + 1) * sizeof *drawing->marks);
    if (!drawing->marks) return message_set("out of memory");
    for (size_t i = 0; i < detections->count; i++)
        drawing->count += detection_finite(&detections->items[i]) != 0;
    choose_sizes(drawing);
    struct mark *mark = drawing->marks;
    for (size_t i = 0; i < detections->count; i++)
        if (detection_finite(&detections->items[i]))
            *mark++ = mark_of(drawing, &detections->items[i]);
    return 0;
}

static void set_color(cairo_t *cairo, struct rgb color, double alpha)
{
    cairo_set_source_rgba(cairo, color.r, color.g, color.b, alpha);
}

// A frame of `line` pixels just within `a`.
static void add_frame(cairo_t *cairo, struct area a, int line)
{
    cairo_rectangle(cairo, a.x1, a.y1, a.x2 - a.x1, a.y2 - a.y1);
    if (a.x2 - a.x1 > 2 * line && a.y2 - a.y1 > 2 * line)
        cairo_rectangle(cairo, a.x1 + line, a.y1 + line, a.x2 - a.x1 - 2 * line,
                        a.y2 - a.y1 - 2 * line);
}

static struct area grown(struct area a, int by)
{
    return (struct area){a.x1 - by, a.y1 - by, a.x2 + by, a.y2 + by};
}

// A faint dark rim sets the line off against a ground of its own colour.
static int rim_of(const struct mark *mark)
{
    return mark->line < 2 ? 0 : (mark->line + 3) / 5;
}

static void draw_frame(cairo_t *cairo, const struct mark *mark)
{
    const int rim = rim_of(mark);
    cairo_set_fill_rule(cairo, CAIRO_FILL_RULE_EVEN_ODD);
    if (rim) {
        add_frame(cairo, grown(mark->outer, rim), mark->line + 2 * rim);
        cairo_set_source_rgba(cairo, 0, 0, 0, 0.35);
        cairo_fill(cairo);
    }
    add_frame(cairo, mark->outer, mark->line);
    set_color(cairo, mark->color, 1);
    cairo_fill(cairo);
}

static void add_rounded(cairo_t *cairo, struct area a, double radius)
{
    const double turn = G_PI / 2;
    cairo_new_sub_path(cairo);
    cairo_arc(cairo, a.x2 - radius, a.y1 + radius, radius, -turn, 0);
    cairo_arc(cairo, a.x2 - radius, a.y2 - radius, radius, 0, turn);
    cairo_arc(cairo, a.x1 + radius, a.y2 - radius, radius, turn, 2 * turn);
    cairo_arc(cairo, a.x1 + radius, a.y1 + radius, radius, 2 * turn, 3 * turn);
    cairo_close_path(cairo);
}

static void draw_label(cairo_t *cairo, const struct drawing *drawing, const struct mark *mark)
{
    add_rounded(cairo, mark->plate, drawing->font * 0.15);
    set_color(cairo, mark->color, 1);
    cairo_fill(cairo);
    set_label(drawing, mark);
    set_color(cairo, palette_text_on(mark->color), 1);
    PangoRectangle text; // x: how far right-to-left text stands from the left of all the room
    pango_layout_get_pixel_extents(drawing->layout, NULL, &text);
    cairo_move_to(cairo, mark->plate.x1 + padding_of(drawing->font) - text.x, mark->plate.y1);
    pango_cairo_show_layout(cairo, drawing->layout);
}

static int touches(struct area a, struct area b)
{
    return a.x1 < b.x2 && b.x1 < a.x2 && a.y1 < b.y2 && b.y1 < a.y2;
}

// The best object comes last, on top; labels lie over all boxes.
static void draw_marks(cairo_t *cairo, const struct drawing *drawing, struct area tile)
{
    for (size_t i = drawing->count; i--;)
        if (touches(grown(drawing->marks[i].outer, rim_of(&drawing->marks[i])), tile))
            draw_frame(cairo, &drawing->marks[i]);
    for (size_t i = drawing->count; drawing->font && i--;)
        if (touches(drawing->marks[i].plate, tile)) draw_label(cairo, drawing, &drawing->marks[i]);
}

static int tile_is_touched(const struct drawing *drawing, struct area tile)
{
    for (size_t i = 0; i < drawing->count; i++) {
        const struct mark *mark = &drawing->marks[i];
        if (touches(grown(mark->outer, rim_of(mark)), tile) || touches(mark->plate, tile)) return 1;
    }
    return 0;
}

// Cairo's RGB24 is a 32-bit word a pixel, 0x00RRGGBB.
static void tile_load(cairo_surface_t *surface, const uint8_t *bgr, ptrdiff_t stride,
                      struct area tile)
{
    unsigned char *rows = cairo_image_surface_get_data(surface);
    const int pitch = cairo_image_surface_get_stride(surface);
    for (int y = tile.y1; y < tile.y2; y++) {
        const uint8_t *src = bgr + y * stride + tile.x1 * 3;
        unsigned char *dst = rows + (ptrdiff_t)(y - tile.y1) * pitch;
        for (int x = tile.x1; x < tile.x2; x++, src += 3, dst += 4) {
            const uint32_t pixel = (uint32_t)src[2] << 16 | (uint32_t)src[1] << 8 | src[0];
            memcpy(dst, &pixel, 4);
        }
    }
    cairo_surface_mark_dirty(surface);
}

static void tile_store(cairo_surface_t *surface, uint8_t *bgr, ptrdiff_t stride, struct area tile)
{
    cairo_surface_flush(surface);
    const unsigned char *rows = cairo_image_surface_get_data(surface);
    const int pitch = cairo_image_surface_get_stride(surface);
    for (int y = tile.y1; y < tile.y2; y++) {
        const unsigned char *src = rows + (ptrdiff_t)(y - tile.y1) * pitch;
        uint8_t *dst = bgr + y * stride + tile.x1 * 3;
        for (int x = tile.x1; x < tile.x2; x++, src += 4, dst += 3) {
            uint32_t pixel;
            memcpy(&pixel, src, 4);
            dst[0] = (uint8_t)pixel;
            dst[1] = (uint8_t)(pixel >> 8);
            dst[2] = (uint8_t)(pixel >> 16);
        }
    }
}

static int draw_tile(const struct drawing *drawing, uint8_t *bgr, ptrdiff_t stride,
                     struct area tile)
{
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, tile.x2 - tile.x1, tile.y2 - tile.y1);
    cairo_t *cairo = cairo_create(surface);
    int failed = cairo_status(cairo) != CAIRO_STATUS_SUCCESS;
    if (!failed) {
        tile_load(surface, bgr, stride, tile);
        cairo_translate(cairo, -tile.x1, -tile.y1);
        draw_marks(cairo, drawing, tile);
        failed = cairo_status(cairo) != CAIRO_STATUS_SUCCESS;
        if (!failed) tile_store(surface, bgr, stride, tile);
    }
    if (failed)
        message_set("boxes cannot be drawn: %s", cairo_status_to_string(cairo_status(cairo)));
    cairo_destroy(cairo);
    cairo_surface_destroy(surface);
    return failed ? -1 : 0;
}

static int draw_tiles(const struct drawing *drawing, uint8_t *bgr, ptrdiff_t stride)
{
    const struct area picture = drawing->picture;
    for (int y = 0; y < picture.y2; y += TILE)
        for (int x = 0; x < picture.x2; x += TILE) {
            const struct area tile = {x, y, x + TILE < picture.x2 ? x + TILE : picture.x2,
                                      y + TILE < picture.y2 ? y + TILE : picture.y2};
            if (tile_is_touched(drawing, tile) && draw_tile(drawing, bgr, stride, tile)) return -1;
        }
    return 0;
}

// Letters are measured on a surface of one pixel.
static int label_all(struct drawing *drawing)
{
    if (!drawing->font) return 0;
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, 1, 1);
    drawing->cairo = cairo_create(surface);
    cairo_surface_destroy(surface);
    drawing->layout = layout_open(drawing->cairo, drawing->font);
    return place_labels(drawing);
}

int draw_boxes(uint8_t *bgr, ptrdiff_t stride, const struct item *item,
               const struct sink_options *options)
{
    struct drawing drawing = {.item = item,
                              .options = options,
                              .picture = {0, 0, item->image->width, item->image->height}};
    int failed = take_marks(&drawing) || label_all(&drawing) || draw_tiles(&drawing, bgr, stride);
    if (drawing.layout) g_object_unref(drawing.layout);
    if (drawing.cairo) cairo_destroy(drawing.cairo);
    free(drawing.marks);
    return failed ? -1 : 0;
}
