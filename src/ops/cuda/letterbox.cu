// SPDX-License-Identifier: Apache-2.0
// Letterbox: source pictures of any size and format into the network's input, one kernel a batch.
//
// A thread makes one unit (store.cuh) of several lines; where columns and rows come from is worked
// out once a block. A block's lines are far apart, so that all have their share of padding, which
// is written first: it needs no picture. Neighbours of a row are fetched as aligned words, without
// branches so that all of a unit's loads are under way together, sorted with byte permutes and
// weighted with dp2a. Where words would pass the picture's end: byte by byte.
//
// The integers are exact in floats: products are exact within a fused multiply-add, and one that
// rounds towards zero at 2^23 or more loses what is behind the point, as a shift to the right does.
// So there are half as many instructions, and float units are twice as many as integer units.
//
// Bytes that must move for 1080p → 1280 folded fp16: 6.2 MB in, 13.1 MB out; all of it fits in L2.
#include "cuda/launch.cuh"
#include "store.cuh"

namespace {

/// A thread makes a unit of at most LINES lines.
enum { THREADS = 256, LINES = 8 };

/// Blocks that a multiprocessor is to hold, so that loads of many threads hide each other.
template <int LAYOUT> constexpr int resident = LAYOUT == SAC__INPUT_NCHW ? 2 : 4;

enum { PROCESSORS = 132 }; ///< of a large GPU, which holds all blocks at once: fewer start sooner

constexpr uint32_t WHOLE = 0x4b000000u; ///< as a float 2^23; with a number added, 2^23 more than it
constexpr float whole = 8388608.f;

/// A sum of dp2a onto WHOLE, divided by 16 as >> 4 does.
SAC__DEVICE float sixteenth(uint32_t sum)
{
    return __fmaf_rz(sac__bits_float(sum), 1 / 16.f, whole - whole / 16);
}

/// Where a pixel comes from along x.
struct Column {
    int32_t first;    ///< source pixel; the second is next to it, or has no weight
    uint32_t weights; ///< of 2048: the first's in the lower half; none: padding
};

/// The 8 bytes from `from` on; the 12 from its aligned word on are read.
SAC__DEVICE uint2 fetch8(const uint8_t *from)
{
    const uint32_t *words = (const uint32_t *)((uintptr_t)from & ~(uintptr_t)3);
    const uint32_t a = __ldg(words), b = __ldg(words + 1), c = __ldg(words + 2);
    const uint32_t shift = 8 * (uint32_t)(uintptr_t)from;
    return make_uint2(__funnelshift_r(a, b, shift), __funnelshift_r(b, c, shift)); // of 32
}

/// The 4 bytes from `from` on; 8 are read.
SAC__DEVICE uint32_t fetch4(const uint8_t *from)
{
    const uint32_t *words = (const uint32_t *)((uintptr_t)from & ~(uintptr_t)3);
    return __funnelshift_r(__ldg(words), __ldg(words + 1), 8 * (uint32_t)(uintptr_t)from);
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
    __device__ __forceinline__ void across(float *out, Line line, Column column) const
    {
        const uint2 bytes = fetch8(line.luma + (ptrdiff_t)column.first * step);
        const uint32_t pairs = __byte_perm(bytes.x, bytes.y, two);
        const uint32_t pair = __byte_perm(bytes.x, bytes.y, one);
        out[0] = sixteenth(__dp2a_lo(column.weights, pairs, WHOLE));
        out[1] = sixteenth(__dp2a_hi(column.weights, pairs, WHOLE));
        out[2] = sixteenth(__dp2a_lo(column.weights, pair, WHOLE));
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
    /// With sac__pack_u8 that is sac__yuv_byte.
    static __device__ __forceinline__ int32_t luma_of(uint8_t y)
    {
        return max((int32_t)y - 16, 0) * SAC__YUV_Y;
    }
    __device__ __forceinline__ void across(float *out, Line line, Column column) const
    {
        const uint32_t both = fetch4(line.luma + column.first);
        const uint32_t first = fetch4(line.chroma + column.first / 2 * 2);
        const uint32_t second = column.first & 1 ? first >> 16 : first;
        const int32_t luma0 = luma_of((uint8_t)both), luma1 = luma_of((uint8_t)(both >> 8));
#pragma unroll
        for (int c = 0; c < 3; c++) {
            const int32_t a = sac__yuv_chroma(c, (uint8_t)first, (uint8_t)(first >> 8));
            const int32_t b = sac__yuv_chroma(c, (uint8_t)second, (uint8_t)(second >> 8));
            const uint32_t pair =
                sac__pack_u8((luma0 + a) >> SAC__YUV_BITS, (luma1 + b) >> SAC__YUV_BITS);
            out[c] = sixteenth(__dp2a_lo(column.weights, pair, WHOLE));
        }
        const float red = out[0];
        out[0] = swapped ? out[2] : red;
        out[2] = swapped ? red : out[2];
    }
};

/// What may be read of the words of a row's columns.
enum { PADDING, WORDS, SOME }; ///< no picture there; all; not those of the last columns

/// Where a row of the input comes from.
struct alignas(16) Row {
    Line upper, lower;
    float weight0, weight1; ///< of 65536
    float before;           ///< what sums start from
    int32_t reads;
    sac__tap tap;
};

enum { ROOM = 1 << 19 }; ///< more than 128 times all weights: keeps sums above 2^23

/// sac__resize_down; the byte is the lowest of the float's.
SAC__DEVICE float down(float upper, float lower, float weight0, float weight1, float before)
{
    const float sum = __fmaf_rz(lower, weight1, __fmaf_rz(upper, weight0, before));
    return __fmaf_rz(sum, 0.25f, whole - (whole + ROOM) / 4);
}

/// The bytes of a unit's pixels in a row of the picture.
template <int PIXELS, class Source>
SAC__DEVICE void resize_fast(float (*bytes)[3], const Source &source, const Row &row,
                             const Column *columns)
{
    float upper[PIXELS][3], lower[PIXELS][3];
#pragma unroll
    for (int k = 0; k < PIXELS; k++) {
        source.across(upper[k], row.upper, columns[k]);
        source.across(lower[k], row.lower, columns[k]);
    }
#pragma unroll
    for (int k = 0; k < PIXELS; k++)
#pragma unroll
        for (int c = 0; c < 3; c++)
            bytes[k][c] = down(upper[k][c], lower[k][c], row.weight0, row.weight1, row.before);
}

/// The same of a pixel near the picture's end, byte by byte. Not a part of the caller: rare.
static __device__ __attribute__((noinline)) uint32_t slow_bytes(const sac__picture &picture,
                                                                sac__tap row, Column column)
{
    const int32_t second = column.first + (column.weights >> 16 != 0);
    const sac__tap tap = {column.first, second, (int16_t)(column.weights & 0xffff),
                          (int16_t)(column.weights >> 16)};
    uint32_t bytes = 0;
#pragma unroll
    for (int c = 0; c < 3; c++)
        bytes |= (uint32_t)sac__resized_byte(&picture.src, c, row, tap) << 8 * c;
    return bytes;
}

SAC__DEVICE void resize_slow(float *bytes, const sac__picture &picture, sac__tap row, Column column)
{
    const uint32_t three = slow_bytes(picture, row, column);
#pragma unroll
    for (int c = 0; c < 3; c++)
        bytes[c] = sac__bits_float(WHOLE | (three >> 8 * c & 255));
}

template <int PIXELS> SAC__DEVICE void fill(float (*values)[3], float value)
{
#pragma unroll
    for (int p = 0; p < 3 * PIXELS; p++)
        values[p / 3][p % 3] = value;
}

/// What makes elements of the bytes of a pixel: byte + 2^23 in, fmaf out.
struct Scale {
    float factor, offset; ///< of padding: 0 and what padding is
};

/// sac__input_value; of bytes as they are: 2^23 more, the byte is the lowest of the float's.
template <class T> SAC__DEVICE Scale scale_of(const sac__input &input, bool inside)
{
    const float factor = sizeof(T) > 1 && input.scaled ? 1 / 255.f : 1.f;
    const float offset = sizeof(T) > 1 ? -whole * factor : 0.f;
    if (inside) return {factor, offset};
    return {0.f, __fmaf_rn(whole + (float)input.pad, factor, offset)};
}

SAC__DEVICE Column column_of(const sac__picture &picture, int x)
{
    const int d = x - picture.fit.left;
    if (d < 0 || d >= picture.fit.new_width) return {0, 0};
    const sac__tap tap = sac__resize_column(d, picture.scale_x, picture.fit.width0);
    return {tap.first, (uint32_t)tap.weight0 | (uint32_t)tap.weight1 << 16};
}

/// What a block works out once.
template <int LAYOUT> struct Shared {
    using units = sac__units<LAYOUT>;
    enum {
        ACROSS = LAYOUT == SAC__INPUT_NCHW ? 64 : 128, ///< units side by side
        GROUPS = THREADS / ACROSS,                     ///< lines of them
        HIGH = GROUPS * units::rows,
        ROWS = LINES * HIGH,
        COLUMNS = ACROSS * units::pixels / units::rows
    };
    sac__picture picture;
    Row rows[ROWS];
    alignas(16) Column columns[COLUMNS];
};

template <class Source> SAC__DEVICE bool reaches(const Source &source, const Row &row, int32_t last)
{
    return source.reaches(row.upper, last) && source.reaches(row.lower, last);
}

template <class Source> SAC__DEVICE void set_lines(Row &row, const Source &source, int32_t last)
{
    row.upper = source.line(row.tap.first);
    row.lower = source.line(row.tap.second);
    row.reads = reaches(source, row, last) ? WORDS : SOME;
}

SAC__DEVICE void set_row(Row &row, const sac__picture &picture, int d)
{
    row.reads = PADDING;
    if (d < 0 || d >= picture.fit.new_height) return;
    row.tap = sac__resize_row(d, picture.scale_y, picture.fit.height0);
    row.weight0 = row.tap.weight0 / 65536.f;
    row.weight1 = row.tap.weight1 / 65536.f;
    row.before = whole + (float)(ROOM + 2 - 128 * (row.tap.weight0 + row.tap.weight1));
    if (picture.src.chroma)
        set_lines(row, Nv12(picture), picture.fit.width0 - 1);
    else
        set_lines(row, Packed(picture), picture.fit.width0 - 1);
}

/// Which lines a thread makes, and of which unit.
template <int LAYOUT, class T> struct Work {
    using units = sac__units<LAYOUT>;
    T *to;                ///< the unit of the first line
    size_t stride;        ///< elements to that of the next
    int first, step, end; ///< lines
    int group, column;    ///< the thread's place in the block
    int unit;

    __device__ __forceinline__ Work(const sac__input &input, int n)
    {
        enum { ACROSS = Shared<LAYOUT>::ACROSS, GROUPS = Shared<LAYOUT>::GROUPS };
        group = threadIdx.x / ACROSS;
        column = threadIdx.x % ACROSS;
        unit = blockIdx.x * ACROSS + column;
        first = blockIdx.y * GROUPS + group;
        step = gridDim.y * GROUPS;
        end = units::x(unit) < input.width ? input.height / units::rows : 0;
        to = sac__unit_place<LAYOUT, T>(input, n, first, unit);
        stride = step * units::step(input.width);
    }
};

/// Lines above and below the picture.
template <int LAYOUT, class T>
SAC__DEVICE void pad_lines(const sac__input &input, const sac__picture &picture,
                           const Work<LAYOUT, T> &work)
{
    using units = sac__units<LAYOUT>;
    float values[units::pixels][3];
    fill<units::pixels>(values, scale_of<T>(input, false).offset);
    T *to = work.to;
#pragma unroll 1
    for (int line = work.first; line < work.end; line += work.step, to += work.stride) {
        const int y = units::y(line, work.unit) - picture.fit.top;
        if (y < 0 || y >= picture.fit.new_height)
            sac__store_unit<LAYOUT, T>(input, to, work.unit, values);
    }
}

/// What makes elements of the bytes of a unit.
template <int LAYOUT, class T, class Source> struct Unit {
    enum { PIXELS = sac__units<LAYOUT>::pixels };
    Column columns[PIXELS];
    Scale scales[PIXELS];
    int32_t last; ///< the last column; -1: all are padding

    __device__ __forceinline__ Unit(const sac__input &input, const Column *from) : last(-1)
    {
#pragma unroll
        for (int k = 0; k < PIXELS; k++) {
            columns[k] = from[k];
            scales[k] = scale_of<T>(input, columns[k].weights != 0);
            if (columns[k].weights) last = columns[k].first;
        }
    }
    __device__ __forceinline__ void make(float (*values)[3], const sac__picture &picture,
                                         const Source &source, const Row &row) const
    {
        if (last < 0) {
            fill<PIXELS>(values, 0.f);
        } else if (row.reads == WORDS || reaches(source, row, last)) {
            resize_fast<PIXELS>(values, source, row, columns);
        } else {
#pragma unroll
            for (int p = 0; p < PIXELS; p++)
                resize_slow(values[p], picture, row.tap, columns[p]);
        }
#pragma unroll
        for (int p = 0; p < 3 * PIXELS; p++)
            values[p / 3][p % 3] =
                __fmaf_rn(values[p / 3][p % 3], scales[p / 3].factor, scales[p / 3].offset);
    }
};

/// Lines of the picture.
template <int LAYOUT, class T, class Source>
SAC__DEVICE void write_lines(const sac__input &input, const Shared<LAYOUT> &shared,
                             const Work<LAYOUT, T> &work)
{
    using units = sac__units<LAYOUT>;
    const Unit<LAYOUT, T, Source> unit(input, &shared.columns[units::x(work.column)]);
    const Source source(shared.picture);
    const Row *row = &shared.rows[units::y(work.group, work.unit)];
    T *to = work.to;
#pragma unroll 1
    for (int line = work.first; line < work.end; line += work.step, to += work.stride) {
        if (row->reads != PADDING) {
            float values[units::pixels][3];
            unit.make(values, shared.picture, source, *row);
            sac__store_unit<LAYOUT, T>(input, to, work.unit, values);
        }
        row += Shared<LAYOUT>::HIGH;
    }
}

/// Where the block's columns and rows come from.
template <int LAYOUT> SAC__DEVICE void set_shared(Shared<LAYOUT> &shared)
{
    using units = sac__units<LAYOUT>;
    using S = Shared<LAYOUT>;
    const sac__picture &picture = shared.picture;
    const int x = units::x(blockIdx.x * S::ACROSS), y = blockIdx.y * S::HIGH - picture.fit.top;
#pragma unroll 1
    for (int k = threadIdx.x; k < S::COLUMNS + S::ROWS; k += THREADS) {
        const int row = k - S::COLUMNS, down = row / S::HIGH * (int)gridDim.y * S::HIGH;
        if (row < 0)
            shared.columns[k] = column_of(picture, x + k);
        else
            set_row(shared.rows[row], picture, y + down + row % S::HIGH);
    }
}

template <int LAYOUT, class T>
__global__ void __launch_bounds__(THREADS, resident<LAYOUT>)
    letterbox(const __grid_constant__ sac__input input, const sac__batch *batch)
{
    __shared__ Shared<LAYOUT> shared;
    const int n = blockIdx.z;
    const Work<LAYOUT, T> work(input, n);
    sac__grid_wait();
    sac__grid_release();
    const uint64_t *words = (const uint64_t *)((const sac__picture *)(batch + 1) + n);
    if (threadIdx.x < sizeof shared.picture / 8)
        ((uint64_t *)&shared.picture)[threadIdx.x] = words[threadIdx.x];
    const int count = batch->count;
    __syncthreads();
    if (n >= count || !shared.picture.src.data) return;
    pad_lines<LAYOUT, T>(input, shared.picture, work);
    set_shared(shared);
    __syncthreads();
    if (shared.picture.src.chroma)
        write_lines<LAYOUT, T, Nv12>(input, shared, work);
    else
        write_lines<LAYOUT, T, Packed>(input, shared, work);
}

template <int LAYOUT, class T>
int launch(const sac__input &input, const sac__batch *batch, cudaStream_t stream, bool overlap)
{
    using units = sac__units<LAYOUT>;
    enum { ACROSS = Shared<LAYOUT>::ACROSS, GROUPS = Shared<LAYOUT>::GROUPS };
    const unsigned across = (units::line_units(input.width) + ACROSS - 1) / ACROSS;
    const unsigned lines = (input.height / units::rows + GROUPS - 1) / GROUPS;
    const unsigned least = (lines + LINES - 1) / LINES, pictures = across * input.n;
    const unsigned few = 2 * PROCESSORS / pictures, held = resident<LAYOUT> * PROCESSORS / pictures;
    unsigned down = lines / 3 > few ? lines / 3 : few; // three lines pay for a thread's columns
    down = down < held ? down : held;
    down = down > lines ? lines : down < least ? least : down;
    const sac_launch how = {dim3(across, down, input.n), dim3(THREADS), stream, 0, 0, overlap};
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
