// SPDX-License-Identifier: Apache-2.0
// Opening a network: from the cache when it is there, else read, reshaped and compiled.
#include "openvino.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agree.h"
#include "compile.h"

enum { CACHE_LIMIT = 1 << 30 }; // bytes, where the options leave it open

// What an open works with.
struct opening {
    struct openvino_network *network;
    const struct sac_source *source;
    const sac_engine_options *options;
    struct openvino_processor processor;
    struct sac_cache cache;
};

static const char *precision_hint(sac_precision precision)
{
    return precision == SAC_PRECISION_BF16   ? "bf16"
           : precision == SAC_PRECISION_FP16 ? "f16"
                                             : "f32";
}

// Sets everything that decides how networks of this core run, so that a network from the cache is
// run as a freshly compiled one. The precision is always said: OpenVINO's default differs from one
// processor to another.
static int configure(const struct opening *opening, sac_precision precision)
{
    const sac_engine_options *options = opening->options;
    const struct openvino_processor *processor = &opening->processor;
    char threads[16], streams[16];
    const int throughput = options->mode == SAC_MODE_THROUGHPUT;
    const int limit = options->threads == 0 && processor->limited;
    snprintf(threads, sizeof threads, "%d", limit ? processor->threads : options->threads);
    snprintf(streams, sizeof streams, "%d", options->streams);
    ov_property_t properties[5] = {
        {ov_property_key_hint_inference_precision, precision_hint(precision)},
        {ov_property_key_hint_performance_mode, throughput ? "THROUGHPUT" : "LATENCY"},
        // Pinned threads of two networks or processes would sit on the same processors.
        {ov_property_key_hint_enable_cpu_pinning, "NO"},
    };
    size_t count = 3;
    if (limit || options->threads > 0)
        properties[count++] = (ov_property_t){ov_property_key_inference_num_threads, threads};
    if (throughput && options->streams > 0)
        properties[count++] = (ov_property_t){ov_property_key_num_streams, streams};
    const ov_status_e status =
        ov_core_set_properties(opening->network->core, "CPU", count, properties);
    return status == OK ? 0 : sac__openvino_fail(SAC_EINVAL, status, "engine options");
}

// Chooses the cache's entry: all that the compiled network may depend on.
static void select_entry(struct opening *opening, sac_precision precision)
{
    const struct sac_source *source = opening->source;
    const sac_engine_options *options = opening->options;
    const struct openvino_processor *processor = &opening->processor;
    char version[128], shape[SAC_MAX_DIMS * 24] = "";
    sac__openvino_version(version, sizeof version);
    for (int i = 0, at = 0; i < source->input_ndim; i++)
        at += snprintf(shape + at, sizeof shape - (size_t)at, "%lld ",
                       (long long)source->input_shape[i]);
    snprintf(opening->cache.key, sizeof opening->cache.key,
             "model %s\ninput %s\nprecision %s%s\nmode %d threads %d streams %d\nopenvino %s\n"
             "processor %s, %s, %s, %d\n",
             source->hash, shape, sac__openvino_precision_name(precision),
             options->precision == SAC_PRECISION_AUTO ? ", chosen" : "", (int)options->mode,
             options->threads, options->streams, version, processor->name, processor->isa,
             processor->capabilities, processor->threads);
    sac__cache_select(&opening->cache);
}

static int import(struct opening *opening, sac_precision precision, int *error)
{
    struct openvino_network *network = opening->network;
    select_entry(opening, precision);
    *error = configure(opening, precision);
    return !*error && sac__openvino_import(&network->compiled, &network->cached, network->core,
                                           &opening->cache);
}

static int compile(struct opening *opening, const ov_model_t *model, sac_precision precision,
                   ov_compiled_model_t **compiled_out)
{
    const int error = configure(opening, precision);
    return error ? error
                 : sac__openvino_compile(compiled_out, opening->network->core, model);
}

