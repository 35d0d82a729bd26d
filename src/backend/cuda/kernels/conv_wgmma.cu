// SPDX-License-Identifier: Apache-2.0
// Convolutions on Hopper (sm_90a), fp16 with fp32 sums, as an implicit matrix product: rows are
// output pixels, columns output channels, the depth is taps times channels in steps of 64.
//
// A producer (one thread of the last warp) fills a ring of stages; a stage is a step of both
// operands, swizzled as the matrix units read them. Pixels come through the copy engine's im2col
// mode, which does padding, stride and the ends of rows and pictures by itself; weights lie in
// memory as a stage wants them and are one bulk copy. Warpgroups multiply a stage as soon as it is
// full (wgmma reads both operands from shared memory) and give it back when the product after it is
// under way.
//
// Blocks stay for several tiles: the producer runs ahead into the next one while sums are finished.
// Small maps have fewer tiles than there are processors: then the blocks of a cluster share the
// depth of a tile, and each adds up a part of it from the others' shared memory.
//
// In a pair, two blocks of a cluster have neighbouring rows and the same columns: each fetches half
// of their weights, for both.
//
// Weights of the first stages are fetched before the kernel ahead is complete (sac__grid_wait).
#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

#include "conv.cuh"
#include "conv_wgmma.h"

#if defined(__CUDA_ARCH__) && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define OTHER_CHIP // its kernels are empty and never run
#pragma nv_diag_suppress 177
#endif

namespace {

using namespace conv_device;

template <int ROWS_, int COLUMNS_, int GROUPS_, int STAGES_, int BLOCKS_, int PAIR_> struct shape {
    static constexpr int ROWS = ROWS_, COLUMNS = COLUMNS_, STAGES = STAGES_, BLOCKS = BLOCKS_;
    static constexpr int PAIR = PAIR_; ///< 2: blocks come in pairs, else 1
    static constexpr int CONSUMERS = 128 * GROUPS_, THREADS = CONSUMERS + 32;
    static constexpr int PRODUCTS = ROWS / 64 / GROUPS_; ///< of 64 rows each, a warpgroup
    static constexpr int SUMS = COLUMNS / 2;             ///< a thread and product
    static constexpr int PIXEL_BYTES = ROWS * SAC__WGMMA_ROW;
    static constexpr int STAGE_BYTES = PIXEL_BYTES + COLUMNS * SAC__WGMMA_ROW;
    static constexpr int PITCH = COLUMNS + SAC__WGMMA_PAD; ///< floats of a row of a split's sums
    static constexpr int SHARED = SAC__WGMMA_SHARED(ROWS, COLUMNS, STAGES);
    static constexpr int BARRIERS = SHARED - 16 * STAGES; ///< where they begin
};

struct parameters {
    sac_tensor_map map[SAC__CONV_GROUP];
    sac_conv_problems problems;
    int box[SAC__CONV_GROUP];
};

/// What a block is to do.
struct task {
    const sac_conv_problem *problem;
    const sac_tensor_map *map;
    int box;                ///< channels a load
    int tile, tiles, apart; ///< the first one, the end, and from one to the next
    int first, last;        ///< steps of each
    int split;              ///< blocks that share the steps
    int rank;               ///< of this block among those of its cluster
    uint32_t memory, barriers; ///< shared addresses
};

template <class T> __device__ task task_of(const parameters &a, const unsigned char *memory)
{
    int block = static_cast<int>(blockIdx.x), k = 0, together = a.problems.split;
    while (k + 1 < a.problems.count && block >= a.problems.at[k + 1].first)
        k++;
    const sac_conv_problem &p = a.problems.at[k];
    task t;
    t.problem = &p;
    t.map = &a.map[k];
    t.box = a.box[k];
    t.split = T::PAIR == 2 ? 1 : together;
    t.tile = (block - p.first) / together;
    t.rank = block - p.first - t.tile * together;
    t.tiles = (p.pixels + T::PAIR * T::ROWS - 1) / (T::PAIR * T::ROWS) * p.columns;
    t.apart = a.problems.count > 1 ? t.tiles : static_cast<int>(gridDim.x) / together;
    t.first = T::PAIR == 2 ? 0 : p.steps * t.rank / together;
    t.last = T::PAIR == 2 ? p.steps : p.steps * (t.rank + 1) / together;
    t.memory = sac__shared_address(memory);
    t.barriers = t.memory + T::BARRIERS;
    return t;
}

/// The first output pixel of a tile; beyond the last one for the second block of a last pair.
template <class T> __device__ int first_pixel(const task &t, int tile)
{
    int line = tile / t.problem->columns;
    return (T::PAIR == 2 ? 2 * line + t.rank : line) * T::ROWS;
}

template <class T> __device__ int first_column(const task &t, int tile)
{
    return tile % t.problem->columns * T::COLUMNS;
}

/// A place in the ring. A stage's two barriers, full and empty, change their phase once a round.
template <class T> struct ring {
    int slot = 0;
    uint32_t round = 0; ///< parity

    __device__ void next()
    {
        if (++slot < T::STAGES) return;
        slot = 0;
        round ^= 1;
    }
    __device__ uint32_t stage(const task &t) const
    {
        return t.memory + slot * T::STAGE_BYTES;
    }
    __device__ uint32_t full(const task &t) const
    {
        return t.barriers + slot * 16;
    }
    __device__ uint32_t empty(const task &t) const
    {
        return t.barriers + slot * 16 + 8;
    }
};

// --- Producer -----------------------------------------------------------------------------------

// One thread issues everything, and at batch 1 a layer waits for it: what a step needs lies in
// registers and is only added to.

/// The next step of weights, in the order in which a block wants them.
template <class T> struct cursor {
    int tile, left;            ///< steps of the tile that are left
    const unsigned char *from; ///< this block's share of the step
    int apart;                 ///< bytes from one step to the next
    uint32_t bytes, told;      ///< that it fetches; that the stage gets, pixels too

    __device__ void begin(const task &t, int next)
    {
        const sac_conv &c = t.problem->conv;
        const int share = T::PAIR == 2 ? t.rank * T::COLUMNS / 2 : 0;
        const int column = first_column<T>(t, next);
        const int there = min(T::COLUMNS, c.out_channels - column);
        const int64_t row = static_cast<int64_t>(t.first) * c.out_channels + column + share;
        tile = next;
        left = t.last - t.first;
        from = static_cast<const unsigned char *>(c.weights) + row * SAC__WGMMA_ROW;
        apart = c.out_channels * SAC__WGMMA_ROW;
        bytes = static_cast<uint32_t>(max(0, min(T::COLUMNS / T::PAIR, there - share)));
        bytes *= SAC__WGMMA_ROW;
        told = static_cast<uint32_t>(there * SAC__WGMMA_ROW);
        told += first_pixel<T>(t, next) < t.problem->pixels ? T::PIXEL_BYTES : 0;
    }
    __device__ void next(const task &t)
    {
        from += apart;
        if (--left == 0) begin(t, tile + t.apart);
    }
};

/// A window's extents in pixels and from one tap to the next, and a load's channels.
struct window {
    int width, height, right, down, channels, box;

