// SPDX-License-Identifier: Apache-2.0
// What the emulator must notice: kernels that are wrong in the ways that it is there to show, and
// calls of the runtime that CUDA would refuse. Each faulty kernel runs in a process of its own,
// which must end with the right words.
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include "cuda/device.cuh"

namespace
{

// --- Faulty kernels ----------------------------------------------------------------------------

__global__ void half_of_a_barrier(int *)
{
    if (threadIdx.x < 32) sac__bar_sync(1, 64);
}

__global__ void lanes_apart(int *out)
{
    if (threadIdx.x % 2)
        out[threadIdx.x] = __shfl_sync(0xffffffffu, 1, 0);
    else
        out[threadIdx.x] = (int)__ballot_sync(0xffffffffu, 1);
}

__global__ void lane_missing(int *out)
{
    if (threadIdx.x == 0) return;
    if (threadIdx.x == 1) sac__bar_sync(2, 32);
    out[threadIdx.x] = __shfl_sync(0xffffffffu, 1, 2);
}

__global__ void beyond_shared(int *)
{
    SAC__SHARED(char, shared);
    uint32_t pairs[4];
    sac__ldmatrix_x4(pairs, sac__shared_address(shared) + threadIdx.x * 16 + 16);
}

__global__ void unaligned(int *in)
{
    SAC__SHARED(char, shared);
    sac__cp_async<16>(sac__shared_address(shared), in + 1);
}

__global__ void no_mbarrier(int *)
{
    SAC__SHARED(char, shared);
    sac__mbarrier_arrive(sac__shared_address(shared));
}

__global__ void never_told(int *)
{
    SAC__SHARED(char, shared);
    const uint32_t barrier = sac__shared_address(shared);
    sac__mbarrier_init(barrier, 2);
    sac__mbarrier_arrive(barrier);
    sac__mbarrier_wait(barrier, 0);
}

__global__ void product_left(int *)
{
    SAC__SHARED(char, shared);
    float d[8];
    const uint64_t tile = sac__wgmma_descriptor(sac__shared_address(shared), 0, 1024, 1);
    sac__wgmma_f16<16>(d, tile, tile, 0);
    sac__wgmma_commit();
}

struct Fault {
    void (*kernel)(int *);
    unsigned threads;
    const char *words;
    bool overlap = false;
};

__global__ void never_waits(int *)
{
}

const Fault faults[] = {
    {half_of_a_barrier, 64, "deadlock"},
    {lanes_apart, 32, "lanes of one warp meet at"},
    {lane_missing, 32, "deadlock"},
    {beyond_shared, 32, "shared memory: 16 bytes at 512 of 512"},
    {unaligned, 1, "not aligned to 16"},
    {no_mbarrier, 1, "was not initialised"},
    {never_told, 1, "threads spin"},
    {product_left, 128, "wgmma products that nobody waited for"},
    {never_waits, 32, "never waits", true},
};

// What a process says that runs the kernel; it must not end well.
std::string last_words(const Fault &fault)
{
    int pipes[2];
    CHECK(pipe(pipes) == 0, "no pipe");
    const pid_t child = fork();
    if (child == 0) {
        dup2(pipes[1], STDERR_FILENO);
        const Device<int> data(64);
        const sac_launch launch = {dim3(1), dim3(fault.threads), nullptr, 512, 1, fault.overlap};
        (void)sac__launch("fault", launch, fault.kernel, data.data);
        _exit(0);
    }
    close(pipes[1]);
    std::string words;
    char buffer[4096];
    for (ssize_t n; (n = read(pipes[0], buffer, sizeof buffer)) > 0;)
        words.append(buffer, (size_t)n);
    close(pipes[0]);
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 0, "not noticed: %s", fault.words);
    return words;
}

void check_faults()
{
    for (const Fault &fault : faults) {
        const std::string words = last_words(fault);
        CHECK(words.find(fault.words) != std::string::npos, "'%s' is not in '%s'", fault.words,
              words.c_str());
    }
}

// --- What is read before it is written ---------------------------------------------------------

__global__ void unwritten(float *out, const float *in)
{
    SAC__SHARED(float, shared);
    sac__cp_async<4>(sac__shared_address(shared + 1), in);
    sac__cp_async_commit();
    out[0] = shared[0];
    out[1] = shared[1]; // its copy was not waited for
    sac__cp_async_wait<0>();
    out[2] = shared[1];
}

