// SPDX-License-Identifier: Apache-2.0
// A 1x1 convolution after that of conv_wgmma.cu, on a tile's results while they are in registers.
//
// A thread's sums lie as wgmma wants its left operand: of a k16 block 2g+h the registers are words
// 2h and 2h+1 of eight g of the upper row and of the one 8 below. Its weights' depths are dealt out
// as the first one's channels are (sac__conv_after_pack).
#ifndef SAC_CUDA_CONV_WGMMA_CHAIN_CUH
#define SAC_CUDA_CONV_WGMMA_CHAIN_CUH

#include "conv_wgmma_finish.cuh"
#include "conv_wgmma_multiply.cuh"

namespace wgmma_device
{

/// Columns of the convolution after it that are made at once, by the same threads.
template <class T> struct after : T {
    static constexpr int COLUMNS = T::AFTER, SUMS = COLUMNS / 2;
    static_assert(T::PAIR == 1, "a block fetches all weights by itself");
};

/// A tile's results, rounded, as operands. Channels that are not read are zero: those that are not
/// there may be anything.
template <class T> struct fragments {
    static constexpr int BLOCKS = T::COLUMNS / 16; ///< of 16 channels
    uint32_t of[T::PRODUCTS][BLOCKS][4];

    __device__ void keep(const float (&v)[eights<T>::ONCE][8], const task &t, const eights<T> &at,
                         const int first)
    {
        constexpr int LINES = eights<T>::LINES;
#pragma unroll
        for (int k = 0; k < eights<T>::ONCE; k++) {
            const int line = (first + k) % LINES, block = (first + k) / LINES * 2;
            const bool read = at.column_of(first + k) < t.depth;
            const uint4 halves = to_halves(v[k]);
            const uint32_t word[4] = {halves.x, halves.y, halves.z, halves.w};
#pragma unroll
            for (int i = 0; i < 4; i++)
                of[line / 2][block + i / 2][i % 2 * 2 + line % 2] = read ? word[i] : 0;
        }
    }
};

/// Their part of the sums.
template <class T>
__device__ void multiply_own(float (&sums)[T::PRODUCTS][T::AFTER / 2], fragments<T> &results,
                             const task &t, const operands &o, ring<T> &at)
{
    constexpr int STEPS = (fragments<T>::BLOCKS + 3) / 4;
    ring<T> before = at;
#pragma unroll
    for (int step = 0; step < STEPS; step++) {
        if (step == t.own) break;
        sac__mbarrier_wait(at.full(t), at.round);
        const uint32_t stage = static_cast<uint32_t>(at.slot) * (T::STAGE_BYTES >> 4);
        sac__wgmma_fence();
#pragma unroll
        for (int k = 0; k < 4 && step * 4 + k < fragments<T>::BLOCKS; k++)
#pragma unroll
            for (int m = 0; m < T::PRODUCTS; m++)
                sac__wgmma_f16_registers<T::AFTER>(sums[m], results.of[m][step * 4 + k],
                                                   join(o.weights_high, o.weights + stage + 2 * k),
                                                   1);
        sac__wgmma_commit();
        at.next();
    }
    sac__wgmma_wait<0>();
#pragma unroll
    for (int i = 0; i < T::PRODUCTS * T::AFTER / 2; i++)
        sac__wgmma_pin(sums[i / (T::AFTER / 2)][i % (T::AFTER / 2)]);
#pragma unroll
    for (int i = 0; i < T::PRODUCTS * fragments<T>::BLOCKS * 4; i++)
        sac__keep(results.of[i / 4 / fragments<T>::BLOCKS][i / 4 % fragments<T>::BLOCKS][i % 4]);
    for (int step = 0; step < t.own; step++, before.next())
        give_back<T>(t, before);
}

/// All that comes after a tile. `at`: where its own results lie.
template <class T>
__device__ void multiply_results(fragments<T> &results, const task &t, const eights<T> &from,
                                 ring<T> &ready)
{
    using S = after<T>;
    const sac_conv_problem &p = *t.next;
    const operands o = operands_of<T>(t, SAC__CONV_STEP);
    for (int chunk = 0; chunk < p.columns; chunk++) {
        eights<S> at(t, 0);
        float sums[S::PRODUCTS][S::SUMS];
        at.row = from.row, at.column = from.column + chunk * S::COLUMNS;
        start_sums<S>(sums, p.conv, true, at);
        multiply_own<T>(sums, results, t, o, ready);
        if (t.beside > 0) multiply<S>(sums, t, o, ready, t.beside);
#pragma unroll
        for (int first = 0; first < eights<S>::COUNT; first += eights<S>::ONCE) {
            float v[eights<S>::ONCE][8];
            take_eights<S>(v, sums, first);
            sac__device_activate_all<false, 8 * eights<S>::ONCE>(p.conv.act, p.conv.alpha, v[0]);
            write_eights<S>(v, p, at, first);
        }
    }
}

} // namespace wgmma_device

#endif
