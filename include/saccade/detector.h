// SPDX-License-Identifier: Apache-2.0
// The detector: a model opened once, pictures in, boxes out.
#ifndef SACCADE_DETECTOR_H
#define SACCADE_DETECTOR_H

#include "detections.h"
#include "engine.h"
#include "image.h"
#include "ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/// How pictures reach an engine on a GPU; boxes are the same.
typedef enum sac_feed {
    SAC_FEED_AUTO = 0,    ///< resident where the engine can, else staged
    SAC_FEED_STAGED = 1,  ///< letterbox, head and NMS on the processor, the network's input and raw
                          ///< output copied through page-locked memory
    SAC_FEED_RESIDENT = 2 ///< pixels to boxes on the device; only the boxes come back
} sac_feed;

/// Options of sac_detector_open. Start from sac_detector_options_init.
typedef struct sac_detector_options {
    size_t size;               ///< sizeof(sac_detector_options), set by sac_detector_options_init
    sac_engine_options engine; ///< device, precision, threads, cache
    sac_nms nms;               ///< thresholds; its classes are copied
    const char *layout;        ///< NULL: recognise the head; else a name of SAC_HEADS
    int input_width;  ///< pixels; 0: the model's own, or for a dynamic model metadata's or 640
    int input_height; ///< likewise
    int batch;        ///< pictures a run; 0: the model's own, or 1 for a dynamic model
    int contexts; ///< jobs and calls of sac_detector_run under way at once; 0: as the engine likes
    sac_letterbox_options letterbox; ///< YOLOX heads use SAC_FIT_TOP_LEFT where fit is SAC_FIT_PAD
    int pad;                         ///< padding value 0–255; default 114
    const char *ops; ///< pixel and box kernels: "auto", or "c" for the plain reference
    int keep_head; ///< nonzero: run the whole network; else, where the decode tail is known, the
                   ///< engine stops before it and boxes are read from raw maps
    sac_feed feed;   ///< staged is all that an engine on the processor has
    int time_stages; ///< resident: nonzero: time each stage on the device, for a few microseconds;
                     ///< else sac_timings.network is the whole, by the clock
    int read_pinned; ///< resident: nonzero: page-locked pictures are read by the device where they
                     ///< lie; else they are copied to it first
} sac_detector_options;

/// Sets all defaults. size = sizeof(sac_detector_options): the version of the structure.
SAC_API void sac_detector_options_init_sized(sac_detector_options *options, size_t size);
#define sac_detector_options_init(options)                                                         \
    sac_detector_options_init_sized((options), sizeof(sac_detector_options))

/// What a model says of itself. Pointers belong to the detector or model that gave it.
typedef struct sac_model_info {
    sac_head head;
    const char *head_source;  ///< why this family: "metadata", "shape", "graph", "layout option"
    const char *const *names; ///< head.classes class names, UTF-8
    int stride;               ///< largest stride, pixels
    int batch;                ///< pictures a run; -1: dynamic
    int input_width, input_height; ///< pixels; -1: dynamic
    const char *description;       ///< what the exporter wrote, "" when nothing
    const char *hash;              ///< XXH3-128 of the file in hex (xxh128sum prints the same)
} sac_model_info;

/// A detector. Any number of threads may call sac_detector_run on one detector at once.
typedef struct sac_detector sac_detector;

/// Opens an ONNX model that ultralytics, yolov5 or a kin exported. Close with sac_detector_close.
/// options may be NULL. Errors: SAC_EIO, SAC_EMODEL (no detection model, or a head that is not
/// recognised: says why and what would do), SAC_EDEVICE, SAC_EUNSUPPORTED (a precision that the
/// processor does not have), SAC_EINVAL, SAC_ENOMEM, SAC_EBACKEND.
SAC_API int sac_detector_open(sac_detector **detector_out, const char *model_path,
                              const sac_detector_options *options);

/// As sac_detector_open, from the size bytes of a model file in memory (not kept).
SAC_API int sac_detector_read(sac_detector **detector_out, const void *bytes, size_t size,
                              const sac_detector_options *options);

/// Closes the detector and writes NULL; no call may be under way. NULL is allowed.
SAC_API void sac_detector_close(sac_detector **detector);

