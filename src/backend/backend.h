// SPDX-License-Identifier: Apache-2.0
// What runs the network: one table a backend, loaded at run time from libsaccade-NAME.so.
#ifndef SAC_SRC_BACKEND_H
#define SAC_SRC_BACKEND_H

#include "saccade/engine.h"
#include "saccade/ops.h"

/// Grows whenever a structure in this file changes; core and plugin must agree.
#define SAC_BACKEND_ABI 3

/// What the core gives a plugin, so that a plugin links nothing of the core.
struct sac_host {
    uint32_t abi;
    const char *version;                              ///< of the core library
    int (*fail)(int error, const char *format, ...);  ///< sac__fail
};

/// What a backend opens. Borrowed for the call.
struct sac_source {
    const char *path;    ///< file, or NULL for bytes without one (external data needs the path)
    const uint8_t *bytes; ///< the whole file
    size_t size;
    const char *hash; ///< XXH3-128 of bytes in hex
    const char *const *names; ///< of the graph's inputs, then outputs; NULL where not known
    size_t name_count;
    int is_plan;        ///< bytes are an engine that the backend built, not ONNX
    int self_contained; ///< zero: weights lie in other files, so the hash does not cover them
    /// Extents for the first input, input_ndim of them, -1 = leave dynamic; input_ndim 0 = as in
    /// the file. Only extents that the file leaves dynamic may be given another value.
    int32_t input_ndim;
    int64_t input_shape[SAC_MAX_DIMS];
};

/// Facts of an opened engine, written by `open`, owned by the backend until `close`.
struct sac_engine_facts {
    const char *where; ///< for sac_engine_where
    sac_precision precision;
    int parallel;
    size_t binding_count;
    const sac_binding *bindings;
    int32_t device; ///< CUDA ordinal of a backend of SAC_CUDA memory, else 0
};

/// One layer of the network as the backend runs it, owned by the backend until `close`.
struct sac_layer_facts {
    const char *name;   ///< of the ONNX node that it was made from
    const char *kind;   ///< "conv"
    const char *kernel; ///< what runs it
    const char *shape;  ///< for people: "1x80x80x64 > 1x40x40x128, 3x3 / 2"
    double flop;        ///< 2 a multiply-add
    double bytes;       ///< read once and written once
    double us;          ///< measured on this device; 0: was not
    double roof_us;     ///< the least that the device could take for flop and bytes; 0: not known
};

/// A frame: pixels to boxes on the device, `batch` pictures at a time.
struct sac_frame_settings {
    int batch, width, height; ///< the network's input: pictures, pixels
    sac_pixels pixels;
    sac_head head;   ///< of the network's first output
    int32_t max_det; ///< most boxes a picture that any run will ask for
    int multi_label; ///< nonzero: a run may ask for it, which takes more memory
    int timed;       ///< nonzero: stages are timed, which costs a few microseconds a run
    int read_pinned; ///< nonzero: page-locked pictures are read where they lie, not uploaded first
};

/// Pictures of a run: host, page-locked or device memory, each of its own size. Page-locked and
/// device memory must stay as it is until the run is done.
struct sac_frame_input {
    const sac_image *images; ///< `memory` SAC_HOST is looked up: page-locked memory is recognised
    const sac_letterbox *letterboxes; ///< one a picture
    size_t count;                     ///< 1 to batch
    const sac_nms *nms; ///< max_det and multi_label within the settings', else SAC_EINVAL
    void *stream; ///< the caller's cudaStream_t, in order with what is on it; NULL: the frame's own
};

/// Milliseconds of a run's stages on the device, all pictures together; 0 where not timed.
struct sac_frame_ms {
    double upload, letterbox, network, boxes, download;
};

/// Boxes of one picture: as in sac_detections; borrowed until the frame's next enqueue.
struct sac_frame_found {
    const sac_detection *boxes;  ///< count of them, host memory
    const sac_detection *device; ///< the same in the device's memory
    size_t count, candidates, nonfinite, overflow;
};

/// How to build an engine ahead of time.
struct sac_build_job {
    int64_t least[4], best[4], most[4]; ///< of the picture input (N,3,H,W): where the file leaves
                                        ///< extents open; all equal to the file's where it does not
    uint64_t workspace;                 ///< most bytes of device memory for layers; 0: no limit
    int version_compatible, hardware_compatible;
    const void *timings; ///< what an earlier build measured, or NULL
    size_t timings_size;
    void **timings_out; ///< the same after this one, to be freed with free(); NULL: not wanted
    size_t *timings_size_out;
    int (*progress)(void *user, const char *phase, int step, int steps); ///< nonzero stops; or NULL
    void *user;
    void (*log)(void *user, const char *line); ///< or NULL
    void *log_user;
};

