// SPDX-License-Identifier: Apache-2.0
// Letterbox: source pictures of any size and format into the network's input, one kernel a batch.
//
// A thread makes one unit (store.cuh) of several lines, so that its columns are worked out once;
// the lines' rows are worked out once a block. Neighbours of a row are fetched as three aligned
// words for both pixels, without branches so that all of a unit's loads are under way together,
// sorted with byte permutes and weighted with dp2a. Where words would pass the picture's end: byte
// by byte.
// Bytes that must move for 1080p → 1280 folded fp16: 6.2 MB in, 13.1 MB out; all of it fits in L2.
#include "cuda/launch.cuh"
#include "store.cuh"

namespace {

enum { THREADS = 128, LINES = 4 };

/// Blocks that a multiprocessor is to hold, so that loads of many threads hide each other.
template <int LAYOUT> constexpr int resident = LAYOUT == SAC__INPUT_NCHW ? 6 : 8;

/// Where a pixel comes from along x.
struct Column {
    int32_t first;    ///< source pixel; the second is next to it, or has no weight
    uint32_t weights; ///< of 2048: the first's in the lower half; none: padding
};

/// The 8 bytes from `from` on; the 12 from its aligned word on are read.
SAC__DEVICE uint2 fetch8(const uint8_t *from)
{
    const uint32_t *words = (const uint32_t *)((uintptr_t)from & ~(uintptr_t)3);
    const uint32_t a = words[0], b = words[1], c = words[2], shift = 8 * (uint32_t)(uintptr_t)from;
    return make_uint2(__funnelshift_r(a, b, shift), __funnelshift_r(b, c, shift)); // of 32
}

/// The 4 bytes from `from` on; 8 are read.
SAC__DEVICE uint32_t fetch4(const uint8_t *from)
{
    const uint32_t *words = (const uint32_t *)((uintptr_t)from & ~(uintptr_t)3);
    return __funnelshift_r(words[0], words[1], 8 * (uint32_t)(uintptr_t)from);
}

enum { READ8 = 12, READ4 = 8 }; ///< bytes behind `from` that they may touch, at most

/// A row of the picture.
struct Line {
    const uint8_t *luma, *chroma; ///< all channels and nothing, or NV12's planes
};

/// Packed or gray pixels.
struct Packed {
    const uint8_t *data, *end;
    ptrdiff_t stride;
    int32_t step;
    uint32_t two, one; ///< selectors: first and second of channels 0 and 1; of channel 2

    __device__ __forceinline__ explicit Packed(const sac__picture &picture)
        : data(picture.src.data), end(picture.luma_end), stride(picture.src.stride),
          step(picture.src.step)
    {
        const int32_t *byte = picture.src.byte;
        two = (uint32_t)(byte[0] | (byte[0] + step) << 4 | byte[1] << 8 | (byte[1] + step) << 12);
        one = (uint32_t)(byte[2] | (byte[2] + step) << 4);
    }
    __device__ __forceinline__ Line line(int32_t y) const
    {
        return {data + y * stride, nullptr};
    }
    /// Whether all words of a row's columns up to `last` may be read.
    __device__ __forceinline__ bool reaches(Line line, int32_t last) const
    {
        return line.luma + (ptrdiff_t)last * step + READ8 <= end;
    }
    /// sac__resize_across of the three channels.
    __device__ __forceinline__ void across(int32_t *out, Line line, Column column) const
    {
        const uint2 bytes = fetch8(line.luma + (ptrdiff_t)column.first * step);
        const uint32_t pairs = __byte_perm(bytes.x, bytes.y, two);
        const uint32_t pair = __byte_perm(bytes.x, bytes.y, one);
        out[0] = (int32_t)(__dp2a_lo(column.weights, pairs, 0u) >> 4);
        out[1] = (int32_t)(__dp2a_hi(column.weights, pairs, 0u) >> 4);
        out[2] = (int32_t)(__dp2a_lo(column.weights, pair, 0u) >> 4);
    }
};

struct Nv12 {
    const uint8_t *luma, *chroma, *luma_end, *chroma_end;
    ptrdiff_t luma_stride, chroma_stride;
    bool swapped; ///< blue first

