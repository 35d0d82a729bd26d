// SPDX-License-Identifier: Apache-2.0
// The instructions of cuda/ptx.cuh and CUDA's own for warps, blocks and halves, against what their
// documentation says, written here anew. Emulated, this checks the emulator; on a GPU, that both
// mean the same. Fragments are those of the PTX ISA 8.x, sections "Matrix Fragments for
// mma.m16n8k16" (and .m16n8k8) and "ldmatrix".
#include <cuda_fp16.h>

#include "device.cuh"
#include "ops/math/half.h"

namespace
{

// --- mma ---------------------------------------------------------------------------------------

__device__ uint32_t pair_of(const uint16_t *matrix, int pitch, int row, int column, int down)
{
    const uint32_t second = matrix[(row + down) * pitch + column + !down];
    return matrix[row * pitch + column] | second << 16;
}

// groupID = lane >> 2, threadID_in_group = lane % 4. A: row = groupID for a0 a1 a4 a5, else
// groupID + 8; column = threadID_in_group * 2 + (i & 1), + 8 for i >= 4. B: row =
// threadID_in_group * 2 + (i & 1), + 8 for i >= 2; column = groupID. C: row = groupID for c0 c1,
// else groupID + 8; column = threadID_in_group * 2 + (i & 1).
__global__ void mma_f16_kernel(float *c, const uint16_t *a, const uint16_t *b)
{
    const int group = (int)threadIdx.x >> 2, two = (int)threadIdx.x % 4 * 2;
    const uint32_t af[4] = {pair_of(a, 16, group, two, 0), pair_of(a, 16, group + 8, two, 0),
                            pair_of(a, 16, group, two + 8, 0),
                            pair_of(a, 16, group + 8, two + 8, 0)};
    const uint32_t bf[2] = {pair_of(b, 8, two, group, 1), pair_of(b, 8, two + 8, group, 1)};
    float *top = c + group * 8 + two, *bottom = top + 64;
    float d[4] = {top[0], top[1], bottom[0], bottom[1]};
    sac__mma_f16(d, af, bf);
    top[0] = d[0], top[1] = d[1], bottom[0] = d[2], bottom[1] = d[3];
}

// A: row = groupID for a0 a2, else groupID + 8; column = threadID_in_group for a0 a1, else + 4.
// B: row = threadID_in_group for b0, else + 4; column = groupID.
__global__ void mma_tf32_kernel(float *c, const float *a, const float *b)
{
    const int group = (int)threadIdx.x >> 2, in = (int)threadIdx.x % 4;
    const uint32_t af[4] = {sac__cvt_tf32(a[group * 8 + in]), sac__cvt_tf32(a[group * 8 + 64 + in]),
                            sac__cvt_tf32(a[group * 8 + in + 4]),
                            sac__cvt_tf32(a[group * 8 + 64 + in + 4])};
    const uint32_t bf[2] = {sac__cvt_tf32(b[in * 8 + group]),
                            sac__cvt_tf32(b[(in + 4) * 8 + group])};
    float *top = c + group * 8 + in * 2, *bottom = top + 64;
    float d[4] = {top[0], top[1], bottom[0], bottom[1]};
    sac__mma_tf32(d, af, bf);
    top[0] = d[0], top[1] = d[1], bottom[0] = d[2], bottom[1] = d[3];
}

// c + a·b of 16xK and Kx8, in double.
std::vector<double> product(const std::vector<float> &c, const std::vector<float> &a,
                            const std::vector<float> &b, int depth)
{
    std::vector<double> d(c.begin(), c.end());
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 8; j++)
            for (int k = 0; k < depth; k++)
                d[(size_t)(i * 8 + j)] +=
                    (double)a[(size_t)(i * depth + k)] * (double)b[(size_t)(k * 8 + j)];
    return d;
}

void check_near(const std::vector<float> &found, const std::vector<double> &expected,
                double tolerance, const char *what)
{
    for (size_t i = 0; i < expected.size(); i++)
        CHECK(std::fabs((double)found[i] - expected[i]) <= tolerance, "%s: %zu is %g, not %g", what,
              i, (double)found[i], expected[i]);
}

