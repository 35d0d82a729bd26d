// SPDX-License-Identifier: Apache-2.0
// The detector: opened once with options, run on pixels of one's own (here one picture drawn in
// memory, and its lower half seen through the stride), with class names.
#include <stdio.h>
#include <string.h>

#include <saccade/saccade.h>

enum { WIDTH = 640, HEIGHT = 480 };

static unsigned char frame[HEIGHT][WIDTH][4]; // what a camera might give: BGRA

static void draw(void)
{
    memset(frame, 160, sizeof frame);
    for (int y = 100; y < 380; y++)
        for (int x = 200; x < 440; x++) memset(frame[y][x], (x / 8 ^ y / 8) & 1 ? 20 : 240, 3);
}

static void print(const sac_model_info *model, const sac_detections *found)
{
    printf("%zu boxes of %zu candidates\n", found->count, found->candidates);
    for (size_t i = 0; i < found->count; i++)
        printf("  %s %.3f\n", model->names[found->items[i].class_id], found->items[i].score);
}

int main(int argc, char **argv)
{
    if (argc != 2) return fprintf(stderr, "usage: boxes MODEL\n"), 2;
    draw();
    sac_image images[2];
    sac_image_wrap(&images[0], frame, WIDTH, HEIGHT, 0, SAC_BGRA8);
    sac_image_wrap(&images[1], frame[HEIGHT / 2], WIDTH, HEIGHT / 2, 0, SAC_BGRA8);

    sac_detector_options options;
    sac_detector_options_init(&options);
    options.nms.conf = 0.4f;

    sac_detector *detector;
    sac_detections found[2];
    int error = sac_detector_open(&detector, argv[1], &options);
    if (!error) error = sac_detector_run(detector, images, 2, found);
    if (error) fprintf(stderr, "%s\n", sac_error_message());
    for (int i = 0; i < 2 && !error; i++) {
        print(sac_detector_info(detector), &found[i]);
        sac_detections_free(&found[i]);
    }
    sac_detector_close(&detector);
    return error ? 1 : 0;
}
