// SPDX-License-Identifier: Apache-2.0
#include "run.h"

#include <stdlib.h>

#include "steps.h"

struct binding {
    sac_tensor tensor; ///< as bound, its memory looked up; data NULL: not bound
    void *own;         ///< on the device, where the tensor is not; taken when first needed
    int late;          ///< still to be copied to ordinary memory, in the wait
};

struct run {
    struct sac_gpu_run_facts facts;
    struct sac_gpu_runner runner;
    cudaStream_t own, stream; ///< its own, and the one in use
    cudaEvent_t done;         ///< behind all that was enqueued
    struct sac_gpu_steps steps;
    void **addresses; ///< a binding
    struct binding bindings[];
};

// --- open and close

static int open_parts(struct run *run)
{
    const unsigned wait = run->facts.mode == SAC_MODE_LATENCY ? cudaEventDefault
                                                              : cudaEventBlockingSync;
    int error = SAC__CUDA(cudaStreamCreateWithFlags, &run->own, cudaStreamNonBlocking);
    if (!error)
        error = SAC__CUDA(cudaEventCreateWithFlags, &run->done, cudaEventDisableTiming | wait);
    run->stream = run->own;
    return error;
}

static struct run *new_run(const struct sac_gpu_run_facts *facts)
{
    struct run *run = calloc(1, sizeof *run + facts->binding_count * sizeof *run->bindings);
    if (run) run->addresses = calloc(facts->binding_count, sizeof *run->addresses);
    if (run && run->addresses) return run;
    free(run);
    return NULL;
}

int sac__run_open(void **run_out, const struct sac_gpu_run_facts *facts,
                  const struct sac_gpu_runner *runner)
{
    struct run *run = new_run(facts);
    int error = run ? sac__gpu_enter(facts->device) : sac__fail(SAC_ENOMEM, "no memory for a run");
    if (error) { // nothing of the run is on the device yet
        runner->close(runner->state);
        if (run) free(run->addresses);
        free(run);
        return error;
    }
    run->facts = *facts;
    run->runner = *runner;
    run->steps.device = facts->device;
    error = open_parts(run);
    sac__gpu_leave();
    if (error) sac__run_close(run);
    else *run_out = run;
    return error;
}

void sac__run_close(void *state)
{
    struct run *run = state;
    if (sac__gpu_enter(run->facts.device) == 0) {
        if (run->done) cudaEventSynchronize(run->done);
        sac__gpu_steps_close(&run->steps);
        for (size_t i = 0; i < run->facts.binding_count; i++) cudaFree(run->bindings[i].own);
        if (run->done) cudaEventDestroy(run->done);
        if (run->own) cudaStreamDestroy(run->own);
        cudaGetLastError();
        run->runner.close(run->runner.state);
        sac__gpu_leave();
    }
    free(run->addresses);
    free(run);
}

// --- bindings

static int on_device(const sac_tensor *tensor)
{
    return tensor->data && tensor->memory == SAC_CUDA;
}

static size_t most_bytes(const struct run *run, size_t index)
{
    return run->facts.most_bytes ? run->facts.most_bytes[index]
                                 : (size_t)run->facts.bindings[index].bytes;
}

// Memory of the run's own for a binding whose tensor is not on the device.
static int take_own(struct run *run, size_t index)
{
    struct binding *binding = &run->bindings[index];
    const size_t bytes = most_bytes(run, index);
    if (on_device(&binding->tensor) || binding->own) return 0;
    int error = sac__gpu_check(cudaMalloc(&binding->own, bytes), "cudaMalloc for a binding", bytes);
    if (error) binding->own = NULL;
    return error;
}

static int locate(sac_tensor *tensor, const struct run *run, const sac_binding *binding)
{
    sac_memory memory = SAC_HOST;
    int device = 0;
    int error = sac__gpu_where(&memory, &device, tensor->data);
    if (error) return error;
    if ((memory == SAC_CUDA) != (tensor->memory == SAC_CUDA))
        return sac__fail(SAC_EINVAL, "binding '%s': the tensor is said to be in %s memory and is "
                                     "not", binding->name,
                         tensor->memory == SAC_CUDA ? "device" : "host");
    if (memory == SAC_CUDA && device != run->facts.device)
        return sac__fail(SAC_EINVAL, "binding '%s': the tensor is on cuda:%d, the engine on "
                                     "cuda:%d", binding->name, device, run->facts.device);
    if (memory == SAC_CUDA && ((uintptr_t)tensor->data & 15))
        return sac__fail(SAC_EINVAL, "binding '%s': device memory at %p is not 16-byte aligned",
                         binding->name, tensor->data);
    tensor->memory = memory;
    return 0;
}