    __device__ __forceinline__ explicit Nv12(const sac__picture &picture)
        : luma(picture.src.data), chroma(picture.src.chroma), luma_end(picture.luma_end),
          chroma_end(picture.chroma_end), luma_stride(picture.src.stride),
          chroma_stride(picture.src.chroma_stride), swapped(picture.src.byte[0] != 0)
    {
    }
    __device__ __forceinline__ Line line(int32_t y) const
    {
        return {luma + y * luma_stride, chroma + (y / 2) * chroma_stride};
    }
    __device__ __forceinline__ bool reaches(Line line, int32_t last) const
    {
        return line.luma + last + READ4 <= luma_end &&
               line.chroma + last / 2 * 2 + READ4 <= chroma_end;
    }
    __device__ __forceinline__ void across(int32_t *out, Line line, Column column) const
    {
        const uint32_t both = fetch4(line.luma + column.first);
        const uint32_t first = fetch4(line.chroma + column.first / 2 * 2);
        const uint32_t second = column.first & 1 ? first >> 16 : first;
#pragma unroll
        for (int c = 0; c < 3; c++) {
            const int32_t a = sac__yuv_chroma(c, (uint8_t)first, (uint8_t)(first >> 8));
            const int32_t b = sac__yuv_chroma(c, (uint8_t)second, (uint8_t)(second >> 8));
            const uint32_t pair = sac__yuv_byte((uint8_t)both, a) |
                                  (uint32_t)sac__yuv_byte((uint8_t)(both >> 8), b) << 8;
            out[c] = (int32_t)(__dp2a_lo(column.weights, pair, 0u) >> 4);
        }
        const int32_t red = out[0];
        out[0] = swapped ? out[2] : red;
        out[2] = swapped ? red : out[2];
    }
};

/// Where a row of the input comes from.
struct alignas(16) Row {
    Line lines[2];
    sac__tap tap; ///< first -1 above and below the picture
    bool inside;  ///< all words of all columns of both lines may be read
};

/// The bytes of a unit's pixels in a row of the picture.
template <int PIXELS, class Source>
SAC__DEVICE void resize_fast(int32_t (*bytes)[3], const Source &source, const Row &row,
                             const Column *columns)
{
    int32_t upper[PIXELS][3], lower[PIXELS][3];
#pragma unroll
    for (int k = 0; k < PIXELS; k++) {
        source.across(upper[k], row.lines[0], columns[k]);
        source.across(lower[k], row.lines[1], columns[k]);
    }
#pragma unroll
    for (int k = 0; k < PIXELS; k++)
#pragma unroll
        for (int c = 0; c < 3; c++)
            bytes[k][c] = sac__resize_down(upper[k][c], lower[k][c], row.tap);
}

/// The same near the picture's end: a pixel, a byte a channel. Rare, so kept small.
SAC__DEVICE uint32_t resize_slow(const sac__picture &picture, sac__tap row, Column column)
{
    const int32_t second = column.first + (column.weights >> 16 != 0);
    const sac__tap tap = {column.first, second, (int16_t)(column.weights & 0xffff),
                          (int16_t)(column.weights >> 16)};
    uint32_t bytes = 0;
#pragma unroll 1
    for (int c = 0; c < 3; c++)
        bytes |= (uint32_t)sac__resized_byte(&picture.src, c, row, tap) << 8 * c;
    return bytes;
}

/// A byte as the input's arithmetic has it; sac__element makes an element of it.
template <class T> SAC__DEVICE auto value_of(int32_t byte, int scaled)
{
    if constexpr (sizeof(T) == 1) return (T)byte;
    else return sac__input_value((uint8_t)byte, scaled);
}

/// Where a unit's pixels come from. Returns the last column, -1 where all are padding.
template <int PIXELS>
SAC__DEVICE int32_t set_columns(Column *columns, const sac__picture &picture, int x)
{
    int32_t last = -1;
#pragma unroll
    for (int k = 0; k < PIXELS; k++) {
        const int d = x + k - picture.fit.left;
        columns[k] = {0, 0};
        if (d < 0 || d >= picture.fit.new_width) continue;
        const sac__tap tap = sac__resize_column(d, picture.scale_x, picture.fit.width0);
        columns[k] = {tap.first, (uint32_t)tap.weight0 | (uint32_t)tap.weight1 << 16};
        last = tap.first;
    }
    return last;
}

template <class Source>
SAC__DEVICE bool reaches(const Source &source, const Row &row, int32_t last)
{
    return source.reaches(row.lines[0], last) && source.reaches(row.lines[1], last);
}

template <class Source> SAC__DEVICE void set_lines(Row &row, const Source &source, int32_t last)
{
    row.lines[0] = source.line(row.tap.first);
    row.lines[1] = source.line(row.tap.second);
    row.inside = reaches(source, row, last);
}

SAC__DEVICE Row set_row(const sac__picture &picture, int d)
{
    Row row = {{}, {-1, -1, 0, 0}, false};
    if (d < 0 || d >= picture.fit.new_height) return row;
    row.tap = sac__resize_row(d, picture.scale_y, picture.fit.height0);
    if (picture.src.chroma) set_lines(row, Nv12(picture), picture.fit.width0 - 1);
    else set_lines(row, Packed(picture), picture.fit.width0 - 1);
    return row;
}

/// A unit of each of the block's lines.
template <int LAYOUT, class T, class Source>
SAC__DEVICE void write_lines(const sac__input &input, const sac__picture *pictures,
                             const Row *rows, int n, int first_line, int unit)
{
    using units = sac__units<LAYOUT>;
    const sac__picture picture = pictures[n]; // once, into registers
    Column columns[units::pixels];
    const int32_t last = set_columns<units::pixels>(columns, picture, units::x(unit));
    const Source source(picture);
    const auto pad = value_of<T>(input.pad, input.scaled);
#pragma unroll 1
    for (int k = 0; k < LINES && (first_line + k) * units::rows < input.height; k++) {
        const Row &row = rows[units::y(k, unit)];
        T values[units::pixels][3];
#pragma unroll
        for (int p = 0; p < 3 * units::pixels; p++)
            values[p / 3][p % 3] = sac__element<T>(pad);
        if (row.tap.first >= 0 && last >= 0) {
            int32_t bytes[units::pixels][3] = {};
            if (row.inside || reaches(source, row, last))
                resize_fast<units::pixels>(bytes, source, row, columns);
            else
#pragma unroll
                for (int p = 0; p < units::pixels; p++) {
                    if (!columns[p].weights) continue;
                    const uint32_t pixel = resize_slow(pictures[n], row.tap, columns[p]);
                    for (int c = 0; c < 3; c++) bytes[p][c] = (int32_t)(pixel >> 8 * c & 255);
                }
#pragma unroll
            for (int p = 0; p < 3 * units::pixels; p++) {
                const auto value = value_of<T>(bytes[p / 3][p % 3], input.scaled);
                values[p / 3][p % 3] = sac__element<T>(columns[p / 3].weights ? value : pad);
            }
        }
        sac__store_unit<LAYOUT, T>(input, n, first_line + k, unit, values);
    }
}

template <int LAYOUT, class T>
__global__ void __launch_bounds__(THREADS, resident<LAYOUT>)
    letterbox(const __grid_constant__ sac__input input, const sac__batch *batch)
{
    using units = sac__units<LAYOUT>;
    __shared__ Row rows[LINES * units::rows];
    const int n = blockIdx.z, first_line = blockIdx.y * LINES;
    const int unit = blockIdx.x * THREADS + threadIdx.x;
    sac__grid_wait();
    sac__grid_release();
    const sac__picture *pictures = (const sac__picture *)(batch + 1);
    const sac__picture &picture = pictures[n];
    if (n >= batch->count || !picture.src.data) return;
    if (threadIdx.x < LINES * units::rows)
        rows[threadIdx.x] =
            set_row(picture, first_line * units::rows + (int)threadIdx.x - picture.fit.top);
    __syncthreads();
    if (units::x(unit) >= input.width) return;
    if (picture.src.chroma)
        write_lines<LAYOUT, T, Nv12>(input, pictures, rows, n, first_line, unit);
    else
        write_lines<LAYOUT, T, Packed>(input, pictures, rows, n, first_line, unit);
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
