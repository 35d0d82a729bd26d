// SPDX-License-Identifier: Apache-2.0
// conv_halo.cu on Hopper (sm_90a): blocks stay, keep all weights in shared memory, and each of
// their warpgroups walks over tiles of its own. The copy engine brings the input under a tile with
// its rim, zeros where it is outside the picture; wgmma reads it there for every tap: 8 pixels of a
// row lie together, rows of a tile are a row of the halo apart. The next tile is fetched as soon as
// the last one is multiplied, while its sums are finished.
#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

#include "conv_halo_wgmma.cuh"

#if defined(__CUDA_ARCH__) && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define OTHER_CHIP // its kernels are empty and never run
#pragma nv_diag_suppress 177
#endif

namespace
{

using namespace conv_device;

template <class S>
__device__ void finish_tile(const sac_conv_problem &p, const float (&sums)[S::WIDE][S::SUMS],
                            const pixels<S> &at, const addends<S> &add, const sink<S::EIGHTS> &to)
{
#pragma unroll
    for (int g = 0; g < S::EIGHTS; g++) {
        if (!to.has(g)) continue;
#pragma unroll
        for (int m = 0; m < S::WIDE; m++) {
            const bool inside[2] = {at.has(p.conv, m, 0), at.has(p.conv, m, 1)};
            float sum[2][8];
            take_eight(sum, sums[m], g);
            const int row = at.row + m * 8;
            const auto write = [&](int i, const float(&of)[8]) {
                if (inside[i])
                    *reinterpret_cast<uint4 *>(output_at(to.to[g], row + i * p.conv.out_width)) =
                        to_halves(of);
            };
            finish_pixels(p, to.k + g * 32, row, inside, addends<S>::EARLY ? add.of[g][m] : NULL,
                          sum, write);
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
    const sink<S::EIGHTS> to = sink_of<S::EIGHTS>(c, w.column, w.thread);
    const operands o = operands_of<S>(w.pixels, w.weights);
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
        start_sums<S::EIGHTS>(sums, c, to);
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
    conv_halo_wgmma<halo_shape<channels, columns, window, stride, wide, workers, blocks>>,
    SAC__CONV_HALO_WGMMA_SHAPES(KERNEL)
#undef KERNEL
};

} // namespace

extern "C" int sac__conv_halo_wgmma_launch(const struct sac_conv_kernel *self,
                                           const struct sac_conv *convs, int count,
                                           const struct sac_conv_launch *how)
{
    const sac_halo_shape *shape = sac__conv_halo_wgmma_shape(self);
    const sac_tile tile = sac__halo_tile(shape, convs);
    sac_conv_problems problems;
    sac_conv_walk walk;
    sac_tensor_map map;
    (void)count; // one: its blocks stay
    sac__conv_problems_fill(&problems, self, convs, 1, 1);
    const unsigned blocks = static_cast<unsigned>(sac__conv_halo_wgmma_walk(&walk, self, convs));
    int error = sac__tile_map(&map, &tile);
    if (error) return error;
    const dim3 grid(blocks, static_cast<unsigned>(problems.at[0].columns));
    const sac_launch launch =
        launch_of(grid, shape->workers, sac__conv_halo_wgmma_shared(self), *how);
    return sac__launch(self->name, launch, kernels[self->variant], problems.at[0], walk, map);
}
