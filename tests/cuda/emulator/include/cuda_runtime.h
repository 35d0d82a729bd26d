// SPDX-License-Identifier: Apache-2.0
// CUDA C++ for an ordinary compiler: the words of the language become nothing or what comes close,
// and the built-ins of kernels are functions of the emulator.
#ifndef EMULATOR_CUDA_RUNTIME_H
#define EMULATOR_CUDA_RUNTIME_H

#include "cuda_runtime_api.h"

#ifdef __cplusplus
// Before the words below, which the host's own headers may use too.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <tuple>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __shared__ static // one block (or cluster) runs at a time
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __grid_constant__
#define __align__(bytes) alignas(bytes)
#ifndef __restrict__
#define __restrict__ __restrict
#endif

#include "emulator/thread.h"
#include "emulator/block.h"
#include "emulator/warp.h"
#include "emulator/arithmetic.h"
#include "emulator/atomics.h"
#include "emulator/launch.h"
#endif
#endif
