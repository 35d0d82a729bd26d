// SPDX-License-Identifier: Apache-2.0
// Launching: what the driver would refuse is refused here too.
#include <cstring>
#include <map>

#include "runtime.h"

using namespace emulator;

static std::map<const void *, size_t> allowed; // dynamic shared memory of a kernel

static size_t volume(const dim3 &extent)
{
    return static_cast<size_t>(extent.x) * extent.y * extent.z;
}

static cudaError_t check(const Grid &grid, const void *function)
{
    const size_t threads = volume(grid.block);
    if (threads == 0 || threads > 1024 || grid.block.z > 64) return cudaErrorInvalidConfiguration;
    if (volume(grid.grid) == 0 || grid.grid.x > 0x7fffffffu || grid.grid.y > 65535 ||
        grid.grid.z > 65535)
        return cudaErrorInvalidConfiguration;
    const auto more = allowed.find(function);
    if (grid.shared > (more == allowed.end() ? 48 * 1024 : more->second))
        return cudaErrorInvalidValue;
    if (grid.cluster > 1 &&
        (!hopper() || grid.cluster > 16 || grid.grid.x % grid.cluster || grid.together))
        return cudaErrorInvalidClusterSize;
    return cudaSuccess;
}

namespace emulator
{

cudaError_t launch(const cudaLaunchConfig_t &config, const void *function,
                   std::function<void()> kernel)
{
    EMULATED_CALL();
    Grid grid;
    grid.grid = config.gridDim;
    grid.block = config.blockDim;
    grid.shared = config.dynamicSmemBytes;
    grid.kernel = std::move(kernel);
    grid.function = function;
    for (unsigned i = 0; i < config.numAttrs; i++) {
        const cudaLaunchAttribute &attribute = config.attrs[i];
        if (attribute.id == cudaLaunchAttributeClusterDimension)
            grid.cluster = attribute.val.clusterDim.x;
        if (attribute.id == cudaLaunchAttributeCooperative)
            grid.together = attribute.val.cooperative != 0;
        if (attribute.id == cudaLaunchAttributeProgrammaticStreamSerialization)
            grid.overlap = attribute.val.programmaticStreamSerializationAllowed != 0;
    }
    if (const cudaError_t error = check(grid, function)) return note(error);
    const auto shared = std::make_shared<Grid>(std::move(grid));
    return enqueue(
        config.stream, [shared] { run(*shared); }, shared);
}

} // namespace emulator

cudaError_t cudaFuncSetAttribute(const void *function, enum cudaFuncAttribute attribute, int value)
{
    EMULATED_CALL();
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    cudaDeviceProp properties;
    cudaGetDeviceProperties(&properties, current_device());
    if (value < 0 || static_cast<size_t>(value) > properties.sharedMemPerBlockOptin)
        return note(cudaErrorInvalidValue);
    allowed[function] = static_cast<size_t>(value);
    return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *attributes, const void *function)
{
    EMULATED_CALL();
    const auto more = allowed.find(function);
    *attributes = {};
    attributes->maxThreadsPerBlock = 1024;
    attributes->numRegs = 64;
    attributes->maxDynamicSharedSizeBytes =
        static_cast<int>(more == allowed.end() ? 48 * 1024 : more->second);
    return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *, int threads,
                                                          size_t shared)
{
    EMULATED_CALL();
    cudaDeviceProp p;
    cudaGetDeviceProperties(&p, current_device());
    if (threads < 1 || threads > 1024) return note(cudaErrorInvalidValue);
    const int by_threads = p.maxThreadsPerMultiProcessor / threads;
    const size_t by_memory = p.sharedMemPerMultiprocessor / (shared + 1024);
    *blocks =
        static_cast<size_t>(by_threads) < by_memory ? by_threads : static_cast<int>(by_memory);
    return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveClusters(int *clusters, const void *, const cudaLaunchConfig_t *)
{
    EMULATED_CALL();
    *clusters = 1;
    return cudaSuccess;
}
