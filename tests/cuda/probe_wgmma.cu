// SPDX-License-Identifier: Apache-2.0
// What conv_wgmma.cu and conv_halo_wgmma.cu take for granted of the chip, one assumption at a time,
// so that a wrong one says its name: bulk copies and barriers, the copy engine's im2col mode
// (probe_im2col.cu), wgmma (probe_products.cu), both over a tile with its rim (probe_halo.cu),
// blocks of a cluster and pairs of them, overlapping launches. Prints a line for each, and for a
// wrong one which other reading of the documentation would explain what was seen. No wait is for
// ever, and a fault of the GPU, after which a process can use it no more, costs one reading only:
// the rest is done by this program anew.
//   probe_wgmma [FIRST [WRONG]]         from reading FIRST on, after WRONG wrong ones
//   probe_wgmma --pairs ROUNDS TURNS    only pairs, with delays that differ from turn to turn
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <unistd.h>

#include "probe.cuh"

namespace
{

sac_launch launch_of(unsigned blocks, unsigned threads, size_t shared)
{
    sac_launch launch = {};
    launch.grid = dim3(blocks), launch.block = dim3(threads), launch.shared = shared;
    return launch;
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
        if (!probe_told(barrier, static_cast<uint32_t>(k & 1))) return;
        for (unsigned i = threadIdx.x; i < 256; i += blockDim.x)
            to[k * 256 + i] = memory[i];
        sac__fence_proxy_async(); // the next copy writes where these reads were
        __syncthreads();
        sac__fence_proxy_async();
    }
}

std::vector<float> count_up(size_t count)
{
    std::vector<float> values(count);
    for (size_t i = 0; i < count; i++)
        values[i] = static_cast<float>(i);
    return values;
}

std::string run_bulk()
{
    const int rounds = 3;
    const std::vector<float> values = count_up(256 * rounds);
    const probe_array<float> from(values), to(values.size());
    probe_must(sac__launch("bulk", launch_of(1, 64, 2048), bulk_kernel, to.data,
                           static_cast<const float *>(from.data), rounds));
    const std::vector<float> seen = to.read();
    for (size_t i = 0; i < seen.size(); i++)
        if (seen[i] != values[i])
            return "value " + std::to_string(i) + " is " + std::to_string(seen[i]) +
                   " (nan: the barrier was never told): order of expect_tx and copy, or parity";
    return "";
}

// --- Clusters -----------------------------------------------------------------------------------

/// As the parts of a split tile: everybody writes, then everybody reads all.
__global__ void cluster_kernel(float *to, int rounds)
{
    SAC__SHARED(float, memory);
    for (int k = 0; k < rounds; k++) {
        memory[threadIdx.x] = static_cast<float>(sac__cluster_rank() * 1000 + threadIdx.x + k);
        sac__cluster_sync_shared();
        float4 sum = {};
        for (uint32_t rank = 0; rank < sac__cluster_size(); rank++) {
            float4 there = sac__ld_cluster4(
                sac__mapa(sac__shared_address(memory + threadIdx.x / 4 * 4), rank));
            sum.x += there.x, sum.w += there.w;
        }
        to[(k * gridDim.x + blockIdx.x) * blockDim.x + threadIdx.x] = sum.x + sum.w;
        sac__cluster_sync_relaxed();
    }
}

std::string run_cluster(unsigned size)
{
    const unsigned threads = 64, blocks = 2 * size, rounds = 100;
    const probe_array<float> to(threads * blocks * rounds);
    sac_launch launch = launch_of(blocks, threads, 65536);
    launch.cluster = size;
    probe_must(sac__launch("cluster", launch, cluster_kernel, to.data, static_cast<int>(rounds)));
    const std::vector<float> seen = to.read();
    unsigned wrong = 0, early = 0;
    for (unsigned i = 0; i < seen.size(); i++) {
        const unsigned first = i % threads / 4 * 4, ranks = size * (size - 1) / 2 * 1000;
        const unsigned round = i / (threads * blocks);
        const float wanted = static_cast<float>(2 * ranks + size * (2 * first + 3 + 2 * round));
        wrong += seen[i] != wanted;
        early += seen[i] != wanted && round == 0;
    }
    if (!wrong) return "";
    if (wrong == seen.size()) return "all wrong: mapa, or ranks that do not follow blockIdx.x";
    return std::to_string(wrong) + " of " + std::to_string(seen.size()) + " wrong, " +
           std::to_string(early) +
           " in the first round: sac__cluster_sync_shared or _relaxed orders too little";
}