    __device__ explicit window(const task &t)
    {
        const sac_conv &c = t.problem->conv;
        right = c.dilation[1], down = c.dilation[0];
        width = c.kernel[1] * right, height = c.kernel[0] * down;
        channels = c.channels, box = t.box;
        sac__keep(width), sac__keep(height), sac__keep(right), sac__keep(down);
        sac__keep(channels), sac__keep(box);
    }
};

/// Where the copy engine reads next: the input pixel under tap (0,0) of a tile's first output
/// pixel, and from there a tap's offset and a channel.
struct source {
    int x, y, n, right, down, channel;
};

template <class T> __device__ source source_of(const task &t, int tile)
{
    const sac_conv &c = t.problem->conv;
    pixel at = pixel_at(*t.problem, first_pixel<T>(t, tile));
    int depth = t.first * SAC__CONV_STEP, tap = depth / c.channels, line = tap / c.kernel[1];
    source from;
    from.x = at.x * c.stride[1] - c.pad[1];
    from.y = at.y * c.stride[0] - c.pad[0];
    from.n = at.n;
    from.right = (tap - line * c.kernel[1]) * c.dilation[1];
    from.down = line * c.dilation[0];
    from.channel = depth - tap * c.channels;
    return from;
}

/// The barrier of the stage then waits for a step's weights and pixels. Columns beyond the last
/// channel keep what was there: their sums are never used.
template <class T>
__device__ void load_weights(const task &t, const cursor<T> &at, const ring<T> &to)
{
    const int share = T::PAIR == 2 ? t.rank * T::COLUMNS / 2 * SAC__WGMMA_ROW : 0;
    const uint32_t stage = to.stage(t) + T::PIXEL_BYTES + share, full = to.full(t);
    sac__mbarrier_expect_tx(full, at.told);
    if (T::PAIR == 1)
        sac__bulk_load(stage, at.from, at.bytes, full);
    else if (at.bytes > 0)
        sac__bulk_load_multicast(stage, at.from, at.bytes, full, 3);
}

/// A step of pixels: one load for each run of `box` channels. Behind the last tap: zeros, from
/// channels that are not there.
template <class T>
__device__ void load_pixels(const task &t, const window &w, source &from, const ring<T> &to)
{
    uint32_t stage = to.stage(t), full = to.full(t);
    for (int depth = 0; depth < SAC__CONV_STEP; depth += w.box) {
        const bool tap = from.down < w.height;
        sac__tma_load_im2col(stage, t.map, full, tap ? from.channel : w.channels, from.x, from.y,
                             from.n, from.right, tap ? from.down : 0);
        stage += static_cast<uint32_t>(T::ROWS * 2 * w.box);
        from.channel += w.box;
        if (from.channel < w.channels) continue;
        from.channel = 0;
        from.right += w.right;
        if (from.right < w.width) continue;
        from.right = 0;
        from.down += w.down;
    }
}

template <class T> __device__ void produce(task t)
{
    const int tiles = (t.tiles - t.tile + t.apart - 1) / t.apart;
    int left = min(tiles * (t.last - t.first), T::STAGES); // steps whose weights are fetched
    cursor<T> weights;
    ring<T> to;
    sac__keep(t.memory), sac__keep(t.barriers);
    weights.begin(t, t.tile);
    for (int k = 0; k < left; k++, weights.next(t), to.next())
        load_weights<T>(t, weights, to);
    to = ring<T>();
    const window w(t);
    source from = source_of<T>(t, t.tile);
    // Never; so it is computed before the wait, where there is time, and not after it.
    if ((from.n | from.down | from.channel) < 0) return;
    sac__grid_wait();
    for (int tile = t.tile; tile < t.tiles;) {
        const bool pixels = from.n < t.problem->conv.n; // none: the last pair's second block
        for (int step = t.first; step < t.last; step++, left--, to.next()) {
            if (left <= 0) {
                // Empty: read by the warps of all blocks that its weights go to.
                sac__mbarrier_wait(to.empty(t), to.round ^ 1);
                load_weights<T>(t, weights, to);
                weights.next(t);
            }
            if (pixels) load_pixels<T>(t, w, from, to);
        }
        tile += t.apart;
        if (tile < t.tiles) from = source_of<T>(t, tile);
    }
}

// --- Consumers ----------------------------------------------------------------------------------

__device__ inline int warpgroup()
{
    return static_cast<int>(threadIdx.x) / 128;
}

/// The first of a warp's 16 rows of a tile, in its warpgroup's first product.
template <class T> __device__ int first_row()
{
    return warpgroup() * T::PRODUCTS * 64 + static_cast<int>(threadIdx.x) % 128 / 32 * 16;
}

template <class T> __device__ void give_back(const task &t, const ring<T> &at)
{
    const uint32_t lane = threadIdx.x % 32;
    if (T::PAIR == 1 && lane == 0) sac__mbarrier_arrive(at.empty(t));
    if (T::PAIR == 2 && lane < 2) sac__mbarrier_arrive_cluster(sac__mapa(at.empty(t), lane));
}

/// Both operands' descriptors at stage 0 in two words each, the low one with the address in units
/// of 16 bytes, and by how much the pixels' moves for 16 and 32 of depth and for 64 rows.
struct operands {
    uint32_t pixels, pixels_high, weights, weights_high;
    uint32_t near, far, rows;
};

template <class T> __device__ operands operands_of(const task &t)
{
    const int row = t.box * 2; // bytes
    // The same in all lanes, which lets the compiler keep it in uniform registers.
    const int group = __shfl_sync(0xffffffffu, warpgroup(), 0);
    const int swizzle = t.box == 64   ? SAC__SWIZZLE_128
                        : t.box == 32 ? SAC__SWIZZLE_64
                                      : SAC__SWIZZLE_32;
    const uint64_t pixels =
        sac__wgmma_descriptor(t.memory + group * T::PRODUCTS * 64 * row, 16, 8 * row, swizzle);
    const uint64_t weights =
        sac__wgmma_descriptor(t.memory + T::PIXEL_BYTES, 16, 8 * SAC__WGMMA_ROW, SAC__SWIZZLE_128);
    operands o;
    o.pixels = static_cast<uint32_t>(pixels);
    o.pixels_high = static_cast<uint32_t>(pixels >> 32);
    o.weights = static_cast<uint32_t>(weights);
    o.weights_high = static_cast<uint32_t>(weights >> 32);
    o.near = static_cast<uint32_t>(t.box == 16 ? T::ROWS * row : 32) >> 4;
    o.far = static_cast<uint32_t>(t.box == 64 ? 64 : T::ROWS * row * (32 / t.box)) >> 4;
    o.rows = static_cast<uint32_t>(64 * row) >> 4;
    return o;
}

__device__ inline uint64_t join(uint32_t high, uint32_t low)
{
    return static_cast<uint64_t>(high) << 32 | low;
}

/// The sums of a tile, or of a part of its depth.
template <class T>
__device__ void multiply(float (&sums)[T::PRODUCTS][T::SUMS], const task &t, const operands &o,
                         ring<T> &at)
{
    ring<T> before = at;
    for (int step = t.first; step < t.last; step++, at.next()) {
        sac__mbarrier_wait(at.full(t), at.round);
        const uint32_t stage = static_cast<uint32_t>(at.slot) * (T::STAGE_BYTES >> 4);
        sac__wgmma_fence();
#pragma unroll
        for (int k = 0; k < SAC__CONV_STEP / 16; k++) {
            const uint32_t depth = (k & 1 ? o.near : 0) + (k & 2 ? o.far : 0);
#pragma unroll
            for (int m = 0; m < T::PRODUCTS; m++)
                sac__wgmma_f16<T::COLUMNS>(
                    sums[m], join(o.pixels_high, o.pixels + stage + depth + m * o.rows),
                    join(o.weights_high, o.weights + stage + 2 * k), step > t.first || k > 0);
        }
        sac__wgmma_commit();
        sac__wgmma_wait<1>();
        if (step > t.first) give_back<T>(t, before);
        before = at;
    }
    sac__wgmma_wait<0>();
    give_back<T>(t, before);
#pragma unroll
    for (int m = 0; m < T::PRODUCTS; m++)
#pragma unroll
        for (int k = 0; k < T::SUMS; k++)
            sac__wgmma_pin(sums[m][k]);
}

/// Swaps pairs between lanes that differ in `bit`, so that each keeps one of `low` and `high`.
__device__ inline void exchange(float *low, float *high, bool upper, int bit)
{
#pragma unroll
    for (int i = 0; i < 2; i++) {
        float other = __shfl_xor_sync(0xffffffffu, upper ? low[i] : high[i], bit);
        (upper ? low[i] : high[i]) = other;
    }
}

/// Of 32 channels of a row, four lanes hold two in every eight; afterwards lane q holds the q-th
/// eight.
__device__ inline void gather_eight(float *v)
{
    bool odd = threadIdx.x & 1, second = threadIdx.x & 2;
    exchange(v, v + 2, odd, 1);
    exchange(v + 4, v + 6, odd, 1);
    exchange(v, v + 4, second, 2);
    exchange(v + 2, v + 6, second, 2);
}

/// Where a thread's index-th eight sums lie in a tile. The first half of them belongs to rows `row`
/// of its products, the second to rows 8 below.
template <class T> struct eights {
    static constexpr int COUNT = T::PRODUCTS * T::COLUMNS / 16, ACROSS = T::COLUMNS / 32;
    /// Finished at once, as many as there are registers for.
    static constexpr int MOST = T::ROWS * T::COLUMNS <= 8192 ? 4 : T::COLUMNS % 128 ? 2 : 1;
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
        return row + index / (2 * ACROSS) * 64 + index / ACROSS % 2 * 8;
    }
    __device__ int column_of(int index) const
    {
        return column + index % ACROSS * 32;
    }
    __device__ bool has(const sac_conv_problem &p, int index) const
    {
        return row_of(index) < p.pixels && column_of(index) < p.conv.out_channels;
    }
};

