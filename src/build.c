// SPDX-License-Identifier: Apache-2.0
// Engine files: model → precision → backend's builder → header and plan, written in one step.
#include "saccade/build.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/backend.h"
#include "engine.h"
#include "error.h"
#include "model/half.h"
#include "model/plan_file.h"

struct build {
    sac_build_options options;
    const struct sac_backend *backend;
    struct sac_model *model;
    struct sac_build_job job;
    uint8_t *half; ///< the model in half precision, or NULL
    void *timings; ///< of the cache file
};

void sac_build_options_init_sized(sac_build_options *options, size_t size)
{
    if (!options || size < sizeof options->size) return;
    memset(options, 0, size);
    options->size = size;
}

// ---- what to build ------------------------------------------------------------------------------

static int take_options(struct build *build, const sac_build_options *options)
{
    sac_build_options_init(&build->options);
    if (!options) return 0;
    if (options->size < sizeof options->size || options->size > sizeof build->options)
        return sac__fail(SAC_EINVAL, "build options of %zu bytes: call sac_build_options_init",
                         options->size);
    memcpy(&build->options, options, options->size);
    if ((unsigned)options->precision > SAC_PRECISION_FP16)
        return sac__fail(SAC_EINVAL, "unknown precision %d", (int)options->precision);
    if (options->precision == SAC_PRECISION_BF16)
        return sac__fail(SAC_EUNSUPPORTED, "engines are built in fp16 or fp32, not bf16");
    return 0;
}

static int find_backend(struct build *build)
{
    sac_engine_options options;
    sac_engine_options_init(&options);
    const char *name = build->options.backend;
    options.backend = !name || !*name || !strcmp(name, "auto") ? "tensorrt" : name;
    int error = sac__backend_find(&build->backend, &options);
    if (!error && !build->backend->build)
        error = sac__fail(SAC_EUNSUPPORTED,
                          "backend %s opens the model itself: nothing is built "
                          "ahead",
                          options.backend);
    return error;
}

// One extent of the picture: the file's, or a range that is in order.
static int set_range(struct build *build, int axis, const char *name, sac_build_range range,
                     int usual)
{
    const int64_t fixed = build->model->input_shape[axis];
    struct sac_build_job *job = &build->job;
    if (fixed > 0 && (range.least || range.best || range.most))
        return sac__fail(SAC_EINVAL, "%s: the model's is fixed at %lld", name, (long long)fixed);
    if (!range.best) range.best = range.most ? range.most : usual;
    if (!range.least) range.least = range.best;
    if (!range.most) range.most = range.best;
    if (range.least < 1 || range.least > range.best || range.best > range.most)
        return sac__fail(SAC_EINVAL, "%s: %d, %d, %d do not rise", name, range.least, range.best,
                         range.most);
    job->least[axis] = fixed > 0 ? fixed : range.least;
    job->best[axis] = fixed > 0 ? fixed : range.best;
    job->most[axis] = fixed > 0 ? fixed : range.most;
    return 0;
}

static int set_ranges(struct build *build)
{
    const struct sac_model *model = build->model;
    const sac_build_options *options = &build->options;
    if (model->input_ndim != 4)
        return sac__fail(SAC_EMODEL, "the first input has %d extents; a picture has (N,3,H,W)",
                         model->input_ndim);
    build->job.least[1] = build->job.best[1] = build->job.most[1] =
        model->input_shape[1] > 0 ? model->input_shape[1] : 3;
    int error = set_range(build, 0, "batch", options->batch, 1);
    if (!error)
        error =
            set_range(build, 2, "height", options->height, model->imgsz[0] ? model->imgsz[0] : 640);
    if (!error)
        error =
            set_range(build, 3, "width", options->width, model->imgsz[1] ? model->imgsz[1] : 640);
    return error;
}

static int open_model(struct build *build, const char *path)
{
    int error = sac__model_open(&build->model, path);
    if (error) return error;
    if (build->model->is_plan)
        error = sac__fail(SAC_EMODEL, "an engine already; give the ONNX file");
    if (!error) error = set_ranges(build);
    return error ? sac__fail_in(error, path) : 0;
}

// ---- timings ------------------------------------------------------------------------------------

