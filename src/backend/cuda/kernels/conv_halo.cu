// SPDX-License-Identifier: Apache-2.0
// fp16 convolution with few channels on large maps, where an implicit matrix product would read its
// input once a tap: blocks stay, keep all weights in shared memory, and walk over tiles of 8x16
// output pixels. The input under a tile, with its rim, is fetched once while the tile before it is
// multiplied; ldmatrix then reads every tap from it. Warps work alone from there to the output: a
// quad's registers hold 32 channels of a pixel, which four shuffles turn into 16 bytes a lane.
#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

#include "conv.cuh"

namespace {

using namespace conv_device;

constexpr int TILE_W = 16, MT = 2, NT = 4;
constexpr int STEP_BYTES = SAC__CONV_STEP * 2;

/// COLUMNS: output channels of a block; WINDOW: its height and width.
template <int CHANNELS, int COLUMNS_, int WINDOW_, int TILE_H_> struct shape {
    static constexpr int TILE_H = TILE_H_, WARPS_M = TILE_H / MT;
    static constexpr int DEPTHS = CHANNELS / 16, COLUMNS = COLUMNS_, WINDOW = WINDOW_;
    static constexpr int THREADS = WARPS_M * COLUMNS / 32 * 32;
    static constexpr int PIXEL_BYTES = CHANNELS == 48 ? 128 : CHANNELS * 2;
    static constexpr int SHARERS = PIXEL_BYTES >= 128 ? 1 : 128 / PIXEL_BYTES; ///< of all banks
    static constexpr int SWIZZLE = PIXEL_BYTES >= 128 ? 7 : PIXEL_BYTES / 16 - 1;
    static constexpr int WEIGHT_BYTES = (WINDOW * WINDOW * DEPTHS + 3) / 4 * COLUMNS * STEP_BYTES;
};

/// The input under a tile: rows of `width` pixels. With stride 2 even columns come first, so that
/// neighbours of an output row are neighbours here too.
struct halo {
    int height, width, odd; ///< odd: first odd column's place; 0 with stride 1
};

template <class S> __device__ inline halo halo_of(int stride)
{
    int width = (TILE_W - 1) * stride + S::WINDOW;
    return {(S::TILE_H - 1) * stride + S::WINDOW, width, stride == 2 ? (width + 1) / 2 : 0};
}

/// Piece j of pixel p: 16-byte pieces are swizzled so that 8 neighbours differ in their banks.
template <class S> __device__ inline uint32_t piece_at(int p, int j)
{
    return static_cast<uint32_t>(p * S::PIXEL_BYTES + ((j ^ (p / S::SHARERS & S::SWIZZLE)) << 4));
}

template <class S> __device__ void fetch_weights(uint32_t to, const sac_conv &c, int column)
{
    constexpr int STEPS = S::WEIGHT_BYTES / (S::COLUMNS * STEP_BYTES);
    const char *from =
        static_cast<const char *>(c.weights) + static_cast<int64_t>(column) * STEP_BYTES;
    for (int i = static_cast<int>(threadIdx.x); i < S::COLUMNS * 8; i += S::THREADS) {
        bool inside = column + i / 8 < c.out_channels;
        const char *at = inside ? from + i * 16 : from;
        for (int step = 0; step < STEPS; step++, at += c.out_channels * STEP_BYTES)
            sac__cp_async<16>(to + step * S::COLUMNS * STEP_BYTES + i * 16, inside ? at : from,
                              inside ? 16 : 0);
    }
}

/// A tile's first output pixel.
struct corner {
    int n, y, x;
};

template <class S> __device__ inline corner corner_of(const sac_conv_walk &walk, int tile)
{
    int line = divide(tile, walk.by_across), n = divide(line, walk.by_down);
    return {n, (line - n * walk.by_down.value) * S::TILE_H,
            (tile - line * walk.by_across.value) * TILE_W};
}

template <class S>
__device__ void fetch_halo(uint32_t to, const sac_conv &c, const sac_conv_walk &walk, corner at)
{
    constexpr int PIECES = S::DEPTHS * 2;
    halo h = halo_of<S>(c.stride[0]);
    int y0 = at.y * c.stride[0] - c.pad[0], x0 = at.x * c.stride[0] - c.pad[1];
    const __half *in = static_cast<const __half *>(c.in) +
                       static_cast<int64_t>(at.n) * c.height * c.width * c.in_pitch;
    for (int i = static_cast<int>(threadIdx.x); i < h.height * h.width * PIECES; i += S::THREADS) {
        int p = i / PIECES, j = i - p * PIECES, row = divide(p, walk.by_halo),
            x = p - row * h.width;
        bool inside = static_cast<unsigned>(y0 + row) < static_cast<unsigned>(c.height) &&
                      static_cast<unsigned>(x0 + x) < static_cast<unsigned>(c.width);
        const __half *from = in + ((y0 + row) * c.width + x0 + x) * c.in_pitch + j * 8;
        int place = row * h.width + (h.odd ? (x & 1) * h.odd + x / 2 : x);
        sac__cp_async<16>(to + piece_at<S>(place, j), inside ? from : in, inside ? 16 : 0);
    }
}

/// Where a lane's rows of ldmatrix start.
struct lane {
    int pixel;             ///< of the halo, first tap
    uint32_t row, swizzle; ///< of the weights, bytes
};

template <class S> __device__ lane lane_of(uint32_t weights, int stride, int width)
{
    int id = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    lane l;
    l.pixel = warp % S::WARPS_M * MT * stride * width + (id & 15);
    l.row = weights + (warp / S::WARPS_M * 32 + (id & 7) + (id >> 4) * 8) * STEP_BYTES;
    l.swizzle = static_cast<uint32_t>((id >> 3 & 1) ^ (id & 7)) << 4;
    return l;
}

/// One tap's 16 channels from `depth` on: `pixel` is the lane's under this tap, the next row of the
/// tile is `down` pixels on.
template <class S>
__device__ void multiply_depth(float (&sums)[MT][NT][4], const lane &l, uint32_t pixels, int pixel,
                               int down, int piece, int depth)
{
    uint32_t a[MT][4], b[NT / 2][4];
    uint32_t step = l.row + depth / 4 * S::COLUMNS * STEP_BYTES + (l.swizzle ^ (depth % 4 << 5));
#pragma unroll
    for (int m = 0; m < MT; m++)
        sac__ldmatrix_x4(a[m], pixels + piece_at<S>(pixel + m * down, piece));
#pragma unroll
    for (int n = 0; n < NT / 2; n++)
        sac__ldmatrix_x4(b[n], step + n * 16 * STEP_BYTES);
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int n = 0; n < NT; n++)
            sac__mma_f16(sums[m][n], a[m], b[n / 2] + n % 2 * 2);
}

