// SPDX-License-Identifier: Apache-2.0
// 16 bytes of activations: 8 halves or 4 floats, what one thread moves at a time.
#ifndef SAC_CUDA_VECTOR_CUH
#define SAC_CUDA_VECTOR_CUH

#include <cuda_fp16.h>

template <typename T> struct alignas(16) vector {
    static constexpr int LANES = 16 / sizeof(T);
    static constexpr bool EXACT = sizeof(T) == 4;
    T lane[LANES];
};

// Not through the read-only cache: with overlapping launches the data may change before the wait.
template <typename T> __device__ static inline vector<T> vector_load(const T *from)
{
    return *reinterpret_cast<const vector<T> *>(from);
}

template <typename T> __device__ static inline void vector_store(T *to, const vector<T> &v)
{
    *reinterpret_cast<vector<T> *>(to) = v;
}

template <typename T> __device__ static inline vector<T> vector_fill(float x)
{
    vector<T> v;
#pragma unroll
    for (int i = 0; i < vector<T>::LANES; i++)
        v.lane[i] = static_cast<T>(x);
    return v;
}

__device__ static inline vector<float> vector_largest(const vector<float> &a,
                                                      const vector<float> &b)
{
    vector<float> v;
#pragma unroll
    for (int i = 0; i < 4; i++)
        v.lane[i] = fmaxf(a.lane[i], b.lane[i]);
    return v;
}

__device__ static inline vector<__half> vector_largest(const vector<__half> &a,
                                                       const vector<__half> &b)
{
    vector<__half> v;
#pragma unroll
    for (int i = 0; i < 8; i += 2)
        *reinterpret_cast<__half2 *>(v.lane + i) =
            __hmax2(*reinterpret_cast<const __half2 *>(a.lane + i),
                    *reinterpret_cast<const __half2 *>(b.lane + i));
    return v;
}

#endif
