// SPDX-License-Identifier: Apache-2.0
// Errors and devices.
#include <cstdlib>
#include <cstring>

#include "runtime.h"

namespace emulator
{

std::recursive_mutex mutex;
static thread_local cudaError_t last_error;
static thread_local int device;

cudaError_t note(cudaError_t error)
{
    if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
    return error;
}

size_t setting(const char *name, size_t otherwise)
{
    const char *text = std::getenv(name);
    return text ? std::strtoull(text, nullptr, 0) : otherwise;
}

static const char *gpu()
{
    const char *text = std::getenv("SACCADE_EMULATOR_GPU");
    return text ? text : "9.0";
}

bool broken(const char *function)
{
    const char *name = std::getenv("SACCADE_EMULATOR_BREAK");
    return name && std::strcmp(name, function) == 0;
}

cudaError_t available()
{
    if (std::strcmp(gpu(), "no-driver") == 0) return cudaErrorInsufficientDriver;
    if (std::strcmp(gpu(), "none") == 0) return cudaErrorNoDevice;
    return cudaSuccess;
}

int current_device()
{
    return device;
}

void set_current_device(int number)
{
    device = number;
}

int device_count()
{
    return static_cast<int>(setting("SACCADE_EMULATOR_GPUS", 1));
}

bool hopper()
{
    return std::atoi(gpu()) == 9;
}

} // namespace emulator

using namespace emulator;

static const struct {
    cudaError_t error;
    const char *name, *text;
} errors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection",
     "invalid copy direction for memcpy"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress",
     "an illegal memory access was encountered"},
    {cudaErrorHostMemoryAlreadyRegistered, "cudaErrorHostMemoryAlreadyRegistered",
     "part or all of the requested memory range is already mapped"},
    {cudaErrorHostMemoryNotRegistered, "cudaErrorHostMemoryNotRegistered",
     "pointer does not correspond to a registered memory region"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined",
     "capturing stream has unjoined work"},
    {cudaErrorInvalidClusterSize, "cudaErrorInvalidClusterSize", "invalid cluster size"},
};

const char *cudaGetErrorName(cudaError_t error)
{
    for (const auto &known : errors)
        if (known.error == error) return known.name;
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error)
{
    for (const auto &known : errors)
        if (known.error == error) return known.text;
    return "unrecognized error code";
}

cudaError_t cudaGetLastError(void)
{
    const cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}

cudaError_t cudaPeekAtLastError(void)
{
    return last_error;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 0;
    EMULATED_CALL();
    *count = device_count();
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *out)
{
    EMULATED_CALL();
    *out = device;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int number)
{
    EMULATED_CALL();
    if (number < 0 || number >= device_count()) return note(cudaErrorInvalidDevice);
    device = number;
    return cudaSuccess;
}

cudaError_t cudaInitDevice(int number, unsigned, unsigned)
{
    EMULATED_CALL();
    return number < 0 || number >= device_count() ? note(cudaErrorInvalidDevice) : cudaSuccess;
}

cudaError_t cudaSetDeviceFlags(unsigned)
{
    EMULATED_CALL();
    return cudaSuccess;
}

// Few multiprocessors, so that kernels that fill the chip stay small here.
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int number)
{
    EMULATED_CALL();
    if (number < 0 || number >= device_count()) return note(cudaErrorInvalidDevice);
    const char *dot = std::strchr(gpu(), '.');
    cudaDeviceProp p = {};
    std::snprintf(p.name, sizeof p.name, "Emulated GPU %s", gpu());
    p.uuid.bytes[0] = 'E';
    p.uuid.bytes[1] = static_cast<char>(number);
    p.totalGlobalMem = setting("SACCADE_EMULATOR_MEMORY", static_cast<size_t>(4) << 30);
    p.major = std::atoi(gpu());
    p.minor = dot ? std::atoi(dot + 1) : 0;
    p.sharedMemPerBlock = 48 * 1024;
    p.sharedMemPerBlockOptin = p.major == 9 ? 227 * 1024 : p.minor == 0 ? 163 * 1024 : 99 * 1024;
    p.sharedMemPerMultiprocessor = p.sharedMemPerBlockOptin + 1024;
    p.multiProcessorCount = 4;
    p.l2CacheSize = 50 << 20;
    p.warpSize = 32;
    p.maxThreadsPerBlock = 1024;
    p.maxThreadsPerMultiProcessor = 2048;
    p.regsPerBlock = p.regsPerMultiprocessor = 65536;
    p.memoryBusWidth = 5120;
    p.pciBusID = 1 + number;
    p.concurrentKernels = p.unifiedAddressing = p.canMapHostMemory = 1;
    p.asyncEngineCount = 2;
    p.maxGridSize[0] = 2147483647;
    p.maxGridSize[1] = p.maxGridSize[2] = 65535;
    p.maxThreadsDim[0] = p.maxThreadsDim[1] = 1024;
    p.maxThreadsDim[2] = 64;
    *properties = p;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int number)
{
    cudaDeviceProp p;
    if (const cudaError_t error = cudaGetDeviceProperties(&p, number)) return error;
    switch (attribute) {
    case cudaDevAttrMaxSharedMemoryPerBlock:
        *value = static_cast<int>(p.sharedMemPerBlock);
        break;
    case cudaDevAttrClockRate:
        *value = 1980000;
        break;
    case cudaDevAttrMultiProcessorCount:
        *value = p.multiProcessorCount;
        break;
    case cudaDevAttrMemoryClockRate:
        *value = 3201000;
        break;
    case cudaDevAttrGlobalMemoryBusWidth:
        *value = p.memoryBusWidth;
        break;
    case cudaDevAttrL2CacheSize:
        *value = p.l2CacheSize;
        break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
        *value = p.maxThreadsPerMultiProcessor;
        break;
    case cudaDevAttrComputeCapabilityMajor:
        *value = p.major;
        break;
    case cudaDevAttrComputeCapabilityMinor:
        *value = p.minor;
        break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        *value = static_cast<int>(p.sharedMemPerMultiprocessor);
        break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = static_cast<int>(p.sharedMemPerBlockOptin);
        break;
    case cudaDevAttrMemoryPoolsSupported:
        *value = 1;
        break;
    default:
        return note(cudaErrorInvalidValue);
    }
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void)
{
    EMULATED_CALL();
    if (capturing()) return note(cudaErrorStreamCaptureUnsupported);
    drain();
    return cudaSuccess;
}

cudaError_t cudaDeviceReset(void)
{
    return cudaDeviceSynchronize();
}

// Without a driver its version is 0, as CUDA says.
cudaError_t cudaDriverGetVersion(int *version)
{
    *version = std::strcmp(gpu(), "no-driver") == 0 ? 0 : CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char *id, int length, int number)
{
    EMULATED_CALL();
    if (number < 0 || number >= device_count()) return note(cudaErrorInvalidDevice);
    std::snprintf(id, static_cast<size_t>(length), "0000:%02X:00.0", 1 + number);
    return cudaSuccess;
}
