// SPDX-License-Identifier: Apache-2.0
// conv_halo.cu on Hopper (sm_90a): blocks stay, keep all weights in shared memory, and each of
// their warpgroups walks over tiles of its own. The copy engine brings the input under a tile with
// its rim, zeros where it is outside the picture; wgmma reads it there for every tap: 8 pixels of a
// row lie together, rows of a tile are a row of the halo apart. The next tile is fetched as soon as
// the last one is multiplied, while its sums are finished.
//
// Swizzles are a function of the address, so a tap's tile may begin at any pixel.
#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

#include "conv_halo.cuh"
#include "conv_halo_wgmma.h"

#if defined(__CUDA_ARCH__) && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define OTHER_CHIP // its kernels are empty and never run
#pragma nv_diag_suppress 177
#endif

namespace
{

using namespace conv_device;

constexpr int WORKER = 128; ///< threads of a warpgroup

/// WIDE: products of 64 pixels, 8x8, beside each other in a tile; WORKERS: warpgroups of a block.
template <int CHANNELS, int COLUMNS_, int WINDOW_, int STRIDE_, int WIDE_, int WORKERS_,
          int BLOCKS_>
struct shape {
    static constexpr int COLUMNS = COLUMNS_, WINDOW = WINDOW_, STRIDE = STRIDE_, WIDE = WIDE_;
    static constexpr int WORKERS = WORKERS_, THREADS = WORKERS * WORKER, BLOCKS = BLOCKS_;
    static constexpr int TILE_W = WIDE * 8, TILE_H = 8;
    static constexpr int DEPTHS = CHANNELS / 16, SUMS = COLUMNS / 2, EIGHTS = COLUMNS / 32;
    static constexpr int STEPS = (WINDOW * WINDOW * DEPTHS + 3) / 4;
    static constexpr int WEIGHT_BYTES = STEPS * COLUMNS * STEP_BYTES;
    static constexpr int BOX = SAC__HALO_BOX(CHANNELS), BOXES = CHANNELS / BOX * STRIDE;
    static constexpr int PIXEL_BYTES = BOX * 2;
    static constexpr int ROW_BYTES = SAC__HALO_ACROSS(TILE_W, WINDOW, STRIDE) * PIXEL_BYTES;
    static constexpr int BOX_BYTES = SAC__HALO_DOWN(TILE_H, WINDOW, STRIDE) * ROW_BYTES;
    static constexpr int BOX_ROOM = SAC__HALO_ROOM(BOX_BYTES);
    static constexpr int HALO_BYTES = BOXES * BOX_ROOM;
    static constexpr int SWIZZLE = BOX == 64   ? SAC__SWIZZLE_128
                                   : BOX == 32 ? SAC__SWIZZLE_64
                                               : SAC__SWIZZLE_32;
};

/// What a worker has: shared addresses, its threads' number, the first column.
struct place_of_worker {
    uint32_t pixels, weights, barrier;
    unsigned thread;
    int column, bar; ///< bar: of its threads
};

/// With stride 2 even and odd columns are loads of their own.
template <class S>
__device__ void fetch_halo(const place_of_worker &w, const sac_conv &c, const sac_tensor_map &map,
                           corner at)
{
    if (w.thread != 0) return;
    int y = at.y * S::STRIDE - c.pad[0], x = at.x * S::STRIDE - c.pad[1];
    sac__mbarrier_expect_tx(w.barrier, S::BOXES * S::BOX_BYTES);
#pragma unroll
    for (int k = 0; k < S::BOXES; k++)
        sac__tma_load_4d(w.pixels + k * S::BOX_ROOM, &map, w.barrier, k / S::STRIDE * S::BOX,
                         x + k % S::STRIDE, y, at.n);
}

__device__ inline uint64_t join(uint32_t high, uint32_t low)
{
    return static_cast<uint64_t>(high) << 32 | low;
}

/// Both operands' descriptors at the first tap in two words each, the low one with the address in
/// units of 16 bytes.
struct operands {
    uint32_t pixels, pixels_high, weights, weights_high;
};

template <class S> __device__ operands operands_of(const place_of_worker &w)
{
    const uint64_t a = sac__wgmma_descriptor(w.pixels, 16, S::STRIDE * S::ROW_BYTES, S::SWIZZLE);
    const uint64_t b = sac__wgmma_descriptor(w.weights, 16, 8 * STEP_BYTES, SAC__SWIZZLE_128);
    return {static_cast<uint32_t>(a), static_cast<uint32_t>(a >> 32), static_cast<uint32_t>(b),
            static_cast<uint32_t>(b >> 32)};
}

/// 16 channels of a tap: where they begin, of pixels and of weights, in units of 16 bytes.
template <class S> __device__ constexpr uint32_t pixels_at(int tap, int d)
{
    int y = tap / S::WINDOW, x = tap % S::WINDOW;
    int box = d * 16 / S::BOX * S::STRIDE + x % S::STRIDE;
    return static_cast<uint32_t>(box * S::BOX_ROOM + y * S::ROW_BYTES +
                                 x / S::STRIDE * S::PIXEL_BYTES + d * 32 % S::PIXEL_BYTES) >>
           4;
}

template <class S> __device__ constexpr uint32_t weights_at(int depth)
{
    return static_cast<uint32_t>(depth / 4 * S::COLUMNS * STEP_BYTES + depth % 4 * 32) >> 4;
}

template <class S> __device__ void multiply(float (&sums)[S::WIDE][S::SUMS], const operands &o)
{
    sac__wgmma_fence();
#pragma unroll
    for (int depth = 0; depth < S::WINDOW * S::WINDOW * S::DEPTHS; depth++)
#pragma unroll
        for (int m = 0; m < S::WIDE; m++)
            sac__wgmma_f16<S::COLUMNS>(
                sums[m],
                join(o.pixels_high, o.pixels + pixels_at<S>(depth / S::DEPTHS, depth % S::DEPTHS) +
                                        m * (8 * S::PIXEL_BYTES >> 4)),
                join(o.weights_high, o.weights + weights_at<S>(depth)), 1);
    sac__wgmma_commit();
    sac__wgmma_wait<0>();
#pragma unroll
    for (int i = 0; i < S::WIDE * S::SUMS; i++)
        sac__wgmma_pin(sums[i / S::SUMS][i % S::SUMS]);
}

/// Where a thread writes its eights of channels; NULL: nothing.
template <class S> struct sink {
    part_place to[S::EIGHTS];
    int k; ///< of the first, 32 from one to the next
};

template <class S> __device__ sink<S> sink_of(const sac_conv &c, const place_of_worker &w)
{
    sink<S> s = {};
    s.k = w.column + static_cast<int>(w.thread % 4 * 8);
#pragma unroll
    for (int g = 0; g < S::EIGHTS; g++)
        if (s.k + g * 32 < c.out_channels) s.to[g] = part_of(c, s.k + g * 32);
    return s;
}

/// Sums begin with the bias: read for each tile, which is cheaper than the registers.
template <class S>
__device__ void start_sums(float (&sums)[S::WIDE][S::SUMS], const sac_conv &c, const sink<S> &to)
{
#pragma unroll
    for (int g = 0; g < S::EIGHTS; g++) {
        float bias[8] = {};
        if (to.to[g].data) add_bias(bias, c, to.k + g * 32);
#pragma unroll
        for (int i = 0; i < S::WIDE * 16; i++) {
            float &sum = sums[i / 16][g * 16 + i % 16];
            sum = bias[i % 16 / 4 * 2 + i % 2];
            sac__wgmma_pin(sum);
        }
    }
}

/// A thread's pixels of a tile: for each product two, one below the other.
template <class S> struct pixels {
    int x, y, row; ///< of the first; among all of the output

    __device__ pixels(const sac_conv &c, corner at, unsigned thread)
    {
        y = at.y + static_cast<int>(thread / 32 * 2);
        x = at.x + static_cast<int>(thread % 32 / 4);
        row = (at.n * c.out_height + y) * c.out_width + x;
    }
    __device__ bool has(const sac_conv &c, int product, int below) const
    {
        return x + product * 8 < c.out_width && y + below < c.out_height;
    }
};

/// What is added to a tile's sums: of the residual, else of the coarse map. Where registers can
/// hold it, it is asked for before the products.
template <class S> struct addends {
    static constexpr int REGISTERS = S::WIDE * (S::SUMS + S::EIGHTS * 8) + 36;
    static constexpr bool EARLY = REGISTERS * S::THREADS * S::BLOCKS <= 65536;
    uint4 of[S::EIGHTS][S::WIDE][2];

    __device__ void fetch(const sac_conv_problem &p, const pixels<S> &at, const sink<S> &to)
    {
        const sac_conv &c = p.conv;
        if (!EARLY || (!c.residual && !c.coarse)) return;
#pragma unroll
        for (int i = 0; i < S::EIGHTS * S::WIDE * 2; i++) {
            const int g = i / 2 / S::WIDE, m = i / 2 % S::WIDE, k = to.k + g * 32;
            const int row = at.row + m * 8 + i % 2 * c.out_width;
            if (to.to[g].data && at.has(c, m, i % 2))
                of[g][m][i % 2] = c.residual ? residual_at(c, row, k) : coarse_at(p, row, k);
        }
    }
};

/// 8 channels of two pixels, one below the other, the upper one being `row`. `early`: addends, or
/// NULL.
__device__ inline void finish_pixels(const sac_conv_problem &p, const part_place &to, int k,
                                     int row, const bool (&inside)[2], const uint4 *early,
                                     float (&sum)[2][8])
{
    const sac_conv &c = p.conv;
    uint4 residual[2] = {};
    if (c.residual)
#pragma unroll
        for (int i = 0; i < 2; i++)
            if (inside[i])
                residual[i] = early ? early[i] : residual_at(c, row + i * c.out_width, k);
    if (c.coarse)
#pragma unroll
        for (int i = 0; i < 2; i++)
            if (inside[i])
                add_halves(sum[i], early && !c.residual ? early[i]
                                                        : coarse_at(p, row + i * c.out_width, k));
    sac__device_activate_all<false, 16>(c.act, c.alpha, sum[0]);
#pragma unroll
    for (int i = 0; i < 2; i++) {
        if (c.residual) add_halves(sum[i], residual[i]);
        if (inside[i])
            *reinterpret_cast<uint4 *>(to.data + static_cast<int64_t>(row + i * c.out_width) *
                                                     to.pitch) = to_halves(sum[i]);
    }
}

template <class S>
__device__ void finish_tile(const sac_conv_problem &p, const float (&sums)[S::WIDE][S::SUMS],
                            const pixels<S> &at, const addends<S> &add, const sink<S> &to)
{
#pragma unroll
    for (int g = 0; g < S::EIGHTS; g++) {
        if (!to.to[g].data) continue;
#pragma unroll
        for (int m = 0; m < S::WIDE; m++) {
            const bool inside[2] = {at.has(p.conv, m, 0), at.has(p.conv, m, 1)};
            float sum[2][8];
#pragma unroll
            for (int i = 0; i < 16; i++)
                sum[i / 8][i % 8] = sums[m][g * 16 + i % 8 / 2 * 4 + i / 8 * 2 + i % 2];
            finish_pixels(p, to.to[g], to.k + g * 32, at.row + m * 8, inside,
                          addends<S>::EARLY ? add.of[g][m] : NULL, sum);
        }
    }
}

template <class S> __device__ place_of_worker worker_of(const unsigned char *memory)
{
    // The same in all lanes, which lets the compiler keep it in uniform registers.
    const int worker = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / WORKER, 0);
    place_of_worker w;
    w.weights = sac__shared_address(memory);
    w.pixels = w.weights + S::WEIGHT_BYTES + worker * S::HALO_BYTES;
    w.barrier = w.weights + S::WEIGHT_BYTES + S::WORKERS * S::HALO_BYTES + worker * 8;
    w.thread = threadIdx.x % WORKER;
    w.column = static_cast<int>(blockIdx.y) * S::COLUMNS;
    w.bar = 1 + worker;
    return w;
}

