// SPDX-License-Identifier: Apache-2.0
// Measuring on a GPU: the device's own stages, end to end by the clock, staged against resident,
// for several batch sizes. Frames rotate, and lie in page-locked memory.
#ifndef SAC_CLI_BENCH_GPU_H
#define SAC_CLI_BENCH_GPU_H

#include "bench/measure.h"
#include "bench/report.h"

/// What a run consists of; staged, upload and download are inside network.
#define GPU_STAGES(X)                                                                              \
    X(GPU_UPLOAD, "upload")                                                                        \
    X(GPU_LETTERBOX, "letterbox")                                                                  \
    X(GPU_NETWORK, "network")                                                                      \
    X(GPU_BOXES, "boxes")                                                                          \
    X(GPU_DOWNLOAD, "download")

#define GPU_ENUM(id, name) id,
enum gpu_stage { GPU_STAGES(GPU_ENUM) GPU_STAGE_COUNT };
#undef GPU_ENUM

enum { GPU_ROWS = 30, GPU_JOBS = 4 }; ///< batch sizes times feeds; jobs in flight for the rate

/// One batch size fed in one way; milliseconds a run.
struct gpu_row {
    int batch;
    sac_feed feed;
    int read_pinned; ///< resident: the GPU reads frames where they lie, instead of a copy
    struct bench_latency stages[GPU_STAGE_COUNT]; ///< zero where the stage does not take place
    struct bench_latency whole;                   ///< by the clock, stages not timed
    struct bench_latency alone;                   ///< the engine again and again on one input
    double rate;                                  ///< frames a second, GPU_JOBS jobs in flight
    double boxes;                                 ///< mean number of detections a frame
};

struct gpu_result {
    struct gpu_row rows[GPU_ROWS];
    int count;
};

struct gpu_plan {
    const struct options *options;
    const char *model;
    const struct bench_pictures *pictures;
    sac_detector *detector; ///< an open one, for its engine and model
};

/// Measures every batch size and feed that options and model allow. Returns 0, or -1 after
/// message_set.
int gpu_measure(struct gpu_result *result, const struct gpu_plan *plan);

/// Prints on stdout; the JSON gives an exit code.
void gpu_print_table(const struct bench_report *report, const struct gpu_result *result);
int gpu_print_json(const struct bench_report *report, const struct gpu_result *result);

/// Draws a bar a row. Returns 0, or -1 after message_set.
int gpu_draw_chart(const struct bench_report *report, const struct gpu_result *result,
                   const char *path);

#endif
