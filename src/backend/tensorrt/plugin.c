// SPDX-License-Identifier: Apache-2.0
// The plugin's one exported symbol, and the table behind it.
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "backend/gpu/frame.h"
#include "backend/gpu/run.h"
#include "tensorrt.h"

// Its failures go through sac__fail, which remembers the message.
static struct sac_host host;

int sac__tensorrt_library(struct sac_trt **trt_out)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct sac_trt *trt;
    pthread_mutex_lock(&lock);
    const int error = trt ? 0 : sac__trt_open(&trt, &host);
    *trt_out = trt;
    pthread_mutex_unlock(&lock);
    return error;
}

// Adds TensorRT's version to what is known of a GPU, or says why it cannot run there.
static void describe(sac_device *device, int ordinal)
{
    struct sac_trt *trt = NULL;
    struct sac_gpu_facts gpu = {0};
    char details[sizeof device->details];
    memcpy(details, device->details, sizeof details);
    int error = sac__tensorrt_library(&trt);
    if (!error && device->available) error = sac__gpu_facts(&gpu, ordinal);
    if (!error && device->available) error = sac__trt_check_gpu(trt, gpu.major, gpu.minor);
    if (error) {
        device->available = 0;
        snprintf(device->details, sizeof device->details, "%s", sac__gpu_message());
    } else {
        snprintf(device->details, sizeof device->details, "%s; %.200s", sac__trt_version(trt),
                 details);
    }
}

// GPUs, each with the version of TensorRT; or what is missing of the two.
static size_t devices(sac_device *devices_out, size_t capacity)
{
    const size_t count = sac__gpu_devices(devices_out, capacity, "tensorrt", 7);
    for (size_t i = 0; i < count && i < capacity; i++)
        describe(&devices_out[i], (int)i);
    return count;
}

static int build(void **plan_out, size_t *size_out, const struct sac_source *source,
                 const struct sac_build_job *job)
{
    struct sac_trt *trt = NULL;
    int error = sac__tensorrt_library(&trt);
    return error ? error : sac__trt_build(plan_out, size_out, trt, source, job);
}

static int device_of(const void *state)
{
    return ((const struct tensorrt_engine *)state)->device;
}

static int alloc(void **data_out, void *state, sac_memory memory, size_t bytes)
{
    return sac__gpu_alloc(data_out, device_of(state), memory, bytes);
}

static int stream_open(void **stream_out, void *state)
{
    return sac__gpu_stream_open(stream_out, device_of(state));
}

static void stream_close(void *stream, void *state)
{
    sac__gpu_stream_close(stream, device_of(state));
}

static int stream_wait(void *stream, void *state)
{
    return sac__gpu_stream_wait(stream, device_of(state));
}

static const struct sac_backend backend = {
    .abi = SAC_BACKEND_ABI,
    .name = "tensorrt",
    .memory = SAC_CUDA,
    .devices = devices,
    .open = sac__tensorrt_open,
    .close = sac__tensorrt_close,
    .context_open = sac__tensorrt_context_open,
    .context_close = sac__run_close,
    .bind = sac__run_bind,
    .enqueue = sac__run_enqueue,
    .wait = sac__run_wait,
    .tensor = sac__run_tensor,
    .build = build,
    .frame_open = sac__tensorrt_frame_open,
    .frame_close = sac__frame_close,
    .frame_enqueue = sac__frame_enqueue,
    .frame_done = sac__frame_done,
    .frame_wait = sac__frame_wait,
    .alloc = alloc,
    .free = sac__gpu_free,
    .stream_open = stream_open,
    .stream_close = stream_close,
    .stream_wait = stream_wait,
    .context_stream = sac__run_stream,
    .context_done = sac__run_done,
    .copy = sac__run_copy,
    .letterbox = sac__run_letterbox,
    .boxes = sac__run_boxes,
};

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const struct sac_backend *
sac_backend_entry_v1(const struct sac_host *its);

const struct sac_backend *sac_backend_entry_v1(const struct sac_host *its)
{
    if (its->abi != SAC_BACKEND_ABI) {
        its->fail(SAC_EDEVICE, "the tensorrt plugin speaks version %d, the library %u",
                  SAC_BACKEND_ABI, (unsigned)its->abi);
        return NULL;
    }
    host = *its;
    host.fail = sac__fail;
    sac__gpu_host(its);
    return &backend;
}
