// SPDX-License-Identifier: Apache-2.0
// An execution context as what contexts and frames run between letterbox and head.
#include <stdlib.h>
#include <string.h>

#include "backend/gpu/frame.h"
#include "backend/gpu/run.h"
#include "tensorrt.h"

struct network {
    const struct tensorrt_engine *engine;
    struct sac_trt_context *context;
    void **memory; ///< of a frame: one a binding, else NULL
};

static void close_network(void *state)
{
    struct network *network = state;
    for (size_t i = 0; network->memory && i < network->engine->count; i++)
        cudaFree(network->memory[i]);
    cudaGetLastError();
    if (network->context) sac__trt_context_close(&network->context);
    free(network->memory);
    free(network);
}

static int open_network(struct network **network_out, const struct tensorrt_engine *engine)
{
    struct network *network = calloc(1, sizeof *network);
    if (!network) return sac__fail(SAC_ENOMEM, "no memory for a context");
    network->engine = engine;
    int error = sac__gpu_enter(engine->device);
    if (!error) {
        error = sac__trt_context_open(&network->context, engine->engine);
        sac__gpu_leave();
    }
    if (error)
        free(network);
    else
        *network_out = network;
    return error;
}

static int enqueue(void *state, void *const *addresses, cudaStream_t stream)
{
    struct network *network = state;
    int error = 0;
    for (size_t i = 0; i < network->engine->count && !error; i++)
        error = sac__trt_context_address(network->context, i, addresses[i]);
    return error ? error : sac__trt_context_enqueue(network->context, stream);
}

// ---- contexts -----------------------------------------------------------------------------------

static int set_shape(void *state, size_t index, const int64_t *shape)
{
    struct network *network = state;
    if (network->engine->bindings[index].bytes >= 0) return 0;
    return sac__trt_context_shape(network->context, index, shape);
}

static int get_shape(void *state, size_t index, int32_t *ndim_out, int64_t *shape_out)
{
    const struct network *network = state;
    return sac__trt_context_extents(network->context, index, ndim_out, shape_out);
}

int sac__tensorrt_context_open(void **run_out, void *state)
{
    const struct tensorrt_engine *engine = state;
    struct network *network = NULL;
    int error = open_network(&network, engine);
    if (error) return error;
    const struct sac_gpu_run_facts facts = {.device = engine->device,
                                            .mode = engine->mode,
                                            .bindings = engine->bindings,
                                            .binding_count = engine->count,
                                            .most_bytes = engine->most_bytes};
    const struct sac_gpu_runner runner = {.state = network,
                                          .enqueue = enqueue,
                                          .close = close_network,
                                          .set_shape = set_shape,
                                          .get_shape = get_shape};
    return sac__run_open(run_out, &facts, &runner);
}

// ---- frames -------------------------------------------------------------------------------------

static int take_memory(struct network *network, cudaStream_t stream)
{
    int error = 0;
    network->memory = calloc(network->engine->count, sizeof *network->memory);
    if (!network->memory) return sac__fail(SAC_ENOMEM, "no memory for bindings");
    for (size_t i = 0; i < network->engine->count && !error; i++) {
        const size_t bytes = network->engine->most_bytes[i];
        error = sac__gpu_check(cudaMalloc(&network->memory[i], bytes), "cudaMalloc for a binding",
                               bytes);
        if (!error)
            error = sac__gpu_check(cudaMemsetAsync(network->memory[i], 0, bytes, stream),
                                   "cudaMemsetAsync", bytes);
    }
    return error ? error : SAC__CUDA(cudaStreamSynchronize, stream);
}

static int run_memory(void *state, cudaStream_t stream)
{
    struct network *network = state;
    return enqueue(network, network->memory, stream);
}

static int prepare(struct network *network, const struct sac_frame_settings *settings)
{
    const int64_t shape[SAC_MAX_DIMS] = {settings->batch, 3, settings->height, settings->width};
    cudaStream_t stream = NULL;
    int error = sac__gpu_enter(network->engine->device);
    if (error) return error;
    error = set_shape(network, 0, shape);
    if (!error) error = SAC__CUDA(cudaStreamCreateWithFlags, &stream, cudaStreamNonBlocking);
    if (!error) error = take_memory(network, stream);
    if (stream) cudaStreamDestroy(stream);
    sac__gpu_leave();
    return error;
}

// The first output, where it is one that is read on the device: (N,rows,values), or channel-major.
static int describe_rows(struct sac_gpu_network *gpu, const struct network *network,
                         const struct sac_frame_settings *settings)
{
    const size_t output = 1;
    int32_t ndim = 0;
    int64_t shape[SAC_MAX_DIMS];
    const sac_binding *binding = &network->engine->bindings[output];
    int error = sac__trt_context_extents(network->context, output, &ndim, shape);
    if (error) return error;
    if (ndim != 3 || (binding->dtype != SAC_F32 && binding->dtype != SAC_F16))
        return sac__fail(SAC_EUNSUPPORTED,
                         "output '%s' is not read on the device: take the staged "
                         "feed",
                         binding->name);
    const int channel_major = settings->head.family == SAC_HEAD_V8;
    gpu->row_count = shape[channel_major ? 2 : 1];
    gpu->rows_step = shape[1] * shape[2];
    gpu->rows = (struct sac__rows){.data = network->memory[output],
                                   .half = binding->dtype == SAC_F16,
                                   .count = (int32_t)gpu->row_count,
                                   .row_step = channel_major ? 1 : shape[2],
                                   .value_step = channel_major ? shape[2] : 1,
                                   .head = settings->head,
                                   .width = settings->width,
                                   .height = settings->height};
    return 0;
}

static int check_layout(const struct tensorrt_engine *engine)
{
    const sac_binding *picture = engine->bindings;
    if (engine->count == 2 && picture->ndim == 4 && !engine->bindings[1].is_input &&
        (picture->dtype == SAC_F32 || picture->dtype == SAC_F16 || picture->dtype == SAC_U8))
        return 0;
    return sac__fail(SAC_EUNSUPPORTED,
                     "an engine with %zu bindings is not run on the device as a "
                     "whole: take the staged feed",
                     engine->count);
}

int sac__tensorrt_frame_open(void **frame_out, void *state,
                             const struct sac_frame_settings *settings)
{
    const struct tensorrt_engine *engine = state;
    struct network *network = NULL;
    int error = check_layout(engine);
    if (!error) error = open_network(&network, engine);
    if (error) return error;
    error = prepare(network, settings);
    struct sac_gpu_network gpu = {.run = network,
                                  .enqueue = run_memory,
                                  .close = close_network,
                                  .input = {.data = network->memory ? network->memory[0] : NULL,
                                            .layout = SAC__INPUT_NCHW,
                                            .dtype = engine->bindings[0].dtype,
                                            .n = settings->batch,
                                            .height = settings->height,
                                            .width = settings->width}};
    if (!error) error = describe_rows(&gpu, network, settings);
    if (!error) return sac__frame_open(frame_out, engine->device, engine->mode, settings, &gpu);
    if (sac__gpu_enter(engine->device) == 0) {
        close_network(network);
        sac__gpu_leave();
    }
    return error;
}