std::vector<float> random_floats(size_t count)
{
    std::vector<float> values(count);
    for (float &value : values)
        value = check_float(-1, 1);
    return values;
}

std::vector<uint16_t> round_halves(std::vector<float> &values)
{
    std::vector<uint16_t> halves;
    for (float &value : values) {
        halves.push_back(sac__float_half(value));
        value = sac__half_float(halves.back());
    }
    return halves;
}

void check_mma()
{
    std::vector<float> a = random_floats(16 * 16), b = random_floats(16 * 8);
    const std::vector<float> c = random_floats(16 * 8);
    const Device<uint16_t> ah(round_halves(a)), bh(round_halves(b));
    const Device<float> d(c);
    check_launch("mma f16", 32, 0, mma_f16_kernel, d.data, ah.data, bh.data);
    check_near(d.read(), product(c, a, b, 16), 1e-5, "mma f16");

    a.resize(16 * 8), b.resize(8 * 8);
    for (auto *matrix : {&a, &b}) // as many bits as tf32 has, so that the conversion is exact
        for (float &value : *matrix)
            value = std::nearbyint(value * 512) / 512;
    const Device<float> af(a), bf(b), e(c);
    check_launch("mma tf32", 32, 0, mma_tf32_kernel, e.data, af.data, bf.data);
    check_near(e.read(), product(c, a, b, 8), 1e-5, "mma tf32");
}

__global__ void tf32_kernel(uint32_t *bits, const float *x)
{
    bits[threadIdx.x] = sac__cvt_tf32(x[threadIdx.x]);
}

// To 10 bits of fraction, halves away from zero.
void check_tf32()
{
    std::vector<float> x = random_floats(64);
    x[0] = 1.f + 1.f / 2048, x[1] = -x[0], x[2] = 1.f + 3.f / 2048, x[3] = 1.99999f;
    const Device<float> values(x);
    const Device<uint32_t> bits(x.size());
    check_launch("cvt tf32", 64, 0, tf32_kernel, bits.data, values.data);
    const std::vector<uint32_t> found = bits.read();
    for (size_t i = 0; i < x.size(); i++) {
        const float unit = std::ldexp(1.f, std::ilogb(x[i]) - 10);
        const float expected =
            std::copysign(std::floor(std::fabs(x[i]) / unit + 0.5f) * unit, x[i]);
        CHECK(sac__bits_float(found[i] & ~0x1fffu) == expected, "tf32 of %.9g", (double)x[i]);
    }
}

// --- ldmatrix ----------------------------------------------------------------------------------

// Matrix m, row r, column k holds m·64 + r·8 + k; rows lie scattered. The rows of matrix m are
// named by lanes 8m to 8m + 7. A lane gets row lane / 4, columns lane % 4 · 2 and one on;
// transposed, the same of the transposed matrix.
__global__ void ldmatrix_kernel(uint32_t *d, int count, int transposed)
{
    SAC__SHARED(uint16_t, shared);
    for (int i = (int)threadIdx.x; i < 4 * 64; i += 32)
        shared[i / 8 * 5 % 32 * 8 + i % 8] = (uint16_t)i;
    __syncthreads();
    uint32_t pairs[4] = {};
    const uint32_t row = sac__shared_address(shared) + threadIdx.x * 5 % 32 * 16;
    if (count == 1 && !transposed) sac__ldmatrix_x1(pairs, row);
    if (count == 2 && !transposed) sac__ldmatrix_x2(pairs, row);
    if (count == 4 && !transposed) sac__ldmatrix_x4(pairs, row);
    if (count == 1 && transposed) sac__ldmatrix_x1_trans(pairs, row);
    if (count == 2 && transposed) sac__ldmatrix_x2_trans(pairs, row);
    if (count == 4 && transposed) sac__ldmatrix_x4_trans(pairs, row);
    for (int i = 0; i < 4; i++)
        d[threadIdx.x * 4 + i] = pairs[i];
}

