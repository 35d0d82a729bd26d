// SPDX-License-Identifier: Apache-2.0
// wgmma: descriptors, swizzles, steps along the depth, whether the first product overwrites, and
// where sums lie; and that sums, rounded to half, are the registers of the next product's left
// operand. A wrong result is tried again with other descriptors, to name the one that is
// right; if none is, products with a matrix of ones on its diagonal say what each register holds.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include <cuda_fp16.h>

#include "ops/math/half.h"
#include "probe.cuh"

namespace
{

enum { DEPTH = 64, STEPS = DEPTH / 16, BEFORE = 4096 };

/// How an operand lies in memory and is described.
struct layout {
    uint32_t bytes;           ///< of a row; runs of that length come one after the other
    uint32_t leading, stride; ///< for the descriptor
    int swizzle;              ///< for the descriptor
    int pattern;              ///< in memory: 0 by the address, 1 none, 2 by the row
    uint32_t at[STEPS];       ///< where a step of 16 begins
};

__device__ uint32_t place(const layout &o, uint32_t rows, uint32_t row, uint32_t piece)
{
    const uint32_t width = o.bytes / 16, run = piece / width;
    uint32_t at = row * width + piece % width;
    if (o.pattern == 0) at ^= at >> 3 & (width - 1);
    if (o.pattern == 2) at ^= row & (width - 1);
    return run * rows * width + at;
}

/// a (64,DEPTH), then b (rows,DEPTH) to shared memory.
__device__ void put(uint4 *memory, const uint4 *a, const uint4 *b, uint32_t rows,
                    const layout &left, const layout &right)
{
    for (uint32_t i = threadIdx.x; i < 64 * DEPTH / 8; i += 128)
        memory[place(left, 64, i / 8, i % 8)] = a[i];
    for (uint32_t i = threadIdx.x; i < rows * DEPTH / 8; i += 128)
        memory[64 * DEPTH / 8 + place(right, rows, i / 8, i % 8)] = b[i];
    sac__fence_proxy_async();
    __syncthreads();
}

template <int N>
__device__ void multiply(float (&d)[N / 2], uint32_t start, const layout &left, const layout &right)
{
    const uint32_t second = start + 64 * DEPTH * 2;
    sac__wgmma_fence();
#pragma unroll
    for (int k = 0; k < STEPS; k++)
        sac__wgmma_f16<N>(
            d, sac__wgmma_descriptor(start + left.at[k], left.leading, left.stride, left.swizzle),
            sac__wgmma_descriptor(second + right.at[k], right.leading, right.stride, right.swizzle),
            k > 0);
    sac__wgmma_commit();
    sac__wgmma_wait<0>();
#pragma unroll
    for (int i = 0; i < N / 2; i++)
        sac__wgmma_pin(d[i]);
}

/// a (64,DEPTH), b (N,DEPTH); to: N/2 accumulators of each thread, which hold BEFORE at first.
template <int N>
__global__ void __launch_bounds__(128)
    product_kernel(float *to, const uint4 *a, const uint4 *b, layout left, layout right)
{
    SAC__SHARED(uint4, memory);
    float d[N / 2];
    put(memory, a, b, N, left, right);
#pragma unroll
    for (int i = 0; i < N / 2; i++)
        d[i] = BEFORE;
    multiply<N>(d, sac__shared_address(memory), left, right);
#pragma unroll
    for (int i = 0; i < N / 2; i++)
        to[threadIdx.x * (N / 2) + i] = d[i];
}

/// The same with b (NEXT,DEPTH); its sums, as halves in the registers that they are in, times b's
/// first NEXT depths.
enum { NEXT = 32 };
__global__ void __launch_bounds__(128)
    next_kernel(float *to, const uint4 *a, const uint4 *b, layout left, layout right)
{
    SAC__SHARED(uint4, memory);
    const uint32_t start = sac__shared_address(memory), second = start + 64 * DEPTH * 2;
    float d[NEXT / 2] = {}, next[NEXT / 2] = {};
    uint32_t halves[NEXT / 4];
    put(memory, a, b, NEXT, left, right);
    multiply<NEXT>(d, start, left, right);
#pragma unroll
    for (int i = 0; i < NEXT / 4; i++) {
        const __half2 two = __floats2half2_rn(d[2 * i], d[2 * i + 1]);
        memcpy(&halves[i], &two, sizeof two);
    }
    sac__wgmma_fence();
#pragma unroll
    for (int k = 0; k < NEXT / 16; k++)
        sac__wgmma_f16_registers<NEXT>(
            next, halves + 4 * k,
            sac__wgmma_descriptor(second + right.at[k], right.leading, right.stride, right.swizzle),
            k > 0);
    sac__wgmma_commit();
    sac__wgmma_wait<0>();
#pragma unroll
    for (int i = 0; i < NEXT / 2; i++) {
        sac__wgmma_pin(next[i]);
        to[threadIdx.x * (NEXT / 2) + i] = next[i];
    }
}

layout assumed(uint32_t bytes, uint32_t rows)
{
    layout o = {};
    o.bytes = bytes;
    o.leading = 16;
    o.stride = 8 * bytes;
    o.swizzle = bytes == 128 ? SAC__SWIZZLE_128 : bytes == 64 ? SAC__SWIZZLE_64 : SAC__SWIZZLE_32;
    for (uint32_t k = 0; k < STEPS; k++)
        o.at[k] = k * 32 / bytes * rows * bytes + k * 32 % bytes;
    return o;
}

struct deviation {
    const char *name;
    void (*change)(layout &);
};

const deviation deviations[] = {
    {"leading and stride the other way round", [](layout &o) { std::swap(o.leading, o.stride); }},
    {"a leading offset of 0", [](layout &o) { o.leading = 0; }},
    {"the stride as leading offset too", [](layout &o) { o.leading = o.stride; }},
    {"the stride of one row", [](layout &o) { o.stride = o.bytes; }},
    {"the stride of 16 rows", [](layout &o) { o.stride = 16 * o.bytes; }},
    {"swizzles numbered the other way", [](layout &o) { o.swizzle = 4 - o.swizzle; }},
    {"steps of 16 bytes along the depth",
     [](layout &o) {
         for (uint32_t k = 0; k < STEPS; k++)
             o.at[k] -= k * 32 % o.bytes / 2;
     }},
    {"no steps along the depth within a row",
     [](layout &o) {
         for (uint32_t k = 0; k < STEPS; k++)
             o.at[k] -= k * 32 % o.bytes;
     }},
    {"memory that is not swizzled", [](layout &o) { o.pattern = 1; }},
    {"memory swizzled by the row, not by the address", [](layout &o) { o.pattern = 2; }}};

struct operand {
    int rows;
    std::vector<uint16_t> bits;
    std::vector<float> values;
    explicit operand(int r) : rows(r), bits(static_cast<size_t>(r * DEPTH)), values(bits.size())
    {
        for (size_t i = 0; i < bits.size(); i++) // small whole numbers: sums are exact
            set(i, static_cast<float>(static_cast<int>((i * 2654435761u >> 7) % 9) - 4));
    }
    void set(size_t i, float value)
    {
        values[i] = value;
        bits[i] = sac__float_half(value);
    }
    float at(int row, int k) const
    {
        return values[static_cast<size_t>(row * DEPTH + k)];
    }
};

/// Accumulators as the threads should hold them.
std::vector<float> products(const operand &a, const operand &b, int depth = DEPTH)
{
    const int n = b.rows;
    std::vector<float> d(static_cast<size_t>(64 * n));
    for (int row = 0; row < 64; row++)
        for (int column = 0; column < n; column++) {
            float sum = 0;
            for (int k = 0; k < depth; k++)
                sum += a.at(row, k) * b.at(column, k);
            const int thread = row / 16 * 32 + row % 8 * 4 + column % 8 / 2;
            const int index = column / 8 * 4 + row / 8 % 2 * 2 + column % 2;
            d[static_cast<size_t>(thread * (n / 2) + index)] = sum;
        }
    return d;
}

template <int N>
std::vector<float> run(const operand &a, const operand &b, const layout &left, const layout &right,
                       decltype(&product_kernel<N>) kernel = product_kernel<N>)
{
    const probe_array<uint16_t> first(a.bits), second(b.bits);
    const probe_array<float> to(static_cast<size_t>(64 * N));
    sac_launch launch = {};
    launch.grid = dim3(1), launch.block = dim3(128);
    launch.shared = (64 + 2 * N) * DEPTH * 2; // room for what other descriptors would read
    probe_must(sac__launch("wgmma", launch, kernel, to.data,
                           reinterpret_cast<const uint4 *>(first.data),
                           reinterpret_cast<const uint4 *>(second.data), left, right));
    return to.read();
}

/// A half for each of 16384 numbers, none of them zero or subnormal; and back.
float marked(int number)
{
    return sac__half_float(static_cast<uint16_t>(0x400 + number));
}

int mark_of(float value)
{
    return sac__float_half(value) - 0x400;
}

/// The product of ones on a's diagonal and b whose values all differ: each register then holds an
/// element of b, (its column, its row).
template <int N> std::string describe(const layout &left, const layout &right)
{
    operand a(64), b(N);
    char text[128];
    for (size_t i = 0; i < a.values.size(); i++)
        a.set(i, i / DEPTH == i % DEPTH);
    for (size_t i = 0; i < b.values.size(); i++)
        b.set(i, marked(static_cast<int>(i)));
    const std::vector<float> seen = run<N>(a, b, left, right), wanted = products(a, b);
    std::string all;
    int shown = 0;
    for (size_t i = 0; i < seen.size() && shown < 16; i++) {
        if (seen[i] == wanted[i]) continue;
        const int found = mark_of(seen[i]), right = mark_of(wanted[i]);
        std::snprintf(
            text, sizeof text, "\n        thread %zu, sum %zu: row %d, column %d; should be %d, %d",
            i / (N / 2), i % (N / 2), found % DEPTH, found / DEPTH, right % DEPTH, right / DEPTH);
        all += text;
        shown++;
    }
    return all;
}

/// Other descriptors for one operand or both; the one that gives what is right.
template <int N>
std::string retry(const operand &a, const operand &b, const layout &left, const layout &right)
{
    static const char *const whose[] = {"", " for a", " for b", " for both"};
    const std::vector<float> wanted = products(a, b);
    for (int which = 3; which > 0; which--)
        for (const deviation &one : deviations) {
            layout l = left, r = right;
            if (which & 1) one.change(l);
            if (which & 2) one.change(r);
            if (run<N>(a, b, l, r) == wanted)
                return std::string("right with ") + one.name + whose[which];
        }
    return "";
}

template <int N> std::string check(uint32_t bytes)
{
    const operand a(64), b(N);
    const layout left = assumed(bytes, 64), right = assumed(128, N);
    const std::vector<float> seen = run<N>(a, b, left, right);
    std::vector<float> wanted = products(a, b), sorted = seen;
    if (seen == wanted) return "";
    std::vector<float> added = wanted;
    for (float &x : added)
        x += BEFORE;
    if (seen == added) return "the first product adds to what was there: the predicate's sense";
    std::sort(sorted.begin(), sorted.end());
    std::sort(wanted.begin(), wanted.end());
    if (sorted == wanted) return "right sums in other registers" + describe<N>(left, right);
    const std::string hint = retry<N>(a, b, left, right);
    return hint.empty() ? "no other descriptor is right" + describe<N>(left, right) : hint;
}

/// Sums as the left operand of another product.
std::string check_next()
{
    const operand a(64), b(NEXT);
    operand sums(64);
    for (int row = 0; row < 64; row++)
        for (int column = 0; column < NEXT; column++) {
            float sum = 0; // at most 1024
            for (int k = 0; k < DEPTH; k++)
                sum += a.at(row, k) * b.at(column, k);
            sums.set(static_cast<size_t>(row * DEPTH + column), sum);
        }
    const layout left = assumed(128, 64), right = assumed(128, NEXT);
    if (run<NEXT>(a, b, left, right, next_kernel) == products(sums, b, NEXT)) return "";
    return "sums lie otherwise than the operand of m64k16 in registers";
}

template <int N> void add(std::vector<probe_reading> &readings, uint32_t bytes)
{
    char what[80];
    std::snprintf(what, sizeof what, "wgmma m64n%dk16, rows of %u bytes", N, bytes);
    readings.push_back({what, [bytes] { return check<N>(bytes); }});
}

} // namespace

void probe_products_add(std::vector<probe_reading> &readings)
{
    for (uint32_t bytes = 128; bytes >= 32; bytes /= 2) {
        add<32>(readings, bytes);
        add<64>(readings, bytes);
        add<96>(readings, bytes);
        add<128>(readings, bytes);
        add<192>(readings, bytes);
        add<256>(readings, bytes);
    }
    readings.push_back({"wgmma: sums as the next product's left operand", check_next});
}
