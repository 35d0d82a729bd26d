// SPDX-License-Identifier: Apache-2.0
// conv_halo_wgmma.cu with a 1x1 convolution over its results while they are in registers: the map
// between the two need not be written, and is not read.
//
// A thread's sums of a product are, rounded to half, its part of the next one's first operand:
// conv.h's order of depths makes them so. Channels beside them come to shared memory by the copy
// engine, as the first one's input does. All weights stay there. One more 1x1 convolution may come
// after, over some of the second one's results, in the same way.
#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

#include "conv_chain.h"
#include "conv_halo_wgmma.cuh"

#if defined(__CUDA_ARCH__) && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define OTHER_CHIP // its kernels are empty and never run
#pragma nv_diag_suppress 177
#endif

namespace
{

using namespace conv_device;

/// First: its halo_shape. DEPTH: of its channels, those that are read. COLUMNS: output channels,
/// at most 64 of them at once. THEN and LAST: depth and columns of one more after it, 0: none.
template <class First_, int DEPTH_, int BESIDE_, int COLUMNS_, int THEN_ = 0, int LAST_ = 0>
struct chain_shape {
    using First = First_;
    using Next = std::conditional_t<(LAST_ > 0), chain_shape<First, THEN_, 0, LAST_>, chain_shape>;
    static constexpr int DEPTH = DEPTH_, BESIDE = BESIDE_, COLUMNS = COLUMNS_;
    static constexpr int THEN = THEN_, LAST = LAST_;
    using Beside = halo_shape<BESIDE ? BESIDE : 16, COLUMNS, 1, 1, First::WIDE, First::WORKERS,
                              First::BLOCKS>; ///< a 1x1 convolution's input
    static constexpr int WIDE = First::WIDE, FRAGMENTS = DEPTH / 16;
    static constexpr int BESIDE_STEP = (DEPTH + 63) / 64, STEPS = BESIDE_STEP + (BESIDE + 63) / 64;
    static constexpr int WEIGHT_BYTES = STEPS * COLUMNS * STEP_BYTES;
    static constexpr int LAST_BYTES = (THEN + 63) / 64 * LAST * STEP_BYTES; ///< of its weights
    static constexpr int BESIDE_BYTES = BESIDE ? Beside::HALO_BYTES : 0;
    static constexpr int PASS = COLUMNS % 64 ? COLUMNS : 64, PASSES = COLUMNS / PASS;
    static constexpr int SUMS = PASS / 2, EIGHTS = PASS / 32;
};

template <class S> using addends_of = addends<typename S::First, 38>;

struct place_in_chain : place_of_worker {
    uint32_t after, last, beside, beside_barrier; ///< after, last: weights
};

/// In shared memory: weights, weights of those that come after, each worker's input, each worker's
/// channels beside, barriers.
template <class S> __device__ place_in_chain place_of_thread(const unsigned char *memory)
{
    using F = typename S::First;
    const int worker = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / WORKER, 0);
    place_in_chain w;
    w.weights = sac__shared_address(memory);
    w.after = w.weights + F::WEIGHT_BYTES;
    w.last = w.after + S::WEIGHT_BYTES;
    const uint32_t tiles = w.last + S::LAST_BYTES;
    w.pixels = tiles + worker * F::HALO_BYTES;
    w.beside = tiles + F::WORKERS * F::HALO_BYTES + worker * S::BESIDE_BYTES;
    w.barrier = tiles + F::WORKERS * (F::HALO_BYTES + S::BESIDE_BYTES) + worker * 16;
    w.beside_barrier = w.barrier + 8;
    w.thread = threadIdx.x % WORKER;
    w.column = 0;
    w.bar = 1 + worker;
    return w;
}

template <class S> __device__ void fetch_after_weights(uint32_t to, const sac_conv_after &after)
{
    const char *from = static_cast<const char *>(after.weights);
    for (int i = static_cast<int>(threadIdx.x) * 16; i < S::WEIGHT_BYTES;
         i += S::First::THREADS * 16)
        sac__cp_async<16>(to + i, from + i);
}

