// SPDX-License-Identifier: Apache-2.0
// Finds TensorRT's libraries and says plainly what is missing.
#include "library.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

void Logger::log(Severity severity, const char *text) noexcept
{
    try {
        const std::lock_guard<std::mutex> guard(lock_);
        std::string line = text;
        std::replace(line.begin(), line.end(), '\n', ' ');
        if (severity <= Severity::kERROR) {
            if (errors_.size() < 600) errors_ += (errors_.empty() ? "" : "; ") + line;
        } else if (severity == Severity::kWARNING && log_.line) {
            log_.line(log_.user, ("TensorRT: " + line).c_str());
        }
    } catch (...) { // a lost line is no reason to fail
    }
}

void Logger::attach(const sac_trt_log *log)
{
    const std::lock_guard<std::mutex> guard(lock_);
    log_ = log ? *log : sac_trt_log{};
}

std::string Logger::why(const char *otherwise)
{
    const std::lock_guard<std::mutex> guard(lock_);
    std::string errors = errors_.empty() ? otherwise : errors_;
    errors_.clear();
    return errors;
}

namespace
{

struct Kind {
    const char *product; ///< for people
    std::string library, parser;
    bool rtx;
};

std::vector<Kind> kinds()
{
    const std::string major = std::to_string(NV_TENSORRT_MAJOR);
    return {{"TensorRT", "libnvinfer.so." + major, "libnvonnxparser.so." + major, false},
            {"TensorRT-RTX", "libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1", true}};
}

void *open_library(const std::string &name, std::string *tried)
{
    const char *root = std::getenv("SACCADE_TENSORRT");
    std::vector<std::string> paths;
    if (root && *root) {
        paths = {std::string(root) + "/" + name, std::string(root) + "/lib/" + name};
    }
    paths.push_back(name);
    for (const std::string &path : paths) {
        if (void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
        const char *why = dlerror();
        // "cannot open shared object file" alone is no news; a broken library is
        if (why && std::string(why).find("No such file") == std::string::npos)
            *tried += std::string(" (") + why + ")";
    }
    return nullptr;
}

template <class Function> bool find(Function *function, void *library, const char *name)
{
    *function = reinterpret_cast<Function>(dlsym(library, name));
    return *function != nullptr;
}

int read_version(sac_trt *trt, const char *product)
{
    int (*part[3])() = {};
    static const char *const names[] = {"getInferLibMajorVersion", "getInferLibMinorVersion",
                                        "getInferLibPatchVersion"};
    for (int i = 0; i < 3; i++)
        if (!find(&part[i], trt->library, names[i]))
            return trt->host->fail(SAC_EDEVICE, "%s: the library lacks %s: too old", product,
                                   names[i]);
    trt->version = std::string(product) + " " + std::to_string(part[0]()) + "." +
                   std::to_string(part[1]()) + "." + std::to_string(part[2]());
    if (!trt->rtx && part[0]() != NV_TENSORRT_MAJOR)
        return trt->host->fail(SAC_EDEVICE,
                               "%s was found, but this saccade was built against "
                               "TensorRT %d.%d: install TensorRT %d, or build again",
                               trt->version.c_str(), NV_TENSORRT_MAJOR, NV_TENSORRT_MINOR,
                               NV_TENSORRT_MAJOR);
    return 0;
}

int open_kind(sac_trt *trt, const Kind &kind, std::string *tried)
{
    trt->rtx = kind.rtx;
    trt->library = open_library(kind.library, tried);
    if (!trt->library) return 1;
    trt->parser = open_library(kind.parser, tried); // only building needs it
    int error = read_version(trt, kind.product);
    if (error) return error;
    if (trt->parser) find(&trt->create_parser, trt->parser, "createNvOnnxParser_INTERNAL");
    if (!find(&trt->create_builder, trt->library, "createInferBuilder_INTERNAL") ||
        !find(&trt->create_runtime, trt->library, "createInferRuntime_INTERNAL"))
        return trt->host->fail(SAC_EDEVICE, "%s: %s is not the library that was expected",
                               trt->version.c_str(), kind.library.c_str());
    return 0;
}

int open_any(sac_trt *trt)
{
    std::string tried;
    for (const Kind &kind : kinds()) {
        const int error = open_kind(trt, kind, &tried);
        if (error <= 0) return error;
    }
    return trt->host->fail(SAC_EDEVICE,
                           "TensorRT is not installed here: neither %s nor %s was found; "
                           "install TensorRT %d (this saccade was built against %d.%d), "
                           "or set SACCADE_TENSORRT to its folder%s",
                           kinds()[0].library.c_str(), kinds()[1].library.c_str(),
                           NV_TENSORRT_MAJOR, NV_TENSORRT_MAJOR, NV_TENSORRT_MINOR, tried.c_str());
}

} // namespace

int sac__trt_open(struct sac_trt **trt_out, const struct sac_host *host)
{
    *trt_out = nullptr;
    return sac__trt_guard(host, [&] {
        auto trt = std::make_unique<sac_trt>();
        trt->host = host;
        const int error = open_any(trt.get());
        if (!error) *trt_out = trt.release();
        return error;
    });
}

void sac__trt_close(struct sac_trt **trt)
{
    delete *trt; // the libraries stay loaded: they do not survive being unloaded
    *trt = nullptr;
}

const char *sac__trt_version(const struct sac_trt *trt)
{
    return trt->version.c_str();
}

int sac__trt_check_gpu(const struct sac_trt *trt, int major, int minor)
{
    // TensorRT-RTX 1.7.1 on an H200: "8.0 8.6 8.9 12.0 12.1 >12.0"; other 8.x are let through.
    if (!trt->rtx || major == 8 || major >= 12) return 0;
    return trt->host->fail(SAC_EDEVICE,
                           "%s does not run on GPUs of compute capability %d.%d (8.x, 12.0 and "
                           "later only): install TensorRT itself, or give the ONNX file to "
                           "--backend cuda",
                           trt->version.c_str(), major, minor);
}
