// SPDX-License-Identifier: Apache-2.0
// --crops: each box as a picture of its own, CLASS/STEM-INDEX.jpg, where INDEX counts the picture's
// detections from 0 as in the JSON Lines.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "output/pictures.h"
#include "output/sinks.h"
#include "output/values.h"

// A class name as a folder's name: no separators, nothing hidden, nothing a shell or another system
// stumbles over.
static void folder_name(char *out, size_t size, const char *name)
{
    char *valid = utf8_copy(name);
    size_t length = 0;
    for (const char *c = valid; *c && length + 1 < size; c++)
        out[length++] =
            (unsigned char)*c < 0x20 || *c == 0x7f || strchr("/\\:*?\"<>|", *c) ? '_' : *c;
    // Never end within a character.
    if (valid[length])
        while (length && ((unsigned char)valid[length] & 0xc0) == 0x80)
            length--;
    utf8_free(valid);
    out[length] = 0;
    while (length && (out[length - 1] == ' ' || out[length - 1] == '.'))
        out[--length] = '_';
    if (out[0] == '.') out[0] = '_';
}

static int clamped(double value, int low, int high)
{
    return value < low ? low : value > high ? high : (int)value;
}

// Every pixel that the box touches, at least one.
static struct picture crop_of(const sac_image *image, const float box[4], double margin)
{
    const double dx = ((double)box[2] - box[0]) * margin, dy = ((double)box[3] - box[1]) * margin;
    const int x1 = clamped(floor(box[0] - dx), 0, image->width - 1);
    const int y1 = clamped(floor(box[1] - dy), 0, image->height - 1);
    const int x2 = clamped(ceil(box[2] + dx), x1 + 1, image->width);
    const int y2 = clamped(ceil(box[3] + dy), y1 + 1, image->height);
    return (struct picture){image->data + y1 * image->stride + (ptrdiff_t)x1 * 3, x2 - x1, y2 - y1,
                            image->stride};
}

static int crop_one(struct files *files, const struct sink *sink, const struct item *item,
                    size_t index)
{
    const sac_detection *d = &item->detections->items[index];
    if (!detection_finite(d)) return 0;
    struct class_label spare;
    char below[128], suffix[32];
    folder_name(below, sizeof below, class_name(item->model, d->class_id, &spare));
    snprintf(suffix, sizeof suffix, "-%zu", index);
    const struct picture crop = crop_of(item->image, d->box, sink->options.crop_margin);
    return picture_add(files, sink, item, below, suffix, picture_format(sink, "jpg"), &crop);
}

static int crops_render(struct sink *sink, const struct item *item, struct rendered *rendered_out)
{
    *rendered_out = (struct rendered){0};
    if (!item->image) return 0;
    if (picture_check(item)) return -1;
    struct files *files = files_take(rendered_out, item->detections->count);
    if (!files) return -1;
    int failed = 0;
    for (size_t i = 0; i < item->detections->count && !failed; i++)
        failed = crop_one(files, sink, item, i);
    if (failed) rendered_drop(rendered_out);
    return failed;
}

const struct sink_type sink_crops = {
    "crops", 1, folder_sink_open, crops_render, folder_sink_commit, folder_sink_close,
};
