// SPDX-License-Identifier: Apache-2.0
// What checks of pixel and box kernels share: memory of the device, and time on it.
#ifndef SAC_TESTS_CUDA_DEVICE_H
#define SAC_TESTS_CUDA_DEVICE_H

#include <cuda_runtime_api.h>

#include "check/check.h"

#ifdef SAC_EMULATED
#define CHECK_CASES(emulated, gpu) (emulated)
#else
#define CHECK_CASES(emulated, gpu) (gpu)
#endif

static inline void cuda(cudaError_t status)
{
    CHECK(status == cudaSuccess, "%s", cudaGetErrorString(status));
}

/// Host memory, not zero.
static inline void *room(size_t bytes)
{
    void *memory = malloc(bytes + 1);
    CHECK(memory, "%zu bytes", bytes);
    memset(memory, 0xa5, bytes + 1);
    return memory;
}

/// Device memory with a copy of `bytes` at `host`.
static inline void *device_copy(const void *host, size_t bytes)
{
    void *data = NULL;
    cuda(cudaMalloc(&data, bytes ? bytes : 1));
    cuda(cudaMemcpy(data, host, bytes, cudaMemcpyHostToDevice));
    return data;
}

/// Device memory whose every byte is `byte`.
static inline void *device_filled(int byte, size_t bytes)
{
    void *data = NULL;
    cuda(cudaMalloc(&data, bytes ? bytes : 1));
    cuda(cudaMemset(data, byte, bytes));
    return data;
}

/// Waits, and copies back into memory that the caller frees.
static inline void *device_read(const void *data, size_t bytes)
{
    void *host = room(bytes);
    cuda(cudaDeviceSynchronize());
    cuda(cudaMemcpy(host, data, bytes, cudaMemcpyDeviceToHost));
    return host;
}

/// Enqueues launch number `turn`, for bench_time: turns take different memory in rotation.
typedef int bench_launch(void *job, int turn, cudaStream_t stream);

/// Median over replays of a captured graph of launches, µs a launch.
static inline double bench_time(bench_launch *launch, void *job)
{
    enum { LAUNCHES = 24, REPLAYS = 21 };
    double times[REPLAYS];
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t replay;
    cudaEvent_t from, to;
    cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    cuda(cudaEventCreate(&from));
    cuda(cudaEventCreate(&to));
    cuda(cudaDeviceSynchronize());
    cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    for (int k = 0; k < LAUNCHES; k++) CHECK(!launch(job, k, stream), "%s", sac_error_message());
    cuda(cudaStreamEndCapture(stream, &graph));
    cuda(cudaGraphInstantiate(&replay, graph, 0));
    for (int k = -2; k < REPLAYS; k++) {
        float ms = 0;
        cuda(cudaEventRecord(from, stream));
        cuda(cudaGraphLaunch(replay, stream));
        cuda(cudaEventRecord(to, stream));
        cuda(cudaEventSynchronize(to));
        cuda(cudaEventElapsedTime(&ms, from, to));
        int at = k < 0 ? 0 : k; // insertion
        for (; at > 0 && times[at - 1] > ms; at--) times[at] = times[at - 1];
        times[at] = ms;
    }
    cuda(cudaGraphExecDestroy(replay));
    cuda(cudaGraphDestroy(graph));
    cuda(cudaEventDestroy(from));
    cuda(cudaEventDestroy(to));
    cuda(cudaStreamDestroy(stream));
    return times[REPLAYS / 2] * 1e3 / LAUNCHES;
}

/// A row of a bench's table. `bytes`: that must move; rate: bytes a µs of an H200's L2 or memory,
/// whichever the bench says.
static inline void bench_row(const char *what, double us, double bytes, double rate)
{
    printf("%-52s %8.2f us  roofline %6.2f us %4.0f%%\n", what, us, bytes / rate,
           100 * bytes / rate / us);
}

#endif
