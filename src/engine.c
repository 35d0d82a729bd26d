// SPDX-License-Identifier: Apache-2.0
// The engine's public face: checks what callers give, then hands it to the backend. Contexts are in
// context.c, memory and streams in engine_memory.c.
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

void sac_engine_options_init_sized(sac_engine_options *options, size_t size)
{
    if (!options || size < sizeof options->size) return;
    memset(options, 0, size);
    options->size = size;
}

// A program built against an older header hands in a shorter structure: what it lacks is default.
static int complete_options(sac_engine_options *complete_out, const sac_engine_options *options)
{
    sac_engine_options_init(complete_out);
    if (!options) return 0;
    if (options->size < sizeof options->size || options->size > sizeof *complete_out)
        return sac__fail(SAC_EINVAL, "engine options of %zu bytes: call sac_engine_options_init",
                         options->size);
    memcpy(complete_out, options, options->size);
    if ((unsigned)options->precision > SAC_PRECISION_FP16)
        return sac__fail(SAC_EINVAL, "unknown precision %d", (int)options->precision);
    if ((unsigned)options->mode > SAC_MODE_THROUGHPUT)
        return sac__fail(SAC_EINVAL, "unknown mode %d", (int)options->mode);
    if (options->threads < 0 || options->streams < 0)
        return sac__fail(SAC_EINVAL, "threads %d and streams %d must not be negative",
                         options->threads, options->streams);
    return 0;
}

// An engine file is for the backend that builds such; "auto" means that one.
static int find_backend(sac_engine *engine, const struct sac_source *source,
                        sac_engine_options *options)
{
    const char *name = options->backend;
    const int is_auto = !name || !*name || !strcmp(name, "auto");
    if (source->is_plan && is_auto) options->backend = "tensorrt";
    int error = sac__backend_find(&engine->backend, options);
    if (!error && source->is_plan && !engine->backend->build)
        error = sac__fail(SAC_EMODEL, "a TensorRT engine, which backend %s does not run: give the "
                                      "ONNX file, or --backend tensorrt", engine->backend->name);
    return error;
}

int sac__engine_open(sac_engine **engine_out, const struct sac_source *source,
                     const sac_engine_options *options)
{
    sac_engine_options complete;
    int error = complete_options(&complete, options);
    if (error) return error;
    sac_engine *engine = calloc(1, sizeof *engine);
    if (!engine) return sac__fail(SAC_ENOMEM, "no memory for an engine");
    error = find_backend(engine, source, &complete);
    if (!error) error = engine->backend->open(&engine->state, &engine->facts, source, &complete);
    if (error) {
        free(engine);
        return error;
    }
    *engine_out = engine;
    return 0;
}

struct sac_source sac__engine_source(const struct sac_model *model, const char *path)
{
    return (struct sac_source){.path = path,
                               .bytes = model->bytes + model->plan,
                               .size = model->size - model->plan,
                               .is_plan = model->is_plan,
                               .hash = model->hash,
                               .names = (const char *const *)model->bindings,
                               .name_count = (size_t)model->binding_count,
                               .self_contained = model->self_contained};
}

static int open_model(sac_engine **engine_out, struct sac_model *model, const char *path,
                      const sac_engine_options *options)
{
    const struct sac_source source = sac__engine_source(model, path);
    sac_engine_options complete;
    int error = complete_options(&complete, options);
    if (!error) error = sac__engine_open(engine_out, &source, &complete);
    if (error && sac__backend_fall_back(&complete, error))
        error = sac__engine_open(engine_out, &source, &complete);
    if (error) return error;
    sac_engine *engine = *engine_out;
    const char *why;
    engine->has_head = !sac__head_recognise(&engine->head, &engine->output, &why, model,
                                            engine->facts.bindings, engine->facts.binding_count,
                                            NULL);
    return 0;
}