/// Some of a thread's sums, from `first` on: one kind of work after the other for all of them, so
/// that many loads are under way at once and the activation has one branch.
template <class T>
__device__ void finish_eights(const float (&sums)[T::PRODUCTS][T::SUMS], const sac_conv_problem &p,
                              const eights<T> &at, const int first)
{
    constexpr int COUNT = eights<T>::ONCE, ACROSS = eights<T>::ACROSS;
    const sac_conv &c = p.conv;
    float v[COUNT][8];
    uint4 residual[COUNT] = {};
#pragma unroll
    for (int k = 0; k < COUNT; k++)
        if (c.residual && at.has(p, first + k))
            residual[k] = residual_at(c, at.row_of(first + k), at.column_of(first + k));
#pragma unroll
    for (int k = 0; k < COUNT; k++) {
        const int line = (first + k) / ACROSS, column = at.column_of(first + k);
        const float *from = sums[line / 2] + (first + k) % ACROSS * 16 + line % 2 * 2;
#pragma unroll
        for (int i = 0; i < 8; i++)
            v[k][i] = from[i / 2 * 4 + i % 2];
        gather_eight(v[k]);
        if (column < c.out_channels) add_bias(v[k], c, column);
    }
    if (c.coarse)
#pragma unroll
        for (int k = 0; k < COUNT; k++)
            if (at.has(p, first + k))
                add_halves(v[k], coarse_at(p, at.row_of(first + k), at.column_of(first + k)));
    sac__device_activate_all<false, 8 * COUNT>(c.act, c.alpha, v[0]);
    if (c.residual)
#pragma unroll
        for (int k = 0; k < COUNT; k++)
            add_halves(v[k], residual[k]);
#pragma unroll
    for (int k = 0; k < COUNT; k++)
        if (at.has(p, first + k))
            *reinterpret_cast<uint4 *>(
                output_at(c, at.row_of(first + k), at.column_of(first + k))) = to_halves(v[k]);
}

