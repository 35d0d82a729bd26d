// SPDX-License-Identifier: Apache-2.0
// Opens a detector: model file → engine → head → slots. All memory is taken here.
#include "detector.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "error.h"

void sac_detector_options_init_sized(sac_detector_options *options, size_t size)
{
    if (!options || size < sizeof options->size) return;
    const sac_detector_options defaults = {.size = size,
                                           .engine = {.size = sizeof defaults.engine},
                                           .nms = SAC_NMS_DEFAULT,
                                           .pad = 114};
    memcpy(options, &defaults, size < sizeof defaults ? size : sizeof defaults);
}

// --- open: options

enum { MOST_BATCH = 4096 };

static int check_range(const char *name, double value, double least, double most)
{
    if (value >= least && value <= most) return 0;
    return sac__fail(SAC_EINVAL, "%s: %g is not within %g to %g", name, value, least, most);
}

static int check_nms(const sac_nms *nms)
{
    int error = check_range("conf", nms->conf, 0, 1);
    if (!error) error = check_range("iou", nms->iou, 0, 1);
    if (!error) error = check_range("max_det", nms->max_det, 1, SAC_MAX_CANDIDATES);
    if (!error && (unsigned)nms->compat > SAC_COMPAT_YOLOV5)
        error = sac__fail(SAC_EINVAL, "unknown compat form %d", (int)nms->compat);
    if (!error && nms->class_count && !nms->classes)
        error = sac__fail(SAC_EINVAL, "classes is NULL, class_count is %zu", nms->class_count);
    return error;
}

int sac_detector_set_nms(sac_detector *detector, const sac_nms *nms)
{
    if (!detector || !nms) return sac__fail(SAC_EINVAL, "detector or nms is NULL");
    int error = check_nms(nms);
    if (error) return error;
    error = sac__slots_reserve(detector, nms);
    if (error) return error;
    int32_t *classes = NULL;
    if (nms->classes) { // an empty filter is one that nothing passes
        classes = calloc(nms->class_count ? nms->class_count : 1, sizeof *classes);
        if (!classes) return sac__fail(SAC_ENOMEM, "no memory for the class filter");
        memcpy(classes, nms->classes, nms->class_count * sizeof *classes);
    }
    free((void *)detector->options.nms.classes);
    detector->options.nms = *nms;
    detector->options.nms.classes = classes;
    return 0;
}

static int check_options(const sac_detector_options *options)
{
    int error = check_range("pad", options->pad, 0, 255);
    if (!error) error = check_range("fit", options->letterbox.fit, 0, SAC_FIT_TOP_LEFT);
    if (!error) error = check_range("feed", options->feed, 0, SAC_FEED_RESIDENT);
    if (!error) error = check_range("letterbox.stride", options->letterbox.stride, 0, 1 << 16);
    if (!error) error = check_range("batch", options->batch, 0, MOST_BATCH);
    if (!error) error = check_range("contexts", options->contexts, 0, 1024);
    if (!error) error = check_range("input_width", options->input_width, 0, 1 << 16);
    if (!error) error = check_range("input_height", options->input_height, 0, 1 << 16);
    return error;
}

// A program built against an older header hands in a shorter structure: what it lacks is default.
static int take_options(sac_detector *detector, const sac_detector_options *options)
{
    sac_detector_options *own = &detector->options;
    sac_detector_options_init(own);
    if (!options) return 0;
    if (options->size < offsetof(sac_detector_options, nms) || options->size > sizeof *own)
        return sac__fail(SAC_EINVAL,
                         "detector options of %zu bytes: call sac_detector_options_init",
                         options->size);
    memcpy(own, options, options->size);
    const sac_nms nms = own->nms;
    own->nms.classes = NULL; // until it is a copy of our own
    int error = sac_detector_set_nms(detector, &nms);
    if (error) return error;
    return check_options(own);
}

// --- open: engine and head

static void note_extent(const sac_detector *detector, int wanted, int used)
{
    const sac_engine_options *engine = &detector->options.engine;
    char line[128];
    if (!engine->log || wanted == used) return;
    snprintf(line, sizeof line, "input extent %d is no multiple of the stride: using %d", wanted,
             used);
    engine->log(engine->log_user, line);
}

