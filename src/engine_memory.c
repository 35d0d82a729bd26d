// SPDX-License-Identifier: Apache-2.0
// Memory that an engine copies from or computes in, and streams of its device.
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "error.h"
#include "tensor.h"

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

// --- memory of a device

static void free_memory(struct sac__owned *owned)
{
    owned->backend_free(owned->data, owned->memory, owned->device);
    free(owned);
}

static int take_memory(sac_tensor *tensor, const sac_engine *engine, sac_memory memory)
{
    const size_t bytes = sac_tensor_bytes(tensor);
    struct sac__owned *owned = calloc(1, sizeof *owned);
    if (!owned) return sac__fail(SAC_ENOMEM, "no memory for a tensor");
    *owned = (struct sac__owned){.free = free_memory,
                                 .backend_free = engine->backend->free,
                                 .memory = memory,
                                 .device = engine->facts.device};
    int error = engine->backend->alloc(&owned->data, engine->state, memory, bytes ? bytes : 1);
    if (error) {
        free(owned);
        return error;
    }
    if (memory == SAC_HOST_PINNED) memset(owned->data, 0, bytes);
    tensor->data = owned->data;
    tensor->owned = owned;
    tensor->memory = memory;
    tensor->device = memory == SAC_CUDA ? engine->facts.device : 0;
    return 0;
}

// What the engine makes of a kind of memory. Errors: SAC_EUNSUPPORTED, SAC_EINVAL.
static int choose_memory(sac_memory *memory, const sac_engine *engine)
{
    if ((unsigned)*memory > SAC_CUDA)
        return sac__fail(SAC_EINVAL, "unknown kind of memory %d", (int)*memory);
    if (engine->backend->alloc) return 0;
    if (*memory == SAC_CUDA)
        return sac__fail(SAC_EUNSUPPORTED, "backend %s has no device memory",
                         engine->backend->name);
    *memory = SAC_HOST;
    return 0;
}

int sac_engine_alloc_tensor(const sac_engine *engine, sac_memory memory, sac_dtype dtype, int ndim,
                            const int64_t *shape, sac_tensor *tensor_out)
{
    if (!engine || !tensor_out) return sac__fail(SAC_EINVAL, "engine or tensor_out is NULL");
    *tensor_out = (sac_tensor){0};
    int error = choose_memory(&memory, engine);
    if (error) return error;
    if (memory == SAC_HOST) return sac_tensor_alloc(tensor_out, dtype, ndim, shape);
    error = sac_tensor_wrap(tensor_out, NULL, dtype, ndim, shape);
    if (!error) error = take_memory(tensor_out, engine, memory);
    if (error) *tensor_out = (sac_tensor){0};
    return error;
}

int sac_engine_alloc_memory(const sac_engine *engine, size_t index, int flat, const int64_t *shape,
                            sac_memory memory, sac_tensor *tensor_out)
{
    if (!tensor_out) return sac__fail(SAC_EINVAL, "tensor_out is NULL");
    *tensor_out = (sac_tensor){0};
    const sac_binding *binding = NULL;
    int64_t resolved[SAC_MAX_DIMS];
    int error = sac__engine_binding(&binding, engine, index);
    if (!error) error = resolve_shape(resolved, binding, shape);
    if (!error)
        error = sac_engine_alloc_tensor(engine, memory, binding->dtype, binding->ndim, resolved,
                                        tensor_out);
    if (error || !flat) return error;
    const sac_tensor shaped = *tensor_out;
    error = sac_tensor_flatten(tensor_out, &shaped);
    tensor_out->owned = shaped.owned;
    return error;
}

int sac_engine_alloc(const sac_engine *engine, size_t index, int flat, const int64_t *shape,
                     sac_tensor *tensor_out)
{
    return sac_engine_alloc_memory(engine, index, flat, shape, SAC_HOST_PINNED, tensor_out);
}

// --- streams

int sac_stream_open(void **stream_out, sac_engine *engine)
{
    if (!stream_out || !engine) return sac__fail(SAC_EINVAL, "stream_out or engine is NULL");
    *stream_out = NULL;
    if (!engine->backend->stream_open) return 0;
    return engine->backend->stream_open(stream_out, engine->state);
}

int sac_stream_wait(sac_engine *engine, void *stream)
{
    if (!engine) return sac__fail(SAC_EINVAL, "engine is NULL");
    if (engine->backend->stream_wait) return engine->backend->stream_wait(stream, engine->state);
    if (!stream) return 0;
    return sac__fail(SAC_EINVAL, "backend %s has no streams", engine->backend->name);
}

void sac_stream_close(sac_engine *engine, void **stream)
{
    if (!engine || !stream || !*stream) return;
    if (engine->backend->stream_close) engine->backend->stream_close(*stream, engine->state);
    *stream = NULL;
}