void check_ldmatrix()
{
    for (const int count : {1, 2, 4})
        for (const int transposed : {0, 1}) {
            const Device<uint32_t> pairs(128);
            check_launch("ldmatrix", 32, 512, ldmatrix_kernel, pairs.data, count, transposed);
            const std::vector<uint32_t> found = pairs.read();
            for (uint32_t lane = 0; lane < 32; lane++)
                for (uint32_t m = 0; m < (uint32_t)count; m++) {
                    const uint32_t row = lane / 4, column = lane % 4 * 2;
                    const uint32_t low =
                        m * 64 + (transposed ? column * 8 + row : row * 8 + column);
                    const uint32_t high = low + (transposed ? 8 : 1);
                    CHECK(found[lane * 4 + m] == (low | high << 16),
                          "x%d%s lane %u matrix %u: %08x", count, transposed ? " trans" : "", lane,
                          m, found[lane * 4 + m]);
                }
        }
}

// --- cp.async ----------------------------------------------------------------------------------

// Three groups of different sizes; the first two are waited for, then the last.
__global__ void cp_async_kernel(uint32_t *out, const unsigned char *in, int bytes)
{
    SAC__SHARED(unsigned char, shared);
    const uint32_t to = sac__shared_address(shared) + threadIdx.x * 32;
    const unsigned char *from = in + threadIdx.x * 32;
    sac__cp_async<16>(to, from, bytes);
    sac__cp_async_commit();
    sac__cp_async<8>(to + 16, from + 16);
    sac__cp_async_commit();
    sac__cp_async<4>(to + 24, from + 24);
    sac__cp_async<4>(to + 28, from + 28, 0);
    sac__cp_async_commit();
    sac__cp_async_wait<1>();
#ifdef SAC_EMULATED // the last group is as late as it may be
    for (int i = 24; i < 32; i++)
        if (shared[threadIdx.x * 32 + i] != 0xff) __trap();
#endif
    sac__cp_async_wait<0>();
    __syncthreads();
    const uint32_t other = (threadIdx.x + 1) % blockDim.x;
    for (uint32_t i = 0; i < 8; i++)
        out[other * 8 + i] = reinterpret_cast<uint32_t *>(shared)[other * 8 + i];
}

void check_cp_async()
{
    std::vector<unsigned char> bytes(64 * 32);
    for (unsigned char &byte : bytes)
        byte = (unsigned char)check_int(0, 254);
    const Device<unsigned char> in(bytes);
    const Device<uint32_t> out(64 * 8);
    const int kept = check_int(0, 16);
    check_launch("cp.async", 64, 64 * 32, cp_async_kernel, out.data, in.data, kept);
    const std::vector<uint32_t> found = out.read();
    for (size_t i = 0; i < bytes.size(); i++) {
        const bool zero = (i % 32 < 16 && i % 32 >= (size_t)kept) || i % 32 >= 28;
        CHECK((found[i / 4] >> i % 4 * 8 & 0xff) == (zero ? 0u : bytes[i]), "byte %zu of %d", i,
              kept);
    }
}

// --- Warps -------------------------------------------------------------------------------------

enum { WARP_RESULTS = 18 };

__global__ void warp_kernel(int *out, const int *in)
{
    const int lane = (int)threadIdx.x % 32, x = in[threadIdx.x];
    const unsigned all = 0xffffffffu;
    int *to = out + threadIdx.x * WARP_RESULTS, i = 0;
    to[i++] = __shfl_sync(all, x, lane * 7);
    to[i++] = __shfl_sync(all, x, lane * 3, 8);
    to[i++] = __shfl_up_sync(all, x, 3);
    to[i++] = __shfl_up_sync(all, x, 3, 8);
    to[i++] = __shfl_down_sync(all, x, 5);
    to[i++] = __shfl_down_sync(all, x, 5, 16);
    to[i++] = __shfl_xor_sync(all, x, 9);
    to[i++] = (int)__ballot_sync(all, x & 1);
    to[i++] = __any_sync(all, x == 3) * 2 + __all_sync(all, x > 0);
    to[i++] = (int)__match_any_sync(all, x & 3);
    to[i++] = __reduce_add_sync(all, x);
    to[i++] = __reduce_min_sync(all, x);
    to[i++] = __reduce_max_sync(all, x);
    to[i++] = (int)__reduce_or_sync(all, (unsigned)x);
    to[i++] = (int)__reduce_and_sync(all, (unsigned)x);
    to[i++] = (int)__reduce_xor_sync(all, (unsigned)x);
    // Two halves of the warp, each by itself.
    const unsigned half = lane < 16 ? 0xffffu : 0xffff0000u;
    int sum = x;
    for (int step = 8; step > 0; step /= 2)
        sum += __shfl_xor_sync(half, sum, step);
    to[i++] = sum;
    to[i++] = (int)__ballot_sync(half, x & 2);
}