template <class T>
__device__ void finish_tile(const float (&sums)[T::PRODUCTS][T::SUMS], const task &t, int tile)
{
    const eights<T> at(t, tile);
#pragma unroll
    for (int first = 0; first < eights<T>::COUNT; first += eights<T>::ONCE)
        finish_eights<T>(sums, *t.problem, at, first);
}

/// A block's part of a split tile's sums into its shared memory, where the ring was.
template <class T> __device__ void share(float *shared, const float (&sums)[T::PRODUCTS][T::SUMS])
{
    const int lane = static_cast<int>(threadIdx.x) % 32;
    float *at = shared + (first_row<T>() + lane / 4) * T::PITCH + lane % 4 * 2;
    sac__bar_sync(1, T::CONSUMERS); // all have read the ring
#pragma unroll
    for (int m = 0; m < T::PRODUCTS; m++)
#pragma unroll
        for (int k = 0; k < T::SUMS; k += 2)
            *reinterpret_cast<float2 *>(at + (m * 64 + k / 2 % 2 * 8) * T::PITCH + k / 4 * 8) =
                make_float2(sums[m][k], sums[m][k + 1]);
}

/// Adds all blocks' sums in the order of their ranks. Four blocks' loads are under way at once.
__device__ inline void add_shared(float *v, const task &t, uint32_t from)
{
#pragma unroll 4
    for (int rank = 0; rank < t.split; rank++) {
        const uint32_t there = sac__mapa(from, static_cast<uint32_t>(rank));
        const float4 low = sac__ld_cluster4(there), high = sac__ld_cluster4(there + 16);
        v[0] += low.x, v[1] += low.y, v[2] += low.z, v[3] += low.w;
        v[4] += high.x, v[5] += high.y, v[6] += high.z, v[7] += high.w;
    }
}

