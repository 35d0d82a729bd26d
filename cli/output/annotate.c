// SPDX-License-Identifier: Apache-2.0
// --save: pictures with their boxes drawn in. A JPEG stays a JPEG, others become PNG.
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "output/draw.h"
#include "output/pictures.h"
#include "output/sinks.h"
#include "output/values.h"

static int annotate_open(struct sink **sink_out, const char *target,
                         const struct sink_options *options)
{
    struct sink_options mine = *options;
    if (!mine.hide_labels && !draw_has_font()) {
        message_print("no font is installed: boxes are drawn without labels "
                      "(on Debian: apt-get install fonts-dejavu-core)");
        mine.hide_labels = 1;
    }
    return folder_sink_open(sink_out, target, &mine);
}

// The picture's pixels as tight rows. Free them.
static uint8_t *pixels_copy(const sac_image *image)
{
    const size_t row = (size_t)image->width * 3;
    uint8_t *bgr = malloc(row * (size_t)image->height);
    for (int y = 0; bgr && y < image->height; y++)
        memcpy(bgr + (size_t)y * row, image->data + y * image->stride, row);
    return bgr;
}

static int annotate_render(struct sink *sink, const struct item *item,
                           struct rendered *rendered_out)
{
    *rendered_out = (struct rendered){0};
    if (!item->image) return 0;
    if (picture_check(item)) return -1;
    struct files *files = files_take(rendered_out, 1);
    uint8_t *bgr = files ? pixels_copy(item->image) : NULL;
    int failed = !files;
    if (files && !bgr) failed = message_set("out of memory");
    const ptrdiff_t stride = (ptrdiff_t)item->image->width * 3;
    failed = failed || draw_boxes(bgr, stride, item, &sink->options);
    const char *format = picture_format(sink, name_is_jpeg(item->name) ? "jpg" : "png");
    const struct picture picture = {bgr, item->image->width, item->image->height, stride};
    failed = failed || picture_add(files, sink, item, NULL, "", format, &picture);
    free(bgr);
    if (failed) rendered_drop(rendered_out);
    return failed ? -1 : 0;
}

const struct sink_type sink_annotate = {
    "save", 1, annotate_open, annotate_render, folder_sink_commit, folder_sink_close,
};
