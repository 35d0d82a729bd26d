// SPDX-License-Identifier: Apache-2.0
// Plan → engine → contexts.
#include <cstring>
#include <vector>

#include "library.hpp"

using namespace nvinfer1;

struct sac_trt_engine {
    sac_trt *trt;
    std::unique_ptr<IRuntime> runtime;
    std::unique_ptr<ICudaEngine> engine;
    std::vector<sac_trt_tensor> tensors; ///< inputs first
};

struct sac_trt_context {
    sac_trt_engine *engine;
    std::unique_ptr<IExecutionContext> context;
};

namespace
{

int fail_trt(sac_trt *trt, int error, const char *what)
{
    return trt->host->fail(error, "%s: %s", trt->version.c_str(), trt->logger.why(what).c_str());
}

bool find_dtype(sac_dtype *dtype_out, DataType type)
{
    static const struct {
        DataType from;
        sac_dtype to;
    } types[] = {{DataType::kFLOAT, SAC_F32}, {DataType::kHALF, SAC_F16},
                 {DataType::kBF16, SAC_BF16}, {DataType::kINT8, SAC_I8},
                 {DataType::kUINT8, SAC_U8},  {DataType::kINT32, SAC_I32},
                 {DataType::kINT64, SAC_I64}, {DataType::kBOOL, SAC_BOOL}};
    for (const auto &type_pair : types)
        if (type_pair.from == type) {
            *dtype_out = type_pair.to;
            return true;
        }
    return false;
}

bool copy_dims(const Dims &dims, int32_t *ndim_out, int64_t *shape_out)
{
    if (dims.nbDims < 0 || dims.nbDims > SAC_MAX_DIMS) return false;
    *ndim_out = dims.nbDims;
    for (int32_t i = 0; i < dims.nbDims; i++)
        shape_out[i] = dims.d[i];
    return true;
}

// Elements and bytes of a shape, -1 where an extent is open.
void count(sac_binding *binding)
{
    binding->count = 1;
    for (int32_t i = 0; i < binding->ndim && binding->count >= 0; i++)
        binding->count = binding->shape[i] < 0 ? -1 : binding->count * binding->shape[i];
    const auto bytes = static_cast<int64_t>(sac_dtype_bytes(binding->dtype));
    binding->bytes = binding->count < 0 ? -1 : binding->count * bytes;
}

int describe(sac_trt_engine *engine, const char *name)
{
    sac_trt *trt = engine->trt;
    const ICudaEngine &from = *engine->engine;
    sac_trt_tensor tensor{};
    sac_binding &binding = tensor.binding;
    std::strncpy(binding.name, name, sizeof binding.name - 1);
    binding.is_input = from.getTensorIOMode(name) == TensorIOMode::kINPUT;
    if (!find_dtype(&binding.dtype, from.getTensorDataType(name)))
        return trt->host->fail(SAC_EUNSUPPORTED, "tensor '%s' is of a type that is not known",
                               name);
    if (!copy_dims(from.getTensorShape(name), &binding.ndim, binding.shape))
        return trt->host->fail(SAC_EUNSUPPORTED, "tensor '%s' has more than %d extents", name,
                               SAC_MAX_DIMS);
    count(&binding);
    tensor.on_host = from.getTensorLocation(name) == TensorLocation::kHOST;
    std::strncpy(tensor.format, from.getTensorFormatDesc(name), sizeof tensor.format - 1);
    int32_t ndim;
    if (binding.is_input && from.getNbOptimizationProfiles() > 0) {
        copy_dims(from.getProfileShape(name, 0, OptProfileSelector::kMIN), &ndim, tensor.least);
        copy_dims(from.getProfileShape(name, 0, OptProfileSelector::kMAX), &ndim, tensor.most);
    }
    binding.index = static_cast<int32_t>(engine->tensors.size());
    engine->tensors.push_back(tensor);
    return 0;
}

int describe_all(sac_trt_engine *engine)
{
    const ICudaEngine &from = *engine->engine;
    int error = 0;
    for (const TensorIOMode mode : {TensorIOMode::kINPUT, TensorIOMode::kOUTPUT})
        for (int32_t i = 0; i < from.getNbIOTensors() && !error; i++) {
            const char *name = from.getIOTensorName(i);
            if (from.getTensorIOMode(name) == mode) error = describe(engine, name);
        }
    return error;
}

int open_engine(sac_trt_engine *engine, const void *plan, size_t size)
{
    sac_trt *trt = engine->trt;
    engine->runtime.reset(
        static_cast<IRuntime *>(trt->create_runtime(&trt->logger, NV_TENSORRT_VERSION)));
    if (!engine->runtime) return fail_trt(trt, SAC_EBACKEND, "no runtime");
    engine->runtime->setEngineHostCodeAllowed(false);
    engine->engine.reset(engine->runtime->deserializeCudaEngine(plan, size));
    if (!engine->engine)
        return fail_trt(trt, SAC_EMODEL,
                        "not an engine that it can load: damaged, or built for "
                        "another version, platform or GPU");
    return describe_all(engine);
}

const char *name_of(const sac_trt_context *context, size_t index)
{
    return context->engine->tensors[index].binding.name;
}

} // namespace

