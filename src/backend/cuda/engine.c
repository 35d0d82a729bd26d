// SPDX-License-Identifier: Apache-2.0
// Opening a network: plan, program on the device, bindings.
#include "cuda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ONNX_FLOAT = 1, ONNX_FLOAT16 = 10 }; // TensorProto.DataType of onnx.proto

static int choose_precision(struct cuda_engine *engine, sac_precision asked)
{
    engine->precision = asked == SAC_PRECISION_AUTO ? SAC_PRECISION_FP16 : asked;
    if (asked != SAC_PRECISION_BF16) return 0;
    return sac__fail(SAC_EUNSUPPORTED, "the CUDA engine has no bf16: fp16 is as fast and finer; "
                                       "take fp16, fp32 or auto");
}

static int choose_device(struct cuda_engine *engine, const char *device)
{
    int error = sac__gpu_ordinal(&engine->device, device);
    if (!error) error = sac__gpu_facts(&engine->gpu, engine->device);
    if (error || engine->gpu.major >= SAC__CUDA_LEAST) return error;
    return sac__fail(SAC_EDEVICE,
                     "cuda:%d (%s) has compute capability %d.%d; the CUDA engine "
                     "needs %d.0 or later",
                     engine->device, engine->gpu.name, engine->gpu.major, engine->gpu.minor,
                     SAC__CUDA_LEAST);
}

// A plan is for one input size. Extents that are to stay open (the letterbox "auto") are refused:
// each size would take a plan, tuning and an arena of its own.
static int choose_shape(int64_t shape_out[4], const struct sac_source *source)
{
    memset(shape_out, 0, 4 * sizeof *shape_out);
    if (source->input_ndim == 0) return 0;
    if (source->input_ndim != 4)
        return sac__fail(SAC_EMODEL, "the input has %d dimensions, a picture (N,3,H,W) has 4",
                         (int)source->input_ndim);
    for (int i = 0; i < 4; i++) {
        if (i >= 2 && source->input_shape[i] < 0)
            return sac__fail(SAC_EUNSUPPORTED,
                             "the CUDA engine runs one input size: the letterbox \"auto\", which "
                             "changes it from picture to picture, runs with --device cpu");
        shape_out[i] = source->input_shape[i] < 0 ? 0 : source->input_shape[i];
    }
    return 0;
}

static int make_plan(struct cuda_engine *engine, const struct sac_source *source)
{
    int64_t shape[4];
    int error = choose_shape(shape, source);
    const size_t element = engine->precision == SAC_PRECISION_FP32 ? sizeof(float) : 2;
    if (!error) error = sac__plan_open(&engine->plan, source->bytes, source->size, shape, element);
    return error;
}

// $SACCADE_TUNE_SECONDS, for a network that the plan cache does not know; 0: nothing is ever timed.
double sac__cuda_tune_seconds(void)
{
    const char *text = getenv("SACCADE_TUNE_SECONDS");
    if (!text || !*text) return 0; // the program's own default
    const double seconds = strtod(text, NULL);
    return seconds > 0 ? seconds : -1;
}

static int make_program(struct cuda_engine *engine, const struct sac_source *source,
                        const sac_engine_options *options)
{
    const struct sac_program_options program = {
        .device = engine->device,
        .model_hash = source->self_contained ? source->hash : NULL,
        .version = SAC_VERSION,
        .cache_dir = options->cache_dir,
        .cache_limit = options->cache_limit,
        .tune_seconds = sac__cuda_tune_seconds(),
        .log = options->log,
        .log_user = options->log_user,
    };
    return sac__program_open(&engine->program, engine->plan, &program);
}

static int set_type(sac_binding *binding, int onnx_type)
{
    binding->dtype = onnx_type == ONNX_FLOAT16 ? SAC_F16 : SAC_F32;
    if (onnx_type == ONNX_FLOAT || onnx_type == ONNX_FLOAT16) return 0;
    return sac__fail(SAC_EUNSUPPORTED,
                     "%s '%s' has ONNX element type %d; the CUDA engine takes "
                     "float32 and float16",
                     binding->is_input ? "input" : "output", binding->name, onnx_type);
}

