// SPDX-License-Identifier: Apache-2.0
// A stand-in libnvinfer for the tests: TensorRT's own interface as far as saccade calls it, over
// saccade's CUDA engine. It is strict where TensorRT is strict: shapes within the profile, all
// addresses set, one run before a capture. What it measures says nothing about TensorRT.
//
// A plan of it: "ptrt", a 32-bit version, then least, best and most (four 64-bit extents each) of
// the picture, then an ONNX file. All little-endian.
#include <NvInfer.h>

#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "interface.hpp"
#include "network.h"

namespace
{

using namespace nvinfer1;
using Shape = std::array<int64_t, 4>;

constexpr uint32_t kVersion = 1;
constexpr size_t kHead = 4 + 4 + 3 * sizeof(Shape);

struct NetworkCloser {
    void operator()(stand_in_network *network) const
    {
        stand_in_close(&network);
    }
};
using Network = std::unique_ptr<stand_in_network, NetworkCloser>;

Dims dims_of(const int64_t *shape, int32_t count)
{
    Dims dims{};
    dims.nbDims = count;
    std::copy(shape, shape + count, dims.d);
    return dims;
}

class Engine;

class Context final : public IExecutionContext, public stand_in::VExecutionContext
{
  public:
    explicit Context(const Engine *engine) : engine_(engine)
    {
        mImpl = this;
    }

    bool setInputShape(const char *name, const Dims &dims) noexcept override;
    Dims getTensorShape(const char *name) const noexcept override;
    bool setTensorAddress(const char *name, void *data) noexcept override;
    bool enqueueV3(cudaStream_t stream) noexcept override;

  private:
    const stand_in_network *network() const;

    const Engine *engine_;
    Shape shape_{};
    bool warm_ = false; ///< it has run with this shape outside of a capture
    void *addresses_[2] = {};
    mutable std::map<Shape, Network> networks_;
};

class Engine final : public ICudaEngine, public stand_in::VCudaEngine
{
  public:
    Engine(ILogger *logger, const char *plan, size_t size)
        : logger(logger), onnx(plan + kHead, plan + size)
    {
        mImpl = this;
        std::memcpy(range.data(), plan + 8, sizeof range);
    }

    /// Finds out types and the output's shape. False: no network that the stand-in runs.
    bool open()
    {
        const Network probe = make(range[1]);
        if (!probe) return false;
        stand_in_types(probe.get(), &types[0], &types[1]);
        return true;
    }

    Network make(const Shape &shape) const
    {
        stand_in_network *network = nullptr;
        if (stand_in_open(&network, onnx.data(), onnx.size(), shape.data())) return nullptr;
        return Network(network);
    }

    bool dynamic() const
    {
        return range[0] != range[2];
    }

    int32_t getNbIOTensors() const noexcept override
    {
        return 2;
    }
    const char *getIOTensorName(int32_t index) const noexcept override
    {
        return names[index];
    }
    int32_t getNbOptimizationProfiles() const noexcept override
    {
        return 1;
    }

    TensorIOMode getTensorIOMode(const char *name) const noexcept override
    {
        return at(name) ? TensorIOMode::kOUTPUT : TensorIOMode::kINPUT;
    }

    DataType getTensorDataType(const char *name) const noexcept override
    {
        return types[at(name)] == 10 ? DataType::kHALF : DataType::kFLOAT;
    }

    TensorLocation getTensorLocation(const char *) const noexcept override
    {
        return TensorLocation::kDEVICE;
    }

    const char *getTensorFormatDesc(const char *name) const noexcept override
    {
        return types[at(name)] == 10 ? "Row-major linear FP16 format"
                                     : "Row-major linear FP32 format";
    }

    Dims getTensorShape(const char *name) const noexcept override
    {
        int64_t rows[3];
        if (at(name) == 0) {
            Shape shape = range[2];
            for (size_t i = 0; i < shape.size(); i++)
                if (range[0][i] != range[2][i]) shape[i] = -1;
            return dims_of(shape.data(), 4);
        }
        stand_in_output(make(range[2]).get(), rows);
        if (range[0][0] != range[2][0]) rows[0] = -1;
        if (range[0][2] != range[2][2] || range[0][3] != range[2][3])
            rows[rows[1] < rows[2] ? 2 : 1] = -1; // the longer one is that of the boxes
        return dims_of(rows, 3);
    }

    Dims getProfileShape(const char *name, int32_t,
                         OptProfileSelector select) const noexcept override
    {
        return at(name) ? dims_of(nullptr, 0) : dims_of(range[static_cast<int>(select)].data(), 4);
    }

