// SPDX-License-Identifier: Apache-2.0
// The instructions of compute capability 9.0 against what the PTX ISA says of them, written here
// anew: mbarriers and bulk copies, clusters, wgmma with every swizzle. Emulated, this checks the
// emulator; on a GPU, that both mean the same.
#include "device.cuh"
#include "ops/math/half.h"

namespace
{

// --- mbarrier and bulk copies ------------------------------------------------------------------

enum { STAGES = 2, TILE = 64 };

// The last warp loads tiles into a ring, the other 64 threads add them up, each gives them back
// (the fence: a copy is to write where ordinary reads were); then the sums leave by a bulk store.
__global__ void pipeline_kernel(int *out, const int *in, int tiles)
{
    SAC__SHARED(int, ring);
    const uint32_t data = sac__shared_address(ring), full = data + (STAGES + 1) * TILE * 4;
    const uint32_t empty = full + STAGES * 8;
    if (threadIdx.x == 0) {
        for (int s = 0; s < STAGES; s++) {
            sac__mbarrier_init(full + s * 8, 1);
            sac__mbarrier_init(empty + s * 8, TILE);
        }
        sac__fence_mbarrier_init();
    }
    __syncthreads();
    if (threadIdx.x == 64) {
        for (int t = 0; t < tiles; t++) {
            const uint32_t s = t % STAGES, turn = t / STAGES & 1;
            sac__mbarrier_wait(empty + s * 8, turn ^ 1);
            sac__fence_proxy_async();
            sac__mbarrier_expect_tx(full + s * 8, TILE * 4);
            sac__bulk_load(data + s * TILE * 4, in + t * TILE, TILE * 4, full + s * 8);
        }
    } else if (threadIdx.x < 64) {
        int sum = 0;
        for (int t = 0; t < tiles; t++) {
            const uint32_t s = t % STAGES, turn = t / STAGES & 1;
            sac__mbarrier_wait(full + s * 8, turn);
            sum += ring[s * TILE + threadIdx.x];
            sac__fence_proxy_async();
            sac__mbarrier_arrive(empty + s * 8);
        }
        ring[STAGES * TILE + threadIdx.x] = sum;
        sac__fence_proxy_async();
        sac__bar_sync(1, 64);
        if (threadIdx.x == 0) {
            sac__bulk_store(out, data + STAGES * TILE * 4, TILE * 4);
            sac__bulk_commit();
            sac__bulk_wait<0>();
        }
    }
}

void check_pipeline()
{
    const int tiles = check_int(1, 7);
    std::vector<int> values((size_t)(tiles * TILE));
    for (int &value : values)
        value = check_int(-1000, 1000);
    const Device<int> in(values), out(TILE);
    check_launch("pipeline", 96, (STAGES + 1) * TILE * 4 + STAGES * 16, pipeline_kernel, out.data,
                 in.data, tiles);
    const std::vector<int> found = out.read();
    for (int i = 0; i < TILE; i++) {
        int sum = 0;
        for (int t = 0; t < tiles; t++)
            sum += values[(size_t)(t * TILE + i)];
        CHECK(found[(size_t)i] == sum, "sum %d of %d tiles: %d, not %d", i, tiles, found[(size_t)i],
              sum);
    }
}

// cp.async that tells an mbarrier: every thread arrives when its copies are done.
__global__ void cp_async_kernel(int *out, const int *in)
{
    SAC__SHARED(int, tile);
    const uint32_t data = sac__shared_address(tile), barrier = data + 128 * 4;
    if (threadIdx.x == 0) sac__mbarrier_init(barrier, 32);
    __syncthreads();
    sac__cp_async<16>(data + threadIdx.x * 16, in + threadIdx.x * 4);
    sac__cp_async_mbarrier_arrive(barrier);
    sac__mbarrier_wait(barrier, 0);
    for (int i = 0; i < 4; i++)
        out[threadIdx.x + i * 32] = tile[127 - threadIdx.x - i * 32];
}

void check_cp_async()
{
    std::vector<int> values(128);
    for (int &value : values)
        value = check_int(0, 1 << 20);
    const Device<int> in(values), out(128);
    check_launch("cp.async to an mbarrier", 32, 128 * 4 + 8, cp_async_kernel, out.data, in.data);
    const std::vector<int> found = out.read();
    for (size_t i = 0; i < 128; i++)
        CHECK(found[i] == values[127 - i], "value %zu", i);
}

// --- Clusters ----------------------------------------------------------------------------------

// Each block reads its neighbour's memory, writes to the one after, and is told by all; block 0
// loads for everybody.
__global__ void cluster_kernel(int *out, const int *in)
{
    SAC__SHARED(float, own);
    const uint32_t rank = sac__cluster_rank(), size = sac__cluster_size();
    const uint32_t data = sac__shared_address(own), told = data + 96 * 4, loaded = told + 8;
    own[threadIdx.x] = (float)(rank * 100 + threadIdx.x);
    if (threadIdx.x == 0) {
        sac__mbarrier_init(told, size);
        sac__mbarrier_init(loaded, 1);
        sac__fence_mbarrier_init();
    }
    __syncthreads();
    if (threadIdx.x == 0) sac__mbarrier_expect_tx(loaded, 128);
    sac__cluster_sync();
    const float read = sac__ld_cluster(sac__mapa(data, (rank + 1) % size) + threadIdx.x * 4);
    const float4 four = sac__ld_cluster4(sac__mapa(data, (rank + 1) % size) + 16);
    sac__st_cluster(sac__mapa(data + 32 * 4, (rank + 2) % size) + threadIdx.x * 4, read + 0.5f);
    if (threadIdx.x < size) sac__mbarrier_arrive_cluster(sac__mapa(told, threadIdx.x));
    if (rank == 0 && threadIdx.x == 0)
        sac__bulk_load_multicast(data + 64 * 4, in, 128, loaded, (uint16_t)((1u << size) - 1));
    sac__mbarrier_wait(told, 0);
    sac__mbarrier_wait(loaded, 0);
    sac__cluster_sync();
    int *to = out + (blockIdx.x * 32 + threadIdx.x) * 4;
    to[0] = (int)read;
    to[1] = (int)(2 * own[32 + threadIdx.x]);
    to[2] = reinterpret_cast<int *>(own)[64 + threadIdx.x];
    to[3] = (int)four.z;
}

void check_clusters()
{
    enum { SIZE = 4, BLOCKS = 8 };
    std::vector<int> values(32);
    for (int &value : values)
        value = check_int(0, 1 << 20);
    const Device<int> in(values), out(BLOCKS * 32 * 4);
    const sac_launch launch = {dim3(BLOCKS), dim3(32), nullptr, 96 * 4 + 16, SIZE, false};
    CHECK(!sac__launch("cluster", launch, cluster_kernel, out.data, in.data), "%s",
          sac_error_message());
    const std::vector<int> found = out.read();
    for (int block = 0; block < BLOCKS; block++)
        for (int i = 0; i < 32; i++) {
            const int rank = block % SIZE, *got = &found[(size_t)((block * 32 + i) * 4)];
            CHECK(got[0] == (rank + 1) % SIZE * 100 + i, "block %d thread %d read %d", block, i,
                  got[0]);
            CHECK(got[1] == 2 * ((rank + SIZE - 1) % SIZE * 100 + i) + 1,
                  "block %d thread %d was written %d / 2", block, i, got[1]);
            CHECK(got[2] == values[(size_t)i], "block %d thread %d was loaded %d", block, i,
                  got[2]);
            CHECK(got[3] == (rank + 1) % SIZE * 100 + 6, "block %d: four's z is %d", block, got[3]);
        }
}

// --- wgmma -------------------------------------------------------------------------------------

struct Tiles {
    const uint16_t *a, *b; ///< (64,depth), (N,depth)
    int swizzle, depth;    ///< halves a row: 64, 32, 16; without swizzle 32
    int in_registers;
};

// Where the 16-byte piece `piece` of a row goes: pieces change places within their row, by a
// pattern that repeats every 1024, 512 or 256 bytes. Not swizzled, 8 rows of a piece are one core
// matrix; the core matrices of all rows come first, then the next piece.
__device__ uint32_t place(const Tiles &t, uint32_t rows, uint32_t row, uint32_t piece)
{
    const uint32_t row_bytes = t.depth * 2;
    if (t.swizzle == SAC__SWIZZLE_128) return row * row_bytes + (piece ^ row % 8) * 16;
    if (t.swizzle == SAC__SWIZZLE_64) return row * row_bytes + (piece ^ row / 2 % 4) * 16;
    if (t.swizzle == SAC__SWIZZLE_32) return row * row_bytes + (piece ^ row / 4 % 2) * 16;
    return (piece * (rows / 8) + row / 8) * 128 + row % 8 * 16;
}

__device__ void store_tile(unsigned char *to, const uint16_t *from, const Tiles &t, uint32_t rows)
{
    const uint32_t pieces = t.depth / 8;
    for (uint32_t i = threadIdx.x; i < rows * pieces; i += blockDim.x)
        *reinterpret_cast<uint4 *>(to + place(t, rows, i / pieces, i % pieces)) =
            reinterpret_cast<const uint4 *>(from)[i];
}

__device__ uint64_t describe(const Tiles &t, uint32_t tile, uint32_t rows, uint32_t step)
{
    if (t.swizzle == SAC__SWIZZLE_NONE)
        return sac__wgmma_descriptor(tile + step * 2 * rows * 16, rows * 16, 128, t.swizzle);
    return sac__wgmma_descriptor(tile + step * 32, 0, 8 * t.depth * 2, t.swizzle);
}

// A's fragment in registers: a warp has 16 rows, as mma.m16n8k16 has them.
__device__ void load_fragment(uint32_t *fragment, const Tiles &t, uint32_t step)
{
    const uint32_t row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;
    const uint32_t k = step * 16 + threadIdx.x % 4 * 2;
    for (uint32_t i = 0; i < 4; i++) {
        const uint16_t *at = t.a + (row + i % 2 * 8) * t.depth + k + i / 2 * 8;
        fragment[i] = at[0] | (uint32_t)at[1] << 16;
    }
}

// A step's product overwrites at first, then adds. Each step is a group of its own. Result: a
// thread's row is 16 * warp + lane / 4 (d[4j], d[4j+1]) and 8 below (d[4j+2], d[4j+3]), its columns
// 8 * j + lane % 4 * 2 and one on.
template <int N> __global__ void wgmma_kernel(float *c, Tiles t)
{
    SAC__SHARED(unsigned char, shared);
    store_tile(shared, t.a, t, 64);
    store_tile(shared + 8192, t.b, t, N);
    sac__fence_proxy_async();
    __syncthreads();
    const uint32_t a = sac__shared_address(shared), b = a + 8192;
    const int steps = t.depth / 16;
    float d[N / 2];
#pragma unroll
    for (int i = 0; i < N / 2; i++)
        d[i] = 1e30f;
    for (int step = 0; step < steps; step++) {
        uint32_t fragment[4];
        load_fragment(fragment, t, step);
        sac__wgmma_fence();
        if (t.in_registers)
            sac__wgmma_f16_registers<N>(d, fragment, describe(t, b, N, step), step > 0);
        else
            sac__wgmma_f16<N>(d, describe(t, a, 64, step), describe(t, b, N, step), step > 0);
        sac__wgmma_commit();
        sac__wgmma_wait<0>();
    }
#pragma unroll
    for (int i = 0; i < N / 2; i++) {
        sac__wgmma_pin(d[i]);
        const uint32_t row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4 + i / 2 % 2 * 8;
        c[row * N + i / 4 * 8 + threadIdx.x % 4 * 2 + i % 2] = d[i];
    }
}

std::vector<uint16_t> random_halves(size_t count)
{
    std::vector<uint16_t> halves(count);
    for (uint16_t &half : halves)
        half = sac__float_half(check_float(-1, 1));
    return halves;
}

template <int N> void check_wgmma(int swizzle, int in_registers)
{
    static const int depths[] = {32, 64, 32, 16};
    const int depth = depths[swizzle];
    const std::vector<uint16_t> a = random_halves((size_t)(64 * depth)),
                                b = random_halves((size_t)(N * depth));
    const Device<uint16_t> a_there(a), b_there(b);
    const Device<float> c(64 * N);
    const Tiles tiles = {a_there.data, b_there.data, swizzle, depth, in_registers};
    check_launch("wgmma", 128, 8192 + N * 128, wgmma_kernel<N>, c.data, tiles);
    const std::vector<float> found = c.read();
    for (int i = 0; i < 64; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < depth; k++)
                sum += (double)sac__half_float(a[(size_t)(i * depth + k)]) *
                       (double)sac__half_float(b[(size_t)(j * depth + k)]);
            const double got = (double)found[(size_t)(i * N + j)];
            CHECK(std::fabs(got - sum) < 1e-4, "n%d swizzle %d%s: (%d,%d) is %g, not %g", N,
                  swizzle, in_registers ? ", a in registers" : "", i, j, got, sum);
        }
}

template <int N> void check_wgmma_size()
{
    for (int swizzle = 0; swizzle < 4; swizzle++)
        for (int in_registers = 0; in_registers < 2; in_registers++)
            check_wgmma<N>(swizzle, in_registers);
}

void check_wgmmas()
{
    check_wgmma_size<16>();
    check_wgmma_size<32>();
    check_wgmma_size<48>();
    check_wgmma_size<64>();
    check_wgmma_size<80>();
    check_wgmma_size<96>();
    check_wgmma_size<128>();
    check_wgmma_size<160>();
    check_wgmma_size<192>();
    check_wgmma_size<256>();
}

} // namespace

int main(int count, char **arguments)
{
    check_seed(count > 1 ? arguments[1] : NULL);
    if (check_capability() < 9) {
        printf("skipped: compute capability below 9.0\n");
        return 0;
    }
    for (int i = 0; i < 8; i++) {
        check_pipeline();
        check_cp_async();
        check_clusters();
    }
    if (check_capability() == 9) check_wgmmas();
    return 0;
}
