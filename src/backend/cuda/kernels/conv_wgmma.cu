// SPDX-License-Identifier: Apache-2.0
// Convolutions on Hopper (sm_90a), fp16 with fp32 sums, as an implicit matrix product: rows are
// output pixels, columns output channels, the depth is taps times channels in steps of 64.
//
// A producer (the last warp) fills a ring of stages; a stage is a step of both operands, swizzled
// as the matrix units read them. Pixels come through the copy engine's im2col mode, which does
// padding, stride and the ends of rows and pictures by itself; weights lie in memory as a stage
// wants them and are one bulk copy. Warpgroups multiply a stage as soon as it is full (wgmma reads
// both operands from shared memory) and give it back when the product after it is under way.
//
// Blocks stay for several tiles: the producer runs ahead into the next one while sums are finished.
// Small maps have fewer tiles than there are processors: then the blocks of a cluster share the
// depth of a tile, and each adds up a part of it from the others' shared memory.
//
// In a pair, two blocks of a cluster have neighbouring rows and the same columns: each fetches half
// of their weights, for both.
//
// Weights of the first stages are fetched before the kernel ahead is complete (sac__grid_wait).
#include "conv_wgmma_finish.cuh"
#include "conv_wgmma_load.cuh"

#if defined(__CUDA_ARCH__) && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define OTHER_CHIP // its kernels are empty and never run
#pragma nv_diag_suppress 177
#endif

namespace
{

using namespace wgmma_device;

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

/// Adds up a tile, or a part of its depth.
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
                    join(o.weights_high, o.weights + stage + 2 * k), 1);
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

/// Of the tiles that a block makes alone. A split tile's sums stay in shared memory.
template <class T> __device__ void consume(const task &t, unsigned char *memory)
{
    constexpr bool EARLY = eights<T>::COUNT == eights<T>::ONCE;
    const operands o = operands_of<T>(t);
    ring<T> ready;
    addends<T> add;
    for (int tile = t.tile; tile < t.tiles; tile += t.apart) {
        const eights<T> at(t, tile);
        float sums[T::PRODUCTS][T::SUMS];
        start_sums<T>(sums, t, at);
        if (tile == t.tile) sac__grid_wait();
        if (EARLY && t.split == 1) add.fetch(*t.problem, at, 0);
        multiply<T>(sums, t, o, ready);
        if (t.split > 1) {
            share<T>(reinterpret_cast<float *>(memory + SAC__WGMMA_BARRIERS), sums);
            continue;
        }
#pragma unroll
        for (int first = 0; first < eights<T>::COUNT; first += eights<T>::ONCE) {
            if (!EARLY) add.fetch(*t.problem, at, first);
            finish_eights<T>(sums, *t.problem, at, add, first);
        }
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
    else
        produce<T>(t);
    __syncwarp();
    if (T::PAIR == 1 && t.split == 1) return;
    if (T::PAIR == 2) return sac__cluster_sync(); // nothing more comes for the other block
    sac__cluster_arrive_shared();
    if (producer)
        sac__cluster_wait();
    else
        finish_shared<T>(t);
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

/// Dynamic shared bytes; less than all stages leave room for blocks of the next kernel. `teams`:
/// blocks, or clusters of them that share their tiles.
template <class T> int shared_bytes(const parameters &a, int split, int teams)
{
    int stages = 0;
    for (int k = 0; k < a.problems.count; k++) {
        const sac_conv_problem &p = a.problems.at[k];
        const int rows = T::PAIR * T::ROWS, tiles = (p.pixels + rows - 1) / rows * p.columns;
        const int steps = (tiles + teams - 1) / teams * ((p.steps + split - 1) / split);
        stages = max(stages, min(T::STAGES, steps));
    }
    return SAC__WGMMA_BARRIERS + max(stages * T::STAGE_BYTES, split > 1 ? T::SUM_BYTES : 0);
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
    const int run = blocks_of<T>(a, blocks);
    launch.grid = dim3(static_cast<unsigned>(run));
    launch.block = dim3(T::THREADS);
    launch.stream = how->stream;
    launch.shared = static_cast<size_t>(shared_bytes<T>(a, together / T::PAIR, run / together));
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
