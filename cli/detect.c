// SPDX-License-Identifier: Apache-2.0
// saccade detect: sources → detector → sinks.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "exit.h"
#include "input/folder.h"
#include "input/guard.h"
#include "input/source.h"
#include "interrupt.h"
#include "message.h"
#include "model_path.h"
#include "pipeline.h"
#include "progress.h"
#include "setup.h"
#include "verbs.h"

static const struct {
    const char *sink;
    size_t offset; // of its target in struct options
} targets[] = {
    {"json", offsetof(struct options, json)}, {"save", offsetof(struct options, save)},
    {"txt", offsetof(struct options, txt)},   {"coco", offsetof(struct options, coco)},
    {"csv", offsetof(struct options, csv)},   {"crops", offsetof(struct options, crops)},
};
enum { TARGETS = sizeof targets / sizeof *targets, PATH_ROOM = 4096 };

/// Everything a run holds.
struct run {
    const struct options *options;
    char model[PATH_ROOM];
    const char *folders[TARGETS]; ///< that sinks write to, and NULLs
    struct sources_request request;
    struct guard *guard;
    struct sources *sources;
    sac_detector *detector;
    struct output outputs[TARGETS];
    size_t output_count;
};

// --- what is asked for

static const char *target_of(const struct options *options, size_t i)
{
    return *(char *const *)((const char *)options + targets[i].offset);
}

static int to_folder(size_t i)
{
    const struct sink_type *type = sink_find(targets[i].sink);
    return type && type->to_folder;
}

static int usage(const char *format, ...)
{
    char why[PATH_ROOM + 256];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    return usage_fail(verb_find("detect"), why);
}

// How many of the words are "-".
static int count_dashes(char *const *words, size_t count)
{
    int dashes = 0;
    for (size_t i = 0; i < count; i++)
        dashes += !strcmp(words[i], "-");
    return dashes;
}

static int reads_stdin(const struct sources_request *request)
{
    return count_dashes(request->operands, request->operand_count) +
           count_dashes(request->lists->items, request->lists->count);
}