/// 32 pixels (two rows of the tile) times 32 channels, all taps. Rows of taps are not unrolled:
/// their addresses would take all registers.
template <class S>
__device__ void multiply(float (&sums)[MT][NT][4], uint32_t weights, uint32_t pixels, int stride)
{
    halo h = halo_of<S>(stride);
    lane l = lane_of<S>(weights, stride, h.width);
    int high = static_cast<int>(threadIdx.x) % 32 >> 4;
#pragma unroll 1
    for (int r = 0; r < S::WINDOW; r++)
#pragma unroll
        for (int s = 0; s < S::WINDOW; s++) {
            int tap = r * h.width + (stride == 2 ? (s & 1) * h.odd + s / 2 : s);
#pragma unroll
            for (int d = 0; d < S::DEPTHS; d++)
                multiply_depth<S>(sums, l, pixels, l.pixel + tap, stride * h.width, d * 2 + high,
                                  (r * S::WINDOW + s) * S::DEPTHS + d);
        }
}

/// Lane t of a quad holds word[i]; afterwards it holds what lane i held as word[t].
__device__ inline void transpose_quad(uint32_t *word)
{
    bool odd = threadIdx.x & 1, high = threadIdx.x & 2;
#pragma unroll
    for (int i = 0; i < 4; i += 2) {
        uint32_t got = __shfl_xor_sync(0xffffffffu, odd ? word[i] : word[i + 1], 1);
        if (odd)
            word[i] = got;
        else
            word[i + 1] = got;
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        uint32_t got = __shfl_xor_sync(0xffffffffu, high ? word[i] : word[i + 2], 2);
        if (high)
            word[i] = got;
        else
            word[i + 2] = got;
    }
}