template <class S>
__device__ void fetch_beside(const place_in_chain &w, const sac_tensor_map &map, corner at)
{
    if (S::BESIDE && w.thread == 0)
        fetch_pixels<typename S::Beside>(w.beside, w.beside_barrier, map, at);
}

/// The channels of the first one that a thread has: eights from k on, 32 from one to the next.
struct span {
    int k, end;

    __device__ bool has(int g) const
    {
        return k + g * 32 < end;
    }
};

template <class S> using fragments = uint32_t[S::WIDE][S::FRAGMENTS][4];

/// Halves of eight channels, the g-th, of two pixels as the operand of two products.
template <class S>
__device__ void set_fragments(uint32_t (&of)[S::FRAGMENTS][4], int g, const uint4 (&halves)[2])
{
    const uint32_t upper[4] = {halves[0].x, halves[0].y, halves[0].z, halves[0].w};
    const uint32_t lower[4] = {halves[1].x, halves[1].y, halves[1].z, halves[1].w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        of[2 * g + i / 2][i % 2 * 2] = upper[i];
        of[2 * g + i / 2][i % 2 * 2 + 1] = lower[i];
    }
}

/// Ends the first one's work; channels from the one after's depth on are zeros for it.
template <class S>
__device__ void finish_first(const sac_conv_problem &p, int depth,
                             const float (&sums)[S::WIDE][S::First::SUMS],
                             const pixels<typename S::First> &at, const addends_of<S> &add,
                             const span &from, fragments<S> &of)
{
    using F = typename S::First;
#pragma unroll
    for (int g = 0; g < F::EIGHTS; g++) {
        part_place to = {};
        if (p.conv.kept && from.has(g)) to = part_of(p.conv, from.k + g * 32);
#pragma unroll
        for (int m = 0; m < S::WIDE; m++) {
            const bool inside[2] = {at.has(p.conv, m, 0), at.has(p.conv, m, 1)};
            const int row = at.row + m * 8;
            uint4 halves[2] = {};
            float sum[2][8];
            take_eight(sum, sums[m], g);
            const auto use = [&](int i, const float(&value)[8]) {
                halves[i] = to_halves(value);
                if (to.data && inside[i])
                    *reinterpret_cast<uint4 *>(output_at(to, row + i * p.conv.out_width)) =
                        halves[i];
            };
            if (from.has(g))
                finish_pixels(p, from.k + g * 32, row, inside,
                              addends_of<S>::EARLY ? add.of[g][m] : NULL, sum, use);
            if (g * 32 >= S::DEPTH) continue;
            if (from.k + g * 32 >= depth) halves[0] = halves[1] = {};
            set_fragments<S>(of[m], g, halves);
        }
    }
}

/// The sums of the columns of a pass.
template <class S>
__device__ void multiply_after(float (&sums)[S::WIDE][S::SUMS], const fragments<S> &of,
                               const operands &o, int pass)
{
    using B = typename S::Beside;
    const uint32_t weights = o.weights + pass * (S::PASS * STEP_BYTES >> 4);
    sac__wgmma_fence();
#pragma unroll
    for (int depth = 0; depth < S::FRAGMENTS; depth++)
#pragma unroll
        for (int m = 0; m < S::WIDE; m++)
            sac__wgmma_f16_registers<S::PASS>(
                sums[m], of[m][depth], join(o.weights_high, weights + weights_at<B>(depth)), 1);
#pragma unroll
    for (int depth = 0; depth < S::BESIDE / 16; depth++)
#pragma unroll
        for (int m = 0; m < S::WIDE; m++)
            sac__wgmma_f16<S::PASS>(
                sums[m],
                join(o.pixels_high,
                     o.pixels + pixels_at<B>(0, depth) + m * (8 * B::PIXEL_BYTES >> 4)),
                join(o.weights_high, weights + weights_at<B>(S::BESIDE_STEP * 4 + depth)), 1);
    sac__wgmma_commit();
    sac__wgmma_wait<0>();
#pragma unroll
    for (int i = 0; i < S::WIDE * S::SUMS; i++)
        sac__wgmma_pin(sums[i / S::SUMS][i % S::SUMS]);
}

