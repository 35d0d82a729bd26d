// SPDX-License-Identifier: Apache-2.0
// Activation functions in registers; sac__activate in graph/reference.c is the specification.
#ifndef SAC_CUDA_ACTIVATION_CUH
#define SAC_CUDA_ACTIVATION_CUH

#include "cuda/ptx.cuh"
#include "graph/graph.h"

/// 1/(1+exp(-x)). EXACT: to a few units in the last place, for the fp32 mode; else to about 1e-6 of
/// the value, which a half does not see.
template <bool EXACT> __device__ static inline float sac__device_sigmoid(float x)
{
    if (EXACT) return 1.0f / (1.0f + expf(-x));
    return sac__rcp(1.0f + sac__ex2(-1.44269504f * x)); // log2(e)
}

/// x·sigmoid(x). Not EXACT: one approximate function instead of two, which otherwise take longer
/// than the matrix units on large maps; tanh is good to 2^-11, so the result is to 2.4e-4 of x,
/// which is what rounding to half costs anyway.
template <bool EXACT> __device__ static inline float sac__device_silu(float x)
{
    if (EXACT) return x * sac__device_sigmoid<EXACT>(x);
    float half = 0.5f * x;
    return half + half * sac__tanh(half);
}

template <bool EXACT>
__device__ static inline float sac__device_activate(int act, float alpha, float x)
{
    switch (act) {
    case SAC__ACT_SILU:
        return sac__device_silu<EXACT>(x);
    case SAC__ACT_SIGMOID:
        return sac__device_sigmoid<EXACT>(x);
    case SAC__ACT_RELU:
        return x > 0 ? x : 0;
    case SAC__ACT_LEAKY:
        return x > 0 ? x : alpha * x;
    default:
        return x;
    }
}

/// The same for several values, which lie in registers: one branch for all of them, so that their
/// latencies overlap.
template <bool EXACT, int COUNT>
__device__ static inline void sac__device_activate_all(int act, float alpha, float *x)
{
#define SAC__EACH(kind)                                                                            \
    if (act == SAC__ACT_##kind) {                                                                  \
        _Pragma("unroll") for (int i = 0; i < COUNT; i++) x[i] =                                   \
            sac__device_activate<EXACT>(SAC__ACT_##kind, alpha, x[i]);                             \
        return;                                                                                    \
    }
    SAC__EACH(SILU)
    SAC__EACH(RELU)
    SAC__EACH(LEAKY)
    SAC__EACH(SIGMOID)
#undef SAC__EACH
}

#endif