/// A block's part of a split tile's pixels. What comes from memory is asked for first.
template <class T> __device__ void finish_shared(const task &t)
{
    const sac_conv_problem &p = *t.problem;
    const int first = first_pixel<T>(t, t.tile), column = first_column<T>(t, t.tile);
    const int eights = T::COLUMNS / 8;
    for (int k = t.rank * T::CONSUMERS + static_cast<int>(threadIdx.x); k < T::ROWS * eights;
         k += t.split * T::CONSUMERS) {
        const int row = k / eights, eight = k % eights * 8;
        if (first + row >= p.pixels || column + eight >= p.conv.out_channels) continue;
        uint4 residual = {};
        float v[8] = {};
        if (p.conv.residual) residual = residual_at(p.conv, first + row, column + eight);
        add_bias(v, p.conv, column + eight);
        add_shared(v, t, t.memory + static_cast<uint32_t>((row * T::PITCH + eight) * 4));
        finish_biased(p, first + row, column + eight, residual, v);
    }
}

template <class T> __device__ void consume(const task &t, unsigned char *memory)
{
    operands o = operands_of<T>(t);
    ring<T> at;
    sac__grid_wait();
    for (int tile = t.tile; tile < t.tiles; tile += t.apart) {
        float sums[T::PRODUCTS][T::SUMS] = {};
        multiply<T>(sums, t, o, at);
        if (t.split == 1)
            finish_tile<T>(sums, t, tile);
        else
            share<T>(reinterpret_cast<float *>(memory), sums);
    }
}

