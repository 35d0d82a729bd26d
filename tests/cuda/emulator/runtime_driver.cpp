// SPDX-License-Identifier: Apache-2.0
// The functions of the driver that are asked for at run time. A context is a device's primary one;
// each thread has a stack of them, and below it the device that cudaSetDevice chose.
#include <cstring>

#include "runtime.h"

using namespace emulator;

typedef int Result; // CUresult; 0 is success

enum { INVALID_DEVICE = 101, INVALID_CONTEXT = 201 };

static char contexts[64]; // their addresses are the handles
static thread_local std::vector<int> below;

extern "C" Result emulated_primary_retain(void **context, int number)
{
    const std::lock_guard<std::recursive_mutex> lock(mutex);
    if (number < 0 || number >= device_count()) return INVALID_DEVICE;
    *context = &contexts[number];
    return 0;
}

extern "C" Result emulated_push(void *context)
{
    const std::lock_guard<std::recursive_mutex> lock(mutex);
    const long number = static_cast<char *>(context) - contexts;
    if (number < 0 || number >= device_count()) return INVALID_CONTEXT;
    below.push_back(current_device());
    set_current_device(static_cast<int>(number));
    return 0;
}

extern "C" Result emulated_pop(void **context)
{
    const std::lock_guard<std::recursive_mutex> lock(mutex);
    if (below.empty()) return INVALID_CONTEXT;
    *context = &contexts[current_device()];
    set_current_device(below.back());
    below.pop_back();
    return 0;
}

extern "C" Result emulated_error_string(Result error, const char **text)
{
    *text = error == 0                ? "no error"
            : error == INVALID_DEVICE ? "invalid device ordinal"
                                      : "invalid device context";
    return 0;
}

extern "C" void emulated_encode_im2col(); // tensor_map.cpp
extern "C" void emulated_encode_tiled();

static const struct {
    const char *name;
    void *function;
} functions[] = {
    {"cuDevicePrimaryCtxRetain", reinterpret_cast<void *>(emulated_primary_retain)},
    {"cuCtxPushCurrent", reinterpret_cast<void *>(emulated_push)},
    {"cuCtxPopCurrent", reinterpret_cast<void *>(emulated_pop)},
    {"cuGetErrorString", reinterpret_cast<void *>(emulated_error_string)},
    {"cuTensorMapEncodeIm2col", reinterpret_cast<void *>(emulated_encode_im2col)},
    {"cuTensorMapEncodeTiled", reinterpret_cast<void *>(emulated_encode_tiled)},
};

cudaError_t cudaGetDriverEntryPointByVersion(const char *symbol, void **function, unsigned,
                                             unsigned long long,
                                             enum cudaDriverEntryPointQueryResult *result)
{
    *function = nullptr;
    for (const auto &known : functions)
        if (std::strcmp(known.name, symbol) == 0) *function = known.function;
    if (result)
        *result = *function ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
    return *function ? cudaSuccess : cudaErrorSymbolNotFound;
}
