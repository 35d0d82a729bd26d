// SPDX-License-Identifier: Apache-2.0
// The copy engine's im2col mode. What lands in shared memory is compared with what should; if it is
// something else, with what it would be if the documentation meant something else, and if nothing
// explains it, the first places say which pixel they hold.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "cuda/tensor_map.h"
#include "probe.cuh"

namespace
{

enum : uint16_t { UNTOUCHED = 0x7e00, PERIOD = 0x7bff };

struct map_parameter {
    sac_tensor_map map;
};

struct load {
    int channel, x, y, n, offset_x, offset_y, bytes;
};

/// The load's memory, then a word: was the barrier told of all bytes?
__global__ void im2col_kernel(const __grid_constant__ map_parameter a, unsigned *to, load l)
{
    SAC__SHARED(unsigned, memory);
    const uint32_t at = sac__shared_address(memory), barrier = at + static_cast<uint32_t>(l.bytes);
    for (int i = static_cast<int>(threadIdx.x); i < l.bytes / 4; i += static_cast<int>(blockDim.x))
        memory[i] = UNTOUCHED * 0x10001u;
    if (threadIdx.x == 0) {
        sac__mbarrier_init(barrier, 1);
        sac__fence_mbarrier_init();
    }
    sac__fence_proxy_async();
    __syncthreads();
    sac__grid_release();
    sac__grid_wait();
    if (threadIdx.x == 0) {
        sac__mbarrier_expect_tx(barrier, static_cast<uint32_t>(l.bytes));
        sac__tma_load_im2col(at, &a.map, barrier, l.channel, l.x, l.y, l.n, l.offset_x, l.offset_y);
    }
    const bool told = probe_told(barrier, 0);
    for (int i = static_cast<int>(threadIdx.x); i < l.bytes / 4; i += static_cast<int>(blockDim.x))
        to[i] = memory[i];
    if (threadIdx.x == 0) to[l.bytes / 4] = told;
}

// --- Readings of the documentation --------------------------------------------------------------

/// 0 throughout is what conv_wgmma.cu relies on.
struct meaning {
    int corners = 0, lower = 0, upper = 0, start = 0, offsets = 0, strides = 0, walk = 0;
    int swizzle = 0, outside = 0;
};

using meaning_field = int meaning::*;

struct deviation {
    const char *name;
    meaning_field field;
    int value;
};

const deviation deviations[] = {
    {"the box's corners are height first", &meaning::corners, 1},
    {"the lower corner's sign is the other one", &meaning::lower, 1},
    {"the upper corner's sign is the other one", &meaning::upper, 1},
    {"the upper corner counts from the picture's origin", &meaning::upper, 2},
    {"the upper corner is not used, rows end with the picture", &meaning::upper, 3},
    {"the start is height first", &meaning::start, 1},
    {"the start is counted in strides", &meaning::start, 2},
    {"the start is counted from the box's corner", &meaning::start, 3},
    {"the offsets are height first", &meaning::offsets, 1},
    {"the offsets are counted in strides", &meaning::offsets, 2},
    {"the offsets are subtracted", &meaning::offsets, 3},
    {"the element strides do not move the pixels", &meaning::strides, 1},
    {"the element strides are height first", &meaning::strides, 2},
    {"pixels go down columns first", &meaning::walk, 1},
    {"no swizzle", &meaning::swizzle, 1},
    {"the swizzle goes by the row, not by the address", &meaning::swizzle, 2},
    {"the swizzle is that of 128 bytes", &meaning::swizzle, 3},
    {"what lies outside is not written", &meaning::outside, 1}};

/// Element of a 16-byte piece of a row.
int place(const sac_im2col &m, const meaning &r, int row, int piece)
{
    const int width = m.box / 8, at = row * width + piece; // pieces
    if (r.swizzle == 1) return at * 8;
    if (r.swizzle == 2) return (at ^ (row & (width - 1))) * 8;
    if (r.swizzle == 3) return (at ^ (at >> 3 & 7)) * 8;
    return (at ^ (at >> 3 & (width - 1))) * 8;
}

/// x and y of a walk over the box: from `first` by `step` to `last`.
struct walk {
    int first[2], last[2], step[2], at[2], n;

