// SPDX-License-Identifier: Apache-2.0
// Opening an engine file: plan → engine on the device, bindings.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorrt.h"

// ---- bindings -----------------------------------------------------------------------------------

static size_t element_bytes(sac_dtype dtype)
{
#define BITS(name, value, code, bits, text) bits,
    static const size_t bits[] = {SAC_DTYPES(BITS)};
#undef BITS
    return bits[dtype] / 8;
}

static int take_memory(struct tensorrt_engine *engine)
{
    engine->count = sac__trt_engine_count(engine->engine);
    engine->tensors = calloc(engine->count, sizeof *engine->tensors);
    engine->bindings = calloc(engine->count, sizeof *engine->bindings);
    engine->most_bytes = calloc(engine->count, sizeof *engine->most_bytes);
    if (engine->tensors && engine->bindings && engine->most_bytes) return 0;
    return sac__fail(SAC_ENOMEM, "no memory for %zu bindings", engine->count);
}

// Bytes that a tensor takes at the profile's maximum.
static int64_t most_of(const struct tensorrt_engine *engine, struct sac_trt_context *context,
                       size_t index)
{
    const sac_binding *binding = &engine->bindings[index];
    int64_t shape[SAC_MAX_DIMS], bytes = (int64_t)element_bytes(binding->dtype);
    int32_t ndim = binding->ndim;
    if (binding->bytes >= 0) return binding->bytes;
    if (binding->is_input)
        memcpy(shape, engine->tensors[index].most, sizeof shape);
    else if (sac__trt_context_extents(context, index, &ndim, shape))
        return -1;
    for (int32_t i = 0; i < ndim; i++) {
        if (shape[i] < 0) return -1;
        bytes *= shape[i];
    }
    return bytes;
}

static int measure(struct tensorrt_engine *engine, struct sac_trt_context *context)
{
    int error = 0;
    for (size_t i = 0; i < engine->count && !error; i++)
        if (engine->bindings[i].is_input && engine->bindings[i].bytes < 0)
            error = sac__trt_context_shape(context, i, engine->tensors[i].most);
    for (size_t i = 0; i < engine->count && !error; i++) {
        const int64_t bytes = most_of(engine, context, i);
        if (bytes < 0)
            return sac__fail(SAC_EUNSUPPORTED, "output '%s' has a shape that depends on values",
                             engine->bindings[i].name);
        engine->most_bytes[i] = (size_t)bytes;
    }
    return error;
}

static int check_tensor(const struct sac_trt_tensor *tensor)
{
    if (!tensor->on_host) return 0;
    return sac__fail(SAC_EUNSUPPORTED,
                     "tensor '%s' is read or written in host memory: engines with "
                     "shape tensors are not taken",
                     tensor->binding.name);
}

static int read_bindings(struct tensorrt_engine *engine)
{
    struct sac_trt_context *context = NULL;
    int error = take_memory(engine);
    for (size_t i = 0; i < engine->count && !error; i++) {
        error = sac__trt_engine_tensor(engine->engine, i, &engine->tensors[i]);
        if (!error) error = check_tensor(&engine->tensors[i]);
        engine->bindings[i] = engine->tensors[i].binding;
    }
    if (!error) error = sac__trt_context_open(&context, engine->engine);
    if (!error) error = measure(engine, context);
    if (context) sac__trt_context_close(&context);
    return error;
}

// ---- open and close -----------------------------------------------------------------------------

// What to do instead, where an engine does not load: the ONNX file may lie beside it.
static int offer_rebuild(int error, const char *path)
{
    char onnx[4096], why[1024];
    snprintf(why, sizeof why, "%s", sac__gpu_message());
    const char *dot = path ? strrchr(path, '.') : NULL;
    if (error != SAC_EMODEL || !dot) return error;
    snprintf(onnx, sizeof onnx, "%.*s.onnx", (int)(dot - path), path);
    FILE *file = fopen(onnx, "rb");
    if (!file) return error;
    fclose(file);
    return sac__fail(error, "%s; build it anew: saccade build %s -o %s", why, onnx, path);
}

static int open_plan(struct tensorrt_engine *engine, struct sac_trt *trt,
                     const struct sac_source *source, const sac_engine_options *options)
{
    const struct sac_trt_log log = {options->log, options->log_user};
    const int error = sac__trt_engine_open(&engine->engine, trt, source->bytes, source->size, &log);
    return error ? offer_rebuild(error, source->path) : 0;
}

// The arithmetic is the plan's; the picture's type tells most of it.
static sac_precision precision_of(const struct tensorrt_engine *engine)
{
    return engine->count && engine->bindings[0].dtype == SAC_F16 ? SAC_PRECISION_FP16
                                                                 : SAC_PRECISION_FP32;
}

static int check_source(const struct sac_source *source, const sac_engine_options *options)
{
    if (!source->is_plan)
        return sac__fail(SAC_EUNSUPPORTED,
                         "TensorRT runs engines that were built before: saccade "
                         "build %s, then give the .engine file",
                         source->path ? source->path : "MODEL.onnx");
    if (options->precision != SAC_PRECISION_AUTO)
        return sac__fail(SAC_EUNSUPPORTED, "an engine's precision is fixed: choose it at saccade "
                                           "build");
    return 0;
}

static int open_engine(struct tensorrt_engine *engine, const struct sac_source *source,
                       const sac_engine_options *options)
{
    struct sac_trt *trt = NULL;
    struct sac_gpu_facts gpu = {0};
    int error = check_source(source, options);
    if (!error) error = sac__tensorrt_library(&trt);
    if (!error) error = sac__gpu_ordinal(&engine->device, options->device);
    if (!error) error = sac__gpu_facts(&gpu, engine->device);
    if (!error) error = sac__trt_check_gpu(trt, gpu.major, gpu.minor);
    if (!error) error = sac__gpu_enter(engine->device);
    if (error) return error;
    error = open_plan(engine, trt, source, options);
    if (!error) error = read_bindings(engine);
    sac__gpu_leave();
    if (!error)
        snprintf(engine->where, sizeof engine->where, "%s (cuda:%d), %s", gpu.name, engine->device,
                 sac__trt_version(trt));
    return error;
}

int sac__tensorrt_open(void **state_out, struct sac_engine_facts *facts_out,
                       const struct sac_source *source, const sac_engine_options *options)
{
    struct tensorrt_engine *engine = calloc(1, sizeof *engine);
    if (!engine) return sac__fail(SAC_ENOMEM, "no memory for an engine");
    engine->mode = options->mode;
    const int error = open_engine(engine, source, options);
    if (error) {
        sac__tensorrt_close(engine);
        return error;
    }
    const int streams = options->streams ? options->streams : 2;
    *facts_out = (struct sac_engine_facts){
        .where = engine->where,
        .precision = precision_of(engine),
        .parallel = options->mode == SAC_MODE_THROUGHPUT ? streams : 1,
        .binding_count = engine->count,
        .bindings = engine->bindings,
        .device = engine->device,
    };
    *state_out = engine;
    return 0;
}

void sac__tensorrt_close(void *state)
{
    struct tensorrt_engine *engine = state;
    if (engine->engine && sac__gpu_enter(engine->device) == 0) {
        sac__trt_engine_close(&engine->engine);
        sac__gpu_leave();
    }
    free(engine->tensors);
    free(engine->bindings);
    free(engine->most_bytes);
    free(engine);
}
