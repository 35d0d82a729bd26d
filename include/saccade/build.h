// SPDX-License-Identifier: Apache-2.0
// Building engine files ahead of time, for backends that have such (TensorRT).
#ifndef SACCADE_BUILD_H
#define SACCADE_BUILD_H

#include "engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/// A range of one extent that the model leaves open. Zeros: as in the metadata, else 1 for the
/// batch and 640 pixels for width and height.
typedef struct sac_build_range {
    int least, best, most; ///< best is tuned for; 0: `best`, which is the metadata's where it is 0
} sac_build_range;

/// Options of sac_engine_build. Start from sac_build_options_init.
typedef struct sac_build_options {
    size_t size;            ///< sizeof(sac_build_options), set by sac_build_options_init
    const char *backend;    ///< "auto" or "tensorrt"; default "auto"
    sac_precision precision; ///< AUTO is FP16, FP32; a quantised model keeps its own types
    sac_build_range batch, height, width; ///< for extents that the model leaves open
    uint64_t workspace;      ///< most bytes of device memory for layers; 0: no limit
    int version_compatible;  ///< nonzero: later versions of TensorRT load it, too
    int hardware_compatible; ///< nonzero: GPUs of other kinds (Ampere and later) load it, too
    const char *timing_cache; ///< file of measurements, read and written again; NULL: none
    /// How far it is: step of steps; nonzero stops the build. NULL: not told.
    int (*progress)(void *user, const char *phase, int step, int steps);
    void *user;
    void (*log)(void *user, const char *line); ///< as in sac_engine_options
    void *log_user;
} sac_build_options;

/// Sets all defaults. size = sizeof(sac_build_options): the version of the structure.
SAC_API void sac_build_options_init_sized(sac_build_options *options, size_t size);
#define sac_build_options_init(options) sac_build_options_init_sized((options), sizeof *(options))

/// Builds an engine file from an ONNX model: picture, weights and network in the precision asked
/// for, the decode tail in float. The model's metadata travels in the file's header as ultralytics
/// writes it. The file appears whole or not at all. It runs on GPUs and versions like this
/// machine's unless the options say otherwise. options may be NULL.
/// Errors: SAC_EIO, SAC_EMODEL (names node and operator), SAC_EDEVICE (TensorRT missing, or of
/// another version), SAC_EINVAL, SAC_EINTERRUPTED, SAC_EUNSUPPORTED (a precision, a weight beyond
/// fp16), SAC_EBACKEND, SAC_ENOMEM.
SAC_API int sac_engine_build(const char *engine_path, const char *model_path,
                             const sac_build_options *options);

#ifdef __cplusplus
}
#endif
#endif
