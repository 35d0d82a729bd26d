// SPDX-License-Identifier: Apache-2.0
// One stage at a time, for one thread.
#ifndef SAC_CLI_BENCH_STAGE_H
#define SAC_CLI_BENCH_STAGE_H

#include "bench/measure.h"

/// What a thread needs to run any stage by itself.
struct bench_worker {
    const struct bench_plan *plan;
    sac_detector *detector;
    sac_context *context;
    sac_tensor input;
    sac_tensor *outputs; ///< all of the context, with boxes in them
    sac_image image;          ///< the first picture
    sac_letterbox letterbox;  ///< of that picture
    sac_image *images;        ///< room for a batch
    sac_detections *detections;
    size_t next;              ///< picture to open next
    size_t boxes, pictures;   ///< seen by the whole
    sac_timings ms;           ///< of the last run of the whole
    double ms_open;           ///< likewise
};

/// Returns 0, or -1 after message_set.
int bench_worker_open(struct bench_worker *worker, const struct bench_plan *plan,
                      sac_detector *detector, size_t first);
void bench_worker_close(struct bench_worker *worker);

/// Pictures that one bench_step of a stage goes through.
size_t bench_step_pictures(const struct bench_worker *worker, enum bench_stage stage);

/// Runs a stage once. Returns 0, or -1 after message_set.
int bench_step(struct bench_worker *worker, enum bench_stage stage);

#endif
