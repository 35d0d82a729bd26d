// SPDX-License-Identifier: Apache-2.0
// A run of the network by itself, with the file's own tensors: the picture (N,3,H,W) in, the raw
// output's rows out, each in host or device memory. The network is a CUDA graph over the arena, which
// never changes; the two kernels around it take the addresses of the day.
#include <stdlib.h>

#include "arena.h"
#include "backend/gpu/steps.h"
#include "tail.h"

struct binding {
    sac_tensor tensor; ///< as bound, its memory looked up; data NULL: not bound
    void *own;         ///< on the device, where the tensor is not; taken when first needed
};

struct context {
    struct cuda_engine *engine;
    cudaStream_t own, stream; ///< its own, and the one in use
    cudaEvent_t done;         ///< behind all that was enqueued
    cudaGraphExec_t network;
    void *arena;
    int late; ///< nonzero: the output is still to be copied to ordinary memory, in the wait
    struct binding bindings[SAC__CUDA_BINDINGS];
    struct sac_gpu_steps steps;
    struct cuda_tail *tail; ///< NULL: kernels make the output
};

// --- open and close

static int capture_network(struct context *context)
{
    cudaGraph_t graph = NULL;
    int error = SAC__CUDA(cudaStreamBeginCapture, context->own, cudaStreamCaptureModeThreadLocal);
    if (error) return error;
    error = sac__program_enqueue(context->engine->program, context->arena, context->own);
    // A capture must be ended, also one that failed; the first failure is the one to tell.
    const cudaError_t status = cudaStreamEndCapture(context->own, &graph);
    if (error) cudaGetLastError();
    else error = sac__gpu_check(status, "cudaStreamEndCapture", 0);
    if (!error) error = SAC__CUDA(cudaGraphInstantiate, &context->network, graph, 0);
    if (graph) cudaGraphDestroy(graph);
    if (!error) error = SAC__CUDA(cudaGraphUpload, context->network, context->own);
    return error ? error : SAC__CUDA(cudaStreamSynchronize, context->own);
}

static int open_parts(struct context *context)
{
    const unsigned wait = context->engine->mode == SAC_MODE_LATENCY ? cudaEventDefault
                                                                    : cudaEventBlockingSync;
    int error = SAC__CUDA(cudaStreamCreateWithFlags, &context->own, cudaStreamNonBlocking);
    if (!error)
        error = SAC__CUDA(cudaEventCreateWithFlags, &context->done, cudaEventDisableTiming | wait);
    if (!error) error = sac__cuda_arena(&context->arena, context->engine, context->own);
    if (!error && context->engine->plan->tail)
        error = sac__cuda_tail_open(&context->tail, context->engine);
    context->stream = context->own;
    return error ? error : capture_network(context);
}

int sac__cuda_context_open(void **run_out, void *state)
{
    struct cuda_engine *engine = state;
    struct context *context = calloc(1, sizeof *context);
    int error = context ? sac__gpu_enter(engine->device)
                        : sac__fail(SAC_ENOMEM, "no memory for a context");
    if (error) {
        free(context);
        return error;
    }
    context->engine = engine;
    context->steps.device = engine->device;
    error = open_parts(context);
    sac__gpu_leave();
    if (error) sac__cuda_context_close(context);
    else *run_out = context;
    return error;
}

void sac__cuda_context_close(void *run)
{
    struct context *context = run;
    if (sac__gpu_enter(context->engine->device) == 0) {
        if (context->done) cudaEventSynchronize(context->done);
        if (context->network) cudaGraphExecDestroy(context->network);
        sac__gpu_steps_close(&context->steps);
        sac__cuda_tail_close(&context->tail);
        for (int i = 0; i < SAC__CUDA_BINDINGS; i++) cudaFree(context->bindings[i].own);
        cudaFree(context->arena);
        if (context->done) cudaEventDestroy(context->done);
        if (context->own) cudaStreamDestroy(context->own);
        cudaGetLastError();
        sac__gpu_leave();
    }
    free(context);
}

// --- bindings

static int on_device(const sac_tensor *tensor)
{
    return tensor->data && tensor->memory == SAC_CUDA;
}

