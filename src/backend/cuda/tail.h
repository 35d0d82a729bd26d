// SPDX-License-Identifier: Apache-2.0
// A decode tail that no kernel knows: raw maps down, the tail in plain C on a thread of the CUDA
// runtime, the output up. All of it in the stream's order, so that what follows need not know.
#ifndef SAC_CUDA_TAIL_H
#define SAC_CUDA_TAIL_H

#include "cuda.h"

struct cuda_tail;

/// Takes its page-locked memory; the engine's device is current. Errors: SAC_ENOMEM, SAC_EBACKEND.
int sac__cuda_tail_open(struct cuda_tail **tail_out, const struct cuda_engine *engine);

/// After all that was enqueued is done. NULL is allowed.
void sac__cuda_tail_close(struct cuda_tail **tail);

/// Enqueues the file's output, in its own type, to `output` on the device.
int sac__cuda_tail_enqueue(struct cuda_tail *tail, const void *arena, void *output,
                           cudaStream_t stream);

/// How the last run went, once it is done: 0 or its failure, said again in this thread.
int sac__cuda_tail_result(const struct cuda_tail *tail);

#endif