template <class S>
__global__ void __launch_bounds__(S::THREADS, S::BLOCKS)
    conv_halo_wgmma(const __grid_constant__ sac_conv_problem p,
                    const __grid_constant__ sac_conv_walk walk,
                    const __grid_constant__ sac_tensor_map map)
{
#ifndef OTHER_CHIP
    SAC__SHARED(unsigned char, memory);
    const sac_conv &c = p.conv;
    const place_of_worker w = worker_of<S>(memory);
    const int step = static_cast<int>(gridDim.x) * S::WORKERS;
    // Blocks first, then their workers: few tiles still keep all processors busy.
    int tile = static_cast<int>(blockIdx.x) + (w.bar - 1) * static_cast<int>(gridDim.x);
    fetch_weights<S>(w.weights, c, w.column);
    if (w.thread == 0) {
        sac__tma_prefetch(&map);
        sac__mbarrier_init(w.barrier, 1);
        sac__fence_mbarrier_init();
    }
    const sink<S> to = sink_of<S>(c, w);
    const operands o = operands_of<S>(w);
    sac__grid_release();
    sac__grid_wait();
    if (tile < walk.tiles) fetch_halo<S>(w, c, map, corner_of<S>(walk, tile));
    sac__cp_async_commit();
    sac__cp_async_wait<0>();
    sac__fence_proxy_async();
    __syncthreads(); // all weights and barriers
    for (uint32_t parity = 0; tile < walk.tiles; tile += step, parity ^= 1) {
        float sums[S::WIDE][S::SUMS];
        addends<S> add;
        start_sums<S>(sums, c, to);
        if (addends<S>::EARLY) add.fetch(p, pixels<S>(c, corner_of<S>(walk, tile), w.thread), to);
        sac__mbarrier_wait(w.barrier, parity);
        multiply<S>(sums, o);
        sac__bar_sync(w.bar, WORKER); // all have read the pixels
        if (tile + step < walk.tiles) fetch_halo<S>(w, c, map, corner_of<S>(walk, tile + step));
        finish_tile<S>(p, sums, pixels<S>(c, corner_of<S>(walk, tile), w.thread), add, to);
    }
#endif
}