// One extent of a dynamic input: the option, else the metadata, else 640; a multiple of the stride.
static int choose_extent(const sac_detector *detector, int option, int metadata)
{
    const int stride = detector->model->stride ? detector->model->stride : 32;
    const int wanted = option ? option : metadata ? metadata : 640;
    const int extent = (wanted + stride - 1) / stride * stride;
    note_extent(detector, wanted, extent);
    return extent;
}

// What to ask the engine for where the file leaves extents open.
static void choose_shape(sac_detector *detector, struct sac_source *source)
{
    const struct sac_model *model = detector->model;
    const sac_detector_options *options = &detector->options;
    if (model->input_ndim != 4) return; // refused later, with its shape
    source->input_ndim = 4;
    memcpy(source->input_shape, model->input_shape, sizeof source->input_shape);
    int64_t *shape = source->input_shape;
    const int moving = options->letterbox.fit == SAC_FIT_AUTO;
    if (shape[0] < 0) shape[0] = moving || !options->batch ? 1 : options->batch;
    if (shape[1] < 0) shape[1] = 3;
    detector->height = (int)shape[2];
    detector->width = (int)shape[3];
    if (shape[2] < 0)
        detector->height = choose_extent(detector, options->input_height, model->imgsz[0]);
    if (shape[3] < 0)
        detector->width = choose_extent(detector, options->input_width, model->imgsz[1]);
    if (!moving) {
        shape[2] = detector->height;
        shape[3] = detector->width;
    }
}

static int check_fixed(const char *what, int wanted, int64_t fixed)
{
    if (!wanted || wanted == fixed) return 0;
    return sac__fail(SAC_EINVAL, "%s %d: the model's is fixed at %lld; export it with dynamic=True "
                                 "or with the one you want",
                     what, wanted, (long long)fixed);
}

// Options that contradict what the file fixes.
static int check_against_model(const sac_detector *detector)
{
    const sac_detector_options *options = &detector->options;
    const int64_t *shape = detector->model->input_shape;
    int error = 0;
    if (detector->model->input_ndim != 4) return 0;
    if (shape[0] > MOST_BATCH)
        return sac__fail(SAC_EMODEL, "a batch of %lld: at most %d pictures are run at once",
                         (long long)shape[0], MOST_BATCH);
    if (shape[0] >= 0) error = check_fixed("batch", options->batch, shape[0]);
    if (!error && shape[2] >= 0)
        error = check_fixed("input height", options->input_height, shape[2]);
    if (!error && shape[3] >= 0)
        error = check_fixed("input width", options->input_width, shape[3]);
    if (!error && options->letterbox.fit == SAC_FIT_AUTO && (shape[2] >= 0 || shape[3] >= 0))
        error = sac__fail(SAC_EINVAL, "the auto letterbox needs a model with dynamic height and "
                                      "width; this one's input is fixed at %lldx%lld",
                          (long long)shape[3], (long long)shape[2]);
    return error;
}

static int open_on(sac_detector *detector, const struct sac_source *source)
{
    const struct sac_backend *backend;
    int error = sac__backend_find(&backend, &detector->options.engine);
    if (error) return error;
    // One with frames reads raw maps on its device.
    if (!backend->frame_open) sac__detector_cut(detector, source);
    if (detector->cut) return 0;
    return sac__engine_open(&detector->engine, source, &detector->options.engine);
}

// An engine file says what its input is only once it is open; extents that its profile leaves open
// are chosen then.
static int open_plan(sac_detector *detector, struct sac_source *source)
{
    struct sac_model *model = detector->model;
    sac_binding *input = &detector->input;
    int error = sac__engine_open(&detector->engine, source, &detector->options.engine);
    if (!error) error = sac_engine_binding(detector->engine, 0, input);
    if (error) return error;
    model->input_ndim = input->ndim;
    memcpy(model->input_shape, input->shape, sizeof model->input_shape);
    error = check_against_model(detector);
    if (error) return error;
    choose_shape(detector, source);
    if (source->input_ndim) memcpy(input->shape, source->input_shape, sizeof input->shape);
    return sac__model_check_input(input);
}