template <class T>
__global__ void __launch_bounds__(T::THREADS, T::BLOCKS)
    wgmma_kernel(const __grid_constant__ parameters a)
{
#ifndef OTHER_CHIP
    SAC__SHARED(unsigned char, memory);
    const task t = task_of<T>(a, memory);
    const bool producer = threadIdx.x >= T::CONSUMERS;
    if (threadIdx.x == T::CONSUMERS) {
        sac__tma_prefetch(t.map);
        for (int k = 0; k < T::STAGES; k++) {
            sac__mbarrier_init(t.barriers + k * 16, 1);
            sac__mbarrier_init(t.barriers + k * 16 + 8, T::PAIR * T::CONSUMERS / 32);
        }
        sac__fence_mbarrier_init();
    }
    if (T::PAIR == 2) sac__cluster_sync_relaxed(); // the other block's barriers
    __syncthreads();
    sac__grid_release();
    if (!producer)
        consume<T>(t, memory);
    else if (threadIdx.x == T::CONSUMERS)
        produce<T>(t);
    __syncwarp();
    if (T::PAIR == 1 && t.split == 1) return;
    if (T::PAIR == 2) return sac__cluster_sync(); // nothing more comes for the other block
    sac__cluster_sync_shared();                   // all sums are there
    if (!producer) finish_shared<T>(t);
    sac__cluster_sync_relaxed(); // shared memory ends with its block
#endif
}

// --- Launch -------------------------------------------------------------------------------------

/// Blocks of a launch: one for each tile, or as many as run at once and do several.
template <class T> int blocks_of(const parameters &a, int blocks)
{
    int device = 0, processors = 0;
    if (a.problems.count > 1 || a.problems.split > T::PAIR || cudaGetDevice(&device) ||
        cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device))
        return blocks;
    return min(blocks, processors * T::BLOCKS / T::PAIR * T::PAIR);
}

template <class T>
int launch(const sac_conv_kernel *self, const sac_conv *convs, int count,
           const sac_conv_launch *how)
{
    parameters a = {};
    const int together = T::PAIR == 2 ? 2 : how->split;
    const int blocks = sac__conv_problems_fill(&a.problems, self, convs, count, together);
    for (int k = 0; k < count; k++) {
        const sac_im2col im2col = sac__wgmma_im2col(&convs[k], T::ROWS);
        int error = sac__im2col_map(&a.map[k], &im2col);
        if (error) return error;
        a.box[k] = im2col.box;
    }
    sac_launch launch = {};
    launch.grid = dim3(static_cast<unsigned>(blocks_of<T>(a, blocks)));
    launch.block = dim3(T::THREADS);
    launch.stream = how->stream;
    launch.shared = T::SHARED;
    launch.cluster = together > 1 ? static_cast<unsigned>(together) : 0;
    launch.overlap = how->overlap;
    return sac__launch(self->name, launch, wgmma_kernel<T>, a);
}

using launcher = int(const sac_conv_kernel *, const sac_conv *, int, const sac_conv_launch *);

launcher *const launchers[] = {
#define LAUNCHER(rows, columns, groups, stages, blocks, pair)                                      \
    launch<shape<rows, columns, groups, stages, blocks, pair>>,
    SAC__CONV_WGMMA_TILES(LAUNCHER)
#undef LAUNCHER
};

} // namespace

int sac__conv_wgmma_launch(const struct sac_conv_kernel *self, const struct sac_conv *convs,
                           int count, const struct sac_conv_launch *how)
{
    return launchers[self->variant](self, convs, count, how);
}