/// use(g, m, halves) is told of each eight's two pixels.
template <class S, class Use>
__device__ void
finish_after(const sac_conv &c, const sac_conv_after &after, const float (&sums)[S::WIDE][S::SUMS],
             const pixels<typename S::First> &at, const sink<S::EIGHTS> &to, const Use &use)
{
    const bool kept = !S::LAST || after.kept;
#pragma unroll
    for (int g = 0; g < S::EIGHTS; g++) {
        if (!to.has(g)) continue;
#pragma unroll
        for (int m = 0; m < S::WIDE; m++) {
            float sum[2][8];
            uint4 halves[2];
            take_eight(sum, sums[m], g);
            sac__device_activate_all<false, 16>(after.act, after.alpha, sum[0]);
#pragma unroll
            for (int i = 0; i < 2; i++) {
                halves[i] = to_halves(sum[i]);
                if (kept && at.has(c, m, i))
                    *reinterpret_cast<uint4 *>(
                        output_at(to.to[g], at.row + m * 8 + i * c.out_width)) = halves[i];
            }
            use(g, m, halves);
        }
    }
}

/// The last one's part of a tile.
template <class S>
__device__ void make_last(const sac_conv &c, const sac_conv_after &last, const fragments<S> &of,
                          const operands &o, const pixels<typename S::First> &at, unsigned thread)
{
    float sums[S::WIDE][S::SUMS];
    const sink<S::EIGHTS> to = sink_of<S::EIGHTS>(last, 0, thread);
    static_assert(S::PASSES == 1, "all columns at once");
    static_assert(!S::BESIDE_BYTES && !S::THEN && !S::LAST_BYTES, "nothing beside or after it");
    start_sums<S::EIGHTS>(sums, last, to);
    multiply_after<S>(sums, of, o, 0);
    finish_after<S>(c, last, sums, at, to, [](int, int, const uint4(&)[2]) {});
}

template <class S>
__global__ void __launch_bounds__(S::First::THREADS, S::First::BLOCKS)
    conv_chain(const __grid_constant__ sac_conv_problem p,
               const __grid_constant__ sac_conv_after after,
               const __grid_constant__ sac_conv_after last,
               const __grid_constant__ sac_conv_walk walk,
               const __grid_constant__ sac_tensor_map map,
               const __grid_constant__ sac_tensor_map beside_map)
{
#ifndef OTHER_CHIP
    using F = typename S::First;
    SAC__SHARED(unsigned char, memory);
    const sac_conv &c = p.conv;
    const place_in_chain w = place_of_thread<S>(memory);
    const int step = static_cast<int>(gridDim.x) * F::WORKERS;
    int tile = static_cast<int>(blockIdx.x) + (w.bar - 1) * static_cast<int>(gridDim.x);
    fetch_weights<F>(w.weights, c, 0);
    fetch_after_weights<S>(w.after, after);
    if (S::LAST) fetch_after_weights<typename S::Next>(w.last, last);
    if (w.thread == 0) {
        sac__tma_prefetch(&map);
        sac__mbarrier_init(w.barrier, 1);
        if (S::BESIDE) sac__tma_prefetch(&beside_map);
        if (S::BESIDE) sac__mbarrier_init(w.beside_barrier, 1);
        sac__fence_mbarrier_init();
    }
    const span from = {static_cast<int>(w.thread % 4 * 8), c.out_channels};
    const operands o = operands_of<F>(w.pixels, w.weights);
    const operands next = operands_of<typename S::Beside>(w.beside, w.after);
    sac__grid_release();
    sac__grid_wait();
    if (tile < walk.tiles) {
        fetch_halo<F>(w, c, map, corner_of<F>(walk, tile));
        fetch_beside<S>(w, beside_map, corner_of<F>(walk, tile));
    }
    sac__cp_async_commit();
    sac__cp_async_wait<0>();
    sac__fence_proxy_async();
    __syncthreads(); // all weights and barriers
    for (uint32_t parity = 0; tile < walk.tiles; tile += step, parity ^= 1) {
        fragments<S> of;
        fragments<typename S::Next> last_of = {};
        {
            float sums[S::WIDE][F::SUMS];
            addends_of<S> add;
            start_sums<F::EIGHTS>(sums, c, from);
            if (addends_of<S>::EARLY)
                add.fetch(p, pixels<F>(c, corner_of<F>(walk, tile), w.thread), from);
            sac__mbarrier_wait(w.barrier, parity);
            multiply<F>(sums, o);
            sac__bar_sync(w.bar, WORKER); // all have read the pixels
            if (tile + step < walk.tiles) fetch_halo<F>(w, c, map, corner_of<F>(walk, tile + step));
            finish_first<S>(p, after.depth, sums, pixels<F>(c, corner_of<F>(walk, tile), w.thread),
                            add, from, of);
        }
#pragma unroll
        for (int pass = 0; pass < S::PASSES; pass++) {
            float sums[S::WIDE][S::SUMS];
            const sink<S::EIGHTS> to = sink_of<S::EIGHTS>(after, pass * S::PASS, w.thread);
            start_sums<S::EIGHTS>(sums, after, to);
            if (S::BESIDE && pass == 0) sac__mbarrier_wait(w.beside_barrier, parity);
            multiply_after<S>(sums, of, next, pass);
            if (S::BESIDE && pass == S::PASSES - 1) {
                sac__bar_sync(w.bar, WORKER);
                if (tile + step < walk.tiles)
                    fetch_beside<S>(w, beside_map, corner_of<F>(walk, tile + step));
            }
            const auto use = [&](int g, int m, uint4(&halves)[2]) {
                const int channel = pass * S::PASS + g * 32;
                if (channel >= S::THEN) return;
                if (to.k + g * 32 >= last.depth) halves[0] = halves[1] = {};
                set_fragments<typename S::Next>(last_of[m], channel / 32, halves);
            };
            finish_after<S>(c, after, sums, pixels<F>(c, corner_of<F>(walk, tile), w.thread), to,
                            use);
        }
        if constexpr (S::LAST > 0)
            make_last<typename S::Next>(c, last, last_of,
                                        operands_of<typename S::Next::Beside>(w.beside, w.last),
                                        pixels<F>(c, corner_of<F>(walk, tile), w.thread), w.thread);
    }
#endif
}