int sac_engine_open(sac_engine **engine_out, const char *path, const sac_engine_options *options)
{
    if (!engine_out || !path) return sac__fail(SAC_EINVAL, "engine_out or path is NULL");
    *engine_out = NULL;
    struct sac_model *model = NULL;
    int error = sac__model_open(&model, path);
    if (!error) error = open_model(engine_out, model, path, options);
    sac__model_close(&model);
    return error;
}

int sac_engine_read(sac_engine **engine_out, const void *bytes, size_t size,
                    const sac_engine_options *options)
{
    if (!engine_out || !bytes) return sac__fail(SAC_EINVAL, "engine_out or bytes is NULL");
    *engine_out = NULL;
    struct sac_model *model = NULL;
    int error = sac__model_read(&model, bytes, size, "model in memory");
    if (!error) error = open_model(engine_out, model, NULL, options);
    sac__model_close(&model);
    return error;
}

void sac_engine_close(sac_engine **engine)
{
    if (!engine || !*engine) return;
    (*engine)->backend->close((*engine)->state);
    free(*engine);
    *engine = NULL;
}

const char *sac_engine_backend(const sac_engine *engine)
{
    return engine ? engine->backend->name : "";
}

const char *sac_engine_where(const sac_engine *engine)
{
    return engine ? engine->facts.where : "";
}

sac_precision sac_engine_precision(const sac_engine *engine)
{
    return engine ? engine->facts.precision : SAC_PRECISION_AUTO;
}

int sac_engine_parallel(const sac_engine *engine)
{
    return engine ? engine->facts.parallel : 0;
}

size_t sac_engine_binding_count(const sac_engine *engine)
{
    return engine ? engine->facts.binding_count : 0;
}

int sac__engine_binding(const sac_binding **binding_out, const sac_engine *engine, size_t index)
{
    if (!engine) return sac__fail(SAC_EINVAL, "engine is NULL");
    if (index >= engine->facts.binding_count)
        return sac__fail(SAC_EINVAL, "binding %zu of %zu does not exist", index,
                         engine->facts.binding_count);
    *binding_out = &engine->facts.bindings[index];
    return 0;
}

int sac_engine_binding(const sac_engine *engine, size_t index, sac_binding *binding_out)
{
    if (!binding_out) return sac__fail(SAC_EINVAL, "binding_out is NULL");
    const sac_binding *binding = NULL;
    int error = sac__engine_binding(&binding, engine, index);
    if (!error) *binding_out = *binding;
    return error;
}

int sac_engine_head(const sac_engine *engine, sac_head *head_out, size_t *binding_out)
{
    if (!engine || !head_out || !binding_out)
        return sac__fail(SAC_EINVAL, "engine, head_out or binding_out is NULL");
    if (!engine->has_head)
        return sac__fail(SAC_EMODEL, "the engine's outputs are not those of a known head");
    *head_out = engine->head;
    *binding_out = engine->output;
    return 0;
}

int sac_engine_layers(const sac_engine *engine, sac_layer_info *layers_out, size_t capacity,
                      size_t *count_out)
{
    if (!engine || !count_out || (capacity && !layers_out))
        return sac__fail(SAC_EINVAL, "engine, layers_out or count_out is NULL");
    *count_out = 0;
    if (!engine->backend->layers) return 0;
    const struct sac_layer_facts *facts = NULL;
    int error = engine->backend->layers(engine->state, &facts, count_out);
    for (size_t i = 0; i < *count_out && i < capacity && !error; i++)
        layers_out[i] = (sac_layer_info){facts[i].name,  facts[i].kind, facts[i].kernel,
                                         facts[i].shape, facts[i].flop, facts[i].bytes,
                                         facts[i].us,    facts[i].roof_us};
    return error;
}

sac_memory sac_engine_memory(const sac_engine *engine)
{
    return engine ? engine->backend->memory : SAC_HOST;
}

int sac_engine_device(const sac_engine *engine)
{
    return engine ? engine->facts.device : 0;
}
