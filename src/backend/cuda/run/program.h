// SPDX-License-Identifier: Apache-2.0
// A plan made ready on one GPU: weights packed and uploaded, kernels chosen. It does not change
// after sac__program_open, so all contexts share it, each with an arena and a stream of its own.
// All calls are made with the device's context current.
#ifndef SAC_CUDA_PROGRAM_H
#define SAC_CUDA_PROGRAM_H

#include <cuda_runtime_api.h>

#include "backend/cuda/graph/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sac_program;

/// Zero is a fair value of every field but `device`.
struct sac_program_options {
    int device;             ///< CUDA ordinal
    const char *model_hash; ///< of the file's bytes; NULL: choices are not kept on disk
    const char *version;    ///< of the library, part of the key of what is kept
    const char *cache_dir;  ///< NULL = the user's cache folder, "" = none
    uint64_t cache_limit;   ///< bytes that the folder may hold; 0 = 1 GiB
    double tune_seconds;    ///< most time for tuning; 0 = 20; negative: no tuning, first usable
    void (*log)(void *user, const char *line); ///< NULL = dropped
    void *log_user;
};

/// How one layer of the plan runs.
struct sac_program_layer {
    const char *kernel; ///< static
    int split;          ///< blocks that share one sum; 1: none
    int launch;         ///< number of the launch that runs it; layers may share one
    double us;          ///< of the kernel alone as the tuner or sac__program_measure saw it; 0: not
};

/// Chooses kernels (plan cache, else tuner), settles the plan, packs and uploads weights. `plan` is
/// borrowed until sac__program_close, and no other program's. Activations are half where
/// plan->element_size is 2, else float. Errors: SAC_EUNSUPPORTED (no kernel for a layer: named),
/// SAC_ENOMEM, SAC_EBACKEND.
int sac__program_open(struct sac_program **program_out, struct sac_plan *plan,
                      const struct sac_program_options *options);
void sac__program_close(struct sac_program **program);

/// Bytes of an arena in device memory, aligned to 256: the plan's own, and what kernels need beside
/// it. Buffers of the plan lie at their offsets.
size_t sac__program_arena_bytes(const struct sac_program *program);

/// To be called once for each new arena, before its first run: clears what kernels need to be zero.
int sac__program_arena_init(const struct sac_program *program, void *arena, cudaStream_t stream);

/// Enqueues all layers: reads plan->input in the arena, leaves the raw maps in it. No allocation,
/// no synchronisation; may be captured. The first launch waits for the stream's earlier work as
/// launch.cuh says. Errors: SAC_EBACKEND (names the kernel).
int sac__program_enqueue(const struct sac_program *program, void *arena, cudaStream_t stream);

/// plan->layer_count of them, owned by the program.
const struct sac_program_layer *sac__program_layers(const struct sac_program *program);

/// Times every layer alone (captured repetitions on the arena as it is; synchronises) and writes
/// plan->layer_count microseconds.
int sac__program_measure(const struct sac_program *program, void *arena, double *us_out);

/// Bytes of device memory that the program holds itself.
size_t sac__program_bytes(const struct sac_program *program);

#ifdef __cplusplus
}
#endif

#endif
