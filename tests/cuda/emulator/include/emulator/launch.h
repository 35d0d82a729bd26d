// SPDX-License-Identifier: Apache-2.0
// cudaLaunchKernelEx: the kernel with its arguments becomes one callable that every fiber runs.
#ifndef EMULATOR_LAUNCH_H
#define EMULATOR_LAUNCH_H

#include "cuda_runtime_api.h"
#include "emulator/thread.h"

namespace emulator
{
cudaError_t launch(const cudaLaunchConfig_t &config, const void *function,
                   std::function<void()> kernel);
}

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(Parameters...),
                               Arguments &&...arguments)
{
    std::tuple<Parameters...> values(std::forward<Arguments>(arguments)...);
    return emulator::launch(*config, reinterpret_cast<const void *>(kernel),
                            [kernel, values] { std::apply(kernel, values); });
}

template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel *kernel, cudaFuncAttribute attribute, int value)
{
    return cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel), attribute, value);
}

template <class Kernel>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, Kernel *kernel, int threads,
                                                          size_t shared)
{
    return cudaOccupancyMaxActiveBlocksPerMultiprocessor(
        blocks, reinterpret_cast<const void *>(kernel), threads, shared);
}

template <class T> cudaError_t cudaMalloc(T **data, size_t bytes)
{
    return cudaMalloc(reinterpret_cast<void **>(data), bytes);
}

template <class T> cudaError_t cudaMallocHost(T **data, size_t bytes)
{
    return cudaMallocHost(reinterpret_cast<void **>(data), bytes);
}

template <class T> cudaError_t cudaHostAlloc(T **data, size_t bytes, unsigned flags)
{
    return cudaHostAlloc(reinterpret_cast<void **>(data), bytes, flags);
}

#endif
