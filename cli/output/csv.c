// SPDX-License-Identifier: Apache-2.0
// --csv: a heading, then a line a box; fields are quoted as RFC 4180 says. Pictures without boxes
// and pictures that could not be read have no line.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "output/document.h"
#include "output/sinks.h"
#include "output/values.h"

static const char heading[] = "source,frame,width,height,class_id,class,score,x1,y1,x2,y2\n";

static int csv_open(struct sink **sink_out, const char *target, const struct sink_options *options)
{
    (void)options;
    return document_open(sink_out, target, heading, "");
}

static void print_field(FILE *out, const char *text)
{
    if (!text[strcspn(text, "\",\r\n")]) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"') fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void print_rows(FILE *out, const struct item *item, const char *source)
{
    for (size_t i = 0; i < item->detections->count; i++) {
        const sac_detection *d = &item->detections->items[i];
        if (!detection_finite(d)) continue;
        struct class_label spare;
        print_field(out, source);
        fprintf(out, ",%d,%d,%d,%d,", item->frame, (int)item->image->width,
                (int)item->image->height, (int)d->class_id);
        print_field(out, class_name(item->model, d->class_id, &spare));
        fprintf(out, ",%.9g", float_shortest(d->score));
        for (int k = 0; k < 4; k++)
            fprintf(out, ",%.9g", float_shortest(d->box[k]));
        fputc('\n', out);
    }
}

static int csv_render(struct sink *sink, const struct item *item, struct rendered *rendered_out)
{
    (void)sink;
    *rendered_out = (struct rendered){0};
    if (!item->image) return 0;
    char *bytes = NULL, *source = utf8_copy(item->source);
    size_t size = 0;
    FILE *out = open_memstream(&bytes, &size);
    if (out) {
        print_rows(out, item, source);
        fclose(out);
    }
    utf8_free(source);
    return text_rendered(rendered_out, bytes, size);
}

const struct sink_type sink_csv = {
    "csv", 0, csv_open, csv_render, document_commit, document_close,
};
