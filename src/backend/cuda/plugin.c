// SPDX-License-Identifier: Apache-2.0
// The plugin's one exported symbol, and the table behind it.
#include "cuda.h"

#include "backend/gpu/frame.h"
#include "backend/gpu/run.h"

static size_t devices(sac_device *devices_out, size_t capacity)
{
    return sac__gpu_devices(devices_out, capacity, "cuda", SAC__CUDA_LEAST);
}

static int alloc(void **data_out, void *state, sac_memory memory, size_t bytes)
{
    return sac__gpu_alloc(data_out, ((struct cuda_engine *)state)->device, memory, bytes);
}

static int stream_open(void **stream_out, void *state)
{
    return sac__gpu_stream_open(stream_out, ((struct cuda_engine *)state)->device);
}

static void stream_close(void *stream, void *state)
{
    sac__gpu_stream_close(stream, ((struct cuda_engine *)state)->device);
}

static int stream_wait(void *stream, void *state)
{
    return sac__gpu_stream_wait(stream, ((struct cuda_engine *)state)->device);
}

static const struct sac_backend backend = {
    .abi = SAC_BACKEND_ABI,
    .name = "cuda",
    .memory = SAC_CUDA,
    .devices = devices,
    .open = sac__cuda_open,
    .close = sac__cuda_close,
    .context_open = sac__cuda_context_open,
    .context_close = sac__run_close,
    .bind = sac__run_bind,
    .enqueue = sac__run_enqueue,
    .wait = sac__run_wait,
    .tensor = sac__run_tensor,
    .layers = sac__cuda_layers,
    .frame_open = sac__cuda_frame_open,
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

// The name carries the version of this handshake; the ABI inside covers the structures.
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const struct sac_backend *
sac_backend_entry_v1(const struct sac_host *host);

const struct sac_backend *sac_backend_entry_v1(const struct sac_host *host)
{
    if (host->abi != SAC_BACKEND_ABI) {
        host->fail(SAC_EDEVICE, "the cuda plugin speaks version %d, the library %u",
                   SAC_BACKEND_ABI, (unsigned)host->abi);
        return NULL;
    }
    sac__gpu_host(host);
    return &backend;
}