static int open_engine(sac_detector *detector, const char *path)
{
    struct sac_source source = sac__engine_source(detector->model, path);
    if (detector->model->is_plan) return open_plan(detector, &source);
    int error = check_against_model(detector);
    if (error) return error;
    choose_shape(detector, &source);
    error = open_on(detector, &source);
    if (error && sac__backend_fall_back(&detector->options.engine, error))
        error = open_on(detector, &source);
    if (!error) error = sac_engine_binding(detector->engine, 0, &detector->input);
    if (!error) error = sac__model_check_input(&detector->input);
    return error;
}

// An engine file whose outputs stay open until the input's shape is known: asks a context.
static int resolve_outputs(const sac_detector *detector, sac_binding *bindings, size_t count)
{
    sac_context *context = NULL;
    sac_tensor input = {0}, output;
    const int64_t shape[] = {detector->input.shape[0], 3, detector->height, detector->width};
    int error = sac_context_open(&context, detector->engine);
    if (!error) error = sac_engine_alloc(detector->engine, 0, 0, shape, &input);
    if (!error) error = sac_context_bind(context, 0, &input);
    memcpy(bindings[0].shape, shape, sizeof shape);
    for (size_t i = 1; i < count && !error; i++) {
        error = sac_context_tensor(context, i, &output);
        if (!error) memcpy(bindings[i].shape, output.shape, sizeof output.shape);
    }
    sac_context_close(&context);
    sac_tensor_free(&input);
    return error;
}

static int is_open(const sac_binding *bindings, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (bindings[i].count < 0) return 1;
    return 0;
}

static int recognise_head(sac_detector *detector)
{
    if (detector->cut) return 0; // has been
    detector->output_count = 1;
    size_t count = sac_engine_binding_count(detector->engine);
    sac_binding *bindings = calloc(count, sizeof *bindings);
    if (!bindings) return sac__fail(SAC_ENOMEM, "no memory for %zu bindings", count);
    for (size_t i = 0; i < count; i++) sac_engine_binding(detector->engine, i, &bindings[i]);
    sac_model_info *info = &detector->info;
    int error = 0;
    if (detector->model->is_plan && is_open(bindings, count))
        error = resolve_outputs(detector, bindings, count);
    if (!error)
        error = sac__head_recognise(&info->head, &detector->output, &info->head_source,
                                    detector->model, bindings, count, detector->options.layout);
    if (!error && info->head.family == SAC_HEAD_EFFICIENT_NMS) {
        sac__head_four(&detector->output, detector->roles, bindings, count);
        detector->output_count = 4;
    }
    free(bindings);
    return error;
}

// Class names: the model's, and "classN" where it has none.
static int take_names(sac_detector *detector)
{
    const struct sac_model *model = detector->model;
    const int count = detector->info.head.classes;
    detector->names = calloc((size_t)count, sizeof *detector->names);
    detector->spare_names = calloc((size_t)count, sizeof *detector->spare_names);
    if (!detector->names || !detector->spare_names)
        return sac__fail(SAC_ENOMEM, "no memory for %d class names", count);
    for (int i = 0; i < count; i++) {
        snprintf(detector->spare_names[i], sizeof *detector->spare_names, "class%d", i);
        detector->names[i] = i < model->name_count ? model->names[i] : detector->spare_names[i];
    }
    detector->info.names = detector->names;
    return 0;
}

static int fill_info(sac_detector *detector)
{
    sac_model_info *info = &detector->info;
    const struct sac_model *model = detector->model;
    info->stride = model->stride;
    info->description = model->description ? model->description : "";
    info->hash = model->hash;
    info->batch = model->input_ndim == 4 ? (int)model->input_shape[0] : -1;
    info->input_height = model->input_ndim == 4 ? (int)model->input_shape[2] : -1;
    info->input_width = model->input_ndim == 4 ? (int)model->input_shape[3] : -1;
    return take_names(detector);
}

