// SPDX-License-Identifier: Apache-2.0
// Failures of CUDA calls in the library's terms.
#include <stdio.h>

#include "gpu.h"

// Failures that leave the context unusable: every later call on it fails.
static const cudaError_t lasting[] = {
    cudaErrorIllegalAddress,        cudaErrorLaunchFailure,      cudaErrorAssert,
    cudaErrorHardwareStackError,    cudaErrorIllegalInstruction, cudaErrorMisalignedAddress,
    cudaErrorInvalidAddressSpace,   cudaErrorInvalidPc,          cudaErrorLaunchTimeout,
    cudaErrorECCUncorrectable,      cudaErrorContextIsDestroyed, cudaErrorExternalDevice,
    cudaErrorNvlinkUncorrectable,
};

static int is_lasting(cudaError_t status)
{
    for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++)
        if (lasting[i] == status) return 1;
    return 0;
}

static int kind_of(cudaError_t status)
{
    switch (status) {
    case cudaErrorMemoryAllocation:
        return SAC_ENOMEM;
    case cudaErrorInsufficientDriver:
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
    case cudaErrorDevicesUnavailable:
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorSystemDriverMismatch:
        return SAC_EDEVICE;
    default:
        return SAC_EBACKEND;
    }
}

int sac__gpu_check(cudaError_t status, const char *call, size_t bytes)
{
    char size[40] = "";
    if (status == cudaSuccess) return 0;
    cudaGetLastError();
    if (bytes) snprintf(size, sizeof size, " of %zu bytes", bytes);
    return sac__fail(kind_of(status), "%s%s: %s (CUDA error %d)%s", call, size,
                     cudaGetErrorString(status), (int)status,
                     is_lasting(status) ? "; this process can no longer use the GPU" : "");
}
