// SPDX-License-Identifier: Apache-2.0
// The network of a frame: the program in an arena of the frame's own.
#include <stdlib.h>

#include "arena.h"
#include "backend/gpu/frame.h"

struct run {
    const struct cuda_engine *engine;
    void *arena;
    void *best; ///< end to end: (N,best,6) floats, then scratch
};

static size_t best_bytes(const struct cuda_engine *engine)
{
    const size_t bytes = (size_t)(engine->plan->input_shape[0] * engine->plan->head.best * 6) * 4;
    return (bytes + 255) / 256 * 256;
}

static int enqueue(void *state, cudaStream_t stream)
{
    struct run *run = state;
    const struct cuda_engine *engine = run->engine;
    int error = sac__program_enqueue(engine->program, run->arena, stream);
    if (error || !engine->plan->head.best) return error;
    const struct sac__maps maps = sac__cuda_maps(engine, run->arena);
    return sac__best_cuda(run->best, SAC_F32, &maps, (int)engine->plan->input_shape[0],
                          engine->plan->head.best, (char *)run->best + best_bytes(engine), stream,
                          1);
}

static void close_run(void *state)
{
    struct run *run = state;
    if (run->arena && sac__gpu_enter(run->engine->device) == 0) {
        cudaFree(run->arena);
        cudaFree(run->best);
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
    const size_t bytes = best_bytes(run->engine) + sac__cuda_best_scratch(run->engine);
    if (!error && run->engine->plan->head.best)
        error = sac__gpu_check(cudaMalloc(&run->best, bytes), "cudaMalloc for boxes", bytes);
    if (stream) cudaStreamDestroy(stream);
    sac__gpu_leave();
    return error;
}

// End to end, the head reads the file's own output.
static void answer_rows(struct sac_gpu_network *network, const struct run *run,
                        const struct sac_frame_settings *settings)
{
    const struct sac_plan *plan = run->engine->plan;
    network->maps.level_count = 0;
    network->row_count = plan->head.best;
    network->rows_step = 6 * plan->head.best;
    network->rows = (struct sac__rows){.data = run->best,
                                       .count = (int32_t)plan->head.best,
                                       .row_step = 6,
                                       .value_step = 1,
                                       .head = {.family = SAC_HEAD_END2END,
                                                .classes = settings->head.classes},
                                       .width = (int32_t)plan->input_shape[3],
                                       .height = (int32_t)plan->input_shape[2]};
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
    struct sac_gpu_network network = {
        .run = run,
        .enqueue = enqueue,
        .close = close_run,
        .input = sac__cuda_input(engine, run->arena),
        .maps = sac__cuda_maps(engine, run->arena),
        .row_count = engine->plan->head.rows,
        .overlap = 1,
    };
    if (engine->plan->head.best) answer_rows(&network, run, settings);
    return sac__frame_open(frame_out, engine->device, engine->mode, settings, &network);
}