    walk(const sac_im2col &m, const load &l, const meaning &r) : n(l.n)
    {
        const int in[2] = {m.width, m.height}, out[2] = {m.out_width, m.out_height};
        const int from[2] = {l.x, l.y};
        int lower[2], upper[2];
        for (int k = 0; k < 2; k++) {
            lower[k] = -m.pad[1 - k];
            upper[k] = lower[k] + (out[k] - 1) * m.stride[1 - k] - (in[k] - 1);
        }
        for (int k = 0; k < 2; k++) {
            const int low = lower[r.corners ? 1 - k : k], up = upper[r.corners ? 1 - k : k];
            first[k] = r.lower ? -low : low;
            last[k] = r.upper == 1 ? in[k] - 1 - up : r.upper == 2 ? up : in[k] - 1;
            if (r.upper == 0) last[k] += up;
            step[k] = r.strides == 1 ? 1 : m.stride[r.strides == 2 ? k : 1 - k];
            at[k] = from[r.start == 1 ? 1 - k : k];
            if (r.start == 2) at[k] *= m.stride[1 - k];
            if (r.start == 3) at[k] += low;
        }
    }
    void next(const meaning &r)
    {
        const int inner = r.walk;
        at[inner] += step[inner];
        if (at[inner] <= last[inner]) return;
        at[inner] = first[inner];
        at[1 - inner] += step[1 - inner];
        if (at[1 - inner] <= last[1 - inner]) return;
        at[1 - inner] = first[1 - inner];
        n++;
    }
};

int offset_of(const sac_im2col &m, const load &l, const meaning &r, int axis)
{
    const int offset[2] = {l.offset_x, l.offset_y};
    if (r.offsets == 1) return offset[1 - axis];
    if (r.offsets == 2) return offset[axis] * m.stride[1 - axis];
    return r.offsets == 3 ? -offset[axis] : offset[axis];
}

/// What shared memory should hold, as halves' bits.
std::vector<uint16_t> expected(const sac_im2col &m, const load &l,
                               const std::vector<uint16_t> &data, const meaning &r)
{
    std::vector<uint16_t> box(static_cast<size_t>(m.rows * m.box), UNTOUCHED);
    const int dx = offset_of(m, l, r, 0), dy = offset_of(m, l, r, 1);
    walk at(m, l, r);
    for (int row = 0; row < m.rows; row++, at.next(r)) {
        const int x = at.at[0] + dx, y = at.at[1] + dy;
        const bool pixel = at.n < m.n && y >= 0 && y < m.height && x >= 0 && x < m.width;
        for (int c = 0; c < m.box; c++) {
            const size_t to = static_cast<size_t>(place(m, r, row, c / 8) + c % 8);
            if (pixel && l.channel + c < m.channels)
                box[to] = data[static_cast<size_t>(((at.n * m.height + y) * m.width + x) * m.pitch +
                                                   l.channel + c)];
            else if (r.outside == 0)
                box[to] = 0;
        }
    }
    return box;
}

/// The first rows that differ: what is in the first place that does.
std::string describe(const sac_im2col &m, const std::vector<uint16_t> &seen,
                     const std::vector<uint16_t> &wanted)
{
    auto name = [&](uint16_t value, size_t size) -> std::string {
        char text[96];
        const int i = value - 1, pixel = i / m.pitch;
        if (value == 0) return "zero";
        if (value == UNTOUCHED) return "untouched";
        std::snprintf(text, sizeof text, "n%d y%d x%d c%d%s", pixel / (m.height * m.width),
                      pixel / m.width % m.height, pixel % m.width, i % m.pitch,
                      size > PERIOD ? " (or a later one)" : "");
        return text;
    };
    const size_t size = static_cast<size_t>(m.n * m.height * m.width * m.pitch);
    std::string text;
    int shown = 0;
    for (size_t row = 0; row < seen.size() && shown < 16; row += static_cast<size_t>(m.box)) {
        size_t i = row;
        while (i < row + static_cast<size_t>(m.box) && seen[i] == wanted[i])
            i++;
        if (i == row + static_cast<size_t>(m.box)) continue;
        text += "\n        byte " + std::to_string(i * 2) + " holds " + name(seen[i], size) +
                ", should " + name(wanted[i], size);
        shown++;
    }
    return text;
}

std::string explain(const sac_im2col &m, const load &l, const std::vector<uint16_t> &data,
                    const std::vector<uint16_t> &seen)
{
    if (seen == expected(m, l, data, meaning())) return "";
    for (const deviation &one : deviations) {
        meaning r;
        r.*one.field = one.value;
        if (seen == expected(m, l, data, r)) return one.name;
    }
    for (const deviation &one : deviations)
        for (const deviation &two : deviations) {
            meaning r;
            r.*one.field = one.value;
            r.*two.field = two.value;
            if (seen == expected(m, l, data, r)) return std::string(one.name) + ", " + two.name;
        }
    return "no reading explains it" + describe(m, seen, expected(m, l, data, meaning()));
}

// --- On the GPU ---------------------------------------------------------------------------------

std::vector<uint16_t> numbers(const sac_im2col &m, int from)
{
    std::vector<uint16_t> data(static_cast<size_t>(m.n * m.height * m.width * m.pitch));
    for (size_t i = 0; i < data.size(); i++) // finite, not zero, no two near ones alike
        data[i] = static_cast<uint16_t>((i + static_cast<size_t>(from)) % PERIOD + 1);
    return data;
}

void launch_load(const sac_im2col &m, const load &l, unsigned *to, bool overlap)
{
    map_parameter a;
    probe_must(sac__im2col_map(&a.map, &m));
    sac_launch launch = {};
    launch.grid = dim3(1), launch.block = dim3(64);
    launch.shared = static_cast<size_t>(l.bytes) + 16;
    launch.overlap = overlap;
    probe_must(sac__launch("im2col", launch, im2col_kernel, a, to, l));
}

std::vector<uint16_t> loaded(const probe_array<unsigned> &to, std::string &note)
{
    const std::vector<unsigned> words = to.read();
    std::vector<uint16_t> box(words.size() * 2 - 2);
    std::memcpy(box.data(), words.data(), box.size() * 2);
    const size_t missing = static_cast<size_t>(std::count(box.begin(), box.end(), UNTOUCHED));
    if (words.back() != 1)
        note = "the barrier was told of fewer bytes than expected (" + std::to_string(missing * 2) +
               " of " + std::to_string(box.size() * 2) + " are untouched); ";
    return box;
}

std::string run_im2col(sac_im2col m, load l)
{
    const std::vector<uint16_t> data = numbers(m, 0);
    probe_array<uint16_t> in(data);
    m.data = in.data;
    l.bytes = m.rows * m.box * 2;
    probe_array<unsigned> to(static_cast<size_t>(l.bytes / 4 + 1));
    launch_load(m, l, to.data, false);
    std::string note;
    const std::vector<uint16_t> seen = loaded(to, note);
    return note + explain(m, l, data, seen);
}

__global__ void fill_kernel(uint16_t *to, int count, int from)
{
    sac__grid_release();
    sac__grid_wait();
    const int step = static_cast<int>(gridDim.x * blockDim.x);
    for (int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); i < count; i += step)
        to[i] = static_cast<uint16_t>((i + from) % PERIOD + 1);
}