// Memory of the context's own for a binding whose tensor is not on the device.
static int take_own(struct context *context, int index)
{
    struct binding *binding = &context->bindings[index];
    const size_t bytes = (size_t)context->engine->bindings[index].bytes;
    if (on_device(&binding->tensor) || binding->own) return 0;
    int error = sac__gpu_check(cudaMalloc(&binding->own, bytes), "cudaMalloc for a binding", bytes);
    if (error) binding->own = NULL;
    return error;
}

static int locate(sac_tensor *tensor, const struct cuda_engine *engine, const sac_binding *binding)
{
    sac_memory memory = SAC_HOST;
    int device = 0;
    int error = sac__gpu_where(&memory, &device, tensor->data);
    if (error) return error;
    if ((memory == SAC_CUDA) != (tensor->memory == SAC_CUDA))
        return sac__fail(SAC_EINVAL, "binding '%s': the tensor is said to be in %s memory and is not",
                         binding->name, tensor->memory == SAC_CUDA ? "device" : "host");
    if (memory == SAC_CUDA && device != engine->device)
        return sac__fail(SAC_EINVAL, "binding '%s': the tensor is on cuda:%d, the engine on cuda:%d",
                         binding->name, device, engine->device);
    tensor->memory = memory;
    return 0;
}

int sac__cuda_bind(void *run, size_t index, const sac_tensor *tensor)
{
    struct context *context = run;
    struct binding *binding = &context->bindings[index];
    sac_tensor bound = *tensor;
    bound.owned = NULL;
    int error = sac__gpu_enter(context->engine->device);
    if (error) return error;
    error = locate(&bound, context->engine, &context->engine->bindings[index]);
    if (!error && ((uintptr_t)bound.data & 15) && bound.memory == SAC_CUDA)
        error = sac__fail(SAC_EINVAL, "binding '%s': device memory at %p is not 16-byte aligned",
                          context->engine->bindings[index].name, bound.data);
    const sac_tensor before = binding->tensor;
    binding->tensor = bound;
    if (!error) error = take_own(context, (int)index);
    if (error) binding->tensor = before;
    sac__gpu_leave();
    return error;
}

static void *device_data(const struct binding *binding)
{
    return on_device(&binding->tensor) ? binding->tensor.data : binding->own;
}

static void fill_strides(sac_tensor *tensor)
{
    int64_t stride = 1;
    for (int i = tensor->ndim - 1; i >= 0; i--) {
        tensor->strides[i] = stride;
        stride *= tensor->shape[i];
    }
}

// What is bound, else the context's own memory, which is the device's.
int sac__cuda_tensor(void *run, size_t index, sac_tensor *tensor_out)
{
    const struct context *context = run;
    const struct binding *binding = &context->bindings[index];
    const sac_binding *facts = &context->engine->bindings[index];
    *tensor_out = binding->tensor;
    if (binding->tensor.data) return 0;
    *tensor_out = (sac_tensor){.data = binding->own,
                               .memory = SAC_CUDA,
                               .device = context->engine->device,
                               .dtype = facts->dtype,
                               .ndim = facts->ndim};
    for (int i = 0; i < facts->ndim; i++) tensor_out->shape[i] = facts->shape[i];
    fill_strides(tensor_out);
    return 0;
}

// --- run

static int send_input(struct context *context)
{
    const struct binding *binding = &context->bindings[0];
    const sac_binding *facts = &context->engine->bindings[0];
    const struct sac__input input = sac__cuda_input(context->engine, context->arena);
    const size_t bytes = (size_t)facts->bytes;
    int error = 0;
    if (!on_device(&binding->tensor))
        error = sac__gpu_check(cudaMemcpyAsync(binding->own, binding->tensor.data, bytes,
                                               cudaMemcpyHostToDevice, context->stream),
                               "cudaMemcpyAsync of the input", bytes);
    if (error) return error;
    return sac__input_cuda(&input, device_data(binding), facts->dtype, context->stream, 0);
}

static int copy_output(const struct context *context)
{
    const struct binding *binding = &context->bindings[1];
    const size_t bytes = (size_t)context->engine->bindings[1].bytes;
    return sac__gpu_check(cudaMemcpyAsync(binding->tensor.data, binding->own, bytes,
                                          cudaMemcpyDeviceToHost, context->stream),
                          "cudaMemcpyAsync of the output", bytes);
}

