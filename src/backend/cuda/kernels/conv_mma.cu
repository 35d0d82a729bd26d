// SPDX-License-Identifier: Apache-2.0
// fp16 convolution as an implicit matrix product on mma.sync: rows are output pixels, columns
// output channels, the depth runs over taps and their channels in steps of 64. cp.async brings the
// steps into a ring of stages, rows of 128 bytes swizzled so that ldmatrix meets no bank twice;
// padding is what cp.async fills with zeros. Small maps are split along the depth: over warps,
// whose sums meet in shared memory, and over blocks, whose sums meet in the shared memory of a
// cluster or in a workspace, always in the same order.
#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

#include "conv.cuh"

namespace
{

using namespace conv_device;

constexpr int STEP = SAC__CONV_STEP, ROW_BYTES = STEP * 2, PIECES = STEP / 8, PAD = 8;

template <int ROWS_, int COLUMNS_, int WARPS_M, int WARPS_N, int WARPS_K_, int STAGES_>
struct tile {
    static constexpr int ROWS = ROWS_, COLUMNS = COLUMNS_, STAGES = STAGES_, M = WARPS_M,
                         WARPS_K = WARPS_K_, WARPS_MN = WARPS_M * WARPS_N,
                         THREADS = WARPS_MN * WARPS_K * 32;
    static constexpr int WARP_ROWS = ROWS / WARPS_M, WARP_COLUMNS = COLUMNS / WARPS_N;
    static constexpr int MT = WARP_ROWS / 16, NT = WARP_COLUMNS / 8; ///< matrices of a warp
    static constexpr int KT = 4 / WARPS_K;                           ///< depths of 16 a step
    static constexpr int LINES = THREADS / PIECES;
    static constexpr int SHARE = (ROWS + LINES - 1) / LINES; ///< pieces of input a thread fetches
    static constexpr int WEIGHTS = (COLUMNS + LINES - 1) / LINES;
    static constexpr int STAGE_BYTES = (ROWS + COLUMNS) * ROW_BYTES;
    static constexpr int WIDTH = COLUMNS + PAD; ///< of a row of sums, floats
    static constexpr int SUMS = ROWS * WIDTH;
    static constexpr int RING_BYTES = STAGES * STAGE_BYTES, SUM_BYTES = WARPS_K * SUMS * 4;
    /// Where the columns' biases lie, behind all else.
    static constexpr int BIAS = RING_BYTES > SUM_BYTES ? RING_BYTES : SUM_BYTES;
    /// Blocks on a processor, so that the compiler knows that registers are not scarce: with 80 it
    /// worked out its addresses again in every step.
    static constexpr int BLOCKS = THREADS > 128 ? 2 : 3;
};

/// What a thread fetches: 8 depths of a step for some of the tile's rows, and 16 bytes here and
/// there of the step's weights. Everything that the main loop needs is in registers.
template <class T> struct source {
    const __half *in;
    const char *weights;       ///< of the next step
    int weight_step;           ///< bytes
    unsigned columns;          ///< bit i: the i-th 16 bytes of weights exist
    uint32_t to, weights_to;   ///< bytes into a stage
    int offset[T::SHARE];      ///< elements from `in` to the row's first tap; may be negative
    unsigned inside[T::SHARE]; ///< bits 0-15: taps r within the picture; bits 16-31: taps s
    int r, s, c;               ///< of the next step
    int tap;                   ///< elements from the first tap to it
    int channels, window_h, window_w;
    int next_s, next_r; ///< what the next tap of a row and the next row of taps add to `tap`
};

/// Bits of the taps that lie within 0 to extent-1.
__device__ unsigned taps_inside(int first, int dilation, int taps, int extent)
{
    unsigned bits = 0;
    if (dilation == 1) {
        int begin = min(max(-first, 0), taps), end = min(max(extent - first, 0), taps);
        return ((1u << end) - 1) & ~((1u << begin) - 1);
    }
    for (int t = 0; t < taps; t++)
        bits |= static_cast<unsigned>(first + t * dilation) < static_cast<unsigned>(extent)
                    ? 1u << t
                    : 0u;
    return bits;
}

/// Packed as they lie in shared memory, weights are a plain copy.
template <class T>
__device__ void weights_open(source<T> &from, const sac_conv &c, int column, int step)
{
    int thread = static_cast<int>(threadIdx.x), line = thread / PIECES;
    from.weight_step = c.out_channels * ROW_BYTES;
    from.weights = static_cast<const char *>(c.weights) +
                   (static_cast<int64_t>(step) * c.out_channels + column) * ROW_BYTES + thread * 16;
    from.weights_to = static_cast<uint32_t>(T::ROWS * ROW_BYTES + thread * 16);
    from.columns = 0;
#pragma unroll
    for (int i = 0; i < T::WEIGHTS; i++)
        if (column + line + i * T::LINES < c.out_channels) from.columns |= 1u << i;
    sac__keep(from.weights);
    sac__keep(from.weight_step);
    sac__keep(from.weights_to);
    sac__keep(from.columns);
}

template <class T> __device__ void fetch_weights(uint32_t stage, source<T> &from)
{
    int line = static_cast<int>(threadIdx.x) / PIECES;
#pragma unroll
    for (int i = 0; i < T::WEIGHTS; i++) {
        if (T::COLUMNS % T::LINES && line + i * T::LINES >= T::COLUMNS) break;
        sac__cp_async<16>(stage + from.weights_to + i * T::THREADS * 16,
                          from.weights + i * T::THREADS * 16, from.columns >> i & 1 ? 16 : 0);
    }
    from.weights += from.weight_step;
}

/// The biases come with the first weights: after the last step nobody has to wait for them.
template <class T> __device__ void fetch_bias(uint32_t shared, const sac_conv &c, int column)
{
    int four = static_cast<int>(threadIdx.x) * 4;
    if (four >= T::COLUMNS) return;
    bool there = column + four < c.out_channels;
    sac__cp_async<16>(shared + T::BIAS + four * 4, c.bias + (there ? column + four : 0),
                      there ? 16 : 0);
}

/// The first step of this thread's depth.
template <class T> __device__ void depth_open(source<T> &from, const sac_conv_problem &p, int step)
{
    const sac_conv &c = p.conv;
    int piece = static_cast<int>(threadIdx.x) % PIECES;
    int depth = step * STEP + piece * 8, tap = divide(depth, p.by_channels);
    from.c = depth - tap * c.channels;
    from.r = divide(tap, p.by_window);
    from.s = tap - from.r * c.kernel[1];
    from.channels = c.channels;
    from.window_h = c.kernel[0];
    from.window_w = c.kernel[1];
    from.next_s = c.dilation[1] * c.in_pitch;
    from.next_r = (c.dilation[0] * c.width - c.kernel[1] * c.dilation[1]) * c.in_pitch;
    from.tap = from.r * c.dilation[0] * c.width * c.in_pitch + from.s * from.next_s + from.c;
    sac__keep(from.channels);
    sac__keep(from.window_h);
    sac__keep(from.window_w);
    sac__keep(from.next_s);
    sac__keep(from.next_r);
}

template <class T>
__device__ void source_open(source<T> &from, const sac_conv_problem &p, int first_row, int step)
{
    const sac_conv &c = p.conv;
    int piece = static_cast<int>(threadIdx.x) % PIECES,
        line = static_cast<int>(threadIdx.x) / PIECES;
    from.in = static_cast<const __half *>(c.in);
    from.to = static_cast<uint32_t>(line * ROW_BYTES + ((piece ^ (line & 7)) << 4));
#pragma unroll
    for (int i = 0; i < T::SHARE; i++) {
        int row = first_row + line + i * T::LINES;
        pixel at = pixel_at(p, row);
        int y = at.y * c.stride[0] - c.pad[0], x = at.x * c.stride[1] - c.pad[1];
        from.offset[i] = ((at.n * c.height + y) * c.width + x) * c.in_pitch;
        from.inside[i] = taps_inside(y, c.dilation[0], c.kernel[0], c.height) |
                         taps_inside(x, c.dilation[1], c.kernel[1], c.width) << 16;
        if (row >= p.pixels) from.inside[i] = 0;
        sac__keep(from.offset[i]);
        sac__keep(from.inside[i]);
    }
    depth_open(from, p, step);
    sac__keep(from.in);
    sac__keep(from.to);
}

/// Fetches the next step's rows; beyond the last tap, zeros.
template <class T> __device__ void fetch_rows(uint32_t stage, source<T> &from)
{
    int line = static_cast<int>(threadIdx.x) / PIECES;
#pragma unroll
    for (int i = 0; i < T::SHARE; i++) {
        if (T::ROWS % T::LINES && line + i * T::LINES >= T::ROWS) break;
        unsigned inside = from.inside[i] >> from.r & from.inside[i] >> (16 + from.s) & 1u;
        bool there = inside && from.r < from.window_h;
        sac__cp_async<16>(stage + from.to + i * T::LINES * ROW_BYTES,
                          from.in + (from.offset[i] + from.tap), there ? 16 : 0);
    }
    from.tap += STEP;
    for (from.c += STEP; from.c >= from.channels; from.c -= from.channels) {
        from.tap += from.next_s - from.channels;
        if (++from.s == from.window_w) from.s = 0, from.r++, from.tap += from.next_r;
    }
}

/// A warp's place in a tile, and its lanes' places in the matrices of ldmatrix.
struct lane {
    int m, n, k; ///< first row, first column, first depth of 16
    uint32_t row,
        column; ///< bytes into a stage; a depth of 16 further is ^ 32, swizzled as they are
};

template <class T> __device__ lane lane_of()
{
    int warp = static_cast<int>(threadIdx.x) / 32, id = static_cast<int>(threadIdx.x) % 32;
    lane l;
    l.k = warp / T::WARPS_MN * T::KT;
    l.m = warp % T::WARPS_MN % T::M * T::WARP_ROWS;
    l.n = warp % T::WARPS_MN / T::M * T::WARP_COLUMNS;
    uint32_t swizzle = (static_cast<uint32_t>(id & 7) ^ static_cast<uint32_t>(l.k * 2)) << 4;
    l.row = static_cast<uint32_t>((l.m + (id & 15)) * ROW_BYTES);
    l.column = static_cast<uint32_t>((T::ROWS + l.n + (id & 7) + (id >> 4) * 8) * ROW_BYTES);
    l.row += swizzle ^ static_cast<uint32_t>(id >> 4) << 4;
    l.column += swizzle ^ static_cast<uint32_t>(id >> 3 & 1) << 4;
    sac__keep(l.row);
    sac__keep(l.column);
    return l;
}

template <class T>
__device__ void multiply(float (&sums)[T::MT][T::NT][4], uint32_t stage, const lane &l)
{
#pragma unroll
    for (int k = 0; k < T::KT; k++) {
        uint32_t a[T::MT][4], b[T::NT / 2][4];
#pragma unroll
        for (int m = 0; m < T::MT; m++)
            sac__ldmatrix_x4(a[m], stage + (l.row ^ (k << 5)) + m * 16 * ROW_BYTES);
#pragma unroll
        for (int n = 0; n < T::NT / 2; n++)
            sac__ldmatrix_x4(b[n], stage + (l.column ^ (k << 5)) + n * 16 * ROW_BYTES);
#pragma unroll
        for (int m = 0; m < T::MT; m++)
#pragma unroll
            for (int n = 0; n < T::NT; n++)
                sac__mma_f16(sums[m][n], a[m], b[n / 2] + n % 2 * 2);
    }
}

/// Rows that each of `ranks` blocks finishes; 1, 2, 4 or 8 share a tile.
template <class T> __device__ int share_of(int ranks)
{
    return T::ROWS >> (31 - __clz(ranks));
}

/// What finishes a thread's sums, a group of 8 channels of some rows: found before they are
/// complete.
struct addends {
    part_place to;
    int k;   ///< first channel; -1: none
    int row; ///< first of the tile
    float bias[8];
    uint4 residual, coarse; ///< of the first row
};

template <class T>
__device__ void addends_open(addends &add, const sac_conv_problem &p, const place &at, int rank,
                             int ranks)
{
    constexpr int GROUPS = T::COLUMNS / 8;
    int thread = static_cast<int>(threadIdx.x), line = thread / GROUPS, share = share_of<T>(ranks);
    add.k = at.column + thread % GROUPS * 8;
    if (add.k >= p.conv.out_channels || line >= share) add.k = -1;
    add.row = at.row + rank * share + line;
    if (add.row >= p.pixels) add.k = -1;
    add.to = part_of(p.conv, max(add.k, 0));
}

__device__ void addends_fetch(const sac_conv_problem &p, int row, int k, uint4 &residual,
                              uint4 &coarse)
{
    if (p.conv.residual) residual = residual_at(p.conv, row, k);
    if (p.conv.coarse) coarse = coarse_at(p, row, k);
}

template <class T> __device__ void addends_bias(addends &add, const place &at, const float *shared)
{
    const float4 *bias =
        reinterpret_cast<const float4 *>(shared + T::BIAS / 4 + (add.k - at.column));
    if (add.k < 0) return;
    const float4 low = bias[0], high = bias[1];
    add.bias[0] = low.x, add.bias[1] = low.y, add.bias[2] = low.z, add.bias[3] = low.w;
    add.bias[4] = high.x, add.bias[5] = high.y, add.bias[6] = high.z, add.bias[7] = high.w;
}

/// The main loop: steps begin to end-1. Weights do not depend on the layer before, so those of the
/// first stages are under way before the wait for it.
template <class T>
__device__ void accumulate(float (&sums)[T::MT][T::NT][4], uint32_t shared,
                           const sac_conv_problem &p, const place &at, int begin, int end,
                           addends &add)
{
    source<T> from;
    fetch_bias<T>(shared, p.conv, at.column);
    weights_open(from, p.conv, at.column, begin);
#pragma unroll
    for (int k = 0; k < T::STAGES - 1; k++)
        if (begin + k < end) fetch_weights<T>(shared + k * T::STAGE_BYTES, from);
    source_open(from, p, at.row, begin);
    lane l = lane_of<T>();
    sac__grid_wait();
#pragma unroll
    for (int k = 0; k < T::STAGES - 1; k++) {
        if (begin + k < end) fetch_rows<T>(shared + k * T::STAGE_BYTES, from);
        sac__cp_async_commit();
    }
    if (add.k >= 0) addends_fetch(p, add.row, add.k, add.residual, add.coarse);
    uint32_t read = shared, write = shared + (T::STAGES - 1) * T::STAGE_BYTES;
    int left = T::STAGES - 1; // stages between `read` and the ring's end
    for (int step = begin; step < end; step++) {
        sac__cp_async_wait<T::STAGES - 2>();
        __syncthreads();
        if (step + T::STAGES - 1 < end) {
            fetch_rows<T>(write, from);
            fetch_weights<T>(write, from);
        }
        sac__cp_async_commit();
        multiply<T>(sums, read, l);
        write = read;
        read = left ? read + T::STAGE_BYTES : read - (T::STAGES - 1) * T::STAGE_BYTES;
        left = left ? left - 1 : T::STAGES - 1;
    }
    sac__cp_async_wait<0>();
    __syncthreads();
}

/// Sums from the layout of mma into rows in shared memory, one tile for each part of the depth.
template <class T> __device__ void put_sums(float *to, const float (&sums)[T::MT][T::NT][4])
{
    lane l = lane_of<T>();
    int id = static_cast<int>(threadIdx.x) % 32;
    to += l.k / T::KT * T::SUMS + (l.m + id / 4) * T::WIDTH + l.n + id % 4 * 2;
#pragma unroll
    for (int m = 0; m < T::MT; m++)
#pragma unroll
        for (int n = 0; n < T::NT; n++) {
            float *at = to + m * 16 * T::WIDTH + n * 8;
            *reinterpret_cast<float2 *>(at) = make_float2(sums[m][n][0], sums[m][n][1]);
            *reinterpret_cast<float2 *>(at + 8 * T::WIDTH) =
                make_float2(sums[m][n][2], sums[m][n][3]);
        }
}

__device__ void add_four(float *sum, float4 x)
{
    sum[0] += x.x, sum[1] += x.y, sum[2] += x.z, sum[3] += x.w;
}

/// Every other four threads read the second half of their 8 sums first: else eight threads that
/// shared memory serves at once would meet in half of its banks.
__device__ int second_first()
{
    return static_cast<int>(threadIdx.x) >> 2 & 1;
}

__device__ void order_halves(float *sum)
{
    bool swap = second_first();
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float low = swap ? sum[4 + i] : sum[i], high = swap ? sum[i] : sum[4 + i];
        sum[i] = low;
        sum[4 + i] = high;
    }
}

