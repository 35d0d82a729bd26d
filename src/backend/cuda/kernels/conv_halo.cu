// SPDX-License-Identifier: Apache-2.0
// fp16 convolution with few channels on large maps, where an implicit matrix product would read its
// input once a tap: blocks stay, keep all weights in shared memory, and walk over tiles of 8x16
// output pixels. The input under a tile, with its rim, is fetched once while the tile before it is
// multiplied; ldmatrix then reads every tap from it. Warps work alone from there to the output: the
// order of the weights' rows gives each lane 8 neighbouring channels of a pixel, 16 bytes.
#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

#include "conv_halo.cuh"

namespace
{

using namespace conv_device;

constexpr int MT = 2, NT = 4;

/// COLUMNS: output channels of a block; WINDOW: its height and width.
template <int CHANNELS, int COLUMNS_, int WINDOW_, int STRIDE_, int TILE_H_> struct shape {
    static constexpr int COLUMNS = COLUMNS_, WINDOW = WINDOW_, STRIDE = STRIDE_;
    static constexpr int TILE_H = TILE_H_, TILE_W = 16;
    static constexpr int DEPTHS = CHANNELS / 16, WARPS_M = TILE_H / MT;
    static constexpr int THREADS = WARPS_M * COLUMNS / 32 * 32;
    static constexpr int PIXEL_BYTES = CHANNELS == 48 ? 128 : CHANNELS * 2;
    static constexpr int SHARERS = PIXEL_BYTES >= 128 ? 1 : 128 / PIXEL_BYTES; ///< of all banks
    static constexpr int SWIZZLE = PIXEL_BYTES >= 128 ? 7 : PIXEL_BYTES / 16 - 1;
    static constexpr int STEPS = (WINDOW * WINDOW * DEPTHS + 3) / 4;
    static constexpr int WEIGHT_BYTES = STEPS * COLUMNS * STEP_BYTES;
    // The input under a tile. With stride 2 even columns come first, so that neighbours of an
    // output row are neighbours here too.
    static constexpr int HEIGHT = (TILE_H - 1) * STRIDE + WINDOW;
    static constexpr int WIDTH = (TILE_W - 1) * STRIDE + WINDOW;
    static constexpr int ODD = STRIDE == 2 ? (WIDTH + 1) / 2 : 0; ///< place of the first odd column
    static constexpr int ROW_BYTES = WIDTH * PIXEL_BYTES;
    static constexpr int HALO_BYTES = HEIGHT * ROW_BYTES;
};

/// Where column x lies in its row.
template <class S> __device__ constexpr int place_of_column(int x)
{
    return S::STRIDE == 2 ? (x & 1) * S::ODD + x / 2 : x;
}

/// Piece j of the pixel at place x of a row: 16-byte pieces are swizzled so that 8 neighbours
/// differ in their banks.
template <class S> __device__ inline uint32_t piece_at(unsigned x, unsigned j)
{
    return x * S::PIXEL_BYTES + ((j ^ (x / S::SHARERS & S::SWIZZLE)) << 4);
}

template <class S>
__device__ void fetch_halo(uint32_t to, const sac_conv &c, corner at, unsigned thread)
{
    constexpr unsigned PIECES = S::DEPTHS * 2, COUNT = S::HEIGHT * S::WIDTH * PIECES;
    int y0 = at.y * S::STRIDE - c.pad[0], x0 = at.x * S::STRIDE - c.pad[1];
    const __half *in = static_cast<const __half *>(c.in) +
                       static_cast<int64_t>(at.n) * c.height * c.width * c.in_pitch;
#pragma unroll(S::STRIDE == 1 && S::DEPTHS <= 2 ? 3 : 1)
    for (unsigned i = thread; i < COUNT; i += S::THREADS) {
        unsigned p = i / PIECES, j = i - p * PIECES, row = p / S::WIDTH, x = p - row * S::WIDTH;
        int from_y = y0 + static_cast<int>(row), from_x = x0 + static_cast<int>(x);
        bool inside = static_cast<unsigned>(from_y) < static_cast<unsigned>(c.height) &&
                      static_cast<unsigned>(from_x) < static_cast<unsigned>(c.width);
        sac__cp_async<16>(to + row * S::ROW_BYTES +
                              piece_at<S>(place_of_column<S>(static_cast<int>(x)), j),
                          in + ((from_y * c.width + from_x) * c.in_pitch + static_cast<int>(j) * 8),
                          inside ? 16 : 0);
    }
}

/// Where a lane's rows of ldmatrix lie: of the pixels under each column of taps, in a halo, and of
/// the weights; 16 depths further is ^ 32, swizzled as they are.
template <class S> struct lane {
    uint32_t pixel[S::WINDOW], weights;
};

template <class S> __device__ void lane_open(lane<S> &l, uint32_t weights)
{
    int id = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    int row = warp % S::WARPS_M * MT * S::STRIDE;
#pragma unroll
    for (int s = 0; s < S::WINDOW; s++) {
        l.pixel[s] = row * S::ROW_BYTES + piece_at<S>((id & 15) + place_of_column<S>(s), id >> 4);
        sac__keep(l.pixel[s]);
    }
    row = warp / S::WARPS_M * 32 + (id & 7) + (id >> 4) * 8;
    l.weights = weights + row * STEP_BYTES + (static_cast<uint32_t>((id >> 3 & 1) ^ (id & 7)) << 4);
    sac__keep(l.weights);
}

/// 16 channels of tap (r,s).
template <class S>
__device__ void multiply_depth(float (&sums)[MT][NT][4], const lane<S> &l, uint32_t pixels, int r,
                               int s, int d)
{
    int depth = (r * S::WINDOW + s) * S::DEPTHS + d;
    uint32_t a[MT][4], b[NT / 2][4];
#pragma unroll
    for (int m = 0; m < MT; m++)
        sac__ldmatrix_x4(a[m],
                         pixels + (l.pixel[s] ^ (d << 5)) + (r + m * S::STRIDE) * S::ROW_BYTES);
#pragma unroll
    for (int n = 0; n < NT / 2; n++)
        sac__ldmatrix_x4(b[n], (l.weights ^ (depth % 4 << 5)) +
                                   depth / 4 * S::COLUMNS * STEP_BYTES + n * 16 * STEP_BYTES);
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int n = 0; n < NT; n++)
            sac__mma_f16(sums[m][n], a[m], b[n / 2] + n % 2 * 2);
}

