// SPDX-License-Identifier: Apache-2.0
// wgmma: matrix products of a warpgroup (128 threads), asynchronous. The order is: wgmma_fence, the
// products, wgmma_commit, wgmma_wait; between product and wait nobody touches the accumulators.
#ifndef SAC_CUDA_PTX_WGMMA_CUH
#define SAC_CUDA_PTX_WGMMA_CUH

#include "cuda/descriptor.cuh"
#include "cuda/ptx_hopper.cuh"

/// Before the first product, and whenever registers that products use were written.
SAC__DEVICE void sac__wgmma_fence()
{
    SAC__ASM_SM90A("wgmma.fence.sync.aligned;" ::: "memory");
}

SAC__DEVICE void sac__wgmma_commit()
{
    SAC__ASM_SM90A("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/// Waits until at most PENDING committed groups are under way.
template <int PENDING> SAC__DEVICE void sac__wgmma_wait()
{
    SAC__ASM_SM90A("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}

/// Keeps the compiler from moving a use of an accumulator over the wait.
SAC__DEVICE void sac__wgmma_pin(float &accumulator)
{
    asm volatile("" : "+f"(accumulator)::"memory");
}

/// d (64xN floats: N/2 a thread) = a (64x16 halves) · b (16xN halves), + d where `add` is not 0.
/// a and b are descriptors.
template <int N> SAC__DEVICE void sac__wgmma_f16(float *d, uint64_t a, uint64_t b, int add);

/// The same with a in registers: 4 pairs a thread, each warp its 16 rows as sac__mma_f16 has them.
template <int N>
SAC__DEVICE void sac__wgmma_f16_registers(float *d, const uint32_t *a, uint64_t b, int add);

// The operands, eight at a time.
#define SAC__R0 "%0, %1, %2, %3, %4, %5, %6, %7"
#define SAC__R1 "%8, %9, %10, %11, %12, %13, %14, %15"
#define SAC__R2 "%16, %17, %18, %19, %20, %21, %22, %23"
#define SAC__R3 "%24, %25, %26, %27, %28, %29, %30, %31"
#define SAC__R4 "%32, %33, %34, %35, %36, %37, %38, %39"
#define SAC__R5 "%40, %41, %42, %43, %44, %45, %46, %47"
#define SAC__R6 "%48, %49, %50, %51, %52, %53, %54, %55"
#define SAC__R7 "%56, %57, %58, %59, %60, %61, %62, %63"
#define SAC__R8 "%64, %65, %66, %67, %68, %69, %70, %71"
#define SAC__R9 "%72, %73, %74, %75, %76, %77, %78, %79"
#define SAC__R10 "%80, %81, %82, %83, %84, %85, %86, %87"
#define SAC__R11 "%88, %89, %90, %91, %92, %93, %94, %95"
#define SAC__R12 "%96, %97, %98, %99, %100, %101, %102, %103"
#define SAC__R13 "%104, %105, %106, %107, %108, %109, %110, %111"
#define SAC__R14 "%112, %113, %114, %115, %116, %117, %118, %119"
#define SAC__R15 "%120, %121, %122, %123, %124, %125, %126, %127"
#define SAC__D8(i)                                                                                 \
    "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]),    \
        "+f"(d[i + 6]), "+f"(d[i + 7])
#define SAC__D16(i) SAC__D8(i), SAC__D8(i + 8)
#define SAC__D32(i) SAC__D16(i), SAC__D16(i + 16)
#define SAC__D64(i) SAC__D32(i), SAC__D32(i + 32)

// Strings of the first registers.
#define SAC__L16 SAC__R0
#define SAC__L32 SAC__L16 ", " SAC__R1
#define SAC__L48 SAC__L32 ", " SAC__R2
#define SAC__L64 SAC__L48 ", " SAC__R3
#define SAC__L80 SAC__L64 ", " SAC__R4
#define SAC__L96 SAC__L80 ", " SAC__R5
#define SAC__L128 SAC__L96 ", " SAC__R6 ", " SAC__R7
#define SAC__L160 SAC__L128 ", " SAC__R8 ", " SAC__R9
#define SAC__L192 SAC__L160 ", " SAC__R10 ", " SAC__R11
#define SAC__L256 SAC__L192 ", " SAC__R12 ", " SAC__R13 ", " SAC__R14 ", " SAC__R15

// N, its operands, and the numbers of the operands after them: for a and b by
// descriptor a, b, add; for a in registers a[0] to a[3], b, add.
#define SAC__WGMMA(N, OPERANDS, O0, O1, O2, O3, O4, O5)                                            \
    template <>                                                                                    \
    SAC__WGMMA_DEVICE void sac__wgmma_f16<N>(float *d, uint64_t a, uint64_t b, int add)            \
    {                                                                                              \
        SAC__ASM_SM90A("{.reg .pred p;\n"                                                          \
                       "setp.ne.b32 p, %" O2 ", 0;\n"                                              \
                       "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32.f16.f16 {" SAC__L##N        \
                       "}, %" O0 ", %" O1 ", p, 1, 1, 0, 0;}"                                      \
                       : OPERANDS                                                                  \
                       : "l"(a), "l"(b), "r"(add));                                                \
    }                                                                                              \
    template <>                                                                                    \
    SAC__WGMMA_DEVICE void sac__wgmma_f16_registers<N>(float *d, const uint32_t *a, uint64_t b,    \
                                                       int add)                                    \
    {                                                                                              \
        SAC__ASM_SM90A("{.reg .pred p;\n"                                                          \
                       "setp.ne.b32 p, %" O5 ", 0;\n"                                              \
                       "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32.f16.f16 {" SAC__L##N        \
                       "}, {%" O0 ", %" O1 ", %" O2 ", %" O3 "}, %" O4 ", p, 1, 1, 0;}"            \
                       : OPERANDS                                                                  \
                       : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add));            \
    }
#define SAC__LIST(...) __VA_ARGS__
#define SAC__WGMMA_DEVICE __device__ __forceinline__

SAC__WGMMA(16, SAC__LIST(SAC__D8(0)), "8", "9", "10", "11", "12", "13")
SAC__WGMMA(32, SAC__LIST(SAC__D16(0)), "16", "17", "18", "19", "20", "21")
SAC__WGMMA(48, SAC__LIST(SAC__D16(0), SAC__D8(16)), "24", "25", "26", "27", "28", "29")
SAC__WGMMA(64, SAC__LIST(SAC__D32(0)), "32", "33", "34", "35", "36", "37")
SAC__WGMMA(80, SAC__LIST(SAC__D32(0), SAC__D8(32)), "40", "41", "42", "43", "44", "45")
SAC__WGMMA(96, SAC__LIST(SAC__D32(0), SAC__D16(32)), "48", "49", "50", "51", "52", "53")
SAC__WGMMA(128, SAC__LIST(SAC__D64(0)), "64", "65", "66", "67", "68", "69")
SAC__WGMMA(160, SAC__LIST(SAC__D64(0), SAC__D16(64)), "80", "81", "82", "83", "84", "85")
SAC__WGMMA(192, SAC__LIST(SAC__D64(0), SAC__D32(64)), "96", "97", "98", "99", "100", "101")
SAC__WGMMA(256, SAC__LIST(SAC__D64(0), SAC__D64(64)), "128", "129", "130", "131", "132", "133")

#endif
