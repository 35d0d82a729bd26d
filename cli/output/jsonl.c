// SPDX-License-Identifier: Apache-2.0
// --json: JSON Lines, one object a picture, written a whole line at a time so that a reader can
// follow along.
#include "output/sinks.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "output/file.h"
#include "output/values.h"

struct sink {
    struct stream stream;
};

static int jsonl_open(struct sink **sink_out, const char *target,
                      const struct sink_options *options)
{
    (void)options;
    struct sink *sink = calloc(1, sizeof *sink);
    if (!sink) return message_set("out of memory");
    if (stream_open(&sink->stream, target, 1)) {
        free(sink);
        return -1;
    }
    *sink_out = sink;
    return 0;
}

// As json_string, for any bytes.
static json_t *text_json(const char *bytes)
{
    char *valid = utf8_copy(bytes);
    json_t *json = json_string(valid);
    utf8_free(valid);
    return json;
}

static json_t *detection_json(const sac_detection *d, const sac_model_info *model)
{
    struct class_label spare;
    double box[4];
    for (int i = 0; i < 4; i++)
        box[i] = float_shortest(d->box[i]);
    return json_pack("{s:i, s:o, s:f, s:[f,f,f,f]}", "class_id", (int)d->class_id, "class",
                     text_json(class_name(model, d->class_id, &spare)), "score",
                     float_shortest(d->score), "box", box[0], box[1], box[2], box[3]);
}

static json_t *detections_json(const struct item *item)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < item->detections->count; i++) {
        const sac_detection *d = &item->detections->items[i];
        if (!detection_finite(d)) continue;
        if (!json_array_append_new(array, detection_json(d, item->model))) continue;
        json_decref(array);
        array = NULL;
    }
    return array;
}

// Microseconds are enough, and keep lines short.
static double milliseconds(double ms)
{
    return isfinite(ms) ? rounded_to(ms, 3) : 0;
}

static json_t *timings_json(const struct item *item)
{
    const sac_timings *ms = &item->detections->ms;
    return json_pack("{s:f, s:f, s:f, s:f}", "open", milliseconds(item->ms_open), "letterbox",
                     milliseconds(ms->letterbox), "network", milliseconds(ms->network), "boxes",
                     milliseconds(ms->boxes));
}

static json_t *item_json(const struct item *item)
{
    if (!item->image)
        return json_pack("{s:i, s:o, s:o}", "schema", 1, "source", text_json(item->source), "error",
                         text_json(item->error ? item->error : "cannot be read"));
    return json_pack("{s:i, s:o, s:i, s:i, s:i, s:o, s:o}", "schema", 1, "source",
                     text_json(item->source), "frame", item->frame, "width",
                     (int)item->image->width, "height", (int)item->image->height, "detections",
                     detections_json(item), "ms", timings_json(item));
}

static int jsonl_render(struct sink *sink, const struct item *item, struct rendered *rendered_out)
{
    (void)sink;
    json_t *object = item_json(item);
    char *line = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(object);
    size_t length = line ? strlen(line) : 0;
    // The terminating zero makes room for the newline.
    if (line) line[length++] = '\n';
    return text_rendered(rendered_out, line, length);
}

static int jsonl_commit(struct sink *sink, const struct rendered *rendered)
{
    const struct text *text = rendered->data;
    return text ? stream_write(&sink->stream, text->bytes, text->size) : 0;
}

static int jsonl_close(struct sink **sink, int complete)
{
    (void)complete;
    int failed = stream_close(&(*sink)->stream, 1);
    free(*sink);
    *sink = NULL;
    return failed;
}

const struct sink_type sink_jsonl = {
    "json", 0, jsonl_open, jsonl_render, jsonl_commit, jsonl_close,
};