/// 8 sums of a row from all the block's parts of the depth.
template <class T> __device__ void block_sum(float *sum, const float *from, int row, int column)
{
#pragma unroll
    for (int i = 0; i < 8; i++)
        sum[i] = 0;
    from += row * T::WIDTH + column + 4 * second_first();
    const float *other = from + 4 - 8 * second_first();
#pragma unroll
    for (int k = 0; k < T::WARPS_K; k++) {
        add_four(sum, *reinterpret_cast<const float4 *>(from + k * T::SUMS));
        add_four(sum + 4, *reinterpret_cast<const float4 *>(other + k * T::SUMS));
    }
    order_halves(sum);
}

/// The same from all blocks of the cluster, each of which has summed its own parts.
template <class T>
__device__ void cluster_sum(float *sum, uint32_t shared, int ranks, int row, int column)
{
    uint32_t half = static_cast<uint32_t>(second_first()) * 16;
#pragma unroll
    for (int i = 0; i < 8; i++)
        sum[i] = 0;
    for (int rank = 0; rank < ranks; rank++) {
        uint32_t from = sac__mapa(shared, rank) + (row * T::WIDTH + column) * 4;
        add_four(sum, sac__ld_cluster4(from + half));
        add_four(sum + 4, sac__ld_cluster4(from + (16 - half)));
    }
    order_halves(sum);
}

