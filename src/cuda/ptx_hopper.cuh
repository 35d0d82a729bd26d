// SPDX-License-Identifier: Apache-2.0
// The instructions of compute capability 9.0: mbarrier, bulk copies, clusters, wgmma. They compile
// for every architecture and trap where there is no such instruction; launchers choose by device.
#ifndef SAC_CUDA_PTX_HOPPER_CUH
#define SAC_CUDA_PTX_HOPPER_CUH

#include "cuda/ptx.cuh"

#if __CUDA_ARCH__ >= 900
#define SAC__ASM_SM90(...) asm volatile(__VA_ARGS__)
#else
#define SAC__ASM_SM90(...) __trap()
#endif
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define SAC__ASM_SM90A(...) asm volatile(__VA_ARGS__)
#else
#define SAC__ASM_SM90A(...) __trap()
#endif

// --- mbarrier: 8 bytes of shared memory, aligned to 8 ------------------------------------------

/// One thread does this, then sac__fence_mbarrier_init and a barrier of the block (or cluster).
SAC__DEVICE void sac__mbarrier_init(uint32_t barrier, uint32_t arrivals)
{
    SAC__ASM_SM90("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals)
                  : "memory");
}

SAC__DEVICE void sac__fence_mbarrier_init()
{
    SAC__ASM_SM90("fence.mbarrier_init.release.cluster;" ::: "memory");
}

