// SPDX-License-Identifier: Apache-2.0
// Failures of CUDA calls in the library's terms.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gpu.h"

static const struct sac_host *host;
static _Thread_local char message[1024];

void sac__gpu_host(const struct sac_host *its)
{
    host = its;
}

int sac__fail(int error, const char *format, ...)
{
    char text[sizeof message]; // arguments may point into message
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(message, text, sizeof text);
    return host->fail(error, "%s", text);
}

const char *sac__gpu_message(void)
{
    return message;
}

#define TEXT(name, value, text) text,
static const char *const heads[] = {SAC_HEADS(TEXT)};
#undef TEXT

const char *sac__gpu_head_name(sac_head_family family)
{
    return (unsigned)family < SAC_HEAD_COUNT ? heads[family] : "unknown";
}

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