static int set_binding(struct cuda_engine *engine, int index, const struct sac_source *source,
                       int ndim, const int64_t *shape, int onnx_type)
{
    sac_binding *binding = &engine->bindings[index];
    const char *name = (size_t)index < source->name_count ? source->names[index] : NULL;
    *binding = (sac_binding){.index = index, .is_input = index == 0, .ndim = ndim, .count = 1};
    snprintf(binding->name, sizeof binding->name, "%s", name ? name : index ? "output" : "input");
    int error = set_type(binding, onnx_type);
    for (int i = 0; i < ndim; i++) {
        binding->shape[i] = shape[i];
        binding->count *= shape[i];
    }
    binding->bytes = binding->count * (binding->dtype == SAC_F16 ? 2 : 4);
    return error;
}

static void note(const sac_engine_options *options, const char *line)
{
    if (options->log) options->log(options->log_user, line);
}

// The first output is the one that the plan's head stands for; others of the file are not computed.
static int set_bindings(struct cuda_engine *engine, const struct sac_source *source,
                        const sac_engine_options *options)
{
    const struct sac_plan *plan = engine->plan;
    char line[128];
    int error = set_binding(engine, 0, source, 4, plan->input_shape, plan->input_type);
    const int type = plan->output_type ? plan->output_type : plan->input_type;
    if (!error) error = set_binding(engine, 1, source, plan->output_ndim, plan->output_shape, type);
    if (!error && plan->tail)
        note(options,
             "cuda: no kernel knows the decode tail of this network: the processor runs it");
    if (error || plan->output_count == 1) return error;
    snprintf(line, sizeof line, "cuda: the first of %d outputs is computed, '%.60s'",
             plan->output_count, engine->bindings[1].name);
    note(options, line);
    return 0;
}

static void set_facts(struct cuda_engine *engine, struct sac_engine_facts *facts_out,
                      const sac_engine_options *options)
{
    const int streams = options->streams ? options->streams : 2;
    snprintf(engine->where, sizeof engine->where, "%s (cuda:%d), %s", engine->gpu.name,
             engine->device, engine->precision == SAC_PRECISION_FP32 ? "fp32" : "fp16");
    *facts_out = (struct sac_engine_facts){
        .where = engine->where,
        .precision = engine->precision,
        .parallel = options->mode == SAC_MODE_THROUGHPUT ? streams : 1,
        .binding_count = SAC__CUDA_BINDINGS,
        .bindings = engine->bindings,
        .device = engine->device,
    };
}

static int open_engine(struct cuda_engine *engine, const struct sac_source *source,
                       const sac_engine_options *options)
{
    int error = choose_precision(engine, options->precision);
    if (!error) error = choose_device(engine, options->device);
    if (!error) error = make_plan(engine, source);
    if (!error) error = set_bindings(engine, source, options);
    if (!error) error = sac__gpu_enter(engine->device);
    if (error) return error;
    error = make_program(engine, source, options);
    sac__gpu_leave();
    free(engine->plan->weights); // they are on the device now, packed
    engine->plan->weights = NULL;
    return error ? error : sac__cuda_describe(engine);
}

int sac__cuda_open(void **state_out, struct sac_engine_facts *facts_out,
                   const struct sac_source *source, const sac_engine_options *options)
{
    struct cuda_engine *engine = calloc(1, sizeof *engine);
    if (!engine) return sac__fail(SAC_ENOMEM, "no memory for a network");
    engine->mode = options->mode;
    const int error = open_engine(engine, source, options);
    if (error) {
        sac__cuda_close(engine);
        return error;
    }
    set_facts(engine, facts_out, options);
    *state_out = engine;
    return 0;
}

void sac__cuda_close(void *state)
{
    struct cuda_engine *engine = state;
    if (engine->program && sac__gpu_enter(engine->device) == 0) {
        sac__program_close(&engine->program);
        sac__gpu_leave();
    }
    sac__plan_close(&engine->plan);
    free(engine->layers);
    free(engine->text);
    free(engine);
}
