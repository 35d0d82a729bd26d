// SPDX-License-Identifier: Apache-2.0
// What the C++ files of this folder share.
#ifndef SAC_TENSORRT_LIBRARY_HPP
#define SAC_TENSORRT_LIBRARY_HPP

#include <NvInfer.h>
#include <NvOnnxParser.h>

#include <memory>
#include <mutex>
#include <string>

#include "nvinfer.h"

/// Hands TensorRT's lines on; keeps the last errors, since they say why a call failed.
class Logger final : public nvinfer1::ILogger {
public:
    void log(Severity severity, const char *text) noexcept override;
    /// Lines to here from now on.
    void attach(const sac_trt_log *log);
    /// The errors since the last call, or `otherwise`.
    std::string why(const char *otherwise);

private:
    std::mutex lock_;
    sac_trt_log log_ {};
    std::string errors_;
};

struct sac_trt {
    const sac_host *host;
    bool rtx;
    void *library, *parser;
    std::string version;
    Logger logger;
    void *(*create_builder)(void *logger, int32_t version);
    void *(*create_runtime)(void *logger, int32_t version);
    void *(*create_parser)(void *network, void *logger, int32_t version);
};

/// Runs `body` so that no exception leaves it.
template <class Body> int sac__trt_guard(const sac_host *host, Body body) noexcept
{
    try {
        return body();
    } catch (const std::bad_alloc &) {
        return host->fail(SAC_ENOMEM, "TensorRT: out of memory");
    } catch (const std::exception &error) {
        return host->fail(SAC_EBACKEND, "TensorRT: %s", error.what());
    } catch (...) {
        return host->fail(SAC_EBACKEND, "TensorRT: an exception of unknown type");
    }
}

#endif