/// 32 pixels (two rows of the tile) times 32 channels, all taps.
template <class S>
__device__ void multiply(float (&sums)[MT][NT][4], const lane<S> &l, uint32_t pixels)
{
#pragma unroll
    for (int t = 0; t < S::WINDOW * S::WINDOW; t++)
#pragma unroll
        for (int d = 0; d < S::DEPTHS; d++)
            multiply_depth<S>(sums, l, pixels, t / S::WINDOW, t % S::WINDOW, d);
}

/// The thread's number in a form that the compiler does not ask the chip for again in each turn.
__device__ inline unsigned thread_of_block()
{
    return __shfl_sync(0xffffffffu, threadIdx.x, static_cast<int>(threadIdx.x & 31));
}

/// What a thread writes: 8 channels from k on of some pixels of each tile, the first at (y,x) in
/// it.
struct sink {
    __half *out;
    int pitch, k; ///< k -1: nothing
    int y, x;
};

template <class S> __device__ sink sink_of(const sac_conv &c, int column, unsigned thread)
{
    unsigned warp = thread / 32;
    int k = column + static_cast<int>(warp / S::WARPS_M * 32 + (thread & 3) * 8);
    sink to = {nullptr, 0, -1, static_cast<int>(warp % S::WARPS_M * MT),
               static_cast<int>(thread % 32 / 4)};
    if (k >= c.out_channels) return to;
    part_place place = part_of(c, k);
    to.out = place.data;
    to.pitch = place.pitch;
    to.k = k;
    return to;
}

/// 8 channels of one pixel; the sums began with the bias.
__device__ inline void finish_pixel(const sac_conv &c, const sink &to, int row, float *sum,
                                    uint4 coarse, uint4 residual)
{
    if (c.coarse) add_halves(sum, coarse);
    sac__device_activate_all<false, 8>(c.act, c.alpha, sum);
    if (c.residual) add_halves(sum, residual);
    *reinterpret_cast<uint4 *>(to.out + static_cast<int64_t>(row) * to.pitch) = to_halves(sum);
}

