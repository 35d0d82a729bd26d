// SPDX-License-Identifier: Apache-2.0
// Stands in for src/cuda/ptx.cuh: the same names, played. What each does is said there.
#ifndef SAC_CUDA_PTX_CUH
#define SAC_CUDA_PTX_CUH

#include <cuda_runtime.h>

#include <stdint.h>
#include <string.h>

#include "cuda/descriptor.cuh"
#include "emulator/async.h"
#include "emulator/matrix.h"
#include "emulator/tensor_map.h"

#define SAC__DEVICE static inline

SAC__DEVICE uint32_t sac__shared_address(const void *shared)
{
    return emulator::shared_address(shared);
}

SAC__DEVICE void sac__keep(int &)
{
}
SAC__DEVICE void sac__keep(uint32_t &)
{
}
template <class T> SAC__DEVICE void sac__keep(T *&)
{
}

SAC__DEVICE void sac__grid_wait()
{
    emulator::grid_wait();
}
SAC__DEVICE void sac__grid_release()
{
}

SAC__DEVICE void sac__bar_sync(int id, int threads)
{
    emulator::self->block->arrive(id, (unsigned)threads, 0, false);
}

SAC__DEVICE void sac__bar_arrive(int id, int threads)
{
    emulator::self->block->arrive(id, (unsigned)threads, 0, true);
}

// --- Memory ------------------------------------------------------------------------------------

SAC__DEVICE void sac__prefetch_l2(const void *)
{
}

SAC__DEVICE uint32_t sac__ld_acquire(const uint32_t *global)
{
    emulator::yield(); // it is called in loops
    return *global;
}

SAC__DEVICE void sac__st_release(uint32_t *global, uint32_t value)
{
    *global = value;
    emulator::progress();
}

template <int BYTES>
SAC__DEVICE void sac__cp_async(uint32_t shared, const void *global, int bytes = BYTES)
{
    static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "as cp.async has them");
    emulator::cp_async(BYTES, shared, global, bytes);
}

SAC__DEVICE void sac__cp_async_commit()
{
    emulator::self->copies.commit();
}

template <int PENDING> SAC__DEVICE void sac__cp_async_wait()
{
    emulator::self->copies.wait(PENDING, [](const emulator::Copy &copy) { copy.run(); });
}

// --- Matrices ----------------------------------------------------------------------------------

SAC__DEVICE void sac__ldmatrix_x1(uint32_t *d, uint32_t row)
{
    emulator::ldmatrix(d, 1, row, false);
}
SAC__DEVICE void sac__ldmatrix_x2(uint32_t *d, uint32_t row)
{
    emulator::ldmatrix(d, 2, row, false);
}
SAC__DEVICE void sac__ldmatrix_x4(uint32_t *d, uint32_t row)
{
    emulator::ldmatrix(d, 4, row, false);
}
SAC__DEVICE void sac__ldmatrix_x1_trans(uint32_t *d, uint32_t row)
{
    emulator::ldmatrix(d, 1, row, true);
}
SAC__DEVICE void sac__ldmatrix_x2_trans(uint32_t *d, uint32_t row)
{
    emulator::ldmatrix(d, 2, row, true);
}
SAC__DEVICE void sac__ldmatrix_x4_trans(uint32_t *d, uint32_t row)
{
    emulator::ldmatrix(d, 4, row, true);
}

SAC__DEVICE void sac__mma_f16(float *d, const uint32_t *a, const uint32_t *b)
{
    emulator::mma_f16(d, a, b);
}
SAC__DEVICE void sac__mma_tf32(float *d, const uint32_t *a, const uint32_t *b)
{
    emulator::mma_tf32(d, a, b);
}
SAC__DEVICE uint32_t sac__cvt_tf32(float x)
{
    return emulator::cvt_tf32(x);
}

// Denormal results are zero, as .ftz says.
SAC__DEVICE float sac__ex2(float x)
{
    const float y = std::exp2(x);
    return y < 1.17549435e-38f ? 0.f : y;
}
SAC__DEVICE float sac__rcp(float x)
{
    return 1.f / x;
}
SAC__DEVICE float sac__tanh(float x)
{
    const float exact = std::tanh(x);
    uint32_t bits;
    memcpy(&bits, &exact, sizeof bits);
    bits &= ~0x1fffu; // off by up to 2^-10 of the value, as bad as the device's
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}

SAC__DEVICE uint32_t sac__pack_u8(int first, int second)
{
    const int low = first < 0 ? 0 : first > 255 ? 255 : first;
    const int high = second < 0 ? 0 : second > 255 ? 255 : second;
    return (uint32_t)(low | high << 8);
}

// --- mbarrier and bulk copies --------------------------------------------------------------------

SAC__DEVICE void sac__mbarrier_init(uint32_t barrier, uint32_t arrivals)
{
    emulator::mbarrier_init(barrier, arrivals);
}
SAC__DEVICE void sac__fence_mbarrier_init()
{
}
SAC__DEVICE void sac__fence_proxy_async()
{
}
SAC__DEVICE void sac__mbarrier_arrive(uint32_t barrier)
{
    emulator::mbarrier_arrive(barrier, 0);
}
SAC__DEVICE void sac__mbarrier_expect_tx(uint32_t barrier, uint32_t bytes)
{
    emulator::mbarrier_arrive(barrier, bytes);
}
SAC__DEVICE void sac__mbarrier_arrive_cluster(uint32_t barrier)
{
    emulator::mbarrier_arrive(barrier, 0);
}
SAC__DEVICE void sac__cp_async_mbarrier_arrive(uint32_t barrier)
{
    emulator::cp_async_mbarrier_arrive(barrier);
}
SAC__DEVICE bool sac__mbarrier_try_wait(uint32_t barrier, uint32_t parity)
{
    return emulator::mbarrier_try_wait(barrier, parity);
}
SAC__DEVICE void sac__mbarrier_wait(uint32_t barrier, uint32_t parity)
{
    while (!emulator::mbarrier_try_wait(barrier, parity)) {
    }
}