    IExecutionContext *createExecutionContext(ExecutionContextAllocationStrategy) noexcept override
    {
        return new Context(this);
    }

    int at(const char *name) const
    {
        return std::strcmp(name, names[0]) != 0;
    }

    static constexpr const char *names[2] = {"images", "output0"};
    ILogger *logger;
    std::array<Shape, 3> range{};
    int types[2] = {};

  private:
    std::vector<char> onnx;
};

class Runtime final : public IRuntime, public stand_in::VRuntime
{
  public:
    explicit Runtime(ILogger *logger) : logger_(logger)
    {
        mImpl = this;
    }

    void setEngineHostCodeAllowed(bool) noexcept override
    {
    }

    ICudaEngine *deserializeCudaEngine(const void *blob, size_t size) noexcept override
    {
        const char *plan = static_cast<const char *>(blob);
        uint32_t version = 0;
        if (size > kHead) std::memcpy(&version, plan + 4, sizeof version);
        if (size <= kHead || std::memcmp(plan, "ptrt", 4)) return fail("magic tag does not match");
        if (version != kVersion) return fail("Version tag does not match");
        auto engine = std::make_unique<Engine>(logger_, plan, size);
        return engine->open() ? engine.release() : fail("the network is not one of the stand-in's");
    }

  private:
    ICudaEngine *fail(const char *why)
    {
        logger_->log(ILogger::Severity::kERROR, why);
        return nullptr;
    }

    ILogger *logger_;
};

bool refuse(const Engine *engine, const char *why)
{
    engine->logger->log(ILogger::Severity::kERROR, why);
    return false;
}

const stand_in_network *Context::network() const
{
    const Shape shape = engine_->dynamic() ? shape_ : engine_->range[2];
    Network &network = networks_[shape];
    if (!network) network = engine_->make(shape);
    return network.get();
}

bool Context::setInputShape(const char *name, const Dims &dims) noexcept
{
    Shape shape;
    if (engine_->at(name) || dims.nbDims != 4) return refuse(engine_, "no input of that name");
    for (size_t i = 0; i < shape.size(); i++) {
        shape[i] = dims.d[i];
        if (shape[i] < engine_->range[0][i] || shape[i] > engine_->range[2][i])
            return refuse(engine_, "the shape is outside of the profile");
    }
    if (shape != shape_) warm_ = false;
    shape_ = shape;
    return network() != nullptr;
}

Dims Context::getTensorShape(const char *name) const noexcept
{
    int64_t rows[3];
    const bool set = !engine_->dynamic() || shape_[0] > 0;
    if (!set) return engine_->getTensorShape(name);
    if (engine_->at(name) == 0)
        return dims_of(engine_->dynamic() ? shape_.data() : engine_->range[2].data(), 4);
    stand_in_output(network(), rows);
    return dims_of(rows, 3);
}

bool Context::setTensorAddress(const char *name, void *data) noexcept
{
    if (reinterpret_cast<uintptr_t>(data) % 256 && reinterpret_cast<uintptr_t>(data) % 16)
        return refuse(engine_, "the address is not aligned");
    addresses_[engine_->at(name)] = data;
    return true;
}

bool Context::enqueueV3(cudaStream_t stream) noexcept
{
    cudaStreamCaptureStatus capturing = cudaStreamCaptureStatusNone;
    if (engine_->dynamic() && shape_[0] == 0) return refuse(engine_, "an input has no shape");
    if (!addresses_[0] || !addresses_[1]) return refuse(engine_, "a tensor has no address");
    cudaStreamIsCapturing(stream, &capturing);
    if (capturing != cudaStreamCaptureStatusNone && !warm_)
        return refuse(engine_, "the first run after a change of shapes cannot be captured");
    warm_ = true;
    return stand_in_enqueue(network(), addresses_[0], addresses_[1], stream) == 0;
}

} // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT int getInferLibMajorVersion()
{
    return NV_TENSORRT_MAJOR;
}
EXPORT int getInferLibMinorVersion()
{
    return NV_TENSORRT_MINOR;
}
EXPORT int getInferLibPatchVersion()
{
    return NV_TENSORRT_PATCH;
}
EXPORT void *createInferRuntime_INTERNAL(void *logger, int32_t)
{
    return static_cast<IRuntime *>(new Runtime(static_cast<ILogger *>(logger)));
}
EXPORT void *createInferBuilder_INTERNAL(void *, int32_t)
{
    return nullptr; // it builds nothing: tests write its plans
}