int sac__trt_engine_open(struct sac_trt_engine **engine_out, struct sac_trt *trt, const void *plan,
                         size_t size, const struct sac_trt_log *log)
{
    *engine_out = nullptr;
    return sac__trt_guard(trt->host, [&] {
        trt->logger.attach(log);
        auto engine = std::make_unique<sac_trt_engine>();
        engine->trt = trt;
        const int error = open_engine(engine.get(), plan, size);
        trt->logger.attach(nullptr);
        if (!error) *engine_out = engine.release();
        return error;
    });
}

void sac__trt_engine_close(struct sac_trt_engine **engine)
{
    delete *engine;
    *engine = nullptr;
}

size_t sac__trt_engine_count(const struct sac_trt_engine *engine)
{
    return engine->tensors.size();
}

int sac__trt_engine_tensor(const struct sac_trt_engine *engine, size_t index,
                           struct sac_trt_tensor *tensor_out)
{
    *tensor_out = engine->tensors[index];
    return 0;
}

int sac__trt_context_open(struct sac_trt_context **context_out, struct sac_trt_engine *engine)
{
    *context_out = nullptr;
    return sac__trt_guard(engine->trt->host, [&] {
        auto context = std::make_unique<sac_trt_context>();
        context->engine = engine;
        context->context.reset(engine->engine->createExecutionContext());
        if (!context->context) return fail_trt(engine->trt, SAC_EBACKEND, "no execution context");
        *context_out = context.release();
        return 0;
    });
}

void sac__trt_context_close(struct sac_trt_context **context)
{
    delete *context;
    *context = nullptr;
}

int sac__trt_context_shape(struct sac_trt_context *context, size_t index, const int64_t *shape)
{
    return sac__trt_guard(context->engine->trt->host, [&] {
        const sac_trt_tensor &tensor = context->engine->tensors[index];
        Dims dims{};
        dims.nbDims = tensor.binding.ndim;
        for (int32_t i = 0; i < dims.nbDims; i++)
            dims.d[i] = shape[i];
        if (context->context->setInputShape(tensor.binding.name, dims)) return 0;
        return fail_trt(context->engine->trt, SAC_EINVAL,
                        "a shape outside of the engine's profile");
    });
}

int sac__trt_context_address(struct sac_trt_context *context, size_t index, void *data)
{
    return sac__trt_guard(context->engine->trt->host, [&] {
        if (context->context->setTensorAddress(name_of(context, index), data)) return 0;
        return fail_trt(context->engine->trt, SAC_EINVAL, "memory that does not fit the tensor");
    });
}

int sac__trt_context_extents(const struct sac_trt_context *context, size_t index, int32_t *ndim_out,
                             int64_t shape_out[SAC_MAX_DIMS])
{
    return sac__trt_guard(context->engine->trt->host, [&] {
        const Dims dims = context->context->getTensorShape(name_of(context, index));
        if (copy_dims(dims, ndim_out, shape_out)) return 0;
        return fail_trt(context->engine->trt, SAC_EBACKEND, "a tensor without a shape");
    });
}

int sac__trt_context_enqueue(struct sac_trt_context *context, void *stream)
{
    return sac__trt_guard(context->engine->trt->host, [&] {
        if (context->context->enqueueV3(static_cast<cudaStream_t>(stream))) return 0;
        return fail_trt(context->engine->trt, SAC_EBACKEND, "the network cannot be run");
    });
}
