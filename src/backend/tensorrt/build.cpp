// SPDX-License-Identifier: Apache-2.0
// ONNX → plan: a strongly typed network, so each tensor has the type that the file gives it.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "library.hpp"

namespace
{

using namespace nvinfer1;

// Tells the caller how far the build is; its answer stops the build.
class Progress final : public IProgressMonitor
{
  public:
    explicit Progress(const sac_build_job *job) : job_(job)
    {
    }

    void phaseStart(const char *phase, const char *, int32_t steps) noexcept override
    {
        if (steps_ == 0) std::strncpy(root_, phase, sizeof root_ - 1), steps_ = steps, step_ = 0;
        report(phase);
    }

    bool stepComplete(const char *phase, int32_t step) noexcept override
    {
        if (!std::strcmp(phase, root_)) step_ = step + 1;
        report(phase);
        return !stopped_;
    }

    void phaseFinish(const char *phase) noexcept override
    {
        if (!std::strcmp(phase, root_)) steps_ = 0;
    }

    bool stopped() const
    {
        return stopped_;
    }

  private:
    void report(const char *phase) noexcept
    {
        if (job_->progress && job_->progress(job_->user, phase, step_, steps_)) stopped_ = true;
    }

    const sac_build_job *job_;
    char root_[128] = ""; ///< the outermost phase: its steps are what a bar can show
    int32_t step_ = 0, steps_ = 0;
    bool stopped_ = false;
};

struct Build {
    sac_trt *trt;
    const sac_source *source;
    const sac_build_job *job;
    std::unique_ptr<IBuilder> builder;
    std::unique_ptr<INetworkDefinition> network;
    std::unique_ptr<nvonnxparser::IParser> parser;
    std::unique_ptr<IBuilderConfig> config;
    std::unique_ptr<ITimingCache> timings;
};

int fail_trt(const Build &build, int error, const char *what)
{
    return build.trt->host->fail(error, "%s: %s", build.trt->version.c_str(),
                                 build.trt->logger.why(what).c_str());
}

// The first of the parser's errors that names a node.
int fail_parse(const Build &build)
{
    for (int i = 0; i < build.parser->getNbErrors(); i++) {
        const nvonnxparser::IParserError *error = build.parser->getError(i);
        const char *op = error->nodeOperator(), *name = error->nodeName();
        if (!op || !*op) continue;
        build.trt->logger.why("");
        return build.trt->host->fail(SAC_EMODEL, "%s does not take node '%s' (%s): %s",
                                     build.trt->version.c_str(), name ? name : "", op,
                                     error->desc());
    }
    if (build.parser->getNbErrors() > 0) {
        build.trt->logger.why("");
        return build.trt->host->fail(SAC_EMODEL, "%s does not take the model: %s",
                                     build.trt->version.c_str(), build.parser->getError(0)->desc());
    }
    return fail_trt(build, SAC_EMODEL, "the model cannot be parsed");
}

int parse(Build &build)
{
    sac_trt *trt = build.trt;
    if (!trt->create_parser)
        return trt->host->fail(SAC_EDEVICE, "%s: its ONNX parser library is not installed",
                               trt->version.c_str());
    build.builder.reset(
        static_cast<IBuilder *>(trt->create_builder(&trt->logger, NV_TENSORRT_VERSION)));
    if (!build.builder) return fail_trt(build, SAC_EBACKEND, "no builder");
    build.network.reset(build.builder->createNetworkV2(0));
    if (!build.network) return fail_trt(build, SAC_EBACKEND, "no network");
    build.parser.reset(static_cast<nvonnxparser::IParser *>(
        trt->create_parser(build.network.get(), &trt->logger, NV_ONNX_PARSER_VERSION)));
    if (!build.parser) return fail_trt(build, SAC_EBACKEND, "no parser");
    if (!build.parser->parse(build.source->bytes, build.source->size, build.source->path))
        return fail_parse(build);
    return 0;
}

const char *type_name(DataType type)
{
    switch (type) {
    case DataType::kFLOAT:
        return "float32";
    case DataType::kHALF:
        return "float16";
    case DataType::kBF16:
        return "bfloat16";
    case DataType::kINT8:
        return "int8";
    case DataType::kUINT8:
        return "uint8";
    case DataType::kINT32:
        return "int32";
    case DataType::kINT64:
        return "int64";
    case DataType::kBOOL:
        return "bool";
    default:
        return "another type";
    }
}

// "input images: float16 (1,3,640,640)", -1 for what a profile leaves open.
void tell(const Build &build, const ITensor &tensor, const char *mode)
{
    const Dims shape = tensor.getDimensions();
    std::string line =
        std::string(mode) + " " + tensor.getName() + ": " + type_name(tensor.getType()) + " (";
    for (int32_t i = 0; i < shape.nbDims; i++)
        line += (i ? "," : "") + std::to_string(shape.d[i]);
    build.job->log(build.job->log_user, (line + ")").c_str());
}

void tell_bindings(const Build &build)
{
    if (!build.job->log) return;
    for (int32_t i = 0; i < build.network->getNbInputs(); i++)
        tell(build, *build.network->getInput(i), "input");
    for (int32_t i = 0; i < build.network->getNbOutputs(); i++)
        tell(build, *build.network->getOutput(i), "output");
}

Dims4 dims(const int64_t *shape)
{
    return Dims4(shape[0], shape[1], shape[2], shape[3]);
}

// Extents that the file leaves open get their range.
int add_profile(Build &build)
{
    const sac_build_job *job = build.job;
    bool open = false;
    for (int32_t i = 0; i < build.network->getNbInputs(); i++) {
        const ITensor *input = build.network->getInput(i);
        const Dims shape = input->getDimensions();
        for (int32_t k = 0; k < shape.nbDims; k++)
            open |= shape.d[k] < 0;
        if (open && (i > 0 || shape.nbDims != 4))
            return build.trt->host->fail(SAC_EMODEL, "input '%s' is dynamic, and no picture",
                                         input->getName());
    }
    if (!open) return 0;
    IOptimizationProfile *profile = build.builder->createOptimizationProfile();
    const char *name = build.network->getInput(0)->getName();
    const bool taken = profile &&
                       profile->setDimensions(name, OptProfileSelector::kMIN, dims(job->least)) &&
                       profile->setDimensions(name, OptProfileSelector::kOPT, dims(job->best)) &&
                       profile->setDimensions(name, OptProfileSelector::kMAX, dims(job->most)) &&
                       build.config->addOptimizationProfile(profile) >= 0;
    return taken ? 0 : fail_trt(build, SAC_EINVAL, "the range of shapes does not fit the input");
}

int load_timings(Build &build)
{
    if (build.trt->rtx || (!build.job->timings && !build.job->timings_out)) return 0;
    build.timings.reset(
        build.config->createTimingCache(build.job->timings, build.job->timings_size));
    if (!build.timings || !build.config->setTimingCache(*build.timings, false))
        return fail_trt(build, SAC_EINVAL, "the timing cache is of another TensorRT or GPU");
    return 0;
}

int save_timings(const Build &build)
{
    if (!build.timings || !build.job->timings_out) return 0;
    const std::unique_ptr<IHostMemory> bytes(build.config->getTimingCache()->serialize());
    if (!bytes) return fail_trt(build, SAC_EBACKEND, "the timing cache cannot be written");
    void *copy = std::malloc(bytes->size());
    if (!copy) throw std::bad_alloc();
    std::memcpy(copy, bytes->data(), bytes->size());
    *build.job->timings_out = copy;
    *build.job->timings_size_out = bytes->size();
    return 0;
}

int configure(Build &build)
{
    build.config.reset(build.builder->createBuilderConfig());
    if (!build.config) return fail_trt(build, SAC_EBACKEND, "no builder configuration");
    if (build.job->workspace)
        build.config->setMemoryPoolLimit(MemoryPoolType::kWORKSPACE,
                                         static_cast<size_t>(build.job->workspace));
    if (build.job->version_compatible) build.config->setFlag(BuilderFlag::kVERSION_COMPATIBLE);
    if (build.job->hardware_compatible)
        build.config->setHardwareCompatibilityLevel(HardwareCompatibilityLevel::kAMPERE_PLUS);
    int error = add_profile(build);
    return error ? error : load_timings(build);
}

int run(Build &build, void **plan_out, size_t *size_out)
{
    Progress progress(build.job);
    build.config->setProgressMonitor(&progress);
    const std::unique_ptr<IHostMemory> plan(
        build.builder->buildSerializedNetwork(*build.network, *build.config));
    if (progress.stopped()) {
        build.trt->logger.why("");
        return build.trt->host->fail(SAC_EINTERRUPTED, "stopped while building");
    }
    if (!plan) return fail_trt(build, SAC_EBACKEND, "the engine cannot be built");
    *plan_out = std::malloc(plan->size());
    if (!*plan_out) throw std::bad_alloc();
    std::memcpy(*plan_out, plan->data(), plan->size());
    *size_out = plan->size();
    return 0;
}

} // namespace

int sac__trt_build(void **plan_out, size_t *size_out, struct sac_trt *trt,
                   const struct sac_source *source, const struct sac_build_job *job)
{
    *plan_out = nullptr;
    return sac__trt_guard(trt->host, [&] {
        const sac_trt_log log = {job->log, job->log_user};
        trt->logger.attach(&log);
        Build build{};
        build.trt = trt;
        build.source = source;
        build.job = job;
        int error = parse(build);
        if (!error) tell_bindings(build);
        if (!error) error = configure(build);
        if (!error) error = run(build, plan_out, size_out);
        if (!error) error = save_timings(build);
        trt->logger.attach(nullptr);
        return error;
    });
}