enum { PAIR_STAGES = 2, PAIR_FLOATS = 256, PAIR_BLOCKS = 8 };

/// A thread that is late now and then, each at other times; with 0 never.
struct dawdler {
    uint32_t state;

    __device__ explicit dawdler(uint32_t seed)
        : state(seed * ((blockIdx.x * 64 + threadIdx.x) * 2 + 1) * 2654435761u)
    {
    }
    __device__ void wait()
    {
        state ^= state << 13, state ^= state >> 17, state ^= state << 5;
        if (state >> 29 == 1) __nanosleep(state >> 16 & 4095);
    }
};

/// As a pair's weights: each of two blocks fetches half of a stage for both, and gives it back to
/// both, each lane by itself: unlike wgmma's, its reads are its own and ordinary ones. out: (block,
/// round, PAIR_FLOATS).
__global__ void pair_kernel(float *out, const float *from, int rounds, uint32_t seed)
{
    dawdler late(seed);
    late.wait();
    SAC__SHARED(float, memory);
    const uint32_t at = sac__shared_address(memory), bytes = PAIR_FLOATS * 4;
    const uint32_t full = at + PAIR_STAGES * bytes, empty = full + PAIR_STAGES * 8;
    const uint32_t rank = sac__cluster_rank();
    if (threadIdx.x == 32) {
        for (uint32_t k = 0; k < PAIR_STAGES; k++) {
            sac__mbarrier_init(full + k * 8, 1);
            sac__mbarrier_init(empty + k * 8, 2 * 32);
        }
        sac__fence_mbarrier_init();
    }
    sac__cluster_sync_relaxed();
    __syncthreads();
    for (int k = 0; k < rounds; k++) {
        const uint32_t slot = static_cast<uint32_t>(k % PAIR_STAGES);
        const uint32_t turn = static_cast<uint32_t>(k / PAIR_STAGES & 1);
        const uint32_t half = slot * bytes + rank * bytes / 2;
        if (threadIdx.x == 32) {
            if (!probe_told(empty + slot * 8, turn ^ 1)) break;
            sac__fence_proxy_async();
            late.wait();
            sac__mbarrier_expect_tx(full + slot * 8, bytes);
            late.wait();
            sac__bulk_load_multicast(at + half, from + k * PAIR_FLOATS + rank * PAIR_FLOATS / 2,
                                     bytes / 2, full + slot * 8, 3);
        }
        if (threadIdx.x < 32) {
            if (!probe_told(full + slot * 8, turn)) break;
            late.wait();
            for (uint32_t i = threadIdx.x; i < PAIR_FLOATS; i += 32)
                out[(blockIdx.x * static_cast<uint32_t>(rounds) + static_cast<uint32_t>(k)) *
                        PAIR_FLOATS +
                    i] = memory[slot * PAIR_FLOATS + i];
            sac__fence_proxy_async();
            late.wait();
            for (uint32_t block = 0; block < 2; block++)
                sac__mbarrier_arrive_cluster(sac__mapa(empty + slot * 8, block));
        }
    }
    __syncwarp();
    sac__cluster_sync();
}

std::string run_pair(int rounds, uint32_t seed)
{
    const std::vector<float> values = count_up(static_cast<size_t>(PAIR_FLOATS) * rounds);
    const probe_array<float> from(values), to(values.size() * PAIR_BLOCKS);
    sac_launch launch = launch_of(PAIR_BLOCKS, 64, PAIR_STAGES * (PAIR_FLOATS * 4 + 16));
    launch.cluster = 2;
    probe_must(sac__launch("pair", launch, pair_kernel, to.data,
                           static_cast<const float *>(from.data), rounds, seed));
    const std::vector<float> seen = to.read();
    for (size_t i = 0; i < seen.size(); i++) {
        const size_t k = i % values.size();
        if (seen[i] == values[k]) continue;
        return "block " + std::to_string(i / values.size()) + ", round " +
               std::to_string(k / PAIR_FLOATS) + ", value " + std::to_string(k % PAIR_FLOATS) +
               " is " + std::to_string(seen[i]) + ", not " + std::to_string(values[k]) +
               " (nan: a barrier was never told; a later round's: given back too early)";
    }
    return "";
}