// Compiles in bf16 too and keeps that where it gives the same. A network that does not compile or
// run in bf16 stays in fp32.
static void try_bf16(struct opening *opening, const ov_model_t *model, sac_precision *precision)
{
    ov_compiled_model_t **exact = &opening->network->compiled, *fast = NULL;
    char line[160];
    double agreement = -1;
    if (compile(opening, model, SAC_PRECISION_BF16, &fast) == 0)
        agreement = sac__openvino_agreement(*exact, fast);
    if (sac__openvino_agrees(agreement)) {
        ov_compiled_model_free(*exact);
        *exact = fast;
        *precision = SAC_PRECISION_BF16;
        return;
    }
    ov_compiled_model_free(fast);
    *precision = SAC_PRECISION_FP32;
    if (agreement < 0)
        snprintf(line, sizeof line,
                 "precision auto: fp32, since bf16 cannot be tried on this model");
    else
        snprintf(line, sizeof line, "precision auto: fp32, since bf16 keeps only %.1f %% of this "
                 "model's output values close", 100 * agreement);
    if (opening->options->log)
        opening->options->log(opening->options->log_user, line);
}

static int compile_anew(struct opening *opening, int try_low, sac_precision *precision)
{
    ov_model_t *model = NULL;
    int error = sac__openvino_read(&model, opening->network->core, opening->source);
    if (!error)
        error = compile(opening, model, try_low ? SAC_PRECISION_FP32 : *precision,
                        &opening->network->compiled);
    if (!error && try_low)
        try_bf16(opening, model, precision);
    ov_model_free(model);
    if (error)
        return error;
    select_entry(opening, *precision);
    sac__openvino_export(&opening->cache, opening->network->compiled);
    return 0;
}

// Writes the precision that the network runs in. "auto" has left its choice in the cache, as an
// entry under one precision or the other.
static int find_network(struct opening *opening, sac_precision *precision)
{
    const int try_low =
        opening->options->precision == SAC_PRECISION_AUTO && *precision == SAC_PRECISION_BF16;
    int error = 0;
    if (import(opening, *precision, &error) || error)
        return error;
    if (try_low && (import(opening, SAC_PRECISION_FP32, &error) || error)) {
        *precision = SAC_PRECISION_FP32;
        return error;
    }
    return compile_anew(opening, try_low, precision);
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

static int open_network(struct opening *opening, struct sac_engine_facts *facts_out)
{
    struct openvino_network *network = opening->network;
    const struct sac_source *source = opening->source;
    const sac_engine_options *options = opening->options;
    sac_precision precision = SAC_PRECISION_FP32;
    const ov_status_e status = ov_core_create(&network->core);
    if (status != OK)
        return sac__openvino_fail(SAC_EDEVICE, status, "OpenVINO");
    int error = sac__openvino_processor(&opening->processor, network->core);
    if (!error)
        error = sac__openvino_precision(&precision, options->precision, &opening->processor);
    if (error)
        return error;
    // The hash does not cover weights in other files, which may change under an unchanged model.
    opening->cache = (struct sac_cache){
        .backend = "openvino",
        .title = "compiled-model cache",
        .limit = options->cache_limit ? options->cache_limit : CACHE_LIMIT,
        .log = options->log,
        .log_user = options->log_user};
    sac__cache_open(&opening->cache, source->self_contained ? options->cache_dir : "");
    error = find_network(opening, &precision);
    sac__cache_close(&opening->cache);
    if (!error)
        error = sac__openvino_bindings(network, source);
    if (!error)
        describe(network, facts_out, &opening->processor, options, precision);
    return error;
}

int sac__openvino_open(void **state_out, struct sac_engine_facts *facts_out,
                       const struct sac_source *source, const sac_engine_options *options)
{
    struct openvino_network *network = calloc(1, sizeof *network);
    if (!network)
        return FAIL(SAC_ENOMEM, "no memory for a network");
    struct opening opening = {.network = network, .source = source, .options = options};
    const int error = open_network(&opening, facts_out);
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