SAC__DEVICE void sac__mbarrier_arrive(uint32_t barrier)
{
    SAC__ASM_SM90("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

/// Arrives and makes the phase wait for `bytes` of bulk copies too.
SAC__DEVICE void sac__mbarrier_expect_tx(uint32_t barrier, uint32_t bytes)
{
    SAC__ASM_SM90("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier),
                  "r"(bytes)
                  : "memory");
}

/// Arrives at a barrier of another block of the cluster; `barrier` is from sac__mapa. Tells of bulk
/// copies and products that this thread waited for, not of ordinary writes: for those it would wait
/// until all that the thread wrote has left for memory.
SAC__DEVICE void sac__mbarrier_arrive_cluster(uint32_t barrier)
{
    SAC__ASM_SM90("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(barrier) : "memory");
}

/// This thread's cp.async so far, when done, arrive at the barrier (counted among its arrivals).
SAC__DEVICE void sac__cp_async_mbarrier_arrive(uint32_t barrier)
{
    asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(barrier) : "memory");
}

/// Is the phase of this parity over? May sleep a little before it says no.
SAC__DEVICE bool sac__mbarrier_try_wait(uint32_t barrier, uint32_t parity)
{
    uint32_t done = 0;
    SAC__ASM_SM90("{.reg .pred p;\n"
                  "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
                  "selp.u32 %0, 1, 0, p;}"
                  : "=r"(done)
                  : "r"(barrier), "r"(parity)
                  : "memory");
    return done != 0;
}

SAC__DEVICE void sac__mbarrier_wait(uint32_t barrier, uint32_t parity)
{
    while (!sac__mbarrier_try_wait(barrier, parity)) {
    }
}

/// Between ordinary writes to shared memory and wgmma or bulk copies that read it.
SAC__DEVICE void sac__fence_proxy_async()
{
    SAC__ASM_SM90("fence.proxy.async.shared::cta;" ::: "memory");
}

// --- Bulk copies: addresses and sizes are multiples of 16 bytes; one thread issues --------------

/// Global to this block's shared memory; the barrier is told of the bytes (complete_tx).
SAC__DEVICE void sac__bulk_load(uint32_t shared, const void *global, uint32_t bytes,
                                uint32_t barrier)
{
    SAC__ASM_SM90("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
                  "[%0], [%1], %2, [%3];" ::"r"(shared),
                  "l"(global), "r"(bytes), "r"(barrier)
                  : "memory");
}

/// To the same place of every block in the mask (bit: rank); each block's own barrier is told. Not
/// in the PTX for later chips: ptxas wants 90a for it to be fast.
SAC__DEVICE void sac__bulk_load_multicast(uint32_t shared, const void *global, uint32_t bytes,
                                          uint32_t barrier, uint16_t blocks)
{
    SAC__ASM_SM90A("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
                   ".multicast::cluster [%0], [%1], %2, [%3], %4;" ::"r"(shared),
                   "l"(global), "r"(bytes), "r"(barrier), "h"(blocks)
                   : "memory");
}

SAC__DEVICE void sac__bulk_prefetch_l2(const void *global, uint32_t bytes)
{
    SAC__ASM_SM90("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(global), "r"(bytes)
                  : "memory");
}

/// Shared memory to global; done when the group is (sac__bulk_commit, sac__bulk_wait).
SAC__DEVICE void sac__bulk_store(void *global, uint32_t shared, uint32_t bytes)
{
    SAC__ASM_SM90("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(global),
                  "r"(shared), "r"(bytes)
                  : "memory");
}

SAC__DEVICE void sac__bulk_commit()
{
    SAC__ASM_SM90("cp.async.bulk.commit_group;" ::: "memory");
}

template <int PENDING> SAC__DEVICE void sac__bulk_wait()
{
    SAC__ASM_SM90("cp.async.bulk.wait_group %0;" ::"n"(PENDING) : "memory");
}

/// Until the shared memory has been read; the writes may still be under way.
template <int PENDING> SAC__DEVICE void sac__bulk_wait_read()
{
    SAC__ASM_SM90("cp.async.bulk.wait_group.read %0;" ::"n"(PENDING) : "memory");
}

// --- Tensor maps (CUtensorMap in global, constant or __grid_constant__ memory) ------------------

SAC__DEVICE void sac__tma_prefetch(const void *map)
{
    SAC__ASM_SM90("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

/// A box of a tiled map; coordinates from the innermost dimension on.
SAC__DEVICE void sac__tma_load_2d(uint32_t shared, const void *map, uint32_t barrier, int x, int y)
{
    SAC__ASM_SM90("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
                  " [%0], [%1, {%3, %4}], [%2];" ::"r"(shared),
                  "l"(map), "r"(barrier), "r"(x), "r"(y)
                  : "memory");
}

SAC__DEVICE void sac__tma_load_4d(uint32_t shared, const void *map, uint32_t barrier, int c, int w,
                                  int h, int n)
{
    SAC__ASM_SM90("cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
                  " [%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(shared),
                  "l"(map), "r"(barrier), "r"(c), "r"(w), "r"(h), "r"(n)
                  : "memory");
}

/// Pixels of an im2col map from (n,h,w) on, each moved by (window_h,window_w).
SAC__DEVICE void sac__tma_load_im2col(uint32_t shared, const void *map, uint32_t barrier, int c,
                                      int w, int h, int n, int window_w, int window_h)
{
    SAC__ASM_SM90(
        "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes"
        " [%0], [%1, {%3, %4, %5, %6}], [%2], {%7, %8};" ::"r"(shared),
        "l"(map), "r"(barrier), "r"(c), "r"(w), "r"(h), "r"(n),
        "h"(static_cast<uint16_t>(window_w)), "h"(static_cast<uint16_t>(window_h))
        : "memory");
}

// --- Clusters -----------------------------------------------------------------------------------

SAC__DEVICE uint32_t sac__cluster_rank()
{
    uint32_t rank = 0;
#if __CUDA_ARCH__ >= 900
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
#endif
    return rank;
}

SAC__DEVICE uint32_t sac__cluster_size()
{
    uint32_t size = 1;
#if __CUDA_ARCH__ >= 900
    asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
#endif
    return size;
}

SAC__DEVICE void sac__cluster_arrive()
{
    SAC__ASM_SM90("barrier.cluster.arrive.release.aligned;" ::: "memory");
}

SAC__DEVICE void sac__cluster_wait()
{
    SAC__ASM_SM90("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}

SAC__DEVICE void sac__cluster_sync()
{
    sac__cluster_arrive();
    sac__cluster_wait();
}

/// Everybody has come here. Their writes need not be seen yet.
SAC__DEVICE void sac__cluster_sync_relaxed()
{
    SAC__ASM_SM90("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
    sac__cluster_wait();
}

/// After sac__cluster_wait everybody's ordinary writes to shared memory of its own block are seen;
/// unlike sac__cluster_arrive it does not wait for those to global memory.
SAC__DEVICE void sac__cluster_arrive_shared()
{
    SAC__ASM_SM90("fence.release.sync_restrict::shared::cta.cluster;" ::: "memory");
    SAC__ASM_SM90("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
}

SAC__DEVICE void sac__cluster_sync_shared()
{
    sac__cluster_arrive_shared();
    sac__cluster_wait();
}

/// The same place in the shared memory of the block of this rank. No block may end while others
/// still read it.
SAC__DEVICE uint32_t sac__mapa(uint32_t shared, uint32_t rank)
{
    uint32_t there = 0;
    SAC__ASM_SM90("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(shared), "r"(rank));
    return there;
}

SAC__DEVICE float sac__ld_cluster(uint32_t there)
{
    float x = 0;
    SAC__ASM_SM90("ld.shared::cluster.f32 %0, [%1];" : "=f"(x) : "r"(there) : "memory");
    return x;
}

SAC__DEVICE float4 sac__ld_cluster4(uint32_t there)
{
    float4 x = {};
    SAC__ASM_SM90("ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [%4];"
                  : "=f"(x.x), "=f"(x.y), "=f"(x.z), "=f"(x.w)
                  : "r"(there)
                  : "memory");
    return x;
}

SAC__DEVICE void sac__st_cluster(uint32_t there, float x)
{
    SAC__ASM_SM90("st.shared::cluster.f32 [%0], %1;" ::"r"(there), "f"(x) : "memory");
}

SAC__DEVICE void sac__st_cluster4(uint32_t there, float4 x)
{
    SAC__ASM_SM90("st.shared::cluster.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(there), "f"(x.x),
                  "f"(x.y), "f"(x.z), "f"(x.w)
                  : "memory");
}

// --- Registers of a warpgroup: all its warps say so ---------------------------------------------

template <int COUNT> SAC__DEVICE void sac__setmaxnreg_inc()
{
    SAC__ASM_SM90A("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(COUNT));
}

template <int COUNT> SAC__DEVICE void sac__setmaxnreg_dec()
{
    SAC__ASM_SM90A("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(COUNT));
}

#include "cuda/ptx_wgmma.cuh"

#endif
