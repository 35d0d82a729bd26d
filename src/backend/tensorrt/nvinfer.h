// SPDX-License-Identifier: Apache-2.0
// TensorRT's C++ interface as C: what plugin.c and engine.c need of it, and nothing else. No
// exception leaves these functions; all return 0 or SAC_E… after host->fail.
#ifndef SAC_TENSORRT_NVINFER_H
#define SAC_TENSORRT_NVINFER_H

#include "backend/backend.h"
#include "saccade/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Where notes and warnings go; errors are kept for the message of the failure that they explain.
struct sac_trt_log {
    void (*line)(void *user, const char *line); ///< NULL: dropped
    void *user;
};

/// The libraries, opened at run time: TensorRT, or TensorRT-RTX for GeForce and RTX GPUs.
struct sac_trt;

/// Opens libnvinfer, else libtensorrt_rtx, and their ONNX parsers. The folder of the environment
/// variable SACCADE_TENSORRT is looked into first, then where the loader looks.
/// Errors: SAC_EDEVICE (which version this was built against, which was found, what to install).
int sac__trt_open(struct sac_trt **trt_out, const struct sac_host *host);
void sac__trt_close(struct sac_trt **trt);

/// "TensorRT 11.1.0" or "TensorRT-RTX 1.7.1"; owned by trt.
const char *sac__trt_version(const struct sac_trt *trt);

/// Whether it runs on GPUs of this compute capability. Errors: SAC_EDEVICE (TensorRT-RTX on a
/// data-centre GPU of Hopper's or Blackwell's kind).
int sac__trt_check_gpu(const struct sac_trt *trt, int major, int minor);

// ---- building -----------------------------------------------------------------------------------

/// Builds a plan from ONNX bytes. Free *plan_out with free().
/// Errors: SAC_EMODEL (node and operator that TensorRT refuses), SAC_EINTERRUPTED, SAC_EBACKEND,
/// SAC_ENOMEM, SAC_EINVAL (a range that the network's input does not have).
int sac__trt_build(void **plan_out, size_t *size_out, struct sac_trt *trt,
                   const struct sac_source *source, const struct sac_build_job *job);

// ---- running ------------------------------------------------------------------------------------

/// One input or output. Extents that a profile leaves open are -1 in binding.shape.
struct sac_trt_tensor {
    sac_binding binding;
    int64_t most[SAC_MAX_DIMS]; ///< input: extents of profile 0's maximum
    int64_t least[SAC_MAX_DIMS];
    char format[64]; ///< for people: "row-major linear FP16"
    int on_host;     ///< a shape tensor: TensorRT reads or writes it in host memory
};

struct sac_trt_engine;
struct sac_trt_context;

/// Errors: SAC_EMODEL (no plan, cut short, of another version, platform or GPU), SAC_ENOMEM.
int sac__trt_engine_open(struct sac_trt_engine **engine_out, struct sac_trt *trt, const void *plan,
                         size_t size, const struct sac_trt_log *log);
void sac__trt_engine_close(struct sac_trt_engine **engine);
size_t sac__trt_engine_count(const struct sac_trt_engine *engine);
int sac__trt_engine_tensor(const struct sac_trt_engine *engine, size_t index,
                           struct sac_trt_tensor *tensor_out);

int sac__trt_context_open(struct sac_trt_context **context_out, struct sac_trt_engine *engine);
void sac__trt_context_close(struct sac_trt_context **context);

/// Shape of an input from now on. Errors: SAC_EINVAL (outside of the profile).
int sac__trt_context_shape(struct sac_trt_context *context, size_t index, const int64_t *shape);

/// Device memory (host memory where on_host) of a tensor from now on.
int sac__trt_context_address(struct sac_trt_context *context, size_t index, void *data);

/// Shape of a tensor with the inputs' shapes as they are; -1 where it depends on values.
int sac__trt_context_extents(const struct sac_trt_context *context, size_t index, int32_t *ndim_out,
                             int64_t shape_out[SAC_MAX_DIMS]);

/// Starts a run; stream is a cudaStream_t. Can be captured into a CUDA graph.
int sac__trt_context_enqueue(struct sac_trt_context *context, void *stream);

#ifdef __cplusplus
}
#endif
#endif