// The same, lane by lane. Below and above a segment of `width` a lane keeps its own value.
void expect_warp(int *to, const int *x, int lane)
{
    const auto within = [&](int other, int width) {
        return other / width == lane / width && other >= 0 ? x[other] : x[lane];
    };
    int i = 0;
    to[i++] = x[lane * 7 % 32];
    to[i++] = x[lane / 8 * 8 + lane * 3 % 8];
    to[i++] = within(lane - 3, 32);
    to[i++] = within(lane - 3, 8);
    to[i++] = within(lane + 5, 32);
    to[i++] = within(lane + 5, 16);
    to[i++] = x[lane ^ 9];
    int odd = 0, two = 0, any = 0, every = 1, same = 0, sum = 0, half_sum = 0;
    int low = x[0], high = x[0], bits_or = 0, bits_and = -1, bits_xor = 0;
    for (int j = 0; j < 32; j++) {
        odd |= (int)((unsigned)(x[j] & 1) << j);
        if (j / 16 == lane / 16) two |= (int)((unsigned)(x[j] >> 1 & 1) << j), half_sum += x[j];
        any |= x[j] == 3, every &= x[j] > 0;
        same |= (int)((unsigned)((x[j] & 3) == (x[lane] & 3)) << j);
        sum += x[j], bits_or |= x[j], bits_and &= x[j], bits_xor ^= x[j];
        low = x[j] < low ? x[j] : low, high = x[j] > high ? x[j] : high;
    }
    to[i++] = odd;
    to[i++] = any * 2 + every;
    for (const int value : {same, sum, low, high, bits_or, bits_and, bits_xor, half_sum, two})
        to[i++] = value;
}

void check_warp()
{
    std::vector<int> x(96);
    for (int &value : x)
        value = check_int(-2, 100);
    const Device<int> in(x), out(96 * WARP_RESULTS);
    check_launch("warp", 96, 0, warp_kernel, out.data, in.data);
    const std::vector<int> found = out.read();
    for (int thread = 0; thread < 96; thread++) {
        int expected[WARP_RESULTS];
        expect_warp(expected, &x[(size_t)(thread / 32 * 32)], thread % 32);
        for (int i = 0; i < WARP_RESULTS; i++)
            CHECK(found[(size_t)(thread * WARP_RESULTS + i)] == expected[i],
                  "thread %d result %d: %d, not %d", thread, i,
                  found[(size_t)(thread * WARP_RESULTS + i)], expected[i]);
    }
}

// --- Blocks ------------------------------------------------------------------------------------

// Warps 0 and 1 fill a buffer, warps 2 and 3 empty it, round after round, with named barriers: full
// (1) and empty (2). Some threads return early.
__global__ void barrier_kernel(int *out, int *counts, int rounds)
{
    SAC__SHARED(int, buffer);
    if (threadIdx.x >= 128) return;
    counts[threadIdx.x] = __syncthreads_count(threadIdx.x % 3 == 0) * 4 +
                          __syncthreads_or(threadIdx.x == 5) * 2 +
                          __syncthreads_and(threadIdx.x != 5);
    const bool fills = threadIdx.x < 64;
    const int slot = (int)threadIdx.x % 64;
    int sum = 0;
    for (int round = 0; round < rounds; round++) {
        if (fills) {
            if (round > 0) sac__bar_sync(2, 128);
            buffer[63 - slot] = round * 100 + slot;
            __threadfence_block();
            sac__bar_arrive(1, 128);
        } else {
            sac__bar_sync(1, 128);
            sum += buffer[slot];
            __threadfence_block(); // for compute-sanitizer: the barrier orders by itself
            if (round + 1 < rounds) sac__bar_arrive(2, 128);
        }
    }
    if (!fills) out[slot] = sum;
}