typedef void chain_kernel(const sac_conv_problem, const sac_conv_after, const sac_conv_after,
                          const sac_conv_walk, const sac_tensor_map, const sac_tensor_map);

chain_kernel *const kernels[] = {
#define KERNEL(name, channels, columns, depth, beside, after, window, stride, wide, workers,       \
               blocks, then, last)                                                                 \
    conv_chain<chain_shape<halo_shape<channels, columns, window, stride, wide, workers, blocks>,   \
                           depth, beside, after, then, last>>,
#define PAIR(...) KERNEL(__VA_ARGS__, 0, 0)
    SAC__CONV_CHAIN_SHAPES(PAIR) SAC__CONV_CHAIN_TRIPLES(KERNEL)
#undef PAIR
#undef KERNEL
};

} // namespace

extern "C" int sac__conv_chain_launch(const struct sac_conv_kernel *self,
                                      const struct sac_conv *convs, int count,
                                      const struct sac_conv_launch *how)
{
    const sac_chain_shape *shape = sac__conv_chain_shape(self);
    const sac_tile tile = sac__halo_tile(&shape->first, convs);
    const sac_tile beside = sac__conv_chain_beside(self, convs);
    sac_conv_problems problems;
    sac_conv_walk walk;
    sac_tensor_map map, beside_map;
    (void)count; // one: its blocks stay
    sac__conv_problems_fill(&problems, self, convs, 1, 1);
    const dim3 grid(static_cast<unsigned>(sac__conv_chain_walk(&walk, self, convs)));
    int error = sac__tile_map(&map, &tile);
    if (!error) error = sac__tile_map(&beside_map, &beside);
    if (error) return error;
    const sac_launch launch =
        launch_of(grid, shape->first.workers, sac__conv_chain_shared(self), *how);
    return sac__launch(self->name, launch, kernels[self->variant], problems.at[0], *convs->after,
                       convs->after->after ? *convs->after->after : sac_conv_after{}, walk, map,
                       beside_map);
}