static int take_shape(struct run *run, size_t index, const sac_tensor *tensor)
{
    if (!run->runner.set_shape || !run->facts.bindings[index].is_input) return 0;
    return run->runner.set_shape(run->runner.state, index, tensor->shape);
}

int sac__run_bind(void *state, size_t index, const sac_tensor *tensor)
{
    struct run *run = state;
    struct binding *binding = &run->bindings[index];
    sac_tensor bound = *tensor;
    bound.owned = NULL;
    int error = sac__gpu_enter(run->facts.device);
    if (error) return error;
    error = locate(&bound, run, &run->facts.bindings[index]);
    if (!error) error = take_shape(run, index, &bound);
    const sac_tensor before = binding->tensor;
    binding->tensor = bound;
    if (!error) error = take_own(run, index);
    if (error) binding->tensor = before;
    sac__gpu_leave();
    return error;
}

static void fill_strides(sac_tensor *tensor)
{
    int64_t stride = 1;
    for (int i = tensor->ndim - 1; i >= 0; i--) {
        tensor->strides[i] = stride;
        stride *= tensor->shape[i];
    }
}

// The shape of a binding in this run.
static int shape_of(const struct run *run, size_t index, int32_t *ndim_out, int64_t *shape_out)
{
    const sac_binding *facts = &run->facts.bindings[index];
    if (run->runner.get_shape && facts->bytes < 0)
        return run->runner.get_shape(run->runner.state, index, ndim_out, shape_out);
    *ndim_out = facts->ndim;
    for (int i = 0; i < facts->ndim; i++) shape_out[i] = facts->shape[i];
    return 0;
}

// What is bound, else the run's own memory, which is the device's.
int sac__run_tensor(void *state, size_t index, sac_tensor *tensor_out)
{
    const struct run *run = state;
    const struct binding *binding = &run->bindings[index];
    *tensor_out = binding->tensor;
    if (binding->tensor.data) return 0;
    *tensor_out = (sac_tensor){.data = binding->own,
                               .memory = SAC_CUDA,
                               .device = run->facts.device,
                               .dtype = run->facts.bindings[index].dtype};
    int error = shape_of(run, index, &tensor_out->ndim, tensor_out->shape);
    if (!error) fill_strides(tensor_out);
    return error;
}

// --- run

static int64_t bytes_of(const struct run *run, size_t index)
{
#define BITS(name, value, code, bits, text) bits,
    static const int64_t bits[] = {SAC_DTYPES(BITS)};
#undef BITS
    int32_t ndim;
    int64_t shape[SAC_MAX_DIMS], bytes = bits[run->facts.bindings[index].dtype] / 8;
    if (run->facts.bindings[index].bytes >= 0) return run->facts.bindings[index].bytes;
    if (shape_of(run, index, &ndim, shape)) return -1;
    for (int i = 0; i < ndim; i++) bytes *= shape[i];
    return bytes;
}

static int copy_binding(const struct run *run, size_t index, enum cudaMemcpyKind kind)
{
    const struct binding *binding = &run->bindings[index];
    const int down = kind == cudaMemcpyDeviceToHost;
    const int64_t bytes = bytes_of(run, index);
    if (bytes < 0) return SAC_EBACKEND;
    void *dst = down ? binding->tensor.data : binding->own;
    const void *src = down ? binding->own : binding->tensor.data;
    return sac__gpu_check(cudaMemcpyAsync(dst, src, (size_t)bytes, kind, run->stream),
                          "cudaMemcpyAsync of a binding", (size_t)bytes);
}

// Inputs that are not on the device go up.
static int send_inputs(struct run *run)
{
    int error = 0;
    for (size_t i = 0; i < run->facts.binding_count && !error; i++) {
        const struct binding *binding = &run->bindings[i];
        error = take_own(run, i);
        run->addresses[i] = on_device(&binding->tensor) ? binding->tensor.data : binding->own;
        if (!error && run->facts.bindings[i].is_input && !on_device(&binding->tensor))
            error = copy_binding(run, i, cudaMemcpyHostToDevice);
    }
    return error;
}

// Outputs that are bound to page-locked memory come down. A copy to ordinary memory would keep the
// caller waiting here: that one is left to the wait.
static int receive_outputs(struct run *run)
{
    int error = 0;
    for (size_t i = 0; i < run->facts.binding_count && !error; i++) {
        struct binding *binding = &run->bindings[i];
        if (run->facts.bindings[i].is_input || !binding->tensor.data) continue;
        binding->late = binding->tensor.memory == SAC_HOST;
        if (binding->tensor.memory == SAC_HOST_PINNED)
            error = copy_binding(run, i, cudaMemcpyDeviceToHost);
    }
    return error;
}

