// SPDX-License-Identifier: Apache-2.0
// The blocks of a cluster; a block that was launched without is a cluster of one, also where the
// GPU has none.
#ifndef SAC_OPS_CUDA_CLUSTER_CUH
#define SAC_OPS_CUDA_CLUSTER_CUH

#include "cuda/ptx.cuh"

struct sac__cluster {
    uint32_t rank, size;

    static __device__ __forceinline__ sac__cluster here()
    {
        return {sac__cluster_rank(), sac__cluster_size()};
    }
    /// Says that this block runs; only after wait_started may others' shared memory be touched.
    __device__ __forceinline__ void start() const
    {
        if (size > 1) sac__cluster_arrive();
    }
    __device__ __forceinline__ void wait_started() const
    {
        if (size > 1) sac__cluster_wait();
    }
    /// Everybody's writes to shared and global memory are seen by everybody.
    __device__ __forceinline__ void sync() const
    {
        if (size > 1) sac__cluster_sync();
        else __syncthreads();
    }
    /// Everybody has come here; what they wrote need not be seen.
    __device__ __forceinline__ void meet() const
    {
        if (size > 1) sac__cluster_sync_relaxed();
        else __syncthreads();
    }
    /// Four words of the same place in the shared memory of another block.
    __device__ __forceinline__ uint4 read4(const uint32_t *shared, uint32_t from) const
    {
        if (size == 1) return *(const uint4 *)shared;
        const float4 x = sac__ld_cluster4(sac__mapa(sac__shared_address(shared), from));
        return make_uint4(__float_as_uint(x.x), __float_as_uint(x.y), __float_as_uint(x.z),
                          __float_as_uint(x.w));
    }
    __device__ __forceinline__ uint32_t read(const uint32_t *shared, uint32_t from) const
    {
        if (size == 1) return *shared;
        return __float_as_uint(sac__ld_cluster(sac__mapa(sac__shared_address(shared), from)));
    }
    __device__ __forceinline__ void write(uint32_t *shared, uint32_t to, uint32_t value) const
    {
        if (size == 1) *shared = value;
        else sac__st_cluster(sac__mapa(sac__shared_address(shared), to), __uint_as_float(value));
    }
};

#endif