// The file's output on the device, from the raw maps.
static int make_output(struct context *context)
{
    const struct cuda_engine *engine = context->engine;
    void *output = device_data(&context->bindings[1]);
    if (context->tail)
        return sac__cuda_tail_enqueue(context->tail, context->arena, output, context->stream);
    const struct sac__maps maps = sac__cuda_maps(engine, context->arena);
    return sac__rows_cuda(output, engine->bindings[1].dtype, &maps,
                          (int)engine->plan->input_shape[0], context->stream, 0);
}

// A copy to ordinary memory would keep the caller waiting here: that one is left to the wait.
static int receive_output(struct context *context)
{
    const struct binding *binding = &context->bindings[1];
    int error = make_output(context);
    context->late = binding->tensor.data && binding->tensor.memory == SAC_HOST;
    if (error || context->late || !binding->tensor.data || on_device(&binding->tensor))
        return error;
    return copy_output(context);
}

static int mark_done(struct context *context)
{
    return SAC__CUDA(cudaEventRecord, context->done, context->stream);
}

int sac__cuda_enqueue(void *run)
{
    struct context *context = run;
    int error = sac__gpu_enter(context->engine->device);
    if (error) return error;
    error = take_own(context, 1);
    if (!error) error = send_input(context);
    if (!error) error = SAC__CUDA(cudaGraphLaunch, context->network, context->stream);
    if (!error) error = receive_output(context);
    const int marked = mark_done(context);
    sac__gpu_leave();
    return error ? error : marked;
}

int sac__cuda_wait(void *run)
{
    struct context *context = run;
    int error = sac__gpu_enter(context->engine->device);
    if (error) return error;
    if (context->late) {
        error = copy_output(context);
        if (!error) error = mark_done(context);
        context->late = 0;
    }
    if (!error) error = SAC__CUDA(cudaEventSynchronize, context->done);
    if (!error && context->tail) error = sac__cuda_tail_result(context->tail);
    sac__gpu_leave();
    return error;
}

int sac__cuda_done(void *run)
{
    struct context *context = run;
    int error = sac__gpu_enter(context->engine->device);
    if (error) return error;
    const cudaError_t status = cudaEventQuery(context->done);
    if (status == cudaErrorNotReady) cudaGetLastError();
    else error = sac__gpu_check(status, "cudaEventQuery", 0);
    sac__gpu_leave();
    return error ? error : status == cudaSuccess;
}

// --- steps in the context's stream

// What the old stream was given stays in order with what the new one will be.
int sac__cuda_context_stream(void *run, void *stream)
{
    struct context *context = run;
    cudaStream_t next = stream ? stream : context->own;
    if (next == context->stream) return 0;
    int error = sac__gpu_enter(context->engine->device);
    if (error) return error;
    error = SAC__CUDA(cudaStreamWaitEvent, next, context->done, 0);
    if (!error) context->stream = next;
    sac__gpu_leave();
    return error;
}

int sac__cuda_copy(void *run, const sac_tensor *dst, const sac_tensor *src)
{
    struct context *context = run;
    int error = sac__gpu_enter(context->engine->device);
    if (error) return error;
    error = sac__gpu_copy(dst, src, context->stream);
    if (!error) error = mark_done(context);
    sac__gpu_leave();
    return error;
}

int sac__cuda_letterbox(void *run, const sac_tensor *input, int64_t index, const sac_image *image,
                        const sac_letterbox *letterbox, const sac_pixels *pixels)
{
    struct context *context = run;
    int error = sac__gpu_enter(context->engine->device);
    if (error) return error;
    error = sac__gpu_letterbox(&context->steps, input, index, image, letterbox, pixels,
                               context->stream);
    const int marked = mark_done(context);
    sac__gpu_leave();
    return error ? error : marked;
}

int sac__cuda_boxes(void *run, const sac_tensor *output, int64_t index, const sac_head *head,
                    const sac_letterbox *letterbox, const sac_nms *nms,
                    struct sac_frame_found *found_out)
{
    struct context *context = run;
    int error = sac__gpu_enter(context->engine->device);
    if (error) return error;
    error = sac__gpu_boxes(&context->steps, output, index, head, letterbox, nms, found_out,
                           context->stream);
    sac__gpu_leave();
    return error;
}
