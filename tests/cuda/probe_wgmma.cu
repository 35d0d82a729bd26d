// SPDX-License-Identifier: Apache-2.0
// What conv_wgmma.cu takes for granted of the chip, one assumption at a time, so that a wrong one
// says its name: bulk copies and barriers, the copy engine's im2col mode (order of corners and
// offsets, ends of rows and pictures, zeros, swizzle), wgmma's operands and accumulators, memory of
// a cluster, overlapping launches. Prints a line for each, and for a wrong one which other reading
// of the documentation would explain what was seen.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <cuda_fp16.h>

#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"
#include "cuda/tensor_map.h"

namespace
{

int failures;

void report(bool right, const char *what, const char *hint)
{
    std::printf("%s %s%s%s\n", right ? "ok   " : "WRONG", what, right ? "" : ": ",
                right ? "" : hint);
    failures += !right;
}

void must(int error, const char *what)
{
    if (!error) return;
    std::printf("WRONG %s: %d\n", what, error);
    std::exit(1);
}

/// Halves or floats on the device.
template <class T> struct device_array {
    T *data = nullptr;
    size_t count;
    explicit device_array(size_t n) : count(n)
    {
        must(cudaMalloc(&data, n * sizeof(T)), "cudaMalloc");
        must(cudaMemset(data, 0xff, n * sizeof(T)), "cudaMemset");
    }
    explicit device_array(const std::vector<T> &from) : device_array(from.size())
    {
        must(cudaMemcpy(data, from.data(), count * sizeof(T), cudaMemcpyHostToDevice), "upload");
    }
    device_array(const device_array &) = delete;
    ~device_array()
    {
        cudaFree(data);
    }
    std::vector<T> read() const
    {
        std::vector<T> to(count);
        must(cudaDeviceSynchronize(), "kernel");
        must(cudaMemcpy(to.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost), "download");
        return to;
    }
};

/// Where 16-byte piece `piece` of row `row` lies, in bytes, in rows of `bytes` (128, 64 or 32).
int swizzled(int row, int piece, int bytes)
{
    int at = row * bytes + piece * 16;
    return at ^ (at >> 7 & (bytes / 16 - 1)) << 4;
}

// --- Bulk copies and barriers -------------------------------------------------------------------

__global__ void bulk_kernel(float *to, const float *from, int rounds)
{
    SAC__SHARED(float, memory);
    uint32_t at = sac__shared_address(memory), barrier = at + 1024;
    if (threadIdx.x == 0) {
        sac__mbarrier_init(barrier, 1);
        sac__fence_mbarrier_init();
    }
    __syncthreads();
    for (int k = 0; k < rounds; k++) {
        if (threadIdx.x == 0) {
            sac__mbarrier_expect_tx(barrier, 1024);
            sac__bulk_load(at, from + k * 256, 512, barrier);
            sac__bulk_load(at + 512, from + k * 256 + 128, 512, barrier);
        }
        sac__mbarrier_wait(barrier, static_cast<uint32_t>(k & 1));
        for (unsigned i = threadIdx.x; i < 256; i += blockDim.x)
            to[k * 256 + i] = memory[i];
        __syncthreads();
    }
}

void probe_bulk()
{
    const int rounds = 3;
    std::vector<float> values(256 * rounds);
    for (size_t i = 0; i < values.size(); i++)
        values[i] = static_cast<float>(i);
    device_array<float> from(values), to(values.size());
    sac_launch launch = {};
    launch.grid = dim3(1), launch.block = dim3(64), launch.shared = 2048;
    must(sac__launch("bulk", launch, bulk_kernel, to.data, static_cast<const float *>(from.data),
                     rounds),
         "launch");
    report(to.read() == values, "bulk copy, mbarrier phases",
           "bytes differ: order of expect_tx and copy, or the parity that is waited for");
}

// --- im2col -------------------------------------------------------------------------------------

struct map_parameter {
    sac_tensor_map map;
};

struct load {
    int channel, x, y, n, offset_x, offset_y, bytes;
};

__global__ void im2col_kernel(const __grid_constant__ map_parameter a, unsigned *to, load l)
{
    SAC__SHARED(unsigned, memory);
    uint32_t at = sac__shared_address(memory), barrier = at + static_cast<uint32_t>(l.bytes);
    for (int i = static_cast<int>(threadIdx.x); i < l.bytes / 4; i += static_cast<int>(blockDim.x))
        memory[i] = 0x7e007e00u; // NaN: what the engine does not write shows
    if (threadIdx.x == 0) {
        sac__mbarrier_init(barrier, 1);
        sac__fence_mbarrier_init();
    }
    sac__fence_proxy_async();
    __syncthreads();
    if (threadIdx.x == 0) {
        sac__mbarrier_expect_tx(barrier, static_cast<uint32_t>(l.bytes));
        sac__tma_load_im2col(at, &a.map, barrier, l.channel, l.x, l.y, l.n, l.offset_x, l.offset_y);
    }
    sac__mbarrier_wait(barrier, 0);
    for (int i = static_cast<int>(threadIdx.x); i < l.bytes / 4; i += static_cast<int>(blockDim.x))
        to[i] = memory[i];
}

/// A reading of the documentation; all false is the one that conv_wgmma.cu relies on.
struct reading {
    const char *name;
    bool corners_swapped, offsets_swapped, plain, no_stride;
};

const reading readings[] = {
    {"as assumed", false, false, false, false},
    {"the box's corners are height first", true, false, false, false},
    {"the offsets are height first", false, true, false, false},
    {"no swizzle", false, false, true, false},
    {"the element strides do not move the pixels", false, false, false, true}};

/// What shared memory should hold after `l`, as halves' bits.
std::vector<uint16_t> im2col_expected(const sac_im2col &m, const load &l,
                                      const std::vector<uint16_t> &data, const reading &r)
{
    std::vector<uint16_t> box(static_cast<size_t>(m.rows * m.box));
    int first[2] = {-m.pad[0], -m.pad[1]};
    int last[2] = {first[0] + (m.out_height - 1) * m.stride[0],
                   first[1] + (m.out_width - 1) * m.stride[1]};
    if (r.corners_swapped) { // lower and upper are relative to the two ends of an axis
        int upper[2] = {last[0] - m.height + 1, last[1] - m.width + 1};
        std::swap(first[0], first[1]);
        last[0] = m.height - 1 + upper[1], last[1] = m.width - 1 + upper[0];
    }
    int dx = r.offsets_swapped ? l.offset_y : l.offset_x;
    int dy = r.offsets_swapped ? l.offset_x : l.offset_y;
    int x = l.x, y = l.y, n = l.n;
    for (int row = 0; row < m.rows; row++) {
        for (int c = 0; c < m.box; c++) {
            bool inside = n < m.n && y + dy >= 0 && y + dy < m.height && x + dx >= 0 &&
                          x + dx < m.width && l.channel + c < m.channels;
            size_t from = static_cast<size_t>(
                ((n * m.height + y + dy) * m.width + x + dx) * m.pitch + l.channel + c);
            int at = (r.plain ? row * m.box * 2 + c / 8 * 16 : swizzled(row, c / 8, m.box * 2)) / 2;
            box[static_cast<size_t>(at + c % 8)] = inside ? data[from] : 0;
        }
        x += r.no_stride ? 1 : m.stride[1];
        if (x <= last[1]) continue;
        x = first[1], y += r.no_stride ? 1 : m.stride[0];
        if (y <= last[0]) continue;
        y = first[0], n++;
    }
    return box;
}

std::vector<uint16_t> im2col_seen(const sac_im2col &m, const load &l)
{
    map_parameter a;
    must(sac__im2col_map(&a.map, &m), "cuTensorMapEncodeIm2col");
    device_array<unsigned> to(static_cast<size_t>(l.bytes / 4));
    sac_launch launch = {};
    launch.grid = dim3(1), launch.block = dim3(64);
    launch.shared = static_cast<size_t>(l.bytes) + 16;
    must(sac__launch("im2col", launch, im2col_kernel, a, to.data, l), "launch");
    std::vector<unsigned> words = to.read();
    std::vector<uint16_t> box(words.size() * 2);
    std::memcpy(box.data(), words.data(), box.size() * 2);
    return box;
}

void probe_im2col(const char *what, sac_im2col m, load l)
{
    std::vector<uint16_t> data(static_cast<size_t>(m.n * m.height * m.width * m.pitch));
    for (size_t i = 0; i < data.size(); i++)
        data[i] = static_cast<uint16_t>(i % 0x7bff + 1); // finite, not zero, no two near ones alike
    device_array<uint16_t> in(data);
    m.data = in.data;
    l.bytes = m.rows * m.box * 2;
    std::vector<uint16_t> seen = im2col_seen(m, l);
    const char *hint = "no reading explains it";
    for (const reading &r : readings)
        if (seen == im2col_expected(m, l, data, r)) {
            hint = r.name;
            break;
        }
    report(hint == readings[0].name, what, hint);
}

/// Output pixel (y,x) of picture n, tap (r,s) with dilation 1.
load load_at(const sac_im2col &m, int n, int y, int x, int r, int s, int channel)
{
    return {channel, x * m.stride[1] - m.pad[1], y * m.stride[0] - m.pad[0], n, s, r, 0};
}

void probe_im2col_all()
{
    sac_im2col m = {nullptr, 3, 9, 13, 64, 64, 9, 13, {1, 1}, {1, 1}, 64, 64};
    probe_im2col("im2col 3x3, 128-byte rows, first tap", m, load_at(m, 0, 0, 0, 0, 0, 0));
    probe_im2col("im2col 3x3, last tap, end of a picture", m, load_at(m, 0, 7, 5, 2, 2, 0));
    probe_im2col("im2col 3x3, beyond the batch", m, load_at(m, 2, 8, 3, 1, 1, 0));
    m = {nullptr, 2, 9, 14, 96, 104, 7, 12, {1, 1}, {1, 2}, 32, 128};
    probe_im2col("im2col 5x7, unequal padding, 64-byte rows", m, load_at(m, 0, 2, 3, 4, 1, 64));
    m = {nullptr, 2, 11, 16, 48, 56, 6, 8, {2, 2}, {1, 1}, 16, 64};
    probe_im2col("im2col 3x3 stride 2, 32-byte rows", m, load_at(m, 0, 1, 2, 1, 2, 32));
    probe_im2col("im2col stride 2, channels that are not there", m, load_at(m, 0, 1, 2, 1, 2, 48));
    m = {nullptr, 2, 12, 18, 64, 64, 4, 9, {3, 2}, {0, 1}, 64, 256};
    probe_im2col("im2col 1x3, strides 3 and 2", m, load_at(m, 0, 0, 0, 0, 1, 0));
    m = {nullptr, 2, 6, 5, 40, 40, 6, 5, {1, 1}, {0, 0}, 64, 64};
    probe_im2col("im2col 1x1, 40 of 64 channels", m, load_at(m, 0, 0, 0, 0, 0, 0));
}

// --- wgmma --------------------------------------------------------------------------------------

enum { DEPTH = 64 };

/// a (64,DEPTH) in rows of `bytes`, runs of that length one after the other; b (N,DEPTH) in rows of
/// 128 bytes; to: N/2 accumulators of each thread.
template <int N>
__global__ void __launch_bounds__(128)
    wgmma_kernel(float *to, const uint4 *a, const uint4 *b, int bytes)
{
    SAC__SHARED(uint4, memory);
    const int pieces = 64 * DEPTH / 8, width = bytes / 16;
    for (int i = static_cast<int>(threadIdx.x); i < pieces; i += 128) {
        int row = i / 8, piece = i % 8, run = piece / width;
        int at = row * bytes + piece % width * 16;
        at ^= (at >> 7 & (width - 1)) << 4;
        memory[(run * 64 * bytes + at) / 16] = a[i];
    }
    for (int i = static_cast<int>(threadIdx.x); i < N * DEPTH / 8; i += 128)
        memory[pieces + (i ^ (i / 8 & 7))] = b[i];
    sac__fence_proxy_async();
    __syncthreads();
    uint32_t start = sac__shared_address(memory);
    int swizzle = bytes == 128 ? SAC__SWIZZLE_128 : bytes == 64 ? SAC__SWIZZLE_64 : SAC__SWIZZLE_32;
    float d[N / 2] = {};
    sac__wgmma_fence();
#pragma unroll
    for (int k = 0; k < DEPTH / 16; k++) {
        int run = k * 32 / bytes;
        uint32_t left = start + static_cast<uint32_t>(run * 64 * bytes + k * 32 % bytes);
        uint32_t right = start + 64 * DEPTH * 2 + static_cast<uint32_t>(k) * 32;
        sac__wgmma_f16<N>(
            d, sac__wgmma_descriptor(left, 16, static_cast<uint32_t>(8 * bytes), swizzle),
            sac__wgmma_descriptor(right, 16, 1024, SAC__SWIZZLE_128), k > 0);
    }
    sac__wgmma_commit();
    sac__wgmma_wait<0>();
#pragma unroll
    for (int i = 0; i < N / 2; i++) {
        sac__wgmma_pin(d[i]);
        to[threadIdx.x * (N / 2) + i] = d[i];
    }
}

struct operand {
    int rows;
    std::vector<__half> bits;
    std::vector<float> values;
    explicit operand(int r) : rows(r), bits(static_cast<size_t>(r * DEPTH)), values(bits.size())
    {
        for (size_t i = 0; i < bits.size(); i++) { // small whole numbers: sums are exact
            values[i] = static_cast<float>(static_cast<int>((i * 2654435761u >> 7) % 9) - 4);
            bits[i] = __float2half(values[i]);
        }
    }
    float at(int row, int k) const
    {
        return values[static_cast<size_t>(row * DEPTH + k)];
    }
};

/// Accumulators as a thread should hold them; `bytes`: the last depth that a step of 16 stays
/// within, when descriptors did not advance as they should.
std::vector<float> products(const operand &a, const operand &b, int kept)
{
    int n = b.rows;
    std::vector<float> d(static_cast<size_t>(64 * n));
    for (int row = 0; row < 64; row++)
        for (int column = 0; column < n; column++) {
            float sum = 0;
            for (int k = 0; k < DEPTH; k++)
                sum += a.at(row, kept ? k % kept : k) * b.at(column, kept ? k % kept : k);
            int thread = row / 16 * 32 + row % 8 * 4 + column % 8 / 2;
            int index = column / 8 * 4 + row / 8 % 2 * 2 + column % 2;
            d[static_cast<size_t>(thread * (n / 2) + index)] = sum;
        }
    return d;
}

template <int N> void probe_wgmma(int bytes)
{
    operand a(64), b(N);
    device_array<__half> left(a.bits), right(b.bits);
    device_array<float> to(static_cast<size_t>(64 * N));
    sac_launch launch = {};
    launch.grid = dim3(1), launch.block = dim3(128);
    launch.shared = (64 + N) * DEPTH * 2;
    must(sac__launch("wgmma", launch, wgmma_kernel<N>, to.data,
                     reinterpret_cast<const uint4 *>(left.data),
                     reinterpret_cast<const uint4 *>(right.data), bytes),
         "launch");
    std::vector<float> seen = to.read(), expected = products(a, b, 0);
    char what[80];
    std::snprintf(what, sizeof what, "wgmma m64n%dk16, rows of %d bytes", N, bytes);
    std::vector<float> sorted_seen = seen, sorted = expected;
    std::sort(sorted_seen.begin(), sorted_seen.end());
    std::sort(sorted.begin(), sorted.end());
    const char *hint = "the operands are read from other places: descriptor or swizzle";
    if (sorted_seen == sorted) hint = "right sums in other registers: the accumulators' layout";
    if (seen == products(a, b, 16)) hint = "descriptors do not advance by 32 bytes a step";
    report(seen == expected, what, hint);
}

// --- Clusters and overlap -----------------------------------------------------------------------

__global__ void cluster_kernel(float *to)
{
    SAC__SHARED(float, memory);
    memory[threadIdx.x] = static_cast<float>(sac__cluster_rank() * 1000 + threadIdx.x);
    sac__cluster_sync();
    float4 sum = {};
    for (uint32_t rank = 0; rank < sac__cluster_size(); rank++) {
        float4 there =
            sac__ld_cluster4(sac__mapa(sac__shared_address(memory + threadIdx.x / 4 * 4), rank));
        sum.x += there.x, sum.w += there.w;
    }
    to[blockIdx.x * blockDim.x + threadIdx.x] = sum.x + sum.w;
    sac__cluster_sync();
}

void probe_cluster(unsigned size)
{
    const unsigned threads = 64, blocks = 2 * size;
    device_array<float> to(threads * blocks);
    sac_launch launch = {};
    launch.grid = dim3(blocks), launch.block = dim3(threads), launch.shared = 65536;
    launch.cluster = size;
    must(sac__launch("cluster", launch, cluster_kernel, to.data), "launch");
    std::vector<float> seen = to.read();
    bool right = true;
    for (unsigned i = 0; i < seen.size(); i++) {
        unsigned first = i % threads / 4 * 4, ranks = size * (size - 1) / 2 * 1000;
        right = right && seen[i] == static_cast<float>(2 * ranks + size * (2 * first + 3));
    }
    char what[64];
    std::snprintf(what, sizeof what, "memory of a cluster of %u", size);
    report(right, what, "mapa, or the cluster's barrier, or ranks that do not follow blockIdx.x");
}

__global__ void slow_kernel(float *to, float value)
{
    sac__grid_release();
    for (int k = 0; k < 2000; k++)
        to[blockIdx.x * blockDim.x + threadIdx.x] = static_cast<float>(k);
    to[blockIdx.x * blockDim.x + threadIdx.x] = value;
}

__global__ void after_kernel(float *to, const float *from)
{
    sac__grid_release();
    sac__grid_wait();
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x, count = gridDim.x * blockDim.x;
    to[i] = from[(i + count / 2) % count] + 1;
}

void probe_overlap()
{
    const unsigned threads = 128, blocks = 64;
    device_array<float> first(threads * blocks), second(threads * blocks), third(threads * blocks);
    sac_launch launch = {};
    launch.grid = dim3(blocks), launch.block = dim3(threads);
    must(sac__launch("slow", launch, slow_kernel, first.data, 7.f), "launch");
    launch.overlap = true;
    must(sac__launch("after", launch, after_kernel, second.data,
                     static_cast<const float *>(first.data)),
         "launch");
    must(sac__launch("after", launch, after_kernel, third.data,
                     static_cast<const float *>(second.data)),
         "launch");
    bool right = true;
    for (float x : third.read())
        right = right && x == 9;
    report(right, "overlapping launches wait", "a kernel went past griddepcontrol.wait too early");
}

} // namespace

int main()
{
    int major = 0;
    must(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0), "a GPU");
    if (major != 9) {
        std::printf("not a Hopper GPU: nothing to probe\n");
        return 0;
    }
    probe_bulk();
    probe_im2col_all();
    for (int bytes = 128; bytes >= 32; bytes /= 2) {
        probe_wgmma<32>(bytes);
        probe_wgmma<64>(bytes);
        probe_wgmma<128>(bytes);
        probe_wgmma<256>(bytes);
    }
    for (unsigned size = 2; size <= 8; size *= 2)
        probe_cluster(size);
    probe_overlap();
    std::printf(failures ? "%d WRONG\n" : "all as assumed\n", failures);
    return failures != 0;
}