void check_barriers()
{
    const Device<int> out(64), counts(128);
    const int rounds = 5;
    check_launch("barriers", 160, 256, barrier_kernel, out.data, counts.data, rounds);
    const std::vector<int> found = out.read(), count = counts.read();
    for (int i = 0; i < 64; i++)
        CHECK(found[(size_t)i] == rounds * (rounds - 1) / 2 * 100 + rounds * (63 - i),
              "slot %d: %d", i, found[(size_t)i]);
    for (int i = 0; i < 128; i++)
        CHECK(count[(size_t)i] == 43 * 4 + 2, "thread %d: %d", i, count[(size_t)i]);
}

__global__ void atomic_kernel(unsigned *u, float *f, unsigned long long *wide)
{
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    atomicAdd(&u[0], i);
    atomicMax(&u[1], i);
    atomicMin(&u[2], i + 7);
    atomicOr(&u[3], 1u << i % 32);
    atomicInc(&u[4], 9);
    u[8 + atomicAdd(&u[5], 1)] = i; // slots are dealt out, in any order
    unsigned old = u[6], seen;
    do {
        seen = old;
        old = atomicCAS(&u[6], seen, seen + 2);
    } while (old != seen);
    atomicAdd(f, 0.5f);
    atomicMax(wide, (unsigned long long)i << 40);
}

void check_atomics()
{
    std::vector<unsigned> start(8 + 256);
    start[2] = 1000;
    const Device<unsigned> u(start);
    const Device<float> f(std::vector<float>{1});
    const Device<unsigned long long> wide(std::vector<unsigned long long>{5});
    CHECK(!sac__launch("atomics", {dim3(4), dim3(64), nullptr}, atomic_kernel, u.data, f.data,
                       wide.data),
          "%s", sac_error_message());
    const std::vector<unsigned> found = u.read();
    const unsigned expected[] = {255 * 256 / 2, 255, 7, 0xffffffffu, 256 % 10, 256, 512};
    for (size_t i = 0; i < 7; i++)
        CHECK(found[i] == expected[i], "atomic %zu: %u", i, found[i]);
    std::vector<bool> seen(256);
    for (size_t i = 0; i < 256; i++)
        seen[found[8 + i]] = true;
    for (size_t i = 0; i < 256; i++)
        CHECK(seen[i], "%zu got no slot", i);
    CHECK(f.read()[0] == 129 && wide.read()[0] == 255ull << 40, "float or wide atomic");
}

// --- Integers ----------------------------------------------------------------------------------

__global__ void integer_kernel(unsigned *out, unsigned a, unsigned b, unsigned c)
{
    int i = 0;
    out[i++] = __byte_perm(a, b, c);
    out[i++] = (unsigned)__popc(a);
    out[i++] = (unsigned)__clz((int)a) | (unsigned)__clz(0) << 8;
    out[i++] = (unsigned)__ffs((int)a) | (unsigned)__ffs(0) << 8;
    out[i++] = __brev(a);
    out[i++] = __dp4a(a, b, c);
    out[i++] = (unsigned)__dp4a((int)a, (int)b, (int)c);
    out[i++] = __umulhi(a, b);
    out[i++] = __funnelshift_l(a, b, c);
    out[i++] = __funnelshift_r(a, b, c);
    out[i++] = sac__pack_u8((int)a >> 22, (int)b >> 22); // -512 to 511
    out[i++] = (unsigned)__fmaf_rz((float)(a >> 17), (float)(b >> 16), (float)(c >> 8));
}

unsigned byte_of(int value)
{
    return (unsigned)(value < 0 ? 0 : value > 255 ? 255 : value);
}

// A whole number's 24 highest bits: a float that was rounded towards zero.
unsigned highest24(uint64_t value)
{
    int shift = 0;
    while (value >> shift >> 24)
        shift++;
    return (unsigned)(value >> shift << shift);
}

