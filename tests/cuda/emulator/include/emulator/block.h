// SPDX-License-Identifier: Apache-2.0
// Where a thread is, barriers of its block, shared memory.
#ifndef EMULATOR_BLOCK_H
#define EMULATOR_BLOCK_H

#include <time.h>

#include "emulator/thread.h"

extern uint3 threadIdx, blockIdx; // the scheduler sets them whenever it changes the thread
extern dim3 blockDim, gridDim;
enum { warpSize = 32 };

#define SAC__SHARED(type, name) type *name = reinterpret_cast<type *>(emulator::self->block->shared)

static inline void __syncthreads()
{
    emulator::self->block->arrive(0, 0, 0, false);
}

static inline int __syncthreads_count(int predicate)
{
    return (int)emulator::self->block->arrive(0, 0, predicate != 0, false);
}

static inline int __syncthreads_or(int predicate)
{
    return __syncthreads_count(predicate) > 0;
}

static inline int __syncthreads_and(int predicate)
{
    long all = 0;
    return emulator::self->block->arrive(0, 0, predicate != 0, false, &all) == all;
}

// One thread runs at a time, and memory is the host's: every write is seen at once.
static inline void __threadfence()
{
}
static inline void __threadfence_block()
{
}
static inline void __threadfence_system()
{
}

static inline long long clock64()
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static inline void __nanosleep(unsigned)
{
    emulator::yield();
}

[[noreturn]] static inline void __trap()
{
    emulator::fail("__trap");
}

static inline size_t __cvta_generic_to_shared(const void *shared)
{
    return emulator::shared_address(shared);
}

#endif