// --- Overlap ------------------------------------------------------------------------------------

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

std::string run_overlap()
{
    const unsigned threads = 128, blocks = 64;
    const probe_array<float> first(threads * blocks), second(threads * blocks),
        third(threads * blocks);
    sac_launch launch = launch_of(blocks, threads, 0);
    probe_must(sac__launch("slow", launch, slow_kernel, first.data, 7.f));
    launch.overlap = true;
    probe_must(sac__launch("after", launch, after_kernel, second.data,
                           static_cast<const float *>(first.data)));
    probe_must(sac__launch("after", launch, after_kernel, third.data,
                           static_cast<const float *>(second.data)));
    for (float x : third.read())
        if (x != 9) return "a kernel went past griddepcontrol.wait too early";
    return "";
}

std::vector<probe_reading> all_readings()
{
    std::vector<probe_reading> readings = {{"bulk copy, mbarrier phases", run_bulk}};
    probe_im2col_add(readings);
    probe_products_add(readings);
    probe_halo_add(readings);
    for (unsigned size = 2; size <= 8; size *= 2)
        readings.push_back({"memory of a cluster of " + std::to_string(size),
                            [size] { return run_cluster(size); }});
    readings.push_back({"a pair's weights", [] { return run_pair(100, 0); }});
    readings.push_back(
        {"a pair's weights, everybody late at times", [] { return run_pair(100, 1); }});
    readings.push_back({"overlapping launches wait", run_overlap});
    return readings;
}

/// The GPU is lost to this process: a new one goes on.
void go_on(char *program, size_t next, int wrong)
{
    const std::string first = std::to_string(next), count = std::to_string(wrong);
    std::fflush(stdout);
    execl("/proc/self/exe", program, first.c_str(), count.c_str(), static_cast<char *>(nullptr));
    std::perror("exec");
}

std::string run_one(const probe_reading &reading)
{
    try {
        return reading.run();
    } catch (const std::exception &error) {
        return error.what();
    }
}

/// Pairs alone, thread by thread late at other times in each turn.
int run_pairs(int rounds, int turns)
{
    for (int turn = 1; turn <= turns; turn++) {
        const std::string hint = run_one({"", [=] { return run_pair(rounds, turn); }});
        if (hint.empty()) continue;
        std::printf("WRONG in turn %d: %s\n", turn, hint.c_str());
        return 1;
    }
    std::printf("ok    %d turns of %d rounds of %d blocks\n", turns, rounds, PAIR_BLOCKS);
    return 0;
}

} // namespace

int main(int count, char **arguments)
{
    size_t first = count > 1 ? std::strtoul(arguments[1], nullptr, 10) : 0;
    int wrong = count > 2 ? std::atoi(arguments[2]) : 0, major = 0;
    cudaError_t status = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0);
    if (status) {
        std::printf("WRONG a GPU: %s\n", cudaGetErrorString(status));
        return 1;
    }
    if (major != 9) {
        std::printf("not a Hopper GPU: nothing to probe\n");
        return 0;
    }
    if (count == 4 && !std::strcmp(arguments[1], "--pairs"))
        return run_pairs(std::atoi(arguments[2]), std::atoi(arguments[3]));
    const std::vector<probe_reading> readings = all_readings();
    for (size_t i = first; i < readings.size(); i++) {
        const std::string hint = run_one(readings[i]);
        std::printf("%s %s%s%s\n", hint.empty() ? "ok   " : "WRONG", readings[i].what.c_str(),
                    hint.empty() ? "" : ": ", hint.c_str());
        wrong += !hint.empty();
        if (cudaDeviceSynchronize() && i + 1 < readings.size()) {
            go_on(arguments[0], i + 1, wrong);
            return 1;
        }
    }
    std::printf(wrong ? "%d WRONG\n" : "all as assumed\n", wrong);
    return wrong != 0;
}