void check_integers()
{
    const unsigned a = (unsigned)check_random() | 1, b = (unsigned)check_random(),
                   c = (unsigned)check_random();
    const Device<unsigned> out(12);
    check_launch("integers", 1, 0, integer_kernel, out.data, a, b, c);
    unsigned expected[12] = {};
    const uint64_t both = (uint64_t)b << 32 | a;
    int highest = 31, signed_dot = (int)c;
    while (!(a >> highest & 1))
        highest--;
    expected[5] = c;
    for (int i = 0; i < 4; i++) {
        const unsigned pick = c >> 4 * i & 7; // a selector's highest bit counts for nothing
        expected[0] += (unsigned)(both >> 8 * pick & 0xff) << 8 * i;
        expected[5] += (a >> 8 * i & 0xff) * (b >> 8 * i & 0xff);
        signed_dot += (signed char)(a >> 8 * i) * (signed char)(b >> 8 * i);
    }
    for (int i = 0; i < 32; i++) {
        expected[1] += a >> i & 1;
        expected[4] |= (a >> i & 1) << (31 - i);
    }
    expected[2] = (unsigned)(31 - highest) | 32 << 8;
    expected[3] = 1;
    expected[6] = (unsigned)signed_dot;
    expected[7] = (unsigned)((uint64_t)a * b >> 32);
    expected[8] = (unsigned)(both << c % 32 >> 32);
    expected[9] = (unsigned)(both >> c % 32);
    expected[10] = byte_of((int)a >> 22) | byte_of((int)b >> 22) << 8;
    expected[11] = highest24((uint64_t)(a >> 17) * (b >> 16) + (c >> 8));
    const std::vector<unsigned> found = out.read();
    for (size_t i = 0; i < 12; i++)
        CHECK(found[i] == expected[i], "integer %zu of %08x %08x %08x: %08x, not %08x", i, a, b, c,
              found[i], expected[i]);
}

// --- Halves ------------------------------------------------------------------------------------

enum { HALF_RESULTS = 6 };

__global__ void half_kernel(uint16_t *out, const float *x, int count)
{
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i + 2 >= count) return;
    const __half a = __float2half_rn(x[i]), b = __float2half_rn(x[i + 1]),
                 c = __float2half_rn(x[i + 2]);
    const __half2 two = __floats2half2_rn(x[i], x[i + 1]);
    uint16_t *to = out + i * HALF_RESULTS;
    to[0] = __half_as_ushort(a);
    to[1] = __half_as_ushort(__hadd(a, b));
    to[2] = __half_as_ushort(__hmul(a, b));
    to[3] = __half_as_ushort(__hfma(a, b, c));
    to[4] = __half_as_ushort(__high2half(__hmax2(two, __half2half2(c))));
    to[5] = __half_as_ushort(__float2half_rn(__half2float(a)));
}

// The half nearest to a double, to even of two that are as near.
uint16_t nearest(double x)
{
    const uint16_t guess = sac__float_half((float)x);
    uint16_t best = guess;
    for (int step = -1; step <= 1; step++) {
        const uint16_t other = (uint16_t)(guess + step);
        if ((other & 0x7c00) == 0x7c00) continue;
        const double is = std::fabs((double)sac__half_float(other) - x);
        const double was = std::fabs((double)sac__half_float(best) - x);
        if (is < was || (is == was && other % 2 == 0)) best = other;
    }
    return best;
}

