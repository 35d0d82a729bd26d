// SPDX-License-Identifier: Apache-2.0
// --coco: detections as pycocotools reads them: one list for all pictures. image_id is the file's
// stem, as an integer when it is one (as COCO's pictures are named); category_id is the class id.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "output/document.h"
#include "output/sinks.h"
#include "output/values.h"

static int coco_open(struct sink **sink_out, const char *target, const struct sink_options *options)
{
    (void)options;
    return document_open(sink_out, target, "[", ",\n");
}

static json_t *stem_json(const char *stem)
{
    size_t digits = strspn(stem, "0123456789");
    // 18 digits always fit into 64 bits.
    if (digits && digits <= 18 && !stem[digits]) return json_integer(strtoll(stem, NULL, 10));
    return json_string(stem);
}

static json_t *image_id_json(const char *source)
{
    char *valid = utf8_copy(source);
    char *base = strrchr(valid, '/');
    base = base ? base + 1 : valid;
    char *dot = strrchr(base, '.');
    if (dot && dot != base) *dot = 0;
    json_t *json = stem_json(base);
    utf8_free(valid);
    return json;
}

static json_t *entry_json(const struct item *item, const sac_detection *d)
{
    const float *box = d->box;
    return json_pack("{s:o, s:i, s:[f,f,f,f], s:f}", "image_id", image_id_json(item->source),
                     "category_id", (int)d->class_id, "bbox", rounded_to(box[0], 3),
                     rounded_to(box[1], 3), rounded_to((double)box[2] - box[0], 3),
                     rounded_to((double)box[3] - box[1], 3), "score", rounded_to(d->score, 5));
}

// One entry after another, a line each, as it stands within the list's brackets.
static int print_entries(FILE *out, const struct item *item)
{
    int failed = 0, begun = 0;
    for (size_t i = 0; i < item->detections->count && !failed; i++) {
        const sac_detection *d = &item->detections->items[i];
        if (!detection_finite(d)) continue;
        json_t *entry = entry_json(item, d);
        failed = !entry || (begun && fputs(",\n", out) < 0) ||
                 json_dumpf(entry, out, JSON_COMPACT | JSON_REAL_PRECISION(12));
        json_decref(entry);
        begun = 1;
    }
    return failed;
}

static int coco_render(struct sink *sink, const struct item *item, struct rendered *rendered_out)
{
    (void)sink;
    *rendered_out = (struct rendered){0};
    if (!item->image) return 0;
    char *bytes = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&bytes, &size);
    int failed = !out || print_entries(out, item);
    if (out) failed = fclose(out) || failed;
    if (failed) {
        free(bytes);
        bytes = NULL;
    }
    return text_rendered(rendered_out, bytes, size);
}

static int coco_close(struct sink **sink, int complete)
{
    (void)complete;
    return document_end(sink, "]\n");
}

const struct sink_type sink_coco = {
    "coco", 0, coco_open, coco_render, document_commit, coco_close,
};