// YOLOX wants BGR, 0–255, the picture at top-left; all others RGB, 0–1.
static void choose_pixels(sac_detector *detector)
{
    const sac_head_family family = detector->info.head.family;
    const int yolox = family == SAC_HEAD_YOLOX || family == SAC_HEAD_YOLOX_DECODED;
    detector->pixels = (sac_pixels){detector->options.pad, yolox, yolox};
    if (yolox && detector->options.letterbox.fit == SAC_FIT_PAD)
        detector->options.letterbox.fit = SAC_FIT_TOP_LEFT;
    if (!detector->options.letterbox.stride)
        detector->options.letterbox.stride = detector->info.stride ? detector->info.stride : 32;
}

static int choose_ops(sac_detector *detector)
{
    const char *name = detector->options.ops ? detector->options.ops : "auto";
    detector->ops = sac__ops_find(name);
    if (!detector->ops)
        return sac__fail(SAC_EINVAL, "ops '%s': unknown, or not for this processor", name);
    return 0;
}

// --- open: all of it

void sac_detector_close(sac_detector **detector)
{
    if (!detector || !*detector) return;
    sac_detector *closing = *detector;
    sac__slots_close(closing);
    sac_engine_close(&closing->engine);
    sac__cut_close(&closing->cut);
    sac__model_close(&closing->model);
    free(closing->names);
    free(closing->spare_names);
    free((void *)closing->options.nms.classes);
    pthread_cond_destroy(&closing->freed);
    pthread_mutex_destroy(&closing->lock);
    free(closing);
    *detector = NULL;
}

static int open_parts(sac_detector *detector, const char *path)
{
    int error = open_engine(detector, path);
    if (!error) error = recognise_head(detector);
    if (!error) error = fill_info(detector);
    if (!error) error = choose_ops(detector);
    if (error) return error;
    choose_pixels(detector);
    error = sac__slots_open(detector);
    // The file's bytes have served; what it says of itself stays.
    free(detector->model->bytes);
    detector->model->bytes = NULL;
    if (detector->cut) free(detector->cut->bytes);
    if (detector->cut) detector->cut->bytes = NULL;
    return error;
}

// Takes over *model, whatever happens.
static int open_detector(sac_detector **detector_out, struct sac_model **model, const char *path,
                         const sac_detector_options *options)
{
    sac_detector *detector = calloc(1, sizeof *detector);
    if (!detector) {
        sac__model_close(model);
        return sac__fail(SAC_ENOMEM, "no memory for a detector");
    }
    pthread_mutex_init(&detector->lock, NULL);
    pthread_cond_init(&detector->freed, NULL);
    detector->model = *model;
    *model = NULL;
    int error = take_options(detector, options);
    if (!error) error = open_parts(detector, path);
    if (error) {
        sac_detector_close(&detector);
        return path ? sac__fail_in(error, path) : error;
    }
    *detector_out = detector;
    return 0;
}

int sac_detector_open(sac_detector **detector_out, const char *model_path,
                      const sac_detector_options *options)
{
    if (!detector_out || !model_path)
        return sac__fail(SAC_EINVAL, "detector_out or model_path is NULL");
    *detector_out = NULL;
    struct sac_model *model = NULL;
    int error = sac__model_open(&model, model_path);
    return error ? error : open_detector(detector_out, &model, model_path, options);
}

int sac_detector_read(sac_detector **detector_out, const void *bytes, size_t size,
                      const sac_detector_options *options)
{
    if (!detector_out || !bytes) return sac__fail(SAC_EINVAL, "detector_out or bytes is NULL");
    *detector_out = NULL;
    struct sac_model *model = NULL;
    int error = sac__model_read(&model, bytes, size, "model in memory");
    return error ? error : open_detector(detector_out, &model, NULL, options);
}

// --- what it is

const sac_model_info *sac_detector_info(const sac_detector *detector)
{
    return detector ? &detector->info : NULL;
}

sac_engine *sac_detector_engine(const sac_detector *detector)
{
    return detector ? detector->engine : NULL;
}

int sac_detector_reads_maps(const sac_detector *detector)
{
    return detector && detector->cut;
}

int sac_detector_batch(const sac_detector *detector)
{
    return detector ? detector->batch : 0;
}

int sac_detector_jobs(const sac_detector *detector)
{
    return detector ? detector->slot_count : 0;
}

sac_feed sac_detector_feed(const sac_detector *detector)
{
    return detector ? detector->feed : SAC_FEED_AUTO;
}