// A file that is not there yet is an empty one.
static int read_timings(struct build *build)
{
    const char *path = build->options.timing_cache;
    FILE *file = path ? fopen(path, "rb") : NULL;
    if (!file && path && errno != ENOENT)
        return sac__fail(SAC_EIO, "%s: %s", path, strerror(errno));
    if (!file) return 0;
    int error = 0;
    long size = fseek(file, 0, SEEK_END) ? -1 : ftell(file);
    rewind(file);
    build->timings = malloc(size > 0 ? (size_t)size : 1);
    if (!build->timings)
        error = sac__fail(SAC_ENOMEM, "no memory for %s", path);
    else if (size < 0 || fread(build->timings, 1, (size_t)size, file) != (size_t)size)
        error = sac__fail(SAC_EIO, "%s: cannot be read", path);
    fclose(file);
    build->job.timings = size > 0 ? build->timings : NULL;
    build->job.timings_size = size > 0 ? (size_t)size : 0;
    return error;
}

// ---- files --------------------------------------------------------------------------------------

struct piece {
    const void *data;
    size_t size;
};

static int write_pieces(FILE *file, const struct piece *pieces, size_t count)
{
    int bad = 0;
    for (size_t i = 0; i < count; i++)
        bad |= fwrite(pieces[i].data, 1, pieces[i].size, file) != pieces[i].size;
    return bad | fflush(file) | fsync(fileno(file));
}

// Beside its place, then renamed there.
static int write_file(const char *path, const struct piece *pieces, size_t count)
{
    const size_t room = strlen(path) + 32;
    char *temporary = malloc(room);
    if (!temporary) return sac__fail(SAC_ENOMEM, "no memory for a path");
    snprintf(temporary, room, "%s.%ld.part", path, (long)getpid());
    FILE *file = fopen(temporary, "wb");
    int bad = !file || write_pieces(file, pieces, count), why = errno;
    if (file && fclose(file) && !bad) bad = 1, why = errno;
    if (!bad && rename(temporary, path)) bad = 1, why = errno;
    if (bad) unlink(temporary);
    free(temporary);
    return bad ? sac__fail(SAC_EIO, "%s: cannot be written: %s", path, strerror(why)) : 0;
}

// ---- building -----------------------------------------------------------------------------------

static int choose_bytes(struct build *build, struct sac_source *source, const char *path)
{
    *source = sac__engine_source(build->model, path);
    if (build->options.precision == SAC_PRECISION_FP32) return 0;
    int error = sac__half_write(&build->half, &source->size, build->model, build->job.best);
    source->bytes = build->half;
    return error;
}

static int build_plan(struct build *build, const char *engine_path, const char *model_path)
{
    struct sac_source source;
    void *plan = NULL, *timings = NULL;
    uint8_t *header = NULL;
    size_t plan_size = 0, timings_size = 0, header_size = 0;
    build->job.timings_out = build->options.timing_cache ? &timings : NULL;
    build->job.timings_size_out = &timings_size;
    int error = choose_bytes(build, &source, model_path);
    if (!error) error = build->backend->build(&plan, &plan_size, &source, &build->job);
    if (error) error = sac__fail_in(error, model_path);
    if (!error)
        error = sac__plan_file_header(&header, &header_size, build->model, build->backend->name);
    const struct piece whole[] = {{header, header_size}, {plan, plan_size}};
    if (!error) error = write_file(engine_path, whole, 2);
    const struct piece measured = {timings, timings_size};
    if (!error && timings) error = write_file(build->options.timing_cache, &measured, 1);
    free(header);
    free(plan);
    free(timings);
    return error;
}

int sac_engine_build(const char *engine_path, const char *model_path,
                     const sac_build_options *options)
{
    if (!engine_path || !model_path)
        return sac__fail(SAC_EINVAL, "engine_path or model_path is NULL");
    struct build build = {.model = NULL};
    int error = take_options(&build, options);
    if (!error) error = open_model(&build, model_path);
    if (!error) error = find_backend(&build);
    if (!error) error = read_timings(&build);
    build.job.workspace = build.options.workspace;
    build.job.version_compatible = build.options.version_compatible;
    build.job.hardware_compatible = build.options.hardware_compatible;
    build.job.progress = build.options.progress;
    build.job.user = build.options.user;
    build.job.log = build.options.log;
    build.job.log_user = build.options.log_user;
    if (!error) error = build_plan(&build, engine_path, model_path);
    free(build.half);
    free(build.timings);
    if (build.model) sac__model_close(&build.model);
    return error;
}
