// SPDX-License-Identifier: Apache-2.0
// What one run at a time works in: an arena of the program, and where input and raw maps lie in it.
#ifndef SAC_CUDA_ARENA_H
#define SAC_CUDA_ARENA_H

#include "cuda.h"
#include "ops/cuda/ops.h"

/// Takes an arena, made ready on the stream, which is waited for; the engine's device is current.
/// Free with cudaFree. Errors: SAC_ENOMEM, SAC_EBACKEND.
int sac__cuda_arena(void **arena_out, const struct cuda_engine *engine, cudaStream_t stream);

/// The network's input and raw maps in an arena.
struct sac__input sac__cuda_input(const struct cuda_engine *engine, void *arena);
/// Bytes that sac__best_cuda wants; 0 where the output is not end to end.
size_t sac__cuda_best_scratch(const struct cuda_engine *engine);
struct sac__maps sac__cuda_maps(const struct cuda_engine *engine, const void *arena);

#endif
