// SPDX-License-Identifier: Apache-2.0
#include "engine_case.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

sac_image case_images[CASE_PICTURES];
const char *case_v5, *case_v8, *case_half, *case_unknown;

static uint8_t pixels[CASE_PICTURES][CASE_HEIGHT][CASE_WIDTH][4];
static char paths[4][1024];

static void draw(void)
{
    static const sac_pixel_format formats[] = {SAC_BGR8, SAC_RGBA8, SAC_GRAY8, SAC_RGB8};
    uint32_t noise = 5;
    for (int p = 0; p < CASE_PICTURES; p++) {
        for (int i = 0; i < CASE_HEIGHT * CASE_WIDTH * 4; i++) {
            noise = noise * 1664525u + 1013904223u;
            const int x = i / 4 % CASE_WIDTH, y = i / 4 / CASE_WIDTH;
            const int block = ((x / (6 << p % 3)) ^ (y / (6 << p % 3))) & 1;
            (&pixels[p][0][0][0])[i] = (uint8_t)((block ? 200 : 30) + (noise >> 27));
        }
        // Later pictures are smaller views of such memory: other sizes, rows with gaps.
        case_succeed(sac_image_wrap(&case_images[p], pixels[p], CASE_WIDTH - 17 * p,
                                    CASE_HEIGHT - 11 * p, CASE_WIDTH * 4, formats[p]));
    }
    // The last one bottom-up.
    sac_image *last = &case_images[CASE_PICTURES - 1];
    last->data += (last->height - 1) * last->stride;
    last->stride = -last->stride;
}

static const char *model(int k, const char *folder, const char *name)
{
    snprintf(paths[k], sizeof paths[k], "%s/tiny-%s.onnx", folder, name);
    return paths[k];
}

// Emulated this program lies in bin/, built by nvcc in bin/gpu/.
static void find_plugin(const char *program)
{
#ifdef SAC_EMULATED
    static const char *const below = "../lib/emulated";
#else
    static const char *const below = "../../lib";
#endif
    char self[1024], plugins[1100];
    snprintf(self, sizeof self, "%s", program);
    snprintf(plugins, sizeof plugins, "%s/%s", dirname(self), below);
    setenv("SACCADE_PLUGINS", plugins, 1);
    setenv("SACCADE_TUNE_SECONDS", "0", 0);
    setenv("SACCADE_EMULATOR_GPUS", "3", 0);
}

int case_gpus(void)
{
    int count = 0;
    assert_int_equal(cudaGetDeviceCount(&count), cudaSuccess);
    return count;
}

void case_setup(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : ".";
    setvbuf(stdout, NULL, _IOLBF, 0); // what was under way is known when it is stopped
    find_plugin(argv[0]);
    case_v5 = model(0, folder, "v5");
    case_v8 = model(1, folder, "v8");
    case_half = model(2, folder, "half");
    case_unknown = model(3, folder, "unknown");
    draw();
}

void case_succeed(int error)
{
    if (error) fail_msg("%s: %s", sac_error_name(error), sac_error_message());
}

sac_detector_options case_options(sac_feed feed, sac_precision precision)
{
    sac_detector_options options;
    sac_detector_options_init(&options);
    options.nms.conf = 0.05f;
    options.engine.cache_dir = "";
    options.engine.precision = precision;
    options.engine.device = "cuda";
    options.feed = feed;
    return options;
}

sac_detector *case_open(const char *path, const sac_detector_options *options)
{
    sac_detector *detector = NULL;
    sac_detector_options sized = *options;
    if (path == case_v5) sized.input_width = sized.input_height = 64;
    case_succeed(sac_detector_open(&detector, path, &sized));
    return detector;
}

void case_run(sac_detector *detector, const sac_image *images, size_t count, sac_detections *found)
{
    size_t boxes = 0;
    case_succeed(sac_detector_run(detector, images, count, found));
    for (size_t i = 0; i < count; i++)
        boxes += found[i].count;
    assert_true(boxes > 0); // else nothing is compared
}

void case_free(sac_detections *found, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sac_detections_free(&found[i]);
}

void case_same(const sac_detections *a, const sac_detections *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(a[i].count, b[i].count);
        assert_int_equal(a[i].candidates, b[i].candidates);
        assert_int_equal(a[i].nonfinite, b[i].nonfinite);
        assert_int_equal(a[i].overflow, b[i].overflow);
        if (a[i].count)
            assert_memory_equal(a[i].items, b[i].items, a[i].count * sizeof *a[i].items);
    }
}