/// The engine reads what the kernel before has only just written, when both overlap.
std::string run_overlap(sac_im2col m, load l)
{
    const int count = m.n * m.height * m.width * m.pitch;
    probe_array<uint16_t> in(static_cast<size_t>(count));
    m.data = in.data;
    l.bytes = m.rows * m.box * 2;
    probe_array<unsigned> to(static_cast<size_t>(l.bytes / 4 + 1));
    int wrong = 0, stale = 0;
    std::string note;
    for (int turn = 1; turn <= 50; turn++) {
        sac_launch launch = {};
        launch.grid = dim3(16), launch.block = dim3(256), launch.overlap = true;
        probe_must(sac__launch("fill", launch, fill_kernel, in.data, count, turn * 77));
        launch_load(m, l, to.data, true);
        const std::vector<uint16_t> seen = loaded(to, note);
        wrong += seen != expected(m, l, numbers(m, turn * 77), meaning());
        stale += seen == expected(m, l, numbers(m, turn * 77 - 77), meaning());
    }
    if (!wrong) return note;
    return note + std::to_string(wrong) + " of 50 wrong, " + std::to_string(stale) +
           " as they were before (then the wait for the grid wants a fence.proxy.async after it)";
}

/// Output pixel (y,x) of picture n, tap (r,s) with dilation 1.
load load_at(const sac_im2col &m, int n, int y, int x, int r, int s, int channel)
{
    return {channel, x * m.stride[1] - m.pad[1], y * m.stride[0] - m.pad[0], n, s, r, 0};
}

