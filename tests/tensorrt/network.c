// SPDX-License-Identifier: Apache-2.0
#include "network.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cuda/arena.h"
#include "ops/cuda/ops.h"

struct stand_in_network {
    struct cuda_engine engine; ///< plan and program alone
    void *arena;
};

static int print_failure(int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("stand-in: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return error;
}

static sac_dtype dtype_of(int onnx_type)
{
    return onnx_type == 10 ? SAC_F16 : SAC_F32;
}

int stand_in_open(struct stand_in_network **network_out, const void *onnx, size_t size,
                  const int64_t shape[4])
{
    static const struct sac_host host = {SAC_BACKEND_ABI, "stand-in", print_failure};
    const struct sac_program_options options = {.cache_dir = "", .tune_seconds = -1};
    sac__gpu_host(&host);
    struct stand_in_network *network = calloc(1, sizeof *network);
    if (!network) return SAC_ENOMEM;
    struct cuda_engine *engine = &network->engine;
    int error = sac__plan_open(&engine->plan, onnx, size, shape, 2);
    if (!error && engine->plan->tail) error = SAC_EUNSUPPORTED; // it has no kernel for the output
    if (!error) error = sac__program_open(&engine->program, engine->plan, &options);
    if (!error) error = sac__cuda_arena(&network->arena, engine, NULL);
    if (error) stand_in_close(&network);
    *network_out = network;
    return error;
}

void stand_in_close(struct stand_in_network **network)
{
    if (!*network) return;
    cudaFree((*network)->arena);
    if ((*network)->engine.program) sac__program_close(&(*network)->engine.program);
    sac__plan_close(&(*network)->engine.plan);
    free(*network);
    *network = NULL;
}

void stand_in_types(const struct stand_in_network *network, int *input_out, int *output_out)
{
    const struct sac_plan *plan = network->engine.plan;
    *input_out = plan->input_type;
    *output_out = plan->output_type ? plan->output_type : plan->input_type;
}

void stand_in_output(const struct stand_in_network *network, int64_t shape_out[3])
{
    memcpy(shape_out, network->engine.plan->output_shape, 3 * sizeof *shape_out);
}

int stand_in_enqueue(const struct stand_in_network *network, const void *input, void *output,
                     cudaStream_t stream)
{
    const struct cuda_engine *engine = &network->engine;
    const struct sac__input target = sac__cuda_input(engine, network->arena);
    const struct sac__maps maps = sac__cuda_maps(engine, network->arena);
    int types[2];
    stand_in_types(network, &types[0], &types[1]);
    int error = sac__input_cuda(&target, input, dtype_of(types[0]), stream, 0);
    if (!error) error = sac__program_enqueue(engine->program, network->arena, stream);
    if (error) return error;
    return sac__rows_cuda(output, dtype_of(types[1]), &maps, (int)engine->plan->input_shape[0],
                          stream, 0);
}
