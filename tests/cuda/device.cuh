// SPDX-License-Identifier: Apache-2.0
// What the checks of instructions share: values on both sides, launches that are waited for.
#ifndef SAC_TESTS_DEVICE_CUH
#define SAC_TESTS_DEVICE_CUH

#include <vector>

#include "check/check.h"
#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

inline void check_cuda(cudaError_t status, const char *what)
{
    CHECK(status == cudaSuccess, "%s: %s", what, cudaGetErrorString(status));
}

/// An array on the device; freed with the program.
template <class T> struct Device {
    T *data = nullptr;
    size_t count;

    explicit Device(size_t count_) : count(count_)
    {
        check_cuda(cudaMalloc(&data, count * sizeof(T)), "cudaMalloc");
        check_cuda(cudaMemset(data, 0xff, count * sizeof(T)), "fill"); // floats: NaN
    }
    explicit Device(const std::vector<T> &values) : Device(values.size())
    {
        check_cuda(cudaMemcpy(data, values.data(), count * sizeof(T), cudaMemcpyHostToDevice),
                   "upload");
    }
    std::vector<T> read() const
    {
        std::vector<T> values(count);
        check_cuda(cudaDeviceSynchronize(), "kernel");
        check_cuda(cudaMemcpy(values.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost),
                   "download");
        return values;
    }
    Device(const Device &) = delete;
    ~Device()
    {
        cudaFree(data);
    }
};

/// One block.
template <class... Parameters, class... Arguments>
void check_launch(const char *name, unsigned threads, size_t shared, void (*kernel)(Parameters...),
                  Arguments &&...arguments)
{
    const sac_launch launch = {dim3(1), dim3(threads), nullptr, shared, 1, false};
    CHECK(!sac__launch(name, launch, kernel, std::forward<Arguments>(arguments)...), "%s",
          sac_error_message());
    check_cuda(cudaDeviceSynchronize(), name);
}

/// Major version of the device's compute capability.
inline int check_capability()
{
    int major = 0;
    check_cuda(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0), "capability");
    return major;
}

#endif
