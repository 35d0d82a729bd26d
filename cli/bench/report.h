// SPDX-License-Identifier: Apache-2.0
// Figures as a table, JSON or a chart, with all that is needed to judge them.
#ifndef SAC_CLI_BENCH_REPORT_H
#define SAC_CLI_BENCH_REPORT_H

#include <jansson.h>

#include "bench/measure.h"

/// A run: what was measured with what, and what came out.
struct bench_report {
    const char *model_path;
    const sac_model_info *model;
    const sac_engine *engine;
    const struct bench_pictures *pictures;
    int batch, cores;
    int reads_maps; ///< sac_detector_reads_maps
    int input_width, input_height;
    char processor[128];
    const struct bench_result *result;
};

/// The processor's name, as the system gives it.
void bench_processor(char *name_out, size_t size);

/// "fp32" and the like.
const char *bench_precision(const struct bench_report *report);

/// "8 generated, 1920x1080" or "12 files, 640x480 to 4000x3000".
void bench_describe_pictures(const struct bench_report *report, char *text, size_t size);

/// Lines that all tables begin with, on stdout.
void bench_print_heading(const struct bench_report *report);

/// What all JSON begins with: machine, engine, model, pictures. NULL when out of memory.
json_t *bench_report_json(const struct bench_report *report);
json_t *bench_latency_json(const struct bench_latency *ms);

/// A chart's title and two lines.
void bench_chart_heading(const struct bench_report *report, char lines[3][512]);

/// Prints the table on stdout.
void bench_print_table(const struct bench_report *report);

/// Prints the object on stdout. Returns an exit code.
int bench_print_json(const struct bench_report *report);

/// Draws to a file whose name ends in .svg or .png. Returns 0, or -1 after message_set.
int bench_draw_chart(const struct bench_report *report, const char *path);

/// Key and title of a stage.
const char *bench_stage_key(enum bench_stage stage);
const char *bench_stage_title(enum bench_stage stage);

#endif