/// Runs work(row, column) for the groups of 8 channels of a tile that exist; `rank` of `ranks`
/// equal shares of its rows.
template <class T, class Work>
__device__ void for_groups(const sac_conv_problem &p, const place &at, int rank, int ranks,
                           Work work)
{
    constexpr int GROUPS = T::COLUMNS / 8, LINES = T::THREADS / GROUPS;
    int thread = static_cast<int>(threadIdx.x), column = thread % GROUPS * 8;
    int rows = p.pixels - at.row < T::ROWS ? p.pixels - at.row : T::ROWS;
    int share = share_of<T>(ranks), end = (rank + 1) * share < rows ? (rank + 1) * share : rows;
    if (at.column + column >= p.conv.out_channels) return;
    for (int row = thread / GROUPS + rank * share; row < end; row += LINES)
        work(row, column);
}

/// Finishes `rank`'s share of a tile's rows; sum_of(sum, row, column) says what the sums are. What
/// is added to the next row is on its way while a row is finished.
template <class T, class Sum>
__device__ void finish_rows(const sac_conv_problem &p, const place &at, int rank, int ranks,
                            const addends &add, Sum sum_of)
{
    constexpr int LINES = T::THREADS / (T::COLUMNS / 8);
    const int end = min(at.row + share_of<T>(ranks) * (rank + 1), p.pixels);
    uint4 residual = add.residual, coarse = add.coarse;
    if (add.k < 0) return;
    for (int row = add.row; row < end; row += LINES) {
        uint4 next = {}, next_coarse = {};
        float sum[8];
        if (row + LINES < end) addends_fetch(p, row + LINES, add.k, next, next_coarse);
        sum_of(sum, row - at.row, add.k - at.column);
#pragma unroll
        for (int i = 0; i < 8; i++)
            sum[i] += add.bias[i];
        if (p.conv.coarse) add_halves(sum, coarse);
        sac__device_activate_all<false, 8>(p.conv.act, p.conv.alpha, sum);
        if (p.conv.residual) add_halves(sum, residual);
        *reinterpret_cast<uint4 *>(add.to.data + static_cast<int64_t>(row) * add.to.pitch) =
            to_halves(sum);
        residual = next, coarse = next_coarse;
    }
}

