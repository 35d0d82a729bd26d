// SPDX-License-Identifier: Apache-2.0
// saccade bench: how fast a model is here, each stage and the whole.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bench/gpu.h"
#include "bench/report.h"
#include "exit.h"
#include "input/guard.h"
#include "interrupt.h"
#include "message.h"
#include "model_path.h"
#include "setup.h"
#include "verbs.h"

/// Everything a run holds.
struct bench {
    const struct options *options;
    char model[4096];
    size_t first; ///< operand that is the first source
    struct bench_pictures pictures;
    sac_detector *detector;
    struct bench_result result;
    struct gpu_result gpu;
};

static int fail(int code)
{
    message_print("%s", message_last());
    return interrupt_seen() ? CLI_INTERRUPTED : code;
}

static int find_model(struct bench *bench)
{
    const struct strings *operands = &bench->options->operands;
    if (operands->count && model_path_is(operands->items[0])) {
        snprintf(bench->model, sizeof bench->model, "%s", operands->items[0]);
        bench->first = 1;
        return CLI_DONE;
    }
    return model_path_default(bench->model, sizeof bench->model) ? fail(CLI_MODEL) : CLI_DONE;
}

static int check_chart(const struct options *options)
{
    const char *dot = options->chart ? strrchr(options->chart, '.') : NULL;
    if (!options->chart || (dot && (!strcasecmp(dot, ".svg") || !strcasecmp(dot, ".png"))))
        return CLI_DONE;
    return usage_fail(verb_find("bench"), "--chart: the file's name must end in .svg or .png");
}

// The chart replaces no picture that is measured with.
static int check_inputs(const struct bench *bench)
{
    const struct options *options = bench->options;
    if (!options->chart || bench->first >= options->operands.count) return CLI_DONE;
    const struct sources_request request = bench_pictures_request(options, bench->first);
    struct guard *guard = guard_open(&request, bench->model);
    const int held = guard ? guard->holds(guard, options->chart) : -1;
    guard_close(&guard);
    if (held < 0) return fail(CLI_FAILED);
    if (!held) return CLI_DONE;
    message_set("--chart: '%s' is an input and is not overwritten", options->chart);
    return usage_fail(verb_find("bench"), message_last());
}

// Latency and rate want the engine tuned differently: each has a detector of its own.
static int open_detector(struct bench *bench, sac_mode mode)
{
    sac_detector_close(&bench->detector);
    return setup_detector(&bench->detector, bench->model, bench->options, mode);
}

static int measure(struct bench *bench, sac_mode mode)
{
    const struct options *options = bench->options;
    sac_detector_options how;
    setup_options(&how, options, mode);
    const struct bench_plan plan = {.pictures = &bench->pictures,
                                    .seconds = options->seconds,
                                    .count = (size_t)options->count,
                                    .warmup = (size_t)options->warmup,
                                    .workers =
                                        options->threads ? options->threads : setup_cores(),
                                    .letterbox = &how.letterbox,
                                    .nms = &how.nms};
    int failed = mode == SAC_MODE_LATENCY
                     ? bench_measure_latency(&bench->result, bench->detector, &plan)
                     : bench_measure_rate(&bench->result, bench->detector, &plan);
    return failed ? fail(CLI_FAILED) : CLI_DONE;
}

// The input's extents; those that the model leaves open are what the detector chose.
static void find_input(struct bench_report *report)
{
    sac_binding binding;
    report->input_width = report->model->input_width;
    report->input_height = report->model->input_height;
    if (sac_engine_binding(report->engine, 0, &binding) || binding.ndim != 4) return;
    if (binding.shape[3] > 0) report->input_width = (int)binding.shape[3];
    if (binding.shape[2] > 0) report->input_height = (int)binding.shape[2];
}

static int on_gpu(const struct bench *bench)
{
    return sac_engine_memory(sac_detector_engine(bench->detector)) == SAC_CUDA;
}

static int measure_gpu(struct bench *bench)
{
    const struct gpu_plan plan = {.options = bench->options,
                                  .model = bench->model,
                                  .pictures = &bench->pictures,
                                  .detector = bench->detector};
    return gpu_measure(&bench->gpu, &plan) ? fail(CLI_FAILED) : CLI_DONE;
}

static int print_report(const struct bench *bench, const struct bench_report *report)
{
    const int as_json = bench->options->as_json;
    if (on_gpu(bench) && as_json) return gpu_print_json(report, &bench->gpu);
    if (as_json) return bench_print_json(report);
    if (on_gpu(bench)) gpu_print_table(report, &bench->gpu);
    else bench_print_table(report);
    return CLI_DONE;
}

static int draw_chart(const struct bench *bench, const struct bench_report *report)
{
    const char *path = bench->options->chart;
    if (!path) return 0;
    return on_gpu(bench) ? gpu_draw_chart(report, &bench->gpu, path)
                         : bench_draw_chart(report, path);
}

static int report(const struct bench *bench)
{
    struct bench_report report = {.model_path = bench->model,
                                  .model = sac_detector_info(bench->detector),
                                  .engine = sac_detector_engine(bench->detector),
                                  .pictures = &bench->pictures,
                                  .batch = sac_detector_batch(bench->detector),
                                  .cores = setup_cores(),
                                  .reads_maps = sac_detector_reads_maps(bench->detector),
                                  .result = &bench->result};
    find_input(&report);
    bench_processor(report.processor, sizeof report.processor);
    int code = print_report(bench, &report);
    return draw_chart(bench, &report) ? fail(CLI_FAILED) : code;
}

static int measure_all(struct bench *bench)
{
    enum { BOTH, LATENCY, RATE };
    const int only = bench->options->only;
    const sac_mode first = only == RATE ? SAC_MODE_THROUGHPUT : SAC_MODE_LATENCY;
    int code = open_detector(bench, first);
    if (!code && on_gpu(bench)) return measure_gpu(bench);
    if (!code) code = measure(bench, first);
    if (code || only != BOTH) return code;
    code = open_detector(bench, SAC_MODE_THROUGHPUT);
    return code ? code : measure(bench, SAC_MODE_THROUGHPUT);
}

static int run(struct bench *bench)
{
    int code = check_chart(bench->options);
    if (!code) code = find_model(bench);
    if (!code) code = check_inputs(bench);
    if (code) return code;
    if (interrupt_install()) return fail(CLI_FAILED);
    code = bench_pictures_take(&bench->pictures, bench->options, bench->first);
    if (code) return code == CLI_USAGE ? usage_fail(verb_find("bench"), message_last())
                                 : fail(code);
    code = measure_all(bench);
    return code ? code : report(bench);
}

int bench_run(const struct options *options)
{
    struct bench *bench = calloc(1, sizeof *bench);
    if (!bench) {
        message_print("out of memory");
        return CLI_FAILED;
    }
    bench->options = options;
    int code = run(bench);
    sac_detector_close(&bench->detector);
    bench_pictures_free(&bench->pictures);
    free(bench);
    return code;
}