void check_halves()
{
    std::vector<float> x(2050);
    for (float &value : x)
        value = std::ldexp(check_float(-1, 1), check_int(-9, 3));
    x[0] = 1.f + 1.f / 2048, x[1] = 1.f + 3.f / 2048, x[2] = 2049; // ties
    const Device<float> in(x);
    const Device<uint16_t> out(x.size() * HALF_RESULTS);
    CHECK(!sac__launch("halves", {dim3(9), dim3(256), nullptr}, half_kernel, out.data, in.data,
                       (int)x.size()),
          "%s", sac_error_message());
    const std::vector<uint16_t> found = out.read();
    for (size_t i = 0; i + 2 < x.size(); i++) {
        const uint16_t bits = nearest((double)x[i]);
        const double a = (double)sac__half_float(bits),
                     b = (double)sac__half_float(nearest((double)x[i + 1])),
                     c = (double)sac__half_float(nearest((double)x[i + 2]));
        const uint16_t expected[] = {
            bits, nearest(a + b), nearest(a * b), nearest(a * b + c), nearest(b > c ? b : c), bits};
        for (size_t k = 0; k < HALF_RESULTS; k++)
            CHECK((found[i * HALF_RESULTS + k] & 0x7fff) == (expected[k] & 0x7fff) &&
                      (!(expected[k] & 0x7fff) || found[i * HALF_RESULTS + k] == expected[k]),
                  "result %zu of %.9g %.9g %.9g: %04x, not %04x", k, (double)x[i], (double)x[i + 1],
                  (double)x[i + 2], found[i * HALF_RESULTS + k], expected[k]);
    }
}

// --- Launches ----------------------------------------------------------------------------------

__global__ void chain_kernel(int *value, int step)
{
    sac__grid_release();
    sac__grid_wait();
    if (threadIdx.x == 0 && blockIdx.x == 0) *value = *value * 3 + step;
}

// Kernels that overlap still see what those before them wrote.
void check_overlap()
{
    const Device<int> value(std::vector<int>{1});
    int expected = 1;
    for (int step = 0; step < 12; step++) {
        CHECK(!sac__launch("chain", {dim3(8), dim3(64), nullptr, 0, 1, step > 0}, chain_kernel,
                           value.data, step),
              "%s", sac_error_message());
        expected = expected * 3 + step;
    }
    CHECK(value.read()[0] == expected, "%d, not %d", value.read()[0], expected);
}

// The same in a graph, where one may come first, and behind a copy or a fill; the copy reads what
// the next one writes.
void check_overlap_in_graph()
{
    const size_t many = 1 << 20;
    const Device<int> values(std::vector<int>(many, 1)), copies(many), fills(many);
    int *last = values.data + many - 1, expected = 1, copied = 0;
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t replay;
    check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
    check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "begin");
    for (int step = 0; step < 9; step++) {
        CHECK(!sac__launch("chain", {dim3(8), dim3(64), stream, 0, 1, true}, chain_kernel, last,
                           step),
              "step %d: %s", step, sac_error_message());
        if (step % 4 == 1)
            check_cuda(cudaMemcpyAsync(copies.data, values.data, many * sizeof(int),
                                       cudaMemcpyDeviceToDevice, stream),
                       "copy");
        if (step % 4 == 3)
            check_cuda(cudaMemsetAsync(fills.data, 0, many * sizeof(int), stream), "fill");
    }
    check_cuda(cudaStreamEndCapture(stream, &graph), "end");
    check_cuda(cudaGraphInstantiate(&replay, graph, 0), "instantiate");
    check_cuda(cudaDeviceSynchronize(), "uploads");
    for (int turn = 0; turn < 2; turn++) {
        check_cuda(cudaGraphLaunch(replay, stream), "replay");
        for (int step = 0; step < 9; step++) {
            expected = expected * 3 + step;
            if (step % 4 == 1) copied = expected;
        }
    }
    check_cuda(cudaStreamSynchronize(stream), "replays");
    CHECK(values.read()[many - 1] == expected, "%d, not %d", values.read()[many - 1], expected);
    CHECK(copies.read()[many - 1] == copied, "copied %d, not %d", copies.read()[many - 1], copied);
    check_cuda(cudaGraphExecDestroy(replay), "destroy");
    check_cuda(cudaGraphDestroy(graph), "destroy");
    check_cuda(cudaStreamDestroy(stream), "destroy");
}

} // namespace

int main(int count, char **arguments)
{
    check_seed(count > 1 ? arguments[1] : NULL);
    for (int i = 0; i < 8; i++) {
        check_mma();
        check_tf32();
        check_ldmatrix();
        check_cp_async();
        check_warp();
        check_barriers();
        check_atomics();
        check_integers();
        check_halves();
        check_overlap();
    }
    check_overlap_in_graph();
    return 0;
}