void check_poison()
{
    const Device<float> in(std::vector<float>{7}), out(4);
    for (int i = 0; i < 2; i++) // the second block has the memory of the first
        check_launch("unwritten", 1, 8, unwritten, out.data, in.data);
    const std::vector<float> found = out.read();
    CHECK(std::isnan(found[0]) && std::isnan(found[1]), "unwritten shared memory is not NaN");
    CHECK(found[2] == 7, "%g was copied", (double)found[2]);
    CHECK(std::isnan(found[3]), "unwritten device memory is not NaN");
}

// --- The runtime -------------------------------------------------------------------------------

void refuse(cudaError_t status, cudaError_t expected, const char *what)
{
    CHECK(status == expected, "%s: %s", what, cudaGetErrorString(status));
    CHECK(cudaGetLastError() == expected && cudaGetLastError() == cudaSuccess, "%s: last error",
          what);
}

__global__ void nothing(int *)
{
}

void check_refusals()
{
    const Device<int> there(16);
    int here[32] = {};
    refuse(cudaMemcpy(there.data, here, 68, cudaMemcpyHostToDevice), cudaErrorInvalidValue,
           "a copy beyond the end");
    refuse(cudaMemcpy(here, there.data, 4, cudaMemcpyHostToDevice), cudaErrorInvalidValue,
           "a copy the wrong way");
    refuse(cudaMemset(here, 0, 4), cudaErrorInvalidValue, "memset of the host's memory");
    refuse(cudaFree(here), cudaErrorInvalidValue, "freeing the host's memory");
    refuse(cudaSetDevice(1), cudaErrorInvalidDevice, "a second GPU");
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(1);
    config.blockDim = dim3(1025);
    refuse(cudaLaunchKernelEx(&config, nothing, there.data), cudaErrorInvalidConfiguration,
           "1025 threads");
    config.blockDim = dim3(32);
    config.dynamicSmemBytes = 49 * 1024;
    refuse(cudaLaunchKernelEx(&config, nothing, there.data), cudaErrorInvalidValue,
           "49 KiB that were not asked for");
    CHECK(sac__launch("nothing", {dim3(1), dim3(32), nullptr, 228 * 1024}, nothing, there.data) < 0,
          "228 KiB");
}

void check_environment()
{
    int count = -1;
    setenv("SACCADE_EMULATOR_GPU", "none", 1);
    refuse(cudaGetDeviceCount(&count), cudaErrorNoDevice, "no GPU");
    setenv("SACCADE_EMULATOR_GPU", "no-driver", 1);
    refuse(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver, "no driver");
    setenv("SACCADE_EMULATOR_GPU", "8.0", 1);
    CHECK(cudaGetDeviceCount(&count) == cudaSuccess && count == 1 && check_capability() == 8,
          "8.0");
    unsetenv("SACCADE_EMULATOR_GPU");
    void *data = nullptr;
    setenv("SACCADE_EMULATOR_MEMORY", "1000000", 1);
    refuse(cudaMalloc(&data, 1000001), cudaErrorMemoryAllocation, "too much memory");
    CHECK(cudaMalloc(&data, 900000) == cudaSuccess && cudaFree(data) == cudaSuccess, "memory");
    unsetenv("SACCADE_EMULATOR_MEMORY");
}

__global__ void increase(int *value)
{
    value[0]++;
}

