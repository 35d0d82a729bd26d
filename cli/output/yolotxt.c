// SPDX-License-Identifier: Apache-2.0
// --txt: labels as YOLO trainers read them, a file a picture and a line a box, as shares of the
// picture: class cx cy w h, and the score if asked for (trainers refuse it).
#include <stdio.h>
#include <stdlib.h>

#include "message.h"
#include "output/folder.h"
#include "output/sinks.h"
#include "output/values.h"

static void print_lines(FILE *out, const struct item *item, int with_score)
{
    double w = item->image->width, h = item->image->height;
    for (size_t i = 0; i < item->detections->count; i++) {
        const sac_detection *d = &item->detections->items[i];
        if (!detection_finite(d)) continue;
        const float *box = d->box;
        fprintf(out, "%d %g %g %g %g", (int)d->class_id, ((double)box[0] + box[2]) / 2 / w,
                ((double)box[1] + box[3]) / 2 / h, ((double)box[2] - box[0]) / w,
                ((double)box[3] - box[1]) / h);
        if (with_score) fprintf(out, " %g", (double)d->score);
        fputc('\n', out);
    }
}

static int yolotxt_render(struct sink *sink, const struct item *item, struct rendered *rendered_out)
{
    *rendered_out = (struct rendered){0};
    if (!item->image) return 0;
    struct files *files = files_take(rendered_out, 1);
    if (!files) return -1;
    char *bytes = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&bytes, &size);
    if (out) {
        print_lines(out, item, sink->options.txt_conf);
        fclose(out);
    }
    if (!files_add(files, item, output_path(sink, NULL, item, ".txt"), bytes, size)) return 0;
    rendered_drop(rendered_out);
    return -1;
}

const struct sink_type sink_yolotxt = {
    "txt", 1, folder_sink_open, yolotxt_render, folder_sink_commit, folder_sink_close,
};
