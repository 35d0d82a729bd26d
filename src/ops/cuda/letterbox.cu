// SPDX-License-Identifier: Apache-2.0
// Letterbox: source pictures of any size and format into the network's input, one kernel a batch.
//
// A thread makes one unit (store.cuh) of several lines, so that its columns are worked out once; the
// lines' rows are worked out once a block. Neighbours of a row are fetched as aligned words, two
// or three for both pixels, sorted with byte permutes and weighted with dp2a.
// Bytes that must move for 1080p → 1280 folded fp16: 6.2 MB in, 13.1 MB out; all of it fits in L2.
#include "cuda/launch.cuh"
#include "store.cuh"

namespace {

enum { THREADS = 128, LINES = 4 };

/// Two neighbours of a row in 8 bytes: how to sort them by channel, and their weights.
struct Column {
    int32_t first;    ///< source pixel; the second is next to it, or has no weight
    uint32_t weights; ///< of 2048: the first's in the lower half
    __device__ __forceinline__ bool pair() const
    {
        return weights >> 16 != 0;
    }
};

/// The bytes from `from` on, of which `need` (1 to 8) matter, by the aligned words that hold them;
/// byte by byte where the last of those words passes `end`.
SAC__DEVICE uint2 fetch(const uint8_t *from, int need, const uint8_t *end)
{
    const int skip = (int)((uintptr_t)from & 3), last = skip + need;
    const uint32_t *words = (const uint32_t *)(from - skip);
    uint32_t word[3] = {};
    if (from - skip + (last + 3) / 4 * 4 <= end) {
        word[0] = words[0];
        if (last > 4) word[1] = words[1];
        if (last > 8) word[2] = words[2];
    } else {
#pragma unroll
        for (int k = 0; k < 8; k++)
            if (k < need) word[k / 4] |= (uint32_t)from[k] << 8 * (k % 4);
        return make_uint2(word[0], word[1]);
    }
    return make_uint2(__funnelshift_r(word[0], word[1], 8 * skip),
                      __funnelshift_r(word[1], word[2], 8 * skip));
}

/// Byte-permute selectors: first and second of channels 0 and 1; of channel 2.
struct Order {
    uint32_t two, one;
    static __device__ __forceinline__ Order of(const sac__pixels &src)
    {
        const int step = src.step;
        return {(uint32_t)(src.byte[0] | (src.byte[0] + step) << 4 | src.byte[1] << 8 |
                           (src.byte[1] + step) << 12),
                (uint32_t)(src.byte[2] | (src.byte[2] + step) << 4)};
    }
};

/// sac__resize_across of the three channels: packed or gray pixels.
SAC__DEVICE void across_packed(int32_t *out, const sac__picture &picture, Order order,
                               const uint8_t *row, Column column)
{
    const int step = picture.src.step, reach = step < 3 ? 1 : 3;
    const uint2 bytes = fetch(row + (ptrdiff_t)column.first * step,
                              column.pair() ? step + reach : reach, picture.luma_end);
    const uint32_t two = __byte_perm(bytes.x, bytes.y, order.two);
    out[0] = (int32_t)(__dp2a_lo(column.weights, two, 0u) >> 4);
    out[1] = (int32_t)(__dp2a_hi(column.weights, two, 0u) >> 4);
    out[2] = (int32_t)(__dp2a_lo(column.weights, __byte_perm(bytes.x, bytes.y, order.one), 0u) >> 4);
}

SAC__DEVICE void across_nv12(int32_t *out, const sac__picture &picture, int32_t y, Column column)
{
    const sac__pixels &src = picture.src;
    const int32_t left = column.first / 2, right = (column.first + 1) / 2;
    const uint2 luma = fetch(src.data + y * src.stride + column.first, column.pair() ? 2 : 1,
                             picture.luma_end);
    const uint2 pairs = fetch(src.chroma + (y / 2) * src.chroma_stride + left * 2,
                              column.pair() && right > left ? 4 : 2, picture.chroma_end);
    const uint32_t second = right > left ? pairs.x >> 16 : pairs.x;
#pragma unroll
    for (int c = 0; c < 3; c++) {
        const uint32_t a = sac__yuv_byte(
            luma.x & 0xff,
            sac__yuv_chroma(src.byte[c], (uint8_t)pairs.x, (uint8_t)(pairs.x >> 8)));
        const uint32_t b =
            sac__yuv_byte(luma.x >> 8 & 0xff,
                          sac__yuv_chroma(src.byte[c], (uint8_t)second, (uint8_t)(second >> 8)));
        out[c] = (int32_t)(__dp2a_lo(column.weights, a | b << 8, 0u) >> 4);
    }
}

/// The three bytes of a pixel of the resized picture.
template <bool NV12>
SAC__DEVICE void resize(int32_t *bytes, const sac__picture &picture, Order order, sac__tap row,
                        Column column)
{
    int32_t upper[3], lower[3];
    if constexpr (NV12) {
        across_nv12(upper, picture, row.first, column);
        across_nv12(lower, picture, row.second, column);
    } else {
        across_packed(upper, picture, order, picture.src.data + row.first * picture.src.stride,
                      column);
        across_packed(lower, picture, order, picture.src.data + row.second * picture.src.stride,
                      column);
    }
#pragma unroll
    for (int c = 0; c < 3; c++) bytes[c] = sac__resize_down(upper[c], lower[c], row);
}

template <class T> SAC__DEVICE T value_of(int32_t byte, int scaled)
{
    if constexpr (sizeof(T) == 1) return (T)byte;
    else return sac__element<T>(sac__input_value((uint8_t)byte, scaled));
}

/// What a thread knows of its unit's pixels: where they come from; weights 0: padding.
template <int PIXELS>
SAC__DEVICE void set_columns(Column *columns, const sac__picture &picture, int x)
{
#pragma unroll
    for (int k = 0; k < PIXELS; k++) {
        const int d = x + k - picture.fit.left;
        columns[k] = {0, 0};
        if (d < 0 || d >= picture.fit.new_width) continue;
        const sac__tap tap = sac__resize_column(d, picture.scale_x, picture.fit.width0);
        columns[k] = {tap.first, (uint32_t)tap.weight0 | (uint32_t)tap.weight1 << 16};
    }
}

/// A unit of each of the block's lines. rows: first -1 above and below the picture.
template <int LAYOUT, class T, bool NV12>
SAC__DEVICE void write_lines(const sac__input &input, const sac__picture &picture,
                             const sac__tap *rows, int n, int first_line, int unit)
{
    using units = sac__units<LAYOUT>;
    Column columns[units::pixels];
    set_columns<units::pixels>(columns, picture, units::x(unit));
    const Order order = Order::of(picture.src);
    for (int k = 0; k < LINES && (first_line + k) * units::rows < input.height; k++) {
        const sac__tap row = rows[units::y(k, unit)];
        T values[units::pixels][3];
#pragma unroll
        for (int p = 0; p < units::pixels; p++) {
            int32_t bytes[3] = {input.pad, input.pad, input.pad};
            if (row.first >= 0 && columns[p].weights)
                resize<NV12>(bytes, picture, order, row, columns[p]);
#pragma unroll
            for (int c = 0; c < 3; c++) values[p][c] = value_of<T>(bytes[c], input.scaled);
        }
        sac__store_unit<LAYOUT, T>(input, n, first_line + k, unit, values);
    }
}

template <int LAYOUT, class T>
__global__ void __launch_bounds__(THREADS)
    letterbox(const __grid_constant__ sac__input input, const sac__batch *batch)
{
    using units = sac__units<LAYOUT>;
    __shared__ sac__tap rows[LINES * units::rows];
    const int n = blockIdx.z, first_line = blockIdx.y * LINES;
    const int unit = blockIdx.x * THREADS + threadIdx.x;
    sac__grid_wait();
    sac__grid_release();
    const sac__picture picture = ((const sac__picture *)(batch + 1))[n];
    if (n >= batch->count || !picture.src.data) return;
    if (threadIdx.x < LINES * units::rows) {
        const int d = first_line * units::rows + (int)threadIdx.x - picture.fit.top;
        sac__tap row = {-1, -1, 0, 0};
        if (d >= 0 && d < picture.fit.new_height)
            row = sac__resize_row(d, picture.scale_y, picture.fit.height0);
        rows[threadIdx.x] = row;
    }
    __syncthreads();
    if (units::x(unit) >= input.width) return;
    if (picture.src.chroma)
        write_lines<LAYOUT, T, true>(input, picture, rows, n, first_line, unit);
    else
        write_lines<LAYOUT, T, false>(input, picture, rows, n, first_line, unit);
}

template <int LAYOUT, class T>
int launch(const sac__input &input, const sac__batch *batch, cudaStream_t stream, bool overlap)
{
    using units = sac__units<LAYOUT>;
    const unsigned across = (units::line_units(input.width) + THREADS - 1) / THREADS;
    const unsigned lines = input.height / units::rows;
    const sac_launch how = {
        dim3(across, (lines + LINES - 1) / LINES, input.n), dim3(THREADS), stream, 0, 0, overlap};
    return sac__launch("letterbox", how, letterbox<LAYOUT, T>, input, batch);
}

} // namespace

extern "C" int sac__letterbox_cuda(const struct sac__input *input_out,
                                   const struct sac__batch *batch, cudaStream_t stream, int overlap)
{
    using launcher = int(const sac__input &, const sac__batch *, cudaStream_t, bool);
    static launcher *const launchers[3][3] = {
        {launch<SAC__INPUT_NCHW, float>, launch<SAC__INPUT_NCHW, uint16_t>,
         launch<SAC__INPUT_NCHW, uint8_t>},
        {launch<SAC__INPUT_NHWC, float>, launch<SAC__INPUT_NHWC, uint16_t>, nullptr},
        {launch<SAC__INPUT_FOLDED, float>, launch<SAC__INPUT_FOLDED, uint16_t>, nullptr},
    };
    const int type = input_out->dtype == SAC_F32 ? 0 : input_out->dtype == SAC_F16 ? 1 : 2;
    launcher *const chosen = launchers[input_out->layout][type];
    if (!chosen || (type == 2 && input_out->dtype != SAC_U8))
        return sac__fail(SAC_EUNSUPPORTED, "an input of type %d cannot be written",
                         (int)input_out->dtype);
    return chosen(*input_out, batch, stream, overlap);
}
