// SPDX-License-Identifier: Apache-2.0
// The network of a context, with the file's own tensors: the picture (N,3,H,W) in, the raw output's
// rows out. It is a CUDA graph over the arena, which never changes; the two kernels around it take
// the addresses of the day.
#include <stdlib.h>

#include "arena.h"
#include "backend/gpu/capture.h"
#include "backend/gpu/run.h"
#include "tail.h"

struct network {
    const struct cuda_engine *engine;
    void *arena;
    cudaGraphExec_t graph;
    struct cuda_tail *tail; ///< NULL: kernels make the output
    void *scratch;          ///< of sac__best_cuda
};

static int run_program(void *state, cudaStream_t stream)
{
    const struct network *network = state;
    return sac__program_enqueue(network->engine->program, network->arena, stream);
}

static void close_network(void *state)
{
    struct network *network = state;
    if (network->graph) cudaGraphExecDestroy(network->graph);
    sac__cuda_tail_close(&network->tail);
    cudaFree(network->arena);
    cudaFree(network->scratch);
    cudaGetLastError();
    free(network);
}

// With the device current.
static int open_network(struct network *network)
{
    cudaStream_t stream = NULL;
    int error = SAC__CUDA(cudaStreamCreateWithFlags, &stream, cudaStreamNonBlocking);
    if (!error) error = sac__cuda_arena(&network->arena, network->engine, stream);
    const size_t scratch = sac__cuda_best_scratch(network->engine);
    if (!error && scratch)
        error = sac__gpu_check(cudaMalloc(&network->scratch, scratch), "cudaMalloc for boxes",
                               scratch);
    if (!error && network->engine->plan->tail)
        error = sac__cuda_tail_open(&network->tail, network->engine);
    const struct sac_gpu_work work = {run_program, network};
    if (!error) error = sac__gpu_capture(&network->graph, &work, stream);
    if (stream) cudaStreamDestroy(stream);
    return error;
}

static int enqueue(void *state, void *const *addresses, cudaStream_t stream)
{
    const struct network *network = state;
    const struct cuda_engine *engine = network->engine;
    const struct sac__input input = sac__cuda_input(engine, network->arena);
    int error = sac__input_cuda(&input, addresses[0], engine->bindings[0].dtype, stream, 0);
    if (!error) error = SAC__CUDA(cudaGraphLaunch, network->graph, stream);
    if (error) return error;
    if (network->tail)
        return sac__cuda_tail_enqueue(network->tail, network->arena, addresses[1], stream);
    const struct sac__maps maps = sac__cuda_maps(engine, network->arena);
    const int n = (int)engine->plan->input_shape[0];
    if (engine->plan->head.best)
        return sac__best_cuda(addresses[1], engine->bindings[1].dtype, &maps, n,
                              engine->plan->head.best, network->scratch, stream, 0);
    return sac__rows_cuda(addresses[1], engine->bindings[1].dtype, &maps, n, stream, 0);
}

static int result(void *state)
{
    const struct network *network = state;
    return network->tail ? sac__cuda_tail_result(network->tail) : 0;
}

int sac__cuda_context_open(void **run_out, void *state)
{
    const struct cuda_engine *engine = state;
    struct network *network = calloc(1, sizeof *network);
    int error =
        network ? sac__gpu_enter(engine->device) : sac__fail(SAC_ENOMEM, "no memory for a context");
    if (error) {
        free(network);
        return error;
    }
    network->engine = engine;
    error = open_network(network);
    if (error) close_network(network);
    sac__gpu_leave();
    if (error) return error;
    const struct sac_gpu_run_facts facts = {.device = engine->device,
                                            .mode = engine->mode,
                                            .bindings = engine->bindings,
                                            .binding_count = SAC__CUDA_BINDINGS};
    const struct sac_gpu_runner runner = {
        .state = network, .enqueue = enqueue, .result = result, .close = close_network};
    return sac__run_open(run_out, &facts, &runner);
}