SAC__DEVICE void sac__bulk_load(uint32_t shared, const void *global, uint32_t bytes,
                                uint32_t barrier)
{
    emulator::bulk_load(shared, global, bytes, barrier);
}
SAC__DEVICE void sac__bulk_load_multicast(uint32_t shared, const void *global, uint32_t bytes,
                                          uint32_t barrier, uint16_t blocks)
{
    for (uint32_t rank = 0; rank < 16; rank++)
        if (blocks >> rank & 1)
            emulator::bulk_load(emulator::mapa(shared, rank), global, bytes,
                                emulator::mapa(barrier, rank));
}
SAC__DEVICE void sac__bulk_prefetch_l2(const void *, uint32_t)
{
}
SAC__DEVICE void sac__bulk_store(void *global, uint32_t shared, uint32_t bytes)
{
    emulator::bulk_store(global, shared, bytes);
}
SAC__DEVICE void sac__bulk_commit()
{
    emulator::self->stores.commit();
}
template <int PENDING> SAC__DEVICE void sac__bulk_wait()
{
    emulator::self->stores.wait(PENDING, [](const emulator::Copy &copy) { copy.run(); });
}
template <int PENDING> SAC__DEVICE void sac__bulk_wait_read()
{
    sac__bulk_wait<PENDING>();
}

// --- Tensor maps
// -----------------------------------------------------------------------------------

SAC__DEVICE void sac__tma_prefetch(const void *)
{
}
SAC__DEVICE void sac__tma_load_2d(uint32_t shared, const void *map, uint32_t barrier, int x, int y)
{
    const int at[] = {x, y};
    emulator::tma_load(shared, map, barrier, 2, at, nullptr);
}
SAC__DEVICE void sac__tma_load_4d(uint32_t shared, const void *map, uint32_t barrier, int c, int w,
                                  int h, int n)
{
    const int at[] = {c, w, h, n};
    emulator::tma_load(shared, map, barrier, 4, at, nullptr);
}
SAC__DEVICE void sac__tma_load_im2col(uint32_t shared, const void *map, uint32_t barrier, int c,
                                      int w, int h, int n, int window_w, int window_h)
{
    const int at[] = {c, w, h, n}, window[] = {window_w, window_h};
    emulator::tma_load(shared, map, barrier, 4, at, window);
}

// --- Clusters
// --------------------------------------------------------------------------------------

SAC__DEVICE uint32_t sac__cluster_rank()
{
    return emulator::self->block->rank;
}
SAC__DEVICE uint32_t sac__cluster_size()
{
    return emulator::running->cluster;
}
SAC__DEVICE void sac__cluster_arrive()
{
    emulator::cluster_arrive();
}
SAC__DEVICE void sac__cluster_wait()
{
    emulator::cluster_wait();
}
SAC__DEVICE void sac__cluster_sync()
{
    emulator::cluster_arrive();
    emulator::cluster_wait();
}
SAC__DEVICE void sac__cluster_sync_relaxed()
{
    sac__cluster_sync();
}
SAC__DEVICE void sac__cluster_arrive_shared()
{
    emulator::cluster_arrive();
}

SAC__DEVICE void sac__cluster_sync_shared()
{
    sac__cluster_sync();
}
SAC__DEVICE uint32_t sac__mapa(uint32_t shared, uint32_t rank)
{
    return emulator::mapa(shared, rank);
}
SAC__DEVICE float sac__ld_cluster(uint32_t there)
{
    return *static_cast<float *>(emulator::shared_pointer(there, 4, 4));
}
SAC__DEVICE float4 sac__ld_cluster4(uint32_t there)
{
    return *static_cast<float4 *>(emulator::shared_pointer(there, 16, 16));
}
SAC__DEVICE void sac__st_cluster(uint32_t there, float x)
{
    *static_cast<float *>(emulator::shared_pointer(there, 4, 4)) = x;
}
SAC__DEVICE void sac__st_cluster4(uint32_t there, float4 x)
{
    *static_cast<float4 *>(emulator::shared_pointer(there, 16, 16)) = x;
}

// --- wgmma
// -----------------------------------------------------------------------------------------

template <int COUNT> SAC__DEVICE void sac__setmaxnreg_inc()
{
}
template <int COUNT> SAC__DEVICE void sac__setmaxnreg_dec()
{
}
SAC__DEVICE void sac__wgmma_fence()
{
}
SAC__DEVICE void sac__wgmma_commit()
{
    emulator::self->products.commit();
}
template <int PENDING> SAC__DEVICE void sac__wgmma_wait()
{
    emulator::wgmma_wait(PENDING);
}
SAC__DEVICE void sac__wgmma_pin(float &)
{
}
template <int N> SAC__DEVICE void sac__wgmma_f16(float *d, uint64_t a, uint64_t b, int add)
{
    emulator::wgmma({d, N, add != 0, false, a, b, {}});
}
template <int N>
SAC__DEVICE void sac__wgmma_f16_registers(float *d, const uint32_t *a, uint64_t b, int add)
{
    emulator::wgmma({d, N, add != 0, true, 0, b, {a[0], a[1], a[2], a[3]}});
}

#endif
