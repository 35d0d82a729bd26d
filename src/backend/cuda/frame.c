// SPDX-License-Identifier: Apache-2.0
// The network of a frame: the program in an arena of the frame's own.
#include <stdlib.h>

#include "arena.h"
#include "backend/gpu/frame.h"

struct run {
    const struct cuda_engine *engine;
    void *arena;
};

static int enqueue(void *state, cudaStream_t stream)
{
    struct run *run = state;
    return sac__program_enqueue(run->engine->program, run->arena, stream);
}

static void close_run(void *state)
{
    struct run *run = state;
    if (run->arena && sac__gpu_enter(run->engine->device) == 0) {
        cudaFree(run->arena);
        sac__gpu_leave();
    }
    free(run);
}

static int take_arena(struct run *run)
{
    cudaStream_t stream = NULL;
    int error = sac__gpu_enter(run->engine->device);
    if (error) return error;
    error = SAC__CUDA(cudaStreamCreateWithFlags, &stream, cudaStreamNonBlocking);
    if (!error) error = sac__cuda_arena(&run->arena, run->engine, stream);
    if (stream) cudaStreamDestroy(stream);
    sac__gpu_leave();
    return error;
}

int sac__cuda_frame_open(void **frame_out, void *state, const struct sac_frame_settings *settings)
{
    const struct cuda_engine *engine = state;
    if (engine->plan->tail)
        return sac__fail(SAC_EUNSUPPORTED,
                         "no kernel knows the decode tail of this network, so its "
                         "boxes are not found on the GPU");
    struct run *run = calloc(1, sizeof *run);
    if (!run) return sac__fail(SAC_ENOMEM, "no memory for a frame");
    run->engine = engine;
    int error = take_arena(run);
    if (error) {
        close_run(run);
        return error;
    }
    const struct sac_gpu_network network = {
        .run = run,
        .enqueue = enqueue,
        .close = close_run,
        .input = sac__cuda_input(engine, run->arena),
        .maps = sac__cuda_maps(engine, run->arena),
        .row_count = engine->plan->head.rows,
        .overlap = 1,
    };
    return sac__frame_open(frame_out, engine->device, engine->mode, settings, &network);
}