/// Functions return 0 or SAC_E… after host->fail. `state` and `run` are the backend's own.
struct sac_backend {
    uint32_t abi;
    const char *name;
    sac_memory memory; ///< where it wants inputs and leaves outputs

    /// Writes up to capacity devices, returns how many there are (0 or more).
    size_t (*devices)(sac_device *devices_out, size_t capacity);
    int (*open)(void **state_out, struct sac_engine_facts *facts_out,
                const struct sac_source *source, const sac_engine_options *options);
    void (*close)(void *state);

    int (*context_open)(void **run_out, void *state);
    void (*context_close)(void *run);
    int (*bind)(void *run, size_t index, const sac_tensor *tensor); ///< shaped, checked by the core
    int (*enqueue)(void *run);
    int (*wait)(void *run);
    int (*tensor)(void *run, size_t index, sac_tensor *tensor_out);

    // All below is NULL where the backend does not have it.

    /// A plan from an ONNX model, for `open` here or on another machine. Free *plan_out with
    /// free().
    int (*build)(void **plan_out, size_t *size_out, const struct sac_source *source,
                 const struct sac_build_job *job);

    /// The layers in running order. The core frees nothing.
    int (*layers)(void *state, const struct sac_layer_facts **layers_out, size_t *count_out);

    // Pixels to boxes on the device. Frames of one engine may be in flight at once; one thread at a
    // time a frame. Such a backend is given the whole model, decode tail and all.
    // frame_open: SAC_EUNSUPPORTED where the head is not one that it reads on the device.
    int (*frame_open)(void **frame_out, void *state, const struct sac_frame_settings *settings);
    void (*frame_close)(void *frame); ///< waits for the run in flight
    int (*frame_enqueue)(void *frame, const struct sac_frame_input *input); ///< returns at once
    int (*frame_done)(void *frame); ///< 1 done or nothing in flight, 0 not yet, < 0 SAC_E…
    /// found_out: one a picture of the enqueue, and ms_out: may be NULL.
    int (*frame_wait)(void *frame, struct sac_frame_found *found_out, struct sac_frame_ms *ms_out);

    // Memory and streams of the engine's device. `free` takes what `alloc` gave, also after close.
    int (*alloc)(void **data_out, void *state, sac_memory memory, size_t bytes);
    void (*free)(void *data, sac_memory memory, int32_t device);
    int (*stream_open)(void **stream_out, void *state); ///< non-blocking
    void (*stream_close)(void *stream, void *state);
    int (*stream_wait)(void *stream, void *state);

    // Steps on a context's stream, in order with its runs; all but boxes return at once.
    int (*context_stream)(void *run, void *stream); ///< from now on; NULL: its own again
    int (*context_done)(void *run);                 ///< as frame_done
    int (*copy)(void *run, const sac_tensor *dst, const sac_tensor *src); ///< same type and count
    /// The picture into picture `index` of a device tensor (N,3,H,W).
    int (*letterbox)(void *run, const sac_tensor *input, int64_t index, const sac_image *image,
                     const sac_letterbox *letterbox, const sac_pixels *pixels);
    /// Boxes of picture `index` of a raw output in device memory. Waits.
    int (*boxes)(void *run, const sac_tensor *output, int64_t index, const sac_head *head,
                 const sac_letterbox *letterbox, const sac_nms *nms,
                 struct sac_frame_found *found_out);
};

/// The one symbol that a plugin exports: SAC_BACKEND_ENTRY. Returns NULL after host->fail when the
/// plugin cannot serve this core or its own libraries are missing.
typedef const struct sac_backend *sac_backend_entry(const struct sac_host *host);
#define SAC_BACKEND_ENTRY "sac_backend_entry_v1"

/// Finds the backend for the options' device and backend; loads its plugin on first use (kept
/// loaded, never unloaded). Errors: SAC_EDEVICE (says what is missing), SAC_EINVAL.
int sac__backend_find(const struct sac_backend **backend_out, const sac_engine_options *options);

/// After `open` failed with `error`: nonzero where the options leave the device open and a GPU's
/// backend does not support the model. The options then name the processor, and the log says why.
int sac__backend_fall_back(sac_engine_options *options, int error);

#endif
