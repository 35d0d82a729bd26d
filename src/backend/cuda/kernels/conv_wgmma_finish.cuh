// SPDX-License-Identifier: Apache-2.0
// The end of a tile of conv_wgmma.cu: from sums in registers to results in memory.
#ifndef SAC_CUDA_CONV_WGMMA_FINISH_CUH
#define SAC_CUDA_CONV_WGMMA_FINISH_CUH

#include "conv_wgmma.cuh"

namespace wgmma_device
{

/// Where a thread's eights lie in a tile: those of a column are one after the other, on `LINES`
/// rows of its products, every second one 8 below the one before.
template <class T> struct eights {
    static constexpr int LINES = 2 * T::PRODUCTS, COUNT = LINES * T::COLUMNS / 32;
    /// Finished at once, as many as there are registers for.
    static constexpr int MOST = T::ROWS * T::COLUMNS <= 8192 ? 4 : 2;
    static constexpr int ONCE = COUNT < MOST ? COUNT : MOST;
    static_assert(COUNT % ONCE == 0, "all are finished");
    int row, column; ///< of the first one, in the output

    __device__ eights(const task &t, int tile)
    {
        const int lane = static_cast<int>(threadIdx.x) % 32;
        row = first_pixel<T>(t, tile) + first_row<T>() + lane / 4;
        column = first_column<T>(t, tile) + lane % 4 * 8;
    }
    __device__ int row_of(int index) const
    {
        return row + index % LINES / 2 * 64 + index % 2 * 8;
    }
    __device__ int column_of(int index) const
    {
        return column + index / LINES * 32;
    }
    __device__ bool has(const sac_conv_problem &p, int index) const
    {
        return row_of(index) < p.pixels && column_of(index) < p.conv.out_channels;
    }
};

/// Sums begin with the bias, unless they are only a part of it all. No branch goes around a sum: it
/// would make the compiler wait for every product (its remark C7515).
template <class T>
__device__ void start_sums(float (&sums)[T::PRODUCTS][T::SUMS], const sac_conv &c, bool whole,
                           const eights<T> &at)
{
#pragma unroll
    for (int k = 0; k < T::COLUMNS / 32; k++) {
        const int column = at.column + k * 32;
        const bool there = whole && column < c.out_channels;
        float bias[8] = {};
        add_bias(bias, c, there ? column : 0);
#pragma unroll
        for (int i = 0; i < 8; i++)
            bias[i] = there ? bias[i] : 0;
#pragma unroll
        for (int i = 0; i < 16 * T::PRODUCTS; i++) {
            float &sum = sums[i / 16][k * 16 + i % 16];
            sum = bias[i % 16 / 4 * 2 + i % 2];
            sac__wgmma_pin(sum);
        }
    }
}

/// What is added to some of a thread's eights, from the `first` on: of the residual, else of the
/// coarse map.
template <class T> struct addends {
    uint4 of[eights<T>::ONCE];

    __device__ void fetch(const sac_conv_problem &p, const eights<T> &at, int first)
    {
#pragma unroll
        for (int k = 0; k < eights<T>::ONCE; k++) {
            const int row = at.row_of(first + k), column = at.column_of(first + k);
            if (!at.has(p, first + k)) continue;
            if (p.conv.residual)
                of[k] = residual_at(p.conv, row, column);
            else if (p.conv.coarse)
                of[k] = coarse_at(p, row, column);
        }
    }
};

/// Some of a thread's eights, from the `first` on.
template <class T>
__device__ void take_eights(float (&v)[eights<T>::ONCE][8],
                            const float (&sums)[T::PRODUCTS][T::SUMS], const int first)
{
    constexpr int LINES = eights<T>::LINES;
#pragma unroll
    for (int k = 0; k < eights<T>::ONCE; k++) {
        const int line = (first + k) % LINES;
        const float *from = sums[line / 2] + (first + k) / LINES * 16 + line % 2 * 2;
#pragma unroll
        for (int i = 0; i < 8; i++)
            v[k][i] = from[i / 2 * 4 + i % 2];
    }
}

/// One kind of work after the other for several eights, so that the activation has one branch.
template <class T>
__device__ void finish_eights(float (&v)[eights<T>::ONCE][8], const sac_conv_problem &p,
                              const eights<T> &at, const addends<T> &add, const int first)
{
    constexpr int COUNT = eights<T>::ONCE;
    const sac_conv &c = p.conv;
    if (c.coarse)
#pragma unroll
        for (int k = 0; k < COUNT; k++)
            if (at.has(p, first + k))
                add_halves(v[k], c.residual
                                     ? coarse_at(p, at.row_of(first + k), at.column_of(first + k))
                                     : add.of[k]);
    sac__device_activate_all<false, 8 * COUNT>(c.act, c.alpha, v[0]);
    if (c.residual)
#pragma unroll
        for (int k = 0; k < COUNT; k++)
            add_halves(v[k], add.of[k]);
}

template <class T>
__device__ void write_eights(const float (&v)[eights<T>::ONCE][8], const sac_conv_problem &p,
                             const eights<T> &at, const int first)
{
    part_place out = {};
#pragma unroll
    for (int k = 0; k < eights<T>::ONCE; k++) {
        if (k == 0 || (first + k) % eights<T>::LINES == 0)
            out = part_of(p.conv, at.column_of(first + k));
        if (at.has(p, first + k))
            *reinterpret_cast<uint4 *>(output_at(out, at.row_of(first + k))) = to_halves(v[k]);
    }
}

/// A block's part of a split tile's sums into its shared memory, where the ring was.
template <class T> __device__ void share(float *shared, const float (&sums)[T::PRODUCTS][T::SUMS])
{
    const int lane = static_cast<int>(threadIdx.x) % 32;
    float *at = shared + (first_row<T>() + lane / 4) * T::PITCH + lane % 4 * 8;
    sac__bar_sync(1, T::CONSUMERS); // all have read the ring
#pragma unroll
    for (int m = 0; m < T::PRODUCTS; m++)
#pragma unroll
        for (int k = 0; k < T::SUMS; k += 8)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const float *from = sums[m] + k + half * 2;
                *reinterpret_cast<float4 *>(at + (m * 64 + half * 8) * T::PITCH + k / 16 * 32 +
                                            k / 8 % 2 * 4) =
                    make_float4(from[0], from[1], from[4], from[5]);
            }
}