/// All that is to be added is on its way before the first of it is needed.
__device__ void finish_tile(const sac_conv_problem &p, const float (&sums)[MT][NT][4], corner at,
                            const sink &to)
{
    const sac_conv &c = p.conv;
    int y = at.y + to.y, x = at.x + to.x;
    int row = (at.n * c.out_height + y) * c.out_width + x;
    uint4 residual[2 * MT] = {}, coarse[2 * MT] = {};
    if (to.k < 0) return;
#pragma unroll
    for (int i = 0; i < 2 * MT; i++) {
        int further = row + i / 2 * c.out_width + i % 2 * 8;
        if (y + i / 2 >= c.out_height || x + i % 2 * 8 >= c.out_width) continue;
        if (c.residual) residual[i] = residual_at(c, further, to.k);
        if (c.coarse) coarse[i] = coarse_at(p, further, to.k);
    }
#pragma unroll
    for (int i = 0; i < 2 * MT; i++) {
        float sum[8];
        if (y + i / 2 >= c.out_height || x + i % 2 * 8 >= c.out_width) continue;
#pragma unroll
        for (int j = 0; j < 8; j++)
            sum[j] = sums[i / 2][j / 2][i % 2 * 2 + j % 2];
        finish_pixel(c, to, row + i / 2 * c.out_width + i % 2 * 8, sum, coarse[i], residual[i]);
    }
}

__device__ inline void start_sums(float (&sums)[MT][NT][4], const float *bias)
{
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int i = 0; i < NT * 4; i++)
            sums[m][i / 4][i % 4] = bias[i / 4 * 2 + i % 2];
}

template <class S>
__global__ void __launch_bounds__(S::THREADS, 512 / S::THREADS)
    conv_halo(const __grid_constant__ sac_conv_problem p,
              const __grid_constant__ sac_conv_walk walk)
{
    SAC__SHARED(char, memory);
    sac__grid_release();
    const sac_conv &c = p.conv;
    uint32_t weights = sac__shared_address(memory), pixels = weights + S::WEIGHT_BYTES;
    uint32_t other = pixels + S::HALO_BYTES;
    int column = static_cast<int>(blockIdx.y) * S::COLUMNS, step = static_cast<int>(gridDim.x);
    int tile = static_cast<int>(blockIdx.x);
    unsigned thread = thread_of_block();
    fetch_weights<S>(weights, c, column);
    const sink to = sink_of<S>(c, column, thread);
    float bias[8] = {};
    if (to.k >= 0) add_bias(bias, c, to.k);
    lane<S> l;
    lane_open(l, weights);
    sac__grid_wait();
    fetch_halo<S>(pixels, c, corner_of<S>(walk, tile), thread);
    for (; tile < walk.tiles; tile += step) {
        float sums[MT][NT][4];
        sac__cp_async_commit();
        sac__cp_async_wait<0>();
        __syncthreads();
        if (tile + step < walk.tiles)
            fetch_halo<S>(other, c, corner_of<S>(walk, tile + step), thread);
        start_sums(sums, bias);
        multiply<S>(sums, l, pixels);
        finish_tile(p, sums, corner_of<S>(walk, tile), to);
        uint32_t swap = pixels;
        pixels = other;
        other = swap;
    }
    sac__cp_async_wait<0>();
}

typedef void conv_kernel(const sac_conv_problem, const sac_conv_walk);

conv_kernel *const kernels[] = {
#define KERNEL(channels, columns, window, stride, tile_h)                                          \
    conv_halo<shape<channels, columns, window, stride, tile_h>>,
    SAC__CONV_HALO_SHAPES(KERNEL)
#undef KERNEL
};

} // namespace

extern "C" int sac__conv_halo_launch(const struct sac_conv_kernel *self,
                                     const struct sac_conv *convs, int count,
                                     const struct sac_conv_launch *how)
{
    sac_conv_problems problems;
    sac_conv_walk walk;
    sac_launch launch = {};
    (void)count; // one: its blocks stay
    sac__conv_problems_fill(&problems, self, convs, 1, 1);
    int blocks = sac__conv_halo_walk(&walk, self, convs);
    launch.grid =
        dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(problems.at[0].columns));
    launch.block = dim3(static_cast<unsigned>(self->columns / 32 * self->rows));
    launch.stream = how->stream;
    launch.shared = static_cast<size_t>(sac__conv_halo_shared(self, convs));
    launch.overlap = how->overlap != 0;
    return sac__launch(self->name, launch, kernels[self->variant], problems.at[0], walk);
}
