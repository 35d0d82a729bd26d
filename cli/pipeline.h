// SPDX-License-Identifier: Apache-2.0
// Inputs through the detector to the sinks: opening, network, rendering and writing overlap on
// worker threads; what is written is in input order and does not depend on their number.
#ifndef SAC_CLI_PIPELINE_H
#define SAC_CLI_PIPELINE_H

#include "input/source.h"
#include "output/sink.h"

/// A sink that is open.
struct output {
    const struct sink_type *type;
    struct sink *sink;
};

struct pipeline_request {
    sac_detector *detector;
    struct sources *sources;
    const struct sources_request *countable; ///< for the bar's total; NULL where it reads stdin
    struct guard *guard;
    sac_image_options image;
    const struct output *outputs;
    size_t output_count;
    int workers; ///< threads, ≥ 1
};

/// What went through, as far as it was written.
struct totals {
    size_t pictures, unreadable, boxes;
    size_t nonfinite, overflow;                ///< see sac_detections
    double open, letterbox, network, boxes_ms; ///< milliseconds, summed over the pictures
    double seconds;                            ///< by the wall clock
};

/// Returns an exit code: CLI_DONE, CLI_INPUT, CLI_FAILED or CLI_INTERRUPTED. Messages are printed.
int pipeline_run(const struct pipeline_request *request, struct totals *totals_out);

#endif