typedef void conv_kernel(const sac_conv_problem, const sac_conv_walk, const sac_tensor_map);

conv_kernel *const kernels[] = {
#define KERNEL(channels, columns, window, stride, wide, workers, blocks)                           \
    conv_halo_wgmma<shape<channels, columns, window, stride, wide, workers, blocks>>,
    SAC__CONV_HALO_WGMMA_SHAPES(KERNEL)
#undef KERNEL
};

} // namespace

extern "C" int sac__conv_halo_wgmma_launch(const struct sac_conv_kernel *self,
                                           const struct sac_conv *convs, int count,
                                           const struct sac_conv_launch *how)
{
    const sac_tile tile = sac__conv_halo_wgmma_tile(self, convs);
    sac_conv_problems problems;
    sac_conv_walk walk;
    sac_tensor_map map;
    sac_launch launch = {};
    (void)count; // one: its blocks stay
    sac__conv_problems_fill(&problems, self, convs, 1, 1);
    int blocks = sac__conv_halo_wgmma_walk(&walk, self, convs);
    int error = sac__tile_map(&map, &tile);
    if (error) return error;
    launch.grid =
        dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(problems.at[0].columns));
    launch.block = dim3(static_cast<unsigned>(sac__conv_halo_wgmma_threads(self)));
    launch.stream = how->stream;
    launch.shared = static_cast<size_t>(sac__conv_halo_wgmma_shared(self));
    launch.overlap = how->overlap != 0;
    return sac__launch(self->name, launch, kernels[self->variant], problems.at[0], walk, map);
}