// An output's tensor must have the shape that this run gives it.
static int check_outputs(const struct run *run)
{
    int32_t ndim = 0;
    int64_t shape[SAC_MAX_DIMS];
    for (size_t i = 0; i < run->facts.binding_count; i++) {
        const sac_tensor *tensor = &run->bindings[i].tensor;
        const sac_binding *facts = &run->facts.bindings[i];
        if (facts->is_input || facts->bytes >= 0 || !tensor->data) continue;
        int error = shape_of(run, i, &ndim, shape);
        if (error) return error;
        for (int k = 0; k < ndim; k++)
            if (tensor->shape[k] != shape[k])
                return sac__fail(SAC_EINVAL, "output '%s': extent %d is %lld in this run, the "
                                             "tensor's %lld",
                                 facts->name, k, (long long)shape[k], (long long)tensor->shape[k]);
    }
    return 0;
}

static int mark_done(struct run *run)
{
    return SAC__CUDA(cudaEventRecord, run->done, run->stream);
}

int sac__run_enqueue(void *state)
{
    struct run *run = state;
    int error = sac__gpu_enter(run->facts.device);
    if (error) return error;
    error = check_outputs(run);
    if (!error) error = send_inputs(run);
    if (!error) error = run->runner.enqueue(run->runner.state, run->addresses, run->stream);
    if (!error) error = receive_outputs(run);
    const int marked = mark_done(run);
    sac__gpu_leave();
    return error ? error : marked;
}

static int receive_late(struct run *run)
{
    int error = 0, late = 0;
    for (size_t i = 0; i < run->facts.binding_count && !error; i++) {
        if (!run->bindings[i].late) continue;
        run->bindings[i].late = 0;
        late = 1;
        error = copy_binding(run, i, cudaMemcpyDeviceToHost);
    }
    return error || !late ? error : mark_done(run);
}

int sac__run_wait(void *state)
{
    struct run *run = state;
    int error = sac__gpu_enter(run->facts.device);
    if (error) return error;
    error = receive_late(run);
    if (!error) error = SAC__CUDA(cudaEventSynchronize, run->done);
    if (!error && run->runner.result) error = run->runner.result(run->runner.state);
    sac__gpu_leave();
    return error;
}

int sac__run_done(void *state)
{
    struct run *run = state;
    int error = sac__gpu_enter(run->facts.device);
    if (error) return error;
    const cudaError_t status = cudaEventQuery(run->done);
    if (status == cudaErrorNotReady) cudaGetLastError();
    else error = sac__gpu_check(status, "cudaEventQuery", 0);
    sac__gpu_leave();
    return error ? error : status == cudaSuccess;
}

// --- steps in the run's stream

// What the old stream was given stays in order with what the new one will be.
int sac__run_stream(void *state, void *stream)
{
    struct run *run = state;
    cudaStream_t next = stream ? stream : run->own;
    if (next == run->stream) return 0;
    int error = sac__gpu_enter(run->facts.device);
    if (error) return error;
    error = SAC__CUDA(cudaStreamWaitEvent, next, run->done, 0);
    if (!error) run->stream = next;
    sac__gpu_leave();
    return error;
}

int sac__run_copy(void *state, const sac_tensor *dst, const sac_tensor *src)
{
    struct run *run = state;
    int error = sac__gpu_enter(run->facts.device);
    if (error) return error;
    error = sac__gpu_copy(dst, src, run->stream);
    if (!error) error = mark_done(run);
    sac__gpu_leave();
    return error;
}

int sac__run_letterbox(void *state, const sac_tensor *input, int64_t index, const sac_image *image,
                       const sac_letterbox *letterbox, const sac_pixels *pixels)
{
    struct run *run = state;
    int error = sac__gpu_enter(run->facts.device);
    if (error) return error;
    error = sac__gpu_letterbox(&run->steps, input, index, image, letterbox, pixels, run->stream);
    const int marked = mark_done(run);
    sac__gpu_leave();
    return error ? error : marked;
}

int sac__run_boxes(void *state, const sac_tensor *output, int64_t index, const sac_head *head,
                   const sac_letterbox *letterbox, const sac_nms *nms,
                   struct sac_frame_found *found_out)
{
    struct run *run = state;
    int error = sac__gpu_enter(run->facts.device);
    if (error) return error;
    error = sac__gpu_boxes(&run->steps, output, index, head, letterbox, nms, found_out,
                           run->stream);
    sac__gpu_leave();
    return error;
}
