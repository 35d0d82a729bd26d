// SPDX-License-Identifier: Apache-2.0
// One shot: a model file and a picture file, boxes on standard output.
//     cc detect.c $(pkg-config --cflags --libs saccade) && ./a.out model.onnx picture.jpg
#include <stdio.h>

#include <saccade/saccade.h>

int main(int argc, char **argv)
{
    sac_detections found;
    if (argc != 3) return fprintf(stderr, "usage: detect MODEL PICTURE\n"), 2;
    if (sac_detect(&found, argv[1], argv[2]))
        return fprintf(stderr, "%s\n", sac_error_message()), 1;
    for (size_t i = 0; i < found.count; i++) {
        const sac_detection *d = &found.items[i];
        printf("%d %.3f %.1f %.1f %.1f %.1f\n", d->class_id, d->score, d->box[0], d->box[1],
               d->box[2], d->box[3]);
    }
    sac_detections_free(&found);
    return 0;
}