struct sample {
    const char *what;
    sac_im2col map;
    int n, y, x, r, s, channel;
};

// clang-format off
const sample samples[] = {
    {"3x3, 128-byte rows, first tap",
     {nullptr, 3, 9, 13, 64, 64, 9, 13, {1, 1}, {1, 1}, 64, 64}, 0, 0, 0, 0, 0, 0},
    {"3x3, last tap, end of a picture",
     {nullptr, 3, 9, 13, 64, 64, 9, 13, {1, 1}, {1, 1}, 64, 64}, 0, 7, 5, 2, 2, 0},
    {"3x3, beyond the batch",
     {nullptr, 3, 9, 13, 64, 64, 9, 13, {1, 1}, {1, 1}, 64, 64}, 2, 8, 3, 1, 1, 0},
    {"5x7, unequal padding, 64-byte rows",
     {nullptr, 2, 9, 14, 96, 104, 7, 12, {1, 1}, {1, 2}, 32, 128}, 0, 2, 3, 4, 1, 64},
    {"3x3 stride 2, 32-byte rows",
     {nullptr, 2, 11, 16, 48, 56, 6, 8, {2, 2}, {1, 1}, 16, 64}, 0, 1, 2, 1, 2, 32},
    {"3x3 stride 2, channels that are not there",
     {nullptr, 2, 11, 16, 48, 56, 6, 8, {2, 2}, {1, 1}, 16, 64}, 0, 1, 2, 1, 2, 48},
    {"1x3, strides 3 and 2",
     {nullptr, 2, 12, 18, 64, 64, 4, 9, {3, 2}, {0, 1}, 64, 256}, 0, 0, 0, 0, 1, 0},
    {"1x1, 40 of 64 channels",
     {nullptr, 2, 6, 5, 40, 40, 6, 5, {1, 1}, {0, 0}, 64, 64}, 0, 0, 0, 0, 0, 0},
    {"3x3 stride 2, even, 128-byte rows",
     {nullptr, 1, 40, 40, 64, 64, 20, 20, {2, 2}, {1, 1}, 64, 256}, 0, 6, 8, 2, 0, 0},
};
// clang-format on

load load_of(const sample &s)
{
    load l = load_at(s.map, s.n, s.y, s.x, s.r, s.s, s.channel);
    l.bytes = s.map.rows * s.map.box * 2;
    return l;
}

/// Every other meaning would show in some sample: else this probe could not tell.
std::string run_telling()
{
    for (const deviation &one : deviations) {
        bool told = false;
        for (const sample &s : samples) {
            const std::vector<uint16_t> data = numbers(s.map, 0);
            meaning r;
            r.*one.field = one.value;
            const std::vector<uint16_t> other = expected(s.map, load_of(s), data, r);
            told = told || explain(s.map, load_of(s), data, other) == one.name;
        }
        if (!told) return std::string("nothing would show: ") + one.name;
    }
    return "";
}

} // namespace

void probe_im2col_add(std::vector<probe_reading> &readings)
{
    readings.push_back({"im2col, every other meaning would show", run_telling});
    for (const sample &s : samples)
        readings.push_back(
            {std::string("im2col ") + s.what, [&s] { return run_im2col(s.map, load_of(s)); }});
    const sample *plain = &samples[0];
    readings.push_back({"im2col of what an overlapping kernel wrote",
                        [plain] { return run_overlap(plain->map, load_of(*plain)); }});
}