static int same_file(const char *a, const char *b)
{
    struct stat x, y;
    if (stat(a, &x) || stat(b, &y)) return !strcmp(a, b);
    return S_ISREG(x.st_mode) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

// One file for one output, and none that was meant as an input: "--json a.jpg b.jpg".
static int check_file(const struct run *run, size_t i)
{
    const char *target = target_of(run->options, i), *sink = targets[i].sink;
    if (!target) return 0;
    if (to_folder(i))
        return strcmp(target, "-") ? 0 : usage("--%s takes a folder, not standard output", sink);
    if (has_picture_extension(target) || model_path_is(target))
        return usage("--%s takes the file to write, or -; '%s' is named like an input", sink,
                     target);
    for (size_t k = 0; k < TARGETS; k++) {
        const char *other = target_of(run->options, k);
        if (!other || k == i || (k > i && !to_folder(k))) continue;
        if (!strcmp(target, "-") && !strcmp(other, "-") && !to_folder(k))
            return usage("only one output can go to standard output");
        if (same_file(target, other))
            return usage("--%s and --%s name the same place", targets[k].sink, sink);
    }
    return 0;
}

static int check_operands(const struct run *run)
{
    const struct sources_request *request = &run->request;
    if (reads_stdin(request) > 1) return usage("standard input can be read only once");
    for (size_t i = 0; i < request->operand_count; i++)
        if (model_path_is(request->operands[i]))
            return usage("'%s': the model comes first, and there is only one",
                         request->operands[i]);
    return 0;
}

static int check_request(const struct run *run)
{
    int code = check_operands(run);
    for (size_t i = 0; i < TARGETS && !code; i++)
        code = check_file(run, i);
    return code;
}

static int read_request(struct run *run)
{
    const struct options *options = run->options;
    struct sources_request *request = &run->request;
    *request = (struct sources_request){.operands = options->operands.items,
                                        .operand_count = options->operands.count,
                                        .lists = &options->lists,
                                        .recursive = options->recursive,
                                        .outputs = run->folders,
                                        .output_count = TARGETS};
    for (size_t i = 0; i < TARGETS; i++)
        run->folders[i] = to_folder(i) ? target_of(options, i) : NULL;
    const int has_model = request->operand_count && model_path_is(request->operands[0]);
    if (has_model) {
        snprintf(run->model, sizeof run->model, "%s", request->operands[0]);
        request->operands++;
        request->operand_count--;
    }
    if (!request->operand_count && !options->lists.count) return usage("no SOURCE");
    int code = check_request(run);
    if (code || has_model) return code;
    if (!model_path_default(run->model, sizeof run->model)) return 0;
    message_print("%s", message_last());
    return CLI_MODEL;
}

// --- opening

// A single picture is wanted soon; of many, as many as possible.
static int choose_mode(struct run *run, sac_mode *mode_out)
{
    *mode_out = SAC_MODE_THROUGHPUT;
    if (run->options->streams) return 0;
    // A slow list on stdin must not hold up its first picture.
    if (count_dashes(run->options->lists.items, run->options->lists.count)) return 0;
    int count = sources_peek(run->sources, 2);
    if (count < 0) return -1;
    if (count < 2) *mode_out = SAC_MODE_LATENCY;
    return 0;
}

static int open_output(struct run *run, const char *name, const char *target)
{
    static const char *const formats[] = {"auto", "jpg", "png", "webp"};
    const struct options *options = run->options;
    const struct sink_options how = {.model = sac_detector_info(run->detector),
                                     .image_format = formats[options->image_format],
                                     .quality = options->quality,
                                     .line_width = options->line_width,
                                     .hide_labels = options->hide_labels,
                                     .hide_scores = options->hide_scores,
                                     .txt_conf = options->txt_conf,
                                     .crop_margin = options->crop_margin};
    struct output *output = &run->outputs[run->output_count];
    output->type = sink_find(name);
    if (!output->type) return message_set("--%s: this build has no such output", name);
    // Folders are looked at file by file.
    int held = output->type->to_folder ? 0 : run->guard->holds(run->guard, target);
    if (held < 0) return -1;
    if (held) return message_set("%s: is an input and is not overwritten", target);
    if (output->type->open(&output->sink, target, &how)) return -1;
    run->output_count++;
    return 0;
}

static int open_outputs(struct run *run)
{
    for (size_t i = 0; i < TARGETS; i++) {
        const char *target = target_of(run->options, i);
        if (target && open_output(run, targets[i].sink, target)) return -1;
    }
    return run->output_count ? 0 : open_output(run, "json", "-");
}

static int run_open(struct run *run)
{
    int code = read_request(run);
    if (code) return code;
    sac_mode mode;
    run->guard = guard_open(&run->request, run->model);
    if (!run->guard || interrupt_install() || sources_open(&run->sources, &run->request) ||
        choose_mode(run, &mode)) {
        message_print("%s", message_last());
        return CLI_FAILED;
    }
    code = setup_detector(&run->detector, run->model, run->options, mode);
    if (code) return code;
    if (open_outputs(run)) {
        message_print("%s", message_last());
        return CLI_FAILED;
    }
    return CLI_DONE;
}

// Closes what is open; a sink that cannot be finished is a failure.
static int run_close(struct run *run, int code)
{
    const int complete = code == CLI_DONE || code == CLI_INPUT;
    for (size_t i = 0; i < run->output_count; i++) {
        struct output *output = &run->outputs[i];
        if (!output->type->close(&output->sink, complete)) continue;
        if (code != CLI_FAILED) message_print("%s", message_last());
        code = CLI_FAILED;
    }
    sac_detector_close(&run->detector);
    sources_close(&run->sources);
    guard_close(&run->guard);
    return code;
}

// --- the run

static void print_totals(const struct totals *totals)
{
    char line[320], unreadable[64] = "", stages[160] = "";
    const double n = (double)totals->pictures;
    if (totals->unreadable)
        snprintf(unreadable, sizeof unreadable, " (and %zu unreadable)", totals->unreadable);
    if (totals->pictures)
        snprintf(stages, sizeof stages,
                 "; a picture: open %.1f ms, letterbox %.1f ms, network %.1f ms, boxes %.1f ms; "
                 "%.1f pictures/s",
                 totals->open / n, totals->letterbox / n, totals->network / n, totals->boxes_ms / n,
                 n / totals->seconds);
    int size = snprintf(line, sizeof line, "%zu picture%s%s, %zu box%s%s\n", totals->pictures,
                        totals->pictures == 1 ? "" : "s", unreadable, totals->boxes,
                        totals->boxes == 1 ? "" : "es", stages);
    progress_write(line, (size_t)size);
}

static void print_drops(const struct totals *totals)
{
    if (totals->nonfinite)
        message_print("warning: the network gave NaN or infinity in %zu rows, which were dropped",
                      totals->nonfinite);
    if (totals->overflow)
        message_print("warning: %zu candidates beyond 30000 a picture were dropped; raise --conf",
                      totals->overflow);
}

// As many as there are processors; and where these wait for a GPU, as many more as are waiting.
static int count_workers(const struct run *run)
{
    const int cores = run->options->threads ? run->options->threads : setup_cores();
    const sac_engine *engine = sac_detector_engine(run->detector);
    return sac_engine_memory(engine) == SAC_CUDA ? cores + sac_detector_jobs(run->detector) : cores;
}

static int run_pictures(struct run *run)
{
    const struct options *options = run->options;
    const struct pipeline_request request = {
        .detector = run->detector,
        .sources = run->sources,
        .countable = sources_countable(&run->request) ? &run->request : NULL,
        .guard = run->guard,
        .image = {.max_pixels = options->max_pixels},
        .outputs = run->outputs,
        .output_count = run->output_count,
        .workers = count_workers(run)};
    struct totals totals;
    progress_open(options->quiet);
    int code = pipeline_run(&request, &totals);
    progress_close();
    if (!options->quiet) {
        print_drops(&totals);
        print_totals(&totals);
    }
    return code;
}

int detect_run(const struct options *options)
{
    struct run *run = calloc(1, sizeof *run);
    if (!run) {
        message_print("out of memory");
        return CLI_FAILED;
    }
    run->options = options;
    int code = run_open(run);
    if (!code) code = run_pictures(run);
    code = run_close(run, code);
    free(run);
    return code;
}
