// SPDX-License-Identifier: Apache-2.0
// The engine by itself, below the detector: list bindings, give it inputs and outputs, run, wait.
// Put your own steps around it.
#ifndef SACCADE_ENGINE_H
#define SACCADE_ENGINE_H

#include "ops.h"
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

/// Takes zeroed host memory for a binding, page-locked where the engine is on a GPU; shaped, or
/// flat when `flat` is nonzero. `shape` fills in dynamic extents and may be NULL for a static
/// binding.
/// Free with sac_tensor_free. Errors: SAC_EINVAL, SAC_ENOMEM.
SAC_API int sac_engine_alloc(const sac_engine *engine, size_t index, int flat,
                             const int64_t *shape, sac_tensor *tensor_out);

/// As sac_engine_alloc in memory of a kind: SAC_HOST, SAC_HOST_PINNED (an engine on the processor
/// has nothing to lock pages for and gives SAC_HOST) or the engine's own (sac_engine_memory).
/// Device memory is not zeroed. Errors: as there, SAC_EUNSUPPORTED (the engine has no such memory).
SAC_API int sac_engine_alloc_memory(const sac_engine *engine, size_t index, int flat,
                                    const int64_t *shape, sac_memory memory,
                                    sac_tensor *tensor_out);

/// Takes memory of such a kind for anything else, a frame say: contiguous, `ndim` extents.
/// Errors: as sac_engine_alloc_memory.
SAC_API int sac_engine_alloc_tensor(const sac_engine *engine, sac_memory memory, sac_dtype dtype,
                                    int ndim, const int64_t *shape, sac_tensor *tensor_out);

/// Where the network's inputs and outputs live while it runs: SAC_CUDA, or SAC_HOST for an engine
/// on the processor. A context also takes tensors in host memory, and copies them then.
SAC_API sac_memory sac_engine_memory(const sac_engine *engine);

/// CUDA ordinal of the engine's device; 0 for an engine on the processor.
SAC_API int sac_engine_device(const sac_engine *engine);

/// The head that the network's output was recognised as, and the binding to read it from.
/// Errors: SAC_EMODEL (none was recognised).
SAC_API int sac_engine_head(const sac_engine *engine, sac_head *head_out, size_t *binding_out);

/// One step of the engine's plan: what it does in place of one or several of the file's nodes.
/// Texts are owned by the engine.
typedef struct sac_layer_info {
    const char *name;   ///< of the ONNX node that it was made from
    const char *kind;   ///< "conv", "maxpool"
    const char *kernel; ///< what runs it
    const char *shape;  ///< of the work, for people
    double flop;        ///< a multiply-add is 2
    double bytes;       ///< inputs, weights and outputs, each once
    double us;          ///< microseconds measured on this device; 0: not measured
    double roof_us;     ///< the least that the device could take for flop and bytes; 0: not known
} sac_layer_info;

/// Lists the plan: writes up to `capacity` layers and sets count_out to how many there are; 0 for
/// an engine that does not tell. Errors: SAC_EINVAL.
SAC_API int sac_engine_layers(const sac_engine *engine, sac_layer_info *layers_out,
                              size_t capacity, size_t *count_out);

// --- streams
//
// A stream is a queue of work on the engine's device: a cudaStream_t, one's own or opened here. An
// engine on the processor has none; there a stream is NULL, work happens in the order of the calls,
// and the same program runs.

/// Opens a non-blocking stream on the engine's device. Close with sac_stream_close.
/// Errors: SAC_EBACKEND.
SAC_API int sac_stream_open(void **stream_out, sac_engine *engine);

/// Waits for all work in the stream. Errors: SAC_EBACKEND, SAC_EINVAL.
SAC_API int sac_stream_wait(sac_engine *engine, void *stream);

/// Waits for the stream, closes it and writes NULL. NULL is allowed.
SAC_API void sac_stream_close(sac_engine *engine, void **stream);

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

/// Waits for the run in flight and all else that was given to the context; its outputs are then
/// ready. Errors: SAC_EBACKEND.
SAC_API int sac_context_wait(sac_context *context);

/// Whether sac_context_wait would return at once: 1, or 0 when not yet. Errors: SAC_EBACKEND.
SAC_API int sac_context_done(sac_context *context);

/// Lets all that follows happen in a stream of the caller's (sac_stream_open, or a cudaStream_t of
/// the engine's device, which must stay open as long); NULL: the context's own again.
/// Errors: SAC_EINVAL (a run in flight), SAC_EUNSUPPORTED (a stream for an engine that has none).
SAC_API int sac_context_use_stream(sac_context *context, void *stream);

/// Copies src to dst in the context's stream, between any of host, page-locked and device memory:
/// type, shape or flat extent alike, both contiguous. Both stay until sac_context_wait. Returns at
/// once where neither is ordinary memory. Errors: SAC_EINVAL, SAC_EBACKEND.
SAC_API int sac_context_copy(sac_context *context, sac_tensor *dst, const sac_tensor *src);

/// sac_letterbox_apply in the context's stream: from a picture in any memory into input_out in the
/// engine's own (sac_engine_memory). Both stay until sac_context_wait; `letterbox` and `pixels` are
/// copied. Errors: SAC_EINVAL, SAC_EUNSUPPORTED, SAC_EBACKEND, SAC_ENOMEM.
SAC_API int sac_context_letterbox(sac_context *context, sac_tensor *input_out, int64_t index,
                                  const sac_image *image, const sac_letterbox *letterbox,
                                  const sac_pixels *pixels);

/// sac_head_read in the context's stream, on an output in the engine's own memory; waits for all
/// before it, and for the boxes. Free detections_out with sac_detections_free; after a failure it
/// is all zero. Errors: SAC_EINVAL, SAC_EUNSUPPORTED, SAC_EBACKEND, SAC_ENOMEM.
SAC_API int sac_context_boxes(sac_context *context, sac_detections *detections_out,
                              const sac_tensor *output, int64_t index, const sac_head *head,
                              const sac_letterbox *letterbox, const sac_nms *nms);

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
