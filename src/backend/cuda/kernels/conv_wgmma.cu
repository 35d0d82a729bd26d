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
// A 1x1 convolution after it begins with a tile's results in registers, which wgmma takes as they
// are; the producer goes on with its weights, and with the channels beside.
//
// Weights of the first stages are fetched before the kernel ahead is complete (sac__grid_wait).
#include "conv_wgmma_chain.cuh"
#include "conv_wgmma_load.cuh"

#if defined(__CUDA_ARCH__) && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define OTHER_CHIP // its kernels are empty and never run
#pragma nv_diag_suppress 177
#endif

namespace
{

using namespace wgmma_device;

/// Of the tiles that a block makes alone. A split tile's sums stay in shared memory.
template <class T> __device__ void consume(const task &t, unsigned char *memory)
{
    constexpr bool EARLY = eights<T>::COUNT == eights<T>::ONCE;
    const operands o = operands_of<T>(t, t.box);
    ring<T> ready;
    addends<T> add;
    for (int tile = t.tile; tile < t.tiles; tile += t.apart) {
        const eights<T> at(t, tile);
        float sums[T::PRODUCTS][T::SUMS];
        start_sums<T>(sums, t.problem->conv, t.split == 1, at);
        if (tile == t.tile) sac__grid_wait();
        if (EARLY && t.split == 1) add.fetch(*t.problem, at, 0);
        multiply<T>(sums, t, o, ready, t.last - t.first);
        if (t.split > 1) {
            share<T>(reinterpret_cast<float *>(memory + SAC__WGMMA_BARRIERS), sums);
            continue;
        }
        fragments<T> results;
#pragma unroll
        for (int first = 0; first < eights<T>::COUNT; first += eights<T>::ONCE) {
            float v[eights<T>::ONCE][8];
            if (!EARLY) add.fetch(*t.problem, at, first);
            take_eights<T>(v, sums, first);
            finish_eights<T>(v, *t.problem, at, add, first);
            if constexpr (T::AFTER > 0) results.keep(v, t, at, first);
            if (T::AFTER == 0 || t.problem->conv.kept) write_eights<T>(v, *t.problem, at, first);
        }
        if constexpr (T::AFTER > 0) multiply_results<T>(results, t, at, ready);
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
        if (T::AFTER > 0 && t.beside > 0) sac__tma_prefetch(t.map + 1);
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
        const int each = (p.steps + split - 1) / split +
                         (T::AFTER > 0 ? a.problems.at[1].steps * a.problems.at[1].columns : 0);
        const int steps = (tiles + teams - 1) / teams * each;
        stages = max(stages, min(T::STAGES, steps));
    }
    return SAC__WGMMA_BARRIERS + max(stages * T::STAGE_BYTES, split > 1 ? T::SUM_BYTES : 0);
}

/// Returns the blocks of one for each tile.
template <class T>
int fill(sac_conv_problems *problems, const sac_conv_kernel *self, const sac_conv *convs, int count,
         int together)
{
    if (T::AFTER == 0) return sac__conv_problems_fill(problems, self, convs, count, together);
    const sac_conv both[2] = {*convs, sac__wgmma_second(convs)};
    sac__conv_problems_fill(problems, self, both, 2, together);
    problems->count = 1;
    problems->at[1].columns = (both[1].out_channels + T::AFTER - 1) / max(T::AFTER, 1);
    return problems->at[1].first;
}

template <class T> int make_maps(parameters *a, const sac_conv *convs, int count)
{
    for (int k = 0; k < count; k++) {
        const sac_im2col im2col = sac__wgmma_im2col(&convs[k], T::ROWS);
        int error = sac__im2col_map(&a->map[k], &im2col);
        if (error) return error;
        a->box[k] = im2col.box;
    }
    if (T::AFTER == 0) return 0;
    const sac_tile beside = sac__wgmma_beside(convs, T::ROWS);
    a->depth = convs->after->depth;
    return beside.data ? sac__tile_map(&a->map[1], &beside) : 0;
}

template <class T>
int launch(const sac_conv_kernel *self, const sac_conv *convs, int count,
           const sac_conv_launch *how)
{
    parameters a = {};
    const int together = T::PAIR == 2 ? 2 : how->split;
    const int blocks = fill<T>(&a.problems, self, convs, count, together);
    int error = make_maps<T>(&a, convs, count);
    if (error) return error;
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
#define LAUNCHER(rows, columns, groups, stages, blocks, pair, after)                               \
    launch<shape<rows, columns, groups, stages, blocks, pair, after>>,
    SAC__CONV_WGMMA_TILES(LAUNCHER)
#undef LAUNCHER
};

} // namespace

int sac__conv_wgmma_launch(const struct sac_conv_kernel *self, const struct sac_conv *convs,
                           int count, const struct sac_conv_launch *how)
{
    return launchers[self->variant](self, convs, count, how);
}
