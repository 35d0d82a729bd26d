// SPDX-License-Identifier: Apache-2.0
// How kernels are launched, and how they name their dynamic shared memory. There is no <<<>>> in
// this project: cudaLaunchKernelEx takes clusters and programmatic dependent launch too, reports
// its own errors, and can be played by the emulator of the tests.
#ifndef SAC_CUDA_LAUNCH_CUH
#define SAC_CUDA_LAUNCH_CUH

#include <cuda_runtime.h>

#include <utility>

#include "error.h"

/// SAC__SHARED(float, tile); declares `float *tile`, the start of the dynamic shared memory,
/// aligned to 1024 bytes as swizzled tiles want it.
#ifndef SAC__SHARED // the emulator has its own
#define SAC__SHARED(type, name)                                                                    \
    extern __shared__ __align__(1024) unsigned char sac__shared_bytes[];                           \
    type *name = reinterpret_cast<type *>(sac__shared_bytes)
#endif

/// Given as {grid, block, stream} or with more of the fields, in this order.
struct sac_launch {
    dim3 grid, block;
    cudaStream_t stream = nullptr;
    size_t shared = 0;    ///< dynamic shared memory of a block, bytes
    unsigned cluster = 1; ///< blocks of a cluster along x; 0 and 1: none
    bool overlap = false; ///< may start before the kernel before it ends: see sac__grid_wait
};

/// All the dynamic shared memory that a block can have, not only what this launch needs: a graph
/// may hold a launch of the kernel that needs more.
inline cudaError_t sac__launch_allow_shared(const void *function)
{
    int device = 0, most = 0;
    cudaFuncAttributes own = {};
    cudaError_t status = cudaGetDevice(&device);
    if (status == cudaSuccess)
        status = cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
    if (status == cudaSuccess) status = cudaFuncGetAttributes(&own, function);
    if (status != cudaSuccess) return status;
    return cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                most - static_cast<int>(own.sharedSizeBytes));
}

/// More than the 48 KiB of shared memory that every kernel may have, and room for it: all kernels
/// ask for the same division of a processor's memory, because one that differs from the last
/// kernel's waits until that has left the processor, and then nothing overlaps.
template <class Kernel> cudaError_t sac__launch_allow(Kernel *kernel, const sac_launch &launch)
{
    const void *function = reinterpret_cast<const void *>(kernel);
    cudaError_t status = cudaFuncSetAttribute(
        function, cudaFuncAttributePreferredSharedMemoryCarveout, cudaSharedmemCarveoutMaxShared);
    if (status == cudaSuccess && launch.shared > 48 * 1024)
        status = sac__launch_allow_shared(function);
    if (status == cudaSuccess && launch.cluster > 8)
        status = cudaFuncSetAttribute(function, cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
    return status;
}

/// Whether kernels of the current GPU may overlap: before 9.0 they do not wait for each other
/// (sac__grid_wait is nothing there).
inline bool sac__launch_overlaps()
{
    int device = 0, major = 0;
    return cudaGetDevice(&device) == cudaSuccess &&
           cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) ==
               cudaSuccess &&
           major >= 9;
}

/// Enqueues a kernel. `name` is for the message. Returns 0 or SAC_EBACKEND.
template <class... Parameters, class... Arguments>
int sac__launch(const char *name, const sac_launch &launch, void (*kernel)(Parameters...),
                Arguments &&...arguments)
{
    cudaLaunchAttribute attributes[2] = {};
    cudaLaunchConfig_t config = {};
    config.gridDim = launch.grid;
    config.blockDim = launch.block;
    config.dynamicSmemBytes = launch.shared;
    config.stream = launch.stream;
    config.attrs = attributes;
    if (launch.cluster > 1) {
        cudaLaunchAttribute &attribute = attributes[config.numAttrs++];
        attribute.id = cudaLaunchAttributeClusterDimension;
        attribute.val.clusterDim.x = launch.cluster;
        attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    }
    if (launch.overlap && sac__launch_overlaps()) {
        cudaLaunchAttribute &attribute = attributes[config.numAttrs++];
        attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
        attribute.val.programmaticStreamSerializationAllowed = 1;
    }
    cudaError_t status = sac__launch_allow(kernel, launch);
    if (status == cudaSuccess)
        status = cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...);
    if (status == cudaSuccess) return 0;
    (void)cudaGetLastError(); // said once, here
    return sac__fail(SAC_EBACKEND, "kernel %s: %s", name, cudaGetErrorString(status));
}

#endif
