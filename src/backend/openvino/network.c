// SPDX-License-Identifier: Apache-2.0
// Opening a network: from the cache when it is there, else read, reshaped and compiled.
#include "openvino.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"

enum { CACHE_LIMIT = 1 << 30 }; // bytes, where the options leave it open

static const char *precision_hint(sac_precision precision)
{
    return precision == SAC_PRECISION_BF16   ? "bf16"
           : precision == SAC_PRECISION_FP16 ? "f16"
                                             : "f32";
}

// Sets everything that decides how networks of this core run, so that a network from the cache is
// run as a freshly compiled one. The precision is always said: OpenVINO's default differs from one
// processor to another.
static int configure(const ov_core_t *core, const sac_engine_options *options,
                     sac_precision precision)
{
    char threads[16], streams[16];
    const int throughput = options->mode == SAC_MODE_THROUGHPUT;
    snprintf(threads, sizeof threads, "%d", options->threads);
    snprintf(streams, sizeof streams, "%d", options->streams);
    ov_property_t properties[4] = {
        {ov_property_key_hint_inference_precision, precision_hint(precision)},
        {ov_property_key_hint_performance_mode, throughput ? "THROUGHPUT" : "LATENCY"},
    };
    size_t count = 2;
    if (options->threads > 0)
        properties[count++] = (ov_property_t){ov_property_key_inference_num_threads, threads};
    if (throughput && options->streams > 0)
        properties[count++] = (ov_property_t){ov_property_key_num_streams, streams};
    const ov_status_e status = ov_core_set_properties(core, "CPU", count, properties);
    return status == OK ? 0 : sac__openvino_fail(SAC_EINVAL, status, "engine options");
}

// All that the compiled network may depend on.
static void write_key(char *key_out, size_t size, const struct sac_source *source,
                      const sac_engine_options *options, sac_precision precision,
                      const struct openvino_processor *processor)
{
    char version[128], shape[SAC_MAX_DIMS * 24] = "";
    sac__openvino_version(version, sizeof version);
    for (int i = 0, at = 0; i < source->input_ndim; i++)
        at += snprintf(shape + at, sizeof shape - (size_t)at, "%lld ",
                       (long long)source->input_shape[i]);
    snprintf(key_out, size,
             "model %s\ninput %s\nprecision %s\nmode %d threads %d streams %d\nopenvino %s\n"
             "processor %s, %s, %s, %d\n",
             source->hash, shape, sac__openvino_precision_name(precision), (int)options->mode,
             options->threads, options->streams, version, processor->name, processor->isa,
             processor->capabilities, processor->threads);
}

static int compile(struct openvino_network *network, const struct sac_source *source,
                   const sac_engine_options *options, sac_precision precision,
                   const struct openvino_processor *processor)
{
    char key[1536];
    write_key(key, sizeof key, source, options, precision, processor);
    // The hash does not cover weights in other files, which may change under an unchanged model.
    const char *folder = source->self_contained ? options->cache_dir : "";
    struct openvino_cache cache;
    sac__openvino_cache_open(&cache, folder, key,
                             options->cache_limit ? options->cache_limit : CACHE_LIMIT,
                             options->log, options->log_user);
    int error = 0;
    if (!sac__openvino_import(&network->compiled, &network->cached, network->core, &cache)) {
        error = sac__openvino_compile(&network->compiled, network->core, source);
        if (!error)
            sac__openvino_export(&cache, network->compiled);
    }
    sac__openvino_cache_close(&cache);
    return error;
}

static int ask_number(const struct openvino_network *network, const char *key)
{
    char *value = NULL;
    int number = 0;
    if (ov_compiled_model_get_property(network->compiled, key, &value) == OK)
        number = atoi(value);
    ov_free(value);
    return number > 0 ? number : 1;
}

static void describe(struct openvino_network *network, struct sac_engine_facts *facts_out,
                     const struct openvino_processor *processor, const sac_engine_options *options,
                     sac_precision precision)
{
    const int streams = ask_number(network, ov_property_key_num_streams);
    const int threads = ask_number(network, ov_property_key_inference_num_threads);
    snprintf(network->where, sizeof network->where, "%s, %s, %d stream%s, %d thread%s",
             processor->name, sac__openvino_precision_name(precision), streams,
             streams == 1 ? "" : "s", threads, threads == 1 ? "" : "s");
    *facts_out = (struct sac_engine_facts){
        .where = network->where,
        .precision = precision,
        .parallel = 1,
        .binding_count = network->binding_count,
        .bindings = network->bindings,
    };
    if (options->mode == SAC_MODE_THROUGHPUT)
        facts_out->parallel = ask_number(network, ov_property_key_optimal_number_of_infer_requests);
}

static int open_network(struct openvino_network *network, struct sac_engine_facts *facts_out,
                        const struct sac_source *source, const sac_engine_options *options)
{
    struct openvino_processor processor;
    sac_precision precision = SAC_PRECISION_FP32;
    const ov_status_e status = ov_core_create(&network->core);
    if (status != OK)
        return sac__openvino_fail(SAC_EDEVICE, status, "OpenVINO");
    int error = sac__openvino_processor(&processor, network->core);
    if (!error)
        error = sac__openvino_precision(&precision, options->precision, &processor);
    if (!error)
        error = configure(network->core, options, precision);
    if (!error)
        error = compile(network, source, options, precision, &processor);
    if (!error)
        error = sac__openvino_bindings(network);
    if (!error)
        describe(network, facts_out, &processor, options, precision);
    return error;
}

int sac__openvino_open(void **state_out, struct sac_engine_facts *facts_out,
                       const struct sac_source *source, const sac_engine_options *options)
{
    struct openvino_network *network = calloc(1, sizeof *network);
    if (!network)
        return FAIL(SAC_ENOMEM, "no memory for a network");
    const int error = open_network(network, facts_out, source, options);
    if (error)
        sac__openvino_close(network);
    else
        *state_out = network;
    return error;
}

void sac__openvino_close(void *state)
{
    struct openvino_network *network = state;
    sac__openvino_bindings_free(network);
    if (network->compiled)
        ov_compiled_model_free(network->compiled);
    if (network->core)
        ov_core_free(network->core);
    free(network->cached);
    free(network);
}
