// SPDX-License-Identifier: Apache-2.0
// The engine's public face: checks what callers give, then hands it to the backend.
#include "engine.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

struct sac_engine {
    const struct sac_backend *backend;
    void *state;
    struct sac_engine_facts facts;
};

struct sac_context {
    sac_engine *engine;
    void *run;
    int in_flight;
    unsigned char bound[]; ///< a flag a binding
};

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

int sac__engine_open(sac_engine **engine_out, const struct sac_source *source,
                     const sac_engine_options *options)
{
    sac_engine_options complete;
    int error = complete_options(&complete, options);
    if (error) return error;
    sac_engine *engine = calloc(1, sizeof *engine);
    if (!engine) return sac__fail(SAC_ENOMEM, "no memory for an engine");
    error = sac__backend_find(&engine->backend, &complete);
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
                               .bytes = model->bytes,
                               .size = model->size,
                               .hash = model->hash,
                               .names = (const char *const *)model->bindings,
                               .name_count = (size_t)model->binding_count,
                               .self_contained = model->self_contained};
}

static int open_model(sac_engine **engine_out, struct sac_model *model, const char *path,
                      const sac_engine_options *options)
{
    const struct sac_source source = sac__engine_source(model, path);
    return sac__engine_open(engine_out, &source, options);
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

static int find_binding(const sac_binding **binding_out, const sac_engine *engine, size_t index)
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
    int error = find_binding(&binding, engine, index);
    if (!error) *binding_out = *binding;
    return error;
}

// The binding's extents with the dynamic ones taken from `wanted`.
static int resolve_shape(int64_t *shape, const sac_binding *binding, const int64_t *wanted)
{
    for (int i = 0; i < binding->ndim; i++) {
        shape[i] = binding->shape[i] >= 0 || !wanted ? binding->shape[i] : wanted[i];
        if (shape[i] < 0)
            return sac__fail(SAC_EINVAL, "binding '%s': dimension %d is dynamic: give a shape",
                             binding->name, i);
    }
    return 0;
}

int sac_engine_alloc(const sac_engine *engine, size_t index, int flat, const int64_t *shape,
                     sac_tensor *tensor_out)
{
    if (!tensor_out) return sac__fail(SAC_EINVAL, "tensor_out is NULL");
    *tensor_out = (sac_tensor){0};
    const sac_binding *binding = NULL;
    int64_t resolved[SAC_MAX_DIMS];
    int error = find_binding(&binding, engine, index);
    if (!error) error = resolve_shape(resolved, binding, shape);
    if (error) return error;
    error = sac_tensor_alloc(tensor_out, binding->dtype, binding->ndim, resolved);
    if (error || !flat) return error;
    sac_tensor shaped = *tensor_out;
    error = sac_tensor_flatten(tensor_out, &shaped);
    tensor_out->owned = shaped.owned;
    return error;
}

int sac_context_open(sac_context **context_out, sac_engine *engine)
{
    if (!context_out || !engine) return sac__fail(SAC_EINVAL, "context_out or engine is NULL");
    *context_out = NULL;
    sac_context *context = calloc(1, sizeof *context + engine->facts.binding_count);
    if (!context) return sac__fail(SAC_ENOMEM, "no memory for a context");
    context->engine = engine;
    int error = engine->backend->context_open(&context->run, engine->state);
    if (error) {
        free(context);
        return error;
    }
    *context_out = context;
    return 0;
}

void sac_context_close(sac_context **context)
{
    if (!context || !*context) return;
    sac_context *closing = *context;
    if (closing->in_flight) sac_context_wait(closing);
    closing->engine->backend->context_close(closing->run);
    free(closing);
    *context = NULL;
}

// Checks a tensor against its binding and gives its shaped view.
static int fit_tensor(sac_tensor *shaped_out, const sac_binding *binding, const sac_tensor *tensor,
                      const struct sac_backend *backend)
{
    if (tensor->memory == SAC_CUDA && backend->memory != SAC_CUDA)
        return sac__fail(SAC_EINVAL, "binding '%s': the tensor is in device memory, backend %s "
                                     "takes host memory", binding->name, backend->name);
    if (tensor->dtype != binding->dtype)
        return sac__fail(SAC_EINVAL, "binding '%s' is %s, the tensor %s", binding->name,
                         sac_dtype_name(binding->dtype), sac_dtype_name(tensor->dtype));
    if (!tensor->data || !sac_tensor_is_contiguous(tensor))
        return sac__fail(SAC_EINVAL, "binding '%s': the tensor must be contiguous and have memory",
                         binding->name);
    *shaped_out = *tensor;
    if (tensor->ndim == 1 && binding->count == tensor->shape[0])
        return sac_tensor_reshape(shaped_out, tensor, binding->ndim, binding->shape);
    if (tensor->ndim != binding->ndim)
        return sac__fail(SAC_EINVAL, "binding '%s' has %d dimensions, the tensor %d",
                         binding->name, binding->ndim, tensor->ndim);
    for (int i = 0; i < binding->ndim; i++)
        if (tensor->shape[i] < 0 ||
            (binding->shape[i] >= 0 && binding->shape[i] != tensor->shape[i]))
            return sac__fail(SAC_EINVAL, "binding '%s': dimension %d is %lld, the tensor's %lld",
                             binding->name, i, (long long)binding->shape[i],
                             (long long)tensor->shape[i]);
    return 0;
}

int sac_context_bind(sac_context *context, size_t index, const sac_tensor *tensor)
{
    if (!context || !tensor) return sac__fail(SAC_EINVAL, "context or tensor is NULL");
    const sac_binding *binding = NULL;
    sac_tensor shaped;
    int error = find_binding(&binding, context->engine, index);
    if (!error && context->in_flight)
        error = sac__fail(SAC_EINVAL, "binding '%s': a run is in flight", binding->name);
    if (!error) error = fit_tensor(&shaped, binding, tensor, context->engine->backend);
    if (!error) error = context->engine->backend->bind(context->run, index, &shaped);
    if (!error) context->bound[index] = 1;
    return error;
}

int sac_context_enqueue(sac_context *context)
{
    if (!context) return sac__fail(SAC_EINVAL, "context is NULL");
    const struct sac_engine_facts *facts = &context->engine->facts;
    if (context->in_flight) return sac__fail(SAC_EINVAL, "a run is still in flight: wait for it");
    for (size_t i = 0; i < facts->binding_count; i++)
        if (facts->bindings[i].is_input && !context->bound[i])
            return sac__fail(SAC_EINVAL, "input '%s' is not bound", facts->bindings[i].name);
    int error = context->engine->backend->enqueue(context->run);
    context->in_flight = !error;
    return error;
}

int sac_context_wait(sac_context *context)
{
    if (!context) return sac__fail(SAC_EINVAL, "context is NULL");
    if (!context->in_flight) return 0;
    context->in_flight = 0;
    return context->engine->backend->wait(context->run);
}

int sac_context_tensor(sac_context *context, size_t index, sac_tensor *tensor_out)
{
    if (!context || !tensor_out) return sac__fail(SAC_EINVAL, "context or tensor_out is NULL");
    *tensor_out = (sac_tensor){0};
    const sac_binding *binding = NULL;
    int error = find_binding(&binding, context->engine, index);
    if (!error && context->in_flight)
        error = sac__fail(SAC_EINVAL, "binding '%s': a run is in flight", binding->name);
    if (!error) error = context->engine->backend->tensor(context->run, index, tensor_out);
    return error;
}
