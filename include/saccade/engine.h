// SPDX-License-Identifier: Apache-2.0
// The engine by itself, below the detector: list bindings, give it inputs and outputs, run, wait.
// Put your own steps around it.
#ifndef SACCADE_ENGINE_H
#define SACCADE_ENGINE_H

#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Arithmetic of the network.
typedef enum sac_precision {
    SAC_PRECISION_AUTO = 0, ///< the fastest that keeps boxes within docs/backends.md's tolerance
    SAC_PRECISION_FP32 = 1,
    SAC_PRECISION_BF16 = 2,
    SAC_PRECISION_FP16 = 3
} sac_precision;

/// What the engine is tuned for.
typedef enum sac_mode {
    SAC_MODE_LATENCY = 0,   ///< one run at a time uses all threads
    SAC_MODE_THROUGHPUT = 1 ///< several runs at once share them
} sac_mode;

/// Options of sac_engine_open. Start from sac_engine_options_init.
typedef struct sac_engine_options {
    size_t size;         ///< sizeof(sac_engine_options), set by sac_engine_options_init
    const char *device;  ///< "auto", "cpu", "cuda" or "cuda:N"; default "auto"
    const char *backend; ///< "auto" or a backend's name ("openvino"); default "auto"
    sac_precision precision;
    sac_mode mode;
    int threads;           ///< CPU threads; 0 = as many as the process may use
    int streams;           ///< throughput mode: runs at once; 0 = the engine chooses
    const char *cache_dir; ///< for compiled models; NULL = the user's cache folder, "" = none
    uint64_t cache_limit;  ///< bytes that the folder may hold; 0 = 1 GiB
    /// Warnings and notes of the library, a line each without newline; NULL = dropped.
    void (*log)(void *user, const char *line);
    void *log_user;
} sac_engine_options;

/// Sets all defaults. size = sizeof(sac_engine_options): the version of the structure.
SAC_API void sac_engine_options_init_sized(sac_engine_options *options, size_t size);
#define sac_engine_options_init(options)                                                           \
    sac_engine_options_init_sized((options), sizeof(sac_engine_options))

/// One input or output of the network as the engine sees it.
typedef struct sac_binding {
    int32_t index;
    char name[128]; ///< cut when longer
    int is_input;
    sac_dtype dtype;
    int32_t ndim;
    int64_t shape[SAC_MAX_DIMS]; ///< -1 for a dynamic extent
    int64_t count;               ///< elements (the flat extent); -1 when dynamic
    int64_t bytes;               ///< -1 when dynamic
} sac_binding;

typedef struct sac_engine sac_engine;   ///< a compiled network; safe to share among threads
typedef struct sac_context sac_context; ///< one run in flight; one thread at a time

/// Opens a model file (ONNX) for the device. Close with sac_engine_close.
/// Errors: SAC_EIO, SAC_EMODEL (names the operator or the reason), SAC_EDEVICE, SAC_EUNSUPPORTED (a
/// precision that the processor does not have), SAC_ENOMEM, SAC_EINVAL.
SAC_API int sac_engine_open(sac_engine **engine_out, const char *path,
                            const sac_engine_options *options);

/// As sac_engine_open, from the size bytes of a model file in memory (not kept).
SAC_API int sac_engine_read(sac_engine **engine_out, const void *bytes, size_t size,
                            const sac_engine_options *options);

/// Closes the engine and writes NULL; its contexts must be closed before. NULL is allowed.
SAC_API void sac_engine_close(sac_engine **engine);

/// Name of the backend in use ("openvino"); owned by the engine.
SAC_API const char *sac_engine_backend(const sac_engine *engine);

/// Where and how it runs, for people ("Intel(R) Xeon(R) …, bf16, 1 stream, 2 threads"); owned by
/// the engine.
SAC_API const char *sac_engine_where(const sac_engine *engine);

/// The arithmetic chosen (never SAC_PRECISION_AUTO).
SAC_API sac_precision sac_engine_precision(const sac_engine *engine);

/// How many contexts run at once without waiting for one another, ≥ 1.
SAC_API int sac_engine_parallel(const sac_engine *engine);

/// Number of bindings: inputs first, then outputs.
SAC_API size_t sac_engine_binding_count(const sac_engine *engine);

/// Describes binding `index`. Errors: SAC_EINVAL (no such binding).
SAC_API int sac_engine_binding(const sac_engine *engine, size_t index, sac_binding *binding_out);

/// Takes memory for a binding as the engine likes it: shaped, or flat when `flat` is nonzero.
/// `shape` fills in dynamic extents and may be NULL for a static binding.
/// Free with sac_tensor_free. Errors: SAC_EINVAL, SAC_ENOMEM.
SAC_API int sac_engine_alloc(const sac_engine *engine, size_t index, int flat,
                             const int64_t *shape, sac_tensor *tensor_out);

/// Opens a context. Close with sac_context_close. Errors: SAC_EBACKEND, SAC_ENOMEM.
SAC_API int sac_context_open(sac_context **context_out, sac_engine *engine);

/// Closes the context (waits for a run in flight) and writes NULL. NULL is allowed.
SAC_API void sac_context_close(sac_context **context);

/// Binds the caller's memory to an input or output without copying: shaped, or flat with the same
/// number of elements for a static binding. It must stay until the context closes or another
/// tensor is bound. Errors: SAC_EINVAL (type, shape or layout that does not fit, named).
SAC_API int sac_context_bind(sac_context *context, size_t index, const sac_tensor *tensor);

/// Starts a run on the bound inputs; returns at once where the engine can. Outputs without a bound
/// tensor are written to memory of the context's own. Errors: SAC_EBACKEND, SAC_EINVAL (an input
/// unbound, or a run still in flight).
SAC_API int sac_context_enqueue(sac_context *context);

/// Waits for the run in flight; its outputs are then ready. Errors: SAC_EBACKEND.
SAC_API int sac_context_wait(sac_context *context);

/// The tensor of binding `index` as it stands, with its actual shape; for an output after
/// sac_context_wait. Borrowed: valid until the next enqueue. Errors: SAC_EINVAL, SAC_EBACKEND.
SAC_API int sac_context_tensor(sac_context *context, size_t index, sac_tensor *tensor_out);

/// Name of backend `index` that this version knows ("openvino"), whether or not it can be loaded
/// here; NULL beyond the last. Static storage.
SAC_API const char *sac_backend_name(size_t index);

/// A device that a backend can run on.
typedef struct sac_device {
    char device[32];   ///< as the device option takes it: "cpu", "cuda:0"
    char backend[32];  ///< "openvino"
    char name[128];    ///< the processor's or GPU's own name
    char details[256]; ///< versions, precisions, memory; or, when unavailable, what is missing
    int available;     ///< zero: details says what would make it available
} sac_device;

/// Lists what every known backend can run on, available or not. Writes up to `capacity` entries and
/// sets count_out to how many there are. Errors: SAC_EINVAL.
SAC_API int sac_devices_list(sac_device *devices_out, size_t capacity, size_t *count_out);

#ifdef __cplusplus
}
#endif
#endif
