// SPDX-License-Identifier: Apache-2.0
// One run in flight, and the steps around it in the same stream. Where an engine has no streams,
// each step is done by the processor after all before it: the same program runs.
#include <stdlib.h>
#include <string.h>

#include "detections.h"
#include "engine.h"
#include "error.h"
#include "ops/ops.h"

struct sac_context {
    sac_engine *engine;
    void *run;
    int in_flight;         ///< a run, which sac_context_wait ends
    int pending;           ///< other work in the stream
    unsigned char bound[]; ///< a flag a binding
};

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
    sac_context_wait(closing);
    closing->engine->backend->context_close(closing->run);
    free(closing);
    *context = NULL;
}

// --- bindings

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
    int error = sac__engine_binding(&binding, context->engine, index);
    if (!error && context->in_flight)
        error = sac__fail(SAC_EINVAL, "binding '%s': a run is in flight", binding->name);
    if (!error) error = fit_tensor(&shaped, binding, tensor, context->engine->backend);
    if (!error) error = context->engine->backend->bind(context->run, index, &shaped);
    if (!error) context->bound[index] = 1;
    return error;
}

int sac_context_tensor(sac_context *context, size_t index, sac_tensor *tensor_out)
{
    if (!context || !tensor_out) return sac__fail(SAC_EINVAL, "context or tensor_out is NULL");
    *tensor_out = (sac_tensor){0};
    const sac_binding *binding = NULL;
    int error = sac__engine_binding(&binding, context->engine, index);
    if (!error && context->in_flight)
        error = sac__fail(SAC_EINVAL, "binding '%s': a run is in flight", binding->name);
    if (!error) error = context->engine->backend->tensor(context->run, index, tensor_out);
    return error;
}

// --- runs

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
    if (!context->in_flight && !context->pending) return 0;
    context->in_flight = context->pending = 0;
    return context->engine->backend->wait(context->run);
}

int sac_context_done(sac_context *context)
{
    if (!context) return sac__fail(SAC_EINVAL, "context is NULL");
    if (!context->in_flight && !context->pending) return 1;
    if (context->engine->backend->context_done)
        return context->engine->backend->context_done(context->run);
    int error = sac_context_wait(context);
    return error ? error : 1;
}

int sac_context_use_stream(sac_context *context, void *stream)
{
    if (!context) return sac__fail(SAC_EINVAL, "context is NULL");
    const struct sac_backend *backend = context->engine->backend;
    if (context->in_flight || context->pending)
        return sac__fail(SAC_EINVAL, "work is still in flight: wait for it");
    if (backend->context_stream) return backend->context_stream(context->run, stream);
    if (!stream) return 0;
    return sac__fail(SAC_EUNSUPPORTED, "backend %s has no streams", backend->name);
}

// --- steps around a run

static int check_device(const sac_context *context, sac_memory memory, int32_t device,
                        const char *what)
{
    if ((unsigned)memory > SAC_CUDA)
        return sac__fail(SAC_EINVAL, "%s: unknown kind of memory %d", what, (int)memory);
    if (memory != SAC_CUDA) return 0;
    if (context->engine->backend->memory != SAC_CUDA)
        return sac__fail(SAC_EUNSUPPORTED, "%s is in device memory, backend %s takes host memory",
                         what, context->engine->backend->name);
    if (device != context->engine->facts.device)
        return sac__fail(SAC_EINVAL, "%s is in memory of device %d, the engine runs on %d", what,
                         (int)device, (int)context->engine->facts.device);
    return 0;
}

static int check_copy(const sac_context *context, const sac_tensor *dst, const sac_tensor *src)
{
    int error = check_device(context, dst->memory, dst->device, "dst");
    if (!error) error = check_device(context, src->memory, src->device, "src");
    if (error) return error;
    if (dst->dtype != src->dtype || sac_tensor_count(dst) != sac_tensor_count(src))
        return sac__fail(SAC_EINVAL, "%lld of %s cannot be copied to %lld of %s",
                         (long long)sac_tensor_count(src), sac_dtype_name(src->dtype),
                         (long long)sac_tensor_count(dst), sac_dtype_name(dst->dtype));
    if (!sac_tensor_is_contiguous(dst) || !sac_tensor_is_contiguous(src) || !dst->data ||
        !src->data)
        return sac__fail(SAC_EINVAL, "both tensors must be contiguous and have memory");
    return 0;
}

int sac_context_copy(sac_context *context, sac_tensor *dst, const sac_tensor *src)
{
    if (!context || !dst || !src) return sac__fail(SAC_EINVAL, "context, dst or src is NULL");
    int error = check_copy(context, dst, src);
    if (error) return error;
    if (context->engine->backend->copy) {
        context->pending = 1;
        return context->engine->backend->copy(context->run, dst, src);
    }
    error = sac_context_wait(context);
    if (!error) memmove(dst->data, src->data, sac_tensor_bytes(src));
    return error;
}

int sac_context_letterbox(sac_context *context, sac_tensor *input_out, int64_t index,
                          const sac_image *image, const sac_letterbox *letterbox,
                          const sac_pixels *pixels)
{
    if (!context) return sac__fail(SAC_EINVAL, "context is NULL");
    int error = sac__check_letterbox(input_out, index, image, letterbox, pixels);
    if (!error) error = check_device(context, input_out->memory, input_out->device, "input_out");
    if (!error) error = check_device(context, image->memory, image->device, "the picture");
    if (error) return error;
    if (input_out->memory == SAC_CUDA && context->engine->backend->letterbox) {
        context->pending = 1;
        return context->engine->backend->letterbox(context->run, input_out, index, image, letterbox,
                                                   pixels);
    }
    error = sac_context_wait(context);
    return error ? error : sac_letterbox_apply(input_out, index, image, letterbox, pixels);
}

int sac_context_boxes(sac_context *context, sac_detections *detections_out,
                      const sac_tensor *output, int64_t index, const sac_head *head,
                      const sac_letterbox *letterbox, const sac_nms *nms)
{
    if (!detections_out) return sac__fail(SAC_EINVAL, "detections_out is NULL");
    *detections_out = (sac_detections){0};
    if (!context) return sac__fail(SAC_EINVAL, "context is NULL");
    int error = sac__check_boxes(output, index, head, letterbox, nms);
    if (!error) error = check_device(context, output->memory, output->device, "output");
    if (error) return error;
    if (output->memory == SAC_CUDA && context->engine->backend->boxes) {
        struct sac_frame_found found = {0};
        error = context->engine->backend->boxes(context->run, output, index, head, letterbox, nms,
                                                &found);
        return error ? error : sac__found_copy(detections_out, &found);
    }
    error = sac_context_wait(context);
    if (error) return error;
    return sac_head_read(detections_out, output, index, head, letterbox, nms);
}