/// Leaves this block's sums in the workspace; true in the tile's last block to do so, for which all
/// are there. Counters are zero again afterwards.
template <class T>
__device__ bool share_sums(const sac_conv_problem &p, const place &at, int split, float *sums,
                           float *tile)
{
    unsigned *before = reinterpret_cast<unsigned *>(sums);
    unsigned *counter = static_cast<unsigned *>(p.conv.workspace) + at.tile;
    for_groups<T>(p, at, 0, 1, [&](int row, int column) {
        float sum[8];
        block_sum<T>(sum, sums, row, column);
        float4 *to = reinterpret_cast<float4 *>(tile + at.rank * T::ROWS * T::COLUMNS +
                                                row * T::COLUMNS + column);
        to[0] = make_float4(sum[0], sum[1], sum[2], sum[3]);
        to[1] = make_float4(sum[4], sum[5], sum[6], sum[7]);
    });
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        *before = atomicAdd(counter, 1u);
        if (*before == static_cast<unsigned>(split) - 1) *counter = 0;
    }
    __syncthreads();
    __threadfence();
    return *before == static_cast<unsigned>(split) - 1;
}

template <class T>
__device__ void finish_workspace(const sac_conv_problem &p, const place &at, int split,
                                 const addends &add, float *sums)
{
    int tiles = (p.pixels + T::ROWS - 1) / T::ROWS * p.columns;
    int counters = (tiles * 4 + SAC__ALIGN - 1) / SAC__ALIGN * SAC__ALIGN;
    float *tile = reinterpret_cast<float *>(static_cast<char *>(p.conv.workspace) + counters) +
                  static_cast<int64_t>(at.tile) * split * T::ROWS * T::COLUMNS;
    if (!share_sums<T>(p, at, split, sums, tile)) return;
    finish_rows<T>(p, at, 0, 1, add, [&](float *sum, int row, int column) {
        const float *from = tile + row * T::COLUMNS + column;
#pragma unroll
        for (int i = 0; i < 8; i++)
            sum[i] = 0;
        for (int rank = 0; rank < split; rank++, from += T::ROWS * T::COLUMNS) {
            add_four(sum, __ldcg(reinterpret_cast<const float4 *>(from)));
            add_four(sum + 4, __ldcg(reinterpret_cast<const float4 *>(from + 4)));
        }
    });
}

