// SPDX-License-Identifier: Apache-2.0
// Every instruction that CUDA C++ has no word for, each as a small function named as in the PTX
// ISA. The emulator of the tests (tests/cuda/emulator) supplies the same names, so that a kernel
// that keeps to them runs on the CPU as well. Addresses of shared memory are 32-bit, as PTX wants
// them: take sac__shared_address once and add to it.
#ifndef SAC_CUDA_PTX_CUH
#define SAC_CUDA_PTX_CUH

#include <cuda_runtime.h>

#include <stdint.h>

#define SAC__DEVICE static __device__ __forceinline__

SAC__DEVICE uint32_t sac__shared_address(const void *shared)
{
    return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

/// Keeps a value in its register: the compiler would rather compute some again in every turn of a
/// loop than hold them.
SAC__DEVICE void sac__keep(int &value)
{
    asm volatile("" : "+r"(value));
}

SAC__DEVICE void sac__keep(uint32_t &value)
{
    asm volatile("" : "+r"(value));
}

template <class T> SAC__DEVICE void sac__keep(T *&pointer)
{
    asm volatile("" : "+l"(pointer));
}

// --- Programmatic dependent launch -------------------------------------------------------------

/// Waits until the grids before this one are complete and their writes visible. Before it: nothing
/// that reads activations or writes global memory. Nothing to wait for without `overlap`.
SAC__DEVICE void sac__grid_wait()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/// Lets the next grid start as soon as every block has said so (or ended).
SAC__DEVICE void sac__grid_release()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// --- Barriers of some of a block's threads; id 1 to 15 (0 is __syncthreads), whole warps --------

SAC__DEVICE void sac__bar_sync(int id, int threads)
{
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

SAC__DEVICE void sac__bar_arrive(int id, int threads)
{
    asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// --- Memory ------------------------------------------------------------------------------------

SAC__DEVICE void sac__prefetch_l2(const void *global)
{
    asm volatile("prefetch.global.L2 [%0];" ::"l"(global));
}

SAC__DEVICE uint32_t sac__ld_acquire(const uint32_t *global)
{
    uint32_t value;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(global) : "memory");
    return value;
}

SAC__DEVICE void sac__st_release(uint32_t *global, uint32_t value)
{
    asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(global), "r"(value) : "memory");
}

/// cp.async: BYTES (4, 8, 16) to shared memory; the first `bytes` from `global`, zeros for the rest
/// (with 0 nothing is read). Both addresses are multiples of BYTES.
template <int BYTES>
SAC__DEVICE void sac__cp_async(uint32_t shared, const void *global, int bytes = BYTES)
{
    static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "as cp.async has them");
    if constexpr (BYTES == 16) // past the L1: used once
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(global),
                     "r"(bytes)
                     : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared), "l"(global),
                     "n"(BYTES), "r"(bytes)
                     : "memory");
}

SAC__DEVICE void sac__cp_async_commit()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/// Waits until at most PENDING of this thread's committed groups are under way.
template <int PENDING> SAC__DEVICE void sac__cp_async_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

// --- Matrices ----------------------------------------------------------------------------------

/// ldmatrix: lane 8i+r names row r (16 bytes, aligned to 16) of the i-th 8x8 matrix of halves; d[i]
/// is this lane's pair of matrix i.
SAC__DEVICE void sac__ldmatrix_x1(uint32_t *d, uint32_t row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];"
                 : "=r"(d[0])
                 : "r"(row)
                 : "memory");
}

SAC__DEVICE void sac__ldmatrix_x2(uint32_t *d, uint32_t row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(d[0]), "=r"(d[1])
                 : "r"(row)
                 : "memory");
}

SAC__DEVICE void sac__ldmatrix_x4(uint32_t *d, uint32_t row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                 : "r"(row)
                 : "memory");
}

SAC__DEVICE void sac__ldmatrix_x1_trans(uint32_t *d, uint32_t row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];"
                 : "=r"(d[0])
                 : "r"(row)
                 : "memory");
}

SAC__DEVICE void sac__ldmatrix_x2_trans(uint32_t *d, uint32_t row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(d[0]), "=r"(d[1])
                 : "r"(row)
                 : "memory");
}

SAC__DEVICE void sac__ldmatrix_x4_trans(uint32_t *d, uint32_t row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                 : "r"(row)
                 : "memory");
}

/// d (16x8 floats, 4 a lane) += a (16x16 halves, row-major, 4 pairs a lane) · b (16x8 halves,
/// column-major, 2 pairs a lane).
SAC__DEVICE void sac__mma_f16(float *d, const uint32_t *a, const uint32_t *b)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, "
                 "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// d (16x8 floats) += a (16x8 tf32, row-major, 4 a lane) · b (8x8 tf32, column-major, 2 a lane).
SAC__DEVICE void sac__mma_tf32(float *d, const uint32_t *a, const uint32_t *b)
{
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, "
                 "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// A float rounded to the 10 bits of tf32, halves away from zero.
SAC__DEVICE uint32_t sac__cvt_tf32(float x)
{
    uint32_t bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
}

// --- Approximate functions: about 2 units in the last place (tanh: 11 good bits) ----------------

SAC__DEVICE float sac__ex2(float x) // 2^x
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

SAC__DEVICE float sac__rcp(float x) // 1/x
{
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

SAC__DEVICE float sac__tanh(float x)
{
    float y;
    asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/// Two bytes, `first` in the lowest: numbers below 0 become 0, those above 255 become 255.
SAC__DEVICE uint32_t sac__pack_u8(int first, int second)
{
    uint32_t bytes;
    asm("cvt.pack.sat.u8.s32.b32 %0, %1, %2, %3;" : "=r"(bytes) : "r"(second), "r"(first), "r"(0));
    return bytes;
}

#include "cuda/ptx_hopper.cuh"

#endif
