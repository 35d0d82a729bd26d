// SPDX-License-Identifier: Apache-2.0
// The current CUDA context of the calling thread: ours while a function of the library runs, the
// caller's own again when it returns. The caller may have a context that the runtime cannot name
// (made with the driver's interface), or none; so contexts are pushed and popped with the driver's
// interface, which the runtime finds: libcuda.so is not linked.
#include <pthread.h>

#include "gpu.h"

enum { MOST_DEVICES = 64, NO_MEMORY = 2 }; // CUDA_ERROR_OUT_OF_MEMORY

typedef void *context_t; ///< CUcontext

// Primary contexts are retained once and kept, as the runtime keeps them: memory that callers were
// given may outlive every engine.
static struct {
    pthread_mutex_t lock;
    int ready;
    int (*retain)(context_t *, int);
    int (*push)(context_t);
    int (*pop)(context_t *);
    int (*text)(int, const char **);
    context_t contexts[MOST_DEVICES];
} driver = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int find(const char *name, void *function_out)
{
    enum cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
    void *function = NULL;
    const cudaError_t status =
        cudaGetDriverEntryPointByVersion(name, &function, 12000, cudaEnableDefault, &result);
    if (status != cudaSuccess) return sac__gpu_check(status, name, 0);
    if (result != cudaDriverEntryPointSuccess || !function)
        return sac__fail(SAC_EDEVICE, "the NVIDIA driver has no %s", name);
    *(void **)function_out = function;
    return 0;
}

static int fail_driver(int status, const char *call)
{
    const char *text = NULL;
    driver.text(status, &text);
    return sac__fail(status == NO_MEMORY ? SAC_ENOMEM : SAC_EDEVICE, "%s: %s (CUDA error %d)", call,
                     text ? text : "unknown error", status);
}

static int find_all(void)
{
    int count, error = sac__gpu_count(&count); // initialises the driver
    if (!error) error = find("cuDevicePrimaryCtxRetain", (void *)&driver.retain);
    if (!error) error = find("cuCtxPushCurrent", (void *)&driver.push);
    if (!error) error = find("cuCtxPopCurrent", (void *)&driver.pop);
    if (!error) error = find("cuGetErrorString", (void *)&driver.text);
    driver.ready = !error;
    return error;
}

static int retain(context_t *context_out, int device)
{
    int error = 0;
    pthread_mutex_lock(&driver.lock);
    if (!driver.ready) error = find_all();
    if (!error && !driver.contexts[device]) {
        const int status = driver.retain(&driver.contexts[device], device);
        if (status != 0) {
            driver.contexts[device] = NULL;
            error = fail_driver(status, "cuDevicePrimaryCtxRetain");
        }
    }
    *context_out = driver.contexts[device];
    pthread_mutex_unlock(&driver.lock);
    return error;
}

int sac__gpu_enter(int device)
{
    context_t context;
    if (device < 0 || device >= MOST_DEVICES)
        return sac__fail(SAC_EDEVICE, "cuda:%d: there is no such device", device);
    int error = retain(&context, device);
    if (error) return error;
    const int status = driver.push(context);
    return status == 0 ? 0 : fail_driver(status, "cuCtxPushCurrent");
}

void sac__gpu_leave(void)
{
    context_t ours;
    driver.pop(&ours);
}
