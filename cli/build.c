// SPDX-License-Identifier: Apache-2.0
// saccade build: an ONNX model → an engine file.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exit.h"
#include "interrupt.h"
#include "message.h"
#include "model_path.h"
#include "progress.h"
#include "verbs.h"

static int on_progress(void *user, const char *phase, int step, int steps)
{
    (void)user;
    progress_step(phase, step < 0 ? 0 : (size_t)step, steps < 0 ? 0 : (size_t)steps);
    return interrupt_seen();
}

static void on_log(void *user, const char *line)
{
    (void)user;
    message_print("%s", line);
}

static sac_build_range range_of(const int range[3])
{
    return (sac_build_range){range[0], range[1], range[2]};
}

static void fill(sac_build_options *build, const struct options *options)
{
    static const sac_precision precisions[] = {SAC_PRECISION_AUTO, SAC_PRECISION_FP32,
                                               SAC_PRECISION_FP16};
    sac_build_options_init(build);
    build->backend = options->backend;
    build->precision = precisions[options->build_precision];
    build->batch = range_of(options->build_batch);
    build->height = range_of(options->build_height);
    build->width = range_of(options->build_width);
    build->workspace = options->workspace;
    build->version_compatible = options->version_compatible;
    build->hardware_compatible = options->hardware_compatible;
    build->timing_cache = options->timing_cache;
    build->progress = on_progress;
    build->log = options->quiet ? NULL : on_log;
}

// The model's name with another ending, in the current folder for the default model.
static char *output_of(const struct options *options, const char *model)
{
    if (options->output) return strdup(options->output);
    const char *slash = strrchr(model, '/');
    const char *from = options->operands.count || !slash ? model : slash + 1;
    const size_t stem = strlen(from) - (model_path_is(from) ? strlen(".onnx") : 0);
    char *path = malloc(stem + sizeof ".engine");
    if (path) sprintf(path, "%.*s.engine", (int)stem, from);
    return path;
}

// Told before the minutes of a build, not after them.
static int check_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    const int bad = !folder || access(folder, W_OK | X_OK);
    if (bad) message_print("%s: cannot be written: %s", path, strerror(errno));
    free(folder);
    return bad;
}

static int build(const struct options *options, const char *model)
{
    sac_build_options settings;
    fill(&settings, options);
    char *output = output_of(options, model);
    if (!output) {
        message_print("out of memory");
        return CLI_FAILED;
    }
    if (check_folder(output)) {
        free(output);
        return CLI_FAILED;
    }
    progress_open(options->quiet);
    const int error = sac_engine_build(output, model, &settings);
    progress_close();
    if (!error && !options->quiet) message_print("%s: built", output);
    free(output);
    return error == SAC_EINTERRUPTED ? CLI_INTERRUPTED : error ? open_fail(error) : CLI_DONE;
}

int build_run(const struct options *options)
{
    char path[4096];
    if (options->operands.count > 1) return usage_fail(verb_find("build"), "build takes one model");
    const char *model = options->operands.count ? options->operands.items[0] : path;
    if (model == path && model_path_default(path, sizeof path)) {
        message_print("%s", message_last());
        return CLI_MODEL;
    }
    if (interrupt_install()) {
        message_print("%s", message_last());
        return CLI_FAILED;
    }
    return build(options, model);
}