/// Each thread puts the sum of all parts where the first was. What others fetch over the cluster's
/// network, the slowest way here, is then one part.
template <class T>
__device__ void sum_parts(const sac_conv_problem &p, const place &at, float *shared)
{
    for_groups<T>(p, at, 0, 1, [&](int row, int column) {
        float sum[8];
        block_sum<T>(sum, shared, row, column);
        float4 *to = reinterpret_cast<float4 *>(shared + row * T::WIDTH + column);
        to[0] = make_float4(sum[0], sum[1], sum[2], sum[3]);
        to[1] = make_float4(sum[4], sum[5], sum[6], sum[7]);
    });
}

template <class T>
__device__ void finish_cluster(const sac_conv_problem &p, const place &at, int split,
                               const addends &add, float *shared)
{
    if (T::WARPS_K > 1) sum_parts<T>(p, at, shared);
    sac__cluster_sync_shared();
    finish_rows<T>(p, at, at.rank, split, add, [&](float *sum, int row, int column) {
        cluster_sum<T>(sum, sac__shared_address(shared), split, row, column);
    });
    sac__cluster_sync_relaxed(); // nobody ends while others read
}

template <class T>
__global__ void __launch_bounds__(T::THREADS, T::BLOCKS)
    conv_mma(const __grid_constant__ sac_conv_problems problems)
{
    SAC__SHARED(float, shared);
    sac__grid_release();
    int split = problems.split;
    bool cluster = split > 1 && problems.cluster;
    const sac_conv_problem &p = problem_of(problems, static_cast<int>(blockIdx.x));
    place at = place_of<T::ROWS, T::COLUMNS>(p, split, static_cast<int>(blockIdx.x));
    float sums[T::MT][T::NT][4] = {};
    addends add = {};
    addends_open<T>(add, p, at, cluster ? at.rank : 0, cluster ? split : 1);
    accumulate<T>(sums, sac__shared_address(shared), p, at, divide(p.steps * at.rank, p.by_split),
                  divide(p.steps * (at.rank + 1), p.by_split), add);
    addends_bias<T>(add, at, shared);
    put_sums<T>(shared, sums);
    __syncthreads();
    if (cluster)
        finish_cluster<T>(p, at, split, add, shared);
    else if (split > 1)
        finish_workspace<T>(p, at, split, add, shared);
    else
        finish_rows<T>(p, at, 0, 1, add, [&](float *sum, int row, int column) {
            block_sum<T>(sum, shared, row, column);
        });
}

typedef void conv_kernel(const sac_conv_problems);

conv_kernel *const kernels[] = {
#define KERNEL(rows, columns, m, n, k, stages) conv_mma<tile<rows, columns, m, n, k, stages>>,
    SAC__CONV_MMA_TILES(KERNEL)
#undef KERNEL
};

} // namespace

extern "C" int sac__conv_mma_launch(const struct sac_conv_kernel *self,
                                    const struct sac_conv *convs, int count,
                                    const struct sac_conv_launch *how)
{
    sac_conv_problems problems;
    int blocks = sac__conv_problems_fill(&problems, self, convs, count, how->split);
    problems.cluster = self->variant & 1;
    sac_launch launch = {};
    launch.grid = dim3(static_cast<unsigned>(blocks));
    launch.block = dim3(static_cast<unsigned>(sac__conv_mma_threads(self)));
    launch.stream = how->stream;
    launch.shared = static_cast<size_t>(sac__conv_mma_shared(self));
    launch.cluster = problems.cluster ? static_cast<unsigned>(how->split) : 0;
    launch.overlap = how->overlap != 0;
    return sac__launch(self->name, launch, kernels[self->variant / 2], problems);
}
