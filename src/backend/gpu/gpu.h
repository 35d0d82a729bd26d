// SPDX-License-Identifier: Apache-2.0
// What the backends of NVIDIA GPUs share: errors, the current context, memory, streams and frames.
// Nothing of the core is linked: errors go through the host that the core handed in.
#ifndef SAC_GPU_H
#define SAC_GPU_H

#include <cuda_runtime_api.h>

#include "backend/backend.h"
#include "error.h"

/// Makes the plugin known its core; errors of every file go there from then on.
void sac__gpu_host(const struct sac_host *host);

/// The calling thread's last message.
const char *sac__gpu_message(void);

/// 0, or the call's failure as SAC_E… with a message that names the call and, where not 0, how many
/// bytes it was about. The runtime's own memory of the error is cleared; where the context is lost
/// for good, the message says so.
int sac__gpu_check(cudaError_t status, const char *call, size_t bytes);

/// A call of the CUDA runtime, checked, by its own name.
#define SAC__CUDA(function, ...) sac__gpu_check(function(__VA_ARGS__), #function, 0)

// --- the current context

/// Makes the device's primary context current in this thread, over whatever the caller has current;
/// sac__gpu_leave brings that back. Errors: SAC_EDEVICE; then there is nothing to leave.
int sac__gpu_enter(int device);
void sac__gpu_leave(void);

// --- devices

/// How many GPUs there are. Errors: SAC_EDEVICE: no driver, one too old, no GPU; says which.
int sac__gpu_count(int *count_out);

/// The ordinal of "cuda:N", "cuda" or "auto" (0). Errors: SAC_EINVAL, SAC_EDEVICE (names the device
/// numbers that there are).
int sac__gpu_ordinal(int *ordinal_out, const char *device);

/// What is known of a GPU.
struct sac_gpu_facts {
    char name[128];
    int major, minor; ///< compute capability
    size_t memory;    ///< bytes
    int driver;       ///< CUDA version that the driver serves: 13000
    int multiprocessors, clock_khz;
    double flop_rate[2]; ///< a second, dense, by activations of fp32 and fp16; 0: not known
    double byte_rate;    ///< a second, of device memory; 0: not known
};
int sac__gpu_facts(struct sac_gpu_facts *facts_out, int ordinal);

/// Fills one device of a backend's list: name and details, or what is missing.
size_t sac__gpu_devices(sac_device *devices_out, size_t capacity, const char *backend,
                        int least_major);

// --- memory and streams: members of struct sac_backend, for a device

int sac__gpu_alloc(void **data_out, int device, sac_memory memory, size_t bytes);
void sac__gpu_free(void *data, sac_memory memory, int32_t device);
int sac__gpu_stream_open(void **stream_out, int device);
void sac__gpu_stream_close(void *stream, int device);
int sac__gpu_stream_wait(void *stream, int device);

/// What memory a pointer is in: SAC_HOST, SAC_HOST_PINNED (which a kernel can read at the same
/// address) or SAC_CUDA and the ordinal of its device.
int sac__gpu_where(sac_memory *memory_out, int *device_out, const void *data);

/// "v5", as --layout spells it.
const char *sac__gpu_head_name(sac_head_family family);

#endif