/// Two fours of channels of a split tile, to be finished by one thread. Lanes beside each other
/// have fours beside each other: the network between processors carries whole lines.
template <class T> struct fours {
    static constexpr int ACROSS = T::COLUMNS / 4, ALL = T::ROWS * ACROSS;
    int row[2], column[2]; ///< in the tile
    bool there[2];
    float v[2][4];
    uint2 residual[2], coarse[2];

    __device__ void fetch(const task &t, int index)
    {
        const sac_conv_problem &p = *t.problem;
        const int pixel = first_pixel<T>(t, t.tile), channel = first_column<T>(t, t.tile);
#pragma unroll
        for (int k = 0; k < 2; k++, index += t.split * T::CONSUMERS) {
            row[k] = index / ACROSS, column[k] = index % ACROSS * 4;
            there[k] = index < ALL && pixel + row[k] < p.pixels &&
                       channel + column[k] < p.conv.out_channels;
            residual[k] = coarse[k] = make_uint2(0, 0);
#pragma unroll
            for (int i = 0; i < 4; i++)
                v[k][i] = 0;
            if (!there[k]) continue;
            const float4 bias =
                *reinterpret_cast<const float4 *>(p.conv.bias + channel + column[k]);
            v[k][0] = bias.x, v[k][1] = bias.y, v[k][2] = bias.z, v[k][3] = bias.w;
            if (p.conv.residual)
                residual[k] = residual_at<uint2>(p.conv, pixel + row[k], channel + column[k]);
            if (p.conv.coarse) coarse[k] = coarse_at<uint2>(p, pixel + row[k], channel + column[k]);
        }
    }
    /// Adds the sums of some blocks, in the order of their ranks, all loads under way at once.
    template <int RANKS> __device__ void add(const task &t, int first)
    {
        float4 sum[RANKS][2] = {};
#pragma unroll
        for (int rank = 0; rank < RANKS; rank++)
#pragma unroll
            for (int k = 0; k < 2; k++)
                if (there[k])
                    sum[rank][k] = sac__ld_cluster4(sac__mapa(
                        t.memory + static_cast<uint32_t>(row[k] * T::PITCH + column[k]) * 4,
                        static_cast<uint32_t>(first + rank)));
#pragma unroll
        for (int rank = 0; rank < RANKS; rank++)
#pragma unroll
            for (int k = 0; k < 2; k++) {
                v[k][0] += sum[rank][k].x, v[k][1] += sum[rank][k].y;
                v[k][2] += sum[rank][k].z, v[k][3] += sum[rank][k].w;
            }
    }
    __device__ void finish(const task &t)
    {
        const sac_conv &c = t.problem->conv;
        const int pixel = first_pixel<T>(t, t.tile), channel = first_column<T>(t, t.tile);
#pragma unroll
        for (int k = 0; k < 2; k++)
            add_halves(v[k], coarse[k]);
        sac__device_activate_all<false, 8>(c.act, c.alpha, v[0]);
#pragma unroll
        for (int k = 0; k < 2; k++) {
            add_halves(v[k], residual[k]);
            if (there[k])
                *reinterpret_cast<uint2 *>(output_at(part_of(c, channel + column[k]),
                                                     pixel + row[k])) = to_four_halves(v[k]);
        }
    }
};

/// A block's part of a split tile. What comes from memory is asked for before all sums are there.
template <class T> __device__ void finish_shared(const task &t)
{
    const int apart = 2 * t.split * T::CONSUMERS;
    int index = t.rank * T::CONSUMERS + static_cast<int>(threadIdx.x);
    fours<T> at;
    at.fetch(t, index);
    sac__cluster_wait();
    for (int turns = (fours<T>::ALL + apart - 1) / apart;;) {
        if (t.split == 2)
            at.template add<2>(t, 0);
        else
            for (int rank = 0; rank < t.split; rank += 4)
                at.template add<4>(t, rank);
        at.finish(t);
        if (--turns == 0) return;
        index += apart;
        at.fetch(t, index);
    }
}

} // namespace wgmma_device

#endif