/// Adds 8 channels that this lane read to the sums of the lanes that hold them.
__device__ inline void add_transposed(float *sum, uint4 eight)
{
    uint32_t word[4] = {eight.x, eight.y, eight.z, eight.w};
    transpose_quad(word);
    add_halves(sum, make_uint4(word[0], word[1], word[2], word[3]));
}

/// One pixel of a quad: channels k+2t, k+2t+1, k+8+2t, … in sum; lane t ends up with 8 neighbours
/// from k+8t on and stores them. All lanes of a warp come here, outside the map with `row` -1.
__device__ void finish_quad(const sac_conv_problem &p, int row, int k, float *sum,
                            const float *bias)
{
    const sac_conv &c = p.conv;
    int mine = k + static_cast<int>(threadIdx.x & 3) * 8;
    bool inside = row >= 0 && mine < c.out_channels;
    uint4 residual = {}, coarse = {};
    if (c.residual && inside) residual = residual_at(c, row, mine);
    if (c.coarse && inside) coarse = coarse_at(p, row, mine);
#pragma unroll
    for (int i = 0; i < 8; i++)
        sum[i] += bias[i];
    if (c.coarse) add_transposed(sum, coarse);
    sac__device_activate_all<false, 8>(c.act, c.alpha, sum);
    if (c.residual) add_transposed(sum, residual);
    uint4 eight = to_halves(sum);
    uint32_t word[4] = {eight.x, eight.y, eight.z, eight.w};
    transpose_quad(word);
    if (inside)
        *reinterpret_cast<uint4 *>(output_at(c, row, mine)) =
            make_uint4(word[0], word[1], word[2], word[3]);
}

template <class S>
__device__ void finish_tile(const sac_conv_problem &p, const float (&sums)[MT][NT][4], corner at,
                            int column, const float *bias)
{
    const sac_conv &c = p.conv;
    int id = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int y = at.y + warp % S::WARPS_M * 2 + m, x = at.x + id / 4 + half * 8;
            int row = (at.n * c.out_height + y) * c.out_width + x;
            float sum[8];
#pragma unroll
            for (int i = 0; i < 8; i++)
                sum[i] = sums[m][i / 2][half * 2 + i % 2];
            finish_quad(p, y < c.out_height && x < c.out_width ? row : -1, column, sum, bias);
        }
}

template <class S>
__global__ void __launch_bounds__(S::THREADS, 512 / S::THREADS)
    conv_halo(const __grid_constant__ sac_conv_problem p,
              const __grid_constant__ sac_conv_walk walk)
{
    SAC__SHARED(char, memory);
    const sac_conv &c = p.conv;
    uint32_t weights = sac__shared_address(memory), pixels = weights + S::WEIGHT_BYTES;
    int column = static_cast<int>(blockIdx.y) * S::COLUMNS, step = static_cast<int>(gridDim.x);
    int tile = static_cast<int>(blockIdx.x),
        mine = column + static_cast<int>(threadIdx.x) / (S::WARPS_M * 32) * 32;
    halo h = halo_of<S>(c.stride[0]);
    uint32_t other = pixels + h.height * h.width * S::PIXEL_BYTES;
    float bias[8];
    fetch_weights<S>(weights, c, column);
#pragma unroll
    for (int i = 0; i < 8; i++) {
        int k = mine + i / 2 * 8 + static_cast<int>(threadIdx.x & 3) * 2 + i % 2;
        bias[i] = k < c.out_channels ? c.bias[k] : 0;
    }
    sac__grid_release();
    sac__grid_wait();
    fetch_halo<S>(pixels, c, walk, corner_of<S>(walk, tile));
    for (; tile < walk.tiles; tile += step) {
        float sums[MT][NT][4] = {};
        sac__cp_async_commit();
        sac__cp_async_wait<0>();
        __syncthreads();
        if (tile + step < walk.tiles)
            fetch_halo<S>(other, c, walk, corner_of<S>(walk, tile + step));
        multiply<S>(sums, weights, pixels, c.stride[0]);
        finish_tile<S>(p, sums, corner_of<S>(walk, tile), mine, bias);
        uint32_t swap = pixels;
        pixels = other;
        other = swap;
    }
    sac__cp_async_wait<0>();
}

typedef void conv_kernel(const sac_conv_problem, const sac_conv_walk);

conv_kernel *const kernels[] = {
#define KERNEL(channels, columns, window, tile_h)                                                  \
    conv_halo<shape<channels, columns, window, tile_h>>,
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
