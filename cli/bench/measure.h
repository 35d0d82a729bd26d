// SPDX-License-Identifier: Apache-2.0
// Measuring: each stage and the whole, on one stream and on all cores.
#ifndef SAC_CLI_BENCH_MEASURE_H
#define SAC_CLI_BENCH_MEASURE_H

#include "bench/pictures.h"
#include "saccade/saccade.h"

/// What is measured. The first four follow one another; the whole is all four; the network alone is
/// the engine called again and again on the same input, with nothing around it.
#define BENCH_STAGES(X)                                                                            \
    X(BENCH_OPEN, "open", "open")                                                                  \
    X(BENCH_LETTERBOX, "letterbox", "letterbox")                                                   \
    X(BENCH_NETWORK, "network", "network")                                                         \
    X(BENCH_BOXES, "boxes", "boxes")                                                               \
    X(BENCH_WHOLE, "end_to_end", "end to end")                                                     \
    X(BENCH_ALONE, "network_alone", "network alone")

#define BENCH_ENUM(id, key, title) id,
enum bench_stage { BENCH_STAGES(BENCH_ENUM) BENCH_STAGE_COUNT };
#undef BENCH_ENUM

/// Milliseconds of every run of a stage. Zero-initialise.
struct bench_samples {
    double *ms;
    size_t count, capacity;
};

struct bench_latency {
    double mean, p50, p90, p99, least;
    size_t count;
};

/// What was found out.
struct bench_result {
    int has_latency, has_rate;
    struct bench_latency latency[BENCH_STAGE_COUNT]; ///< milliseconds a picture; count 0: unknown
    double rate[BENCH_STAGE_COUNT];                  ///< pictures a second; 0: unknown
    int workers;                                     ///< threads for the rates
    double boxes;                                    ///< mean number of detections a picture
};

struct bench_plan {
    const struct bench_pictures *pictures;
    double seconds; ///< to measure each figure for
    size_t count;   ///< instead of seconds, so many pictures; 0: by time
    size_t warmup;  ///< pictures before
    int workers;    ///< threads for the rates
    const sac_letterbox_options *letterbox;
    const sac_nms *nms;
};

/// One picture (or batch) at a time. Returns 0, or -1 after message_set.
int bench_measure_latency(struct bench_result *result, sac_detector *detector,
                          const struct bench_plan *plan);

/// As many as all cores can do, each stage by itself and the whole.
int bench_measure_rate(struct bench_result *result, sac_detector *detector,
                       const struct bench_plan *plan);

/// Adds a sample. Returns 0, or -1 after message_set.
int bench_add_sample(struct bench_samples *samples, double ms);

/// Reduces samples (sorts them). The quantiles are nearest ranks.
struct bench_latency bench_reduce(struct bench_samples *samples);

/// A clock in milliseconds.
double bench_now(void);

#endif