/// Finds objects in `count` pictures (any sizes, any count: they are run in batches; in host memory
/// or, with the resident feed, also in that of the engine's device).
/// detections_out has `count` entries; free each with sac_detections_free. After a failure all are
/// zero. Waits while other calls use every context. Errors: SAC_EINVAL, SAC_EUNSUPPORTED,
/// SAC_EBACKEND, SAC_ENOMEM, SAC_EBUSY (jobs hold every context).
SAC_API int sac_detector_run(sac_detector *detector, const sac_image *images, size_t count,
                             sac_detections *detections_out);

/// Pictures on their way: started by sac_detector_enqueue.
typedef struct sac_job sac_job;

/// Starts on 1 to sac_detector_batch pictures and returns; as many jobs may be on their way as
/// sac_detector_jobs says. The pixels stay as they are until sac_job_wait. `stream`: a cudaStream_t
/// of the engine's device whose earlier work the pictures are waiting for, and in which all is
/// done; NULL: a stream of the job's own. Letterbox happens in this call where it is done by the
/// processor. Close with sac_job_close, in any order, from any thread. Errors: SAC_EBUSY (all jobs
/// are on their way: wait for one and close it), those of sac_detector_run, SAC_EUNSUPPORTED (a
/// stream for an engine that has none).
SAC_API int sac_detector_enqueue(sac_job **job_out, sac_detector *detector, const sac_image *images,
                                 size_t count, void *stream);

/// Whether sac_job_wait would find the network done: 1, or 0 when not yet. Errors: SAC_EBACKEND.
SAC_API int sac_job_done(sac_job *job);

/// Waits for the boxes, once a job: detections_out has an entry for each of its pictures; free each
/// with sac_detections_free. After a failure all are zero. Errors: SAC_EBACKEND, SAC_EINVAL (waited
/// for already), SAC_ENOMEM.
SAC_API int sac_job_wait(sac_job *job, sac_detections *detections_out);

/// Closes the job (waits, where that was not done) and writes NULL. NULL is allowed.
SAC_API void sac_job_close(sac_job **job);

/// Jobs that may be on their way at once, ≥ 1: the option `contexts`.
SAC_API int sac_detector_jobs(const sac_detector *detector);

/// How pictures reach the engine (never SAC_FEED_AUTO).
SAC_API sac_feed sac_detector_feed(const sac_detector *detector);

/// Boxes of picture `index` from outputs of the detector's engine that you have run yourself: all
/// of them, in the order of the bindings (sac_context_tensor). Thresholds are the detector's. Waits
/// while every context is in a run. Free detections_out with sac_detections_free; after a failure
/// it is all zero. Errors: SAC_EINVAL (tensors that are not the engine's), SAC_EUNSUPPORTED,
/// SAC_ENOMEM, SAC_EBUSY (jobs hold every context).
SAC_API int sac_detector_boxes(sac_detector *detector, const sac_tensor *outputs, int64_t index,
                               const sac_letterbox *letterbox, sac_detections *detections_out);

/// Other thresholds from the next run on; no run may be under way. nms->classes is copied: class
/// names can be looked up in sac_detector_info and set here. Errors: SAC_EINVAL (a value out of
/// range; the old thresholds stay), SAC_ENOMEM.
SAC_API int sac_detector_set_nms(sac_detector *detector, const sac_nms *nms);

/// What the model says of itself; owned by the detector.
SAC_API const sac_model_info *sac_detector_info(const sac_detector *detector);

/// The engine below, for its bindings and precision; owned by the detector. Its outputs are raw
/// maps where the decode tail is left out (sac_detector_reads_maps).
SAC_API sac_engine *sac_detector_engine(const sac_detector *detector);

/// Nonzero where the engine stops before the decode tail and boxes are read from raw maps.
SAC_API int sac_detector_reads_maps(const sac_detector *detector);

/// Pictures that one run of the network takes, ≥ 1.
SAC_API int sac_detector_batch(const sac_detector *detector);

/// One shot: opens the model and the picture file, and finds objects with default options.
/// Free detections_out with sac_detections_free. Errors: those of sac_image_open and
/// sac_detector_open.
SAC_API int sac_detect(sac_detections *detections_out, const char *model_path,
                       const char *picture_path);

#ifdef __cplusplus
}
#endif
#endif
