// SPDX-License-Identifier: Apache-2.0
// What the tests of the CUDA engine share: models, pictures, detectors. Emulated they run anywhere;
// built by nvcc, the same files run on a GPU.
#ifndef SAC_TEST_ENGINE_CASE_H
#define SAC_TEST_ENGINE_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <cuda_runtime_api.h>

#include "saccade/saccade.h"

enum { CASE_WIDTH = 120, CASE_HEIGHT = 90, CASE_PICTURES = 4 };

/// Pictures of different sizes, formats and strides in ordinary memory.
extern sac_image case_images[CASE_PICTURES];

/// Paths below the folder that models.py wrote to.
extern const char *case_v5, *case_v8, *case_half, *case_unknown;

/// Takes the command line (a folder of models), finds the plugin, draws the pictures.
void case_setup(int argc, char **argv);

/// How many GPUs there are; tests of several are skipped with one.
int case_gpus(void);

/// Fails the test with the library's message unless error is 0.
void case_succeed(int error);

/// Options of a detector on the GPU: 64 x 64, no cache, low threshold.
sac_detector_options case_options(sac_feed feed, sac_precision precision);
sac_detector *case_open(const char *model, const sac_detector_options *options);

/// Boxes of all pictures, by sac_detector_run.
void case_run(sac_detector *detector, const sac_image *images, size_t count, sac_detections *found);
void case_free(sac_detections *found, size_t count);

/// The same boxes and counts, to the bit.
void case_same(const sac_detections *a, const sac_detections *b, size_t count);

#endif