// Two streams in one graph, replayed; an event outside.
void check_graph()
{
    cudaStream_t first, second;
    cudaEvent_t fork, join, done;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    const Device<int> value(std::vector<int>{5});
    int *copied;
    check_cuda(cudaMallocHost(&copied, 4), "page-locked memory");
    check_cuda(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking), "stream");
    check_cuda(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking), "stream");
    for (cudaEvent_t *event : {&fork, &join, &done})
        check_cuda(cudaEventCreate(event), "event");
    check_cuda(cudaStreamBeginCapture(first, cudaStreamCaptureModeThreadLocal), "capture");
    check_cuda(cudaEventRecord(fork, first), "record");
    check_cuda(cudaStreamWaitEvent(second, fork), "wait");
    CHECK(!sac__launch("increase", {dim3(1), dim3(1), second}, increase, value.data), "launch");
    check_cuda(cudaEventRecord(join, second), "record");
    check_cuda(cudaStreamWaitEvent(first, join), "wait");
    check_cuda(cudaMemcpyAsync(copied, value.data, 4, cudaMemcpyDeviceToHost, first), "copy");
    refuse(cudaStreamSynchronize(first), cudaErrorStreamCaptureUnsupported,
           "waiting for a capture");
    void *data = nullptr;
    refuse(cudaMalloc(&data, 4), cudaErrorStreamCaptureUnsupported, "allocating in a capture");
    check_cuda(cudaStreamEndCapture(first, &graph), "end");
    check_cuda(cudaGraphInstantiate(&exec, graph), "instantiate");
    CHECK(value.read()[0] == 5, "a capture ran");
    for (int run = 1; run <= 3; run++) {
        *copied = 0;
        check_cuda(cudaGraphLaunch(exec, first), "launch");
        check_cuda(cudaEventRecord(done, first), "record");
        while (cudaEventQuery(done) == cudaErrorNotReady) {
        }
        CHECK(*copied == 5 + run, "run %d gives %d", run, *copied);
    }
    check_cuda(cudaGraphExecDestroy(exec), "destroy");
    check_cuda(cudaGraphDestroy(graph), "destroy");
    check_cuda(cudaStreamDestroy(first), "destroy");
    refuse(cudaStreamSynchronize(first), cudaErrorInvalidResourceHandle, "a stream that is closed");
    for (const cudaEvent_t event : {fork, join, done})
        check_cuda(cudaEventDestroy(event), "destroy");
    check_cuda(cudaStreamDestroy(second), "destroy");
    check_cuda(cudaFreeHost(copied), "free");
}

// Late streams do nothing before somebody asks.
void check_late()
{
    setenv("SACCADE_EMULATOR_LATE", "1", 1);
    const Device<int> value(std::vector<int>{0});
    cudaStream_t stream;
    cudaEvent_t event;
    check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
    check_cuda(cudaEventCreate(&event), "event");
    CHECK(!sac__launch("increase", {dim3(1), dim3(1), stream}, increase, value.data), "launch");
    check_cuda(cudaEventRecord(event, stream), "record");
    CHECK(*value.data == 0, "done at once");
    CHECK(cudaEventQuery(event) == cudaErrorNotReady && cudaEventQuery(event) == cudaSuccess,
          "query");
    CHECK(*value.data == 1, "not done");
    check_graph();
    check_cuda(cudaEventDestroy(event), "event");
    check_cuda(cudaStreamDestroy(stream), "stream");
    unsetenv("SACCADE_EMULATOR_LATE");
}

// --- Kernels that start early -------------------------------------------------------------------

__global__ void produce(int *value)
{
    SAC__SHARED(int, shared);
    shared[threadIdx.x] = value[0] + 1;
    __syncthreads();
    value[0] = shared[31 - threadIdx.x];
}

__global__ void consume(int *value)
{
    const int early = value[0];
    SAC__SHARED(int, shared);
    shared[threadIdx.x] = 7;
    sac__grid_wait();
    __syncthreads();
    if (threadIdx.x == 0 && blockIdx.x == 0) {
        value[1] = early;
        value[2] = value[0] + shared[31] - 7;
    }
}

// What is read before sac__grid_wait is read too early at every second run; what is read after,
// not.
void check_early()
{
    setenv("SACCADE_EMULATOR_OVERLAP", "1", 1);
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    const Device<int> value(std::vector<int>{0, 0, 0});
    check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
    check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
    CHECK(!sac__launch("produce", {dim3(2), dim3(32), stream, 128}, produce, value.data), "launch");
    CHECK(!sac__launch("consume", {dim3(3), dim3(32), stream, 128, 1, true}, consume, value.data),
          "launch");
    check_cuda(cudaStreamEndCapture(stream, &graph), "end");
    check_cuda(cudaGraphInstantiate(&exec, graph), "instantiate");
    int early = 0;
    for (int run = 1; run <= 4; run++) {
        check_cuda(cudaGraphLaunch(exec, stream), "launch");
        const std::vector<int> found = value.read();
        CHECK(found[2] == 2 * run, "run %d: %d after the wait", run, found[2]);
        early += found[1] != found[2];
    }
    CHECK(early == 2, "%d of 4 runs read too early", early);
    check_cuda(cudaGraphExecDestroy(exec), "destroy");
    check_cuda(cudaGraphDestroy(graph), "destroy");
    check_cuda(cudaStreamDestroy(stream), "destroy");
    unsetenv("SACCADE_EMULATOR_OVERLAP");
}

} // namespace

int main()
{
    check_faults();
    check_poison();
    check_refusals();
    check_environment();
    check_graph();
    check_late();
    check_early();
    return 0;
}
