// SPDX-License-Identifier: Apache-2.0
// Inputs and outputs of a compiled network in the library's terms.
#include "openvino.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    ov_element_type_e element;
    sac_dtype dtype;
} types[] = {
    {F32, SAC_F32}, {F16, SAC_F16}, {BF16, SAC_BF16},    {U8, SAC_U8},   {I8, SAC_I8},
    {I32, SAC_I32}, {I64, SAC_I64}, {BOOLEAN, SAC_BOOL}, {F64, SAC_F64},
};

// In the order of ov_element_type_e, for messages.
static const char *const names[] = {
    "dynamic", "boolean", "bf16", "f16", "f32", "f64", "i4",     "i8",     "i16",
    "i32",     "i64",     "u1",   "u2",  "u3",  "u4",  "u6",     "u8",     "u16",
    "u32",     "u64",     "nf4",  "f8e4m3",     "f8e5m2", "string", "f4e2m1", "f8e8m0"};

ov_element_type_e sac__openvino_element(sac_dtype dtype)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].dtype == dtype)
            return types[i].element;
    return DYNAMIC;
}

size_t sac__openvino_dtype_bytes(sac_dtype dtype)
{
#define BYTES(name, value, code, bits, text)                                                       \
    if (dtype == name)                                                                             \
        return bits / 8;
    SAC_DTYPES(BYTES)
#undef BYTES
    return 0;
}

// A port has several names where OpenVINO drops nodes that only pass values on, and tells one of
// them. Nonzero when `name`, the graph's own, is among them.
static int has_name(const struct openvino_network *network, const sac_binding *binding,
                    const char *any, const char *name)
{
    ov_output_const_port_t *port = NULL;
    char *its = NULL;
    const ov_status_e status =
        binding->is_input ? ov_compiled_model_input_by_name(network->compiled, name, &port)
                          : ov_compiled_model_output_by_name(network->compiled, name, &port);
    const int same = status == OK && ov_port_get_any_name(port, &its) == OK && !strcmp(its, any);
    ov_free(its);
    ov_output_const_port_free(port);
    return same;
}

static void read_name(sac_binding *binding, const struct openvino_network *network,
                      const struct sac_source *source)
{
    const size_t index = (size_t)binding->index;
    char *name = NULL;
    if (ov_port_get_any_name(network->ports[index], &name) == OK && name && *name) {
        const char *own = source->name_count == network->binding_count ? source->names[index] : "";
        const int known = *own && has_name(network, binding, name, own);
        snprintf(binding->name, sizeof binding->name, "%s", known ? own : name);
    } else { // the file may leave it out
        snprintf(binding->name, sizeof binding->name, "%s%d",
                 binding->is_input ? "input" : "output", (int)binding->index);
    }
    ov_free(name);
}

static int read_dtype(sac_binding *binding, const ov_output_const_port_t *port)
{
    ov_element_type_e element = DYNAMIC;
    const ov_status_e status = ov_port_get_element_type(port, &element);
    if (status != OK)
        return sac__openvino_fail(SAC_EMODEL, status, binding->name);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].element == element) {
            binding->dtype = types[i].dtype;
            return 0;
        }
    }
    return FAIL(SAC_EMODEL, "%s '%s' has elements of type %s, which is not supported",
                binding->is_input ? "input" : "output", binding->name,
                (size_t)element < sizeof names / sizeof *names ? names[element] : "unknown");
}

static void count_elements(sac_binding *binding)
{
    binding->count = 1;
    for (int i = 0; i < binding->ndim; i++) {
        const int64_t extent = binding->shape[i];
        if (extent < 0 || (extent > 0 && binding->count > INT64_MAX / 8 / extent)) {
            binding->count = binding->bytes = -1;
            return;
        }
        binding->count *= extent;
    }
    binding->bytes = binding->count * (int64_t)sac__openvino_dtype_bytes(binding->dtype);
}

static int read_shape(sac_binding *binding, const ov_output_const_port_t *port)
{
    ov_partial_shape_t shape = {{0, 0}, NULL};
    const ov_status_e status = ov_port_get_partial_shape(port, &shape);
    if (status != OK)
        return sac__openvino_fail(SAC_EMODEL, status, binding->name);
    const int64_t rank = shape.rank.max;
    int error = 0;
    if (shape.rank.min != rank || rank > SAC_MAX_DIMS)
        error = FAIL(SAC_EMODEL, "%s '%s' has %s dimensions, at most %d are supported",
                     binding->is_input ? "input" : "output", binding->name,
                     rank > SAC_MAX_DIMS ? "too many" : "an unknown number of", SAC_MAX_DIMS);
    else
        binding->ndim = (int32_t)rank;
    for (int i = 0; i < binding->ndim; i++)
        binding->shape[i] = shape.dims[i].min == shape.dims[i].max ? shape.dims[i].max : -1;
    ov_partial_shape_free(&shape);
    count_elements(binding);
    return error;
}

static int read_binding(struct openvino_network *network, size_t index,
                        const struct sac_source *source)
{
    const int is_input = index < network->input_count;
    ov_output_const_port_t **port = &network->ports[index];
    sac_binding *binding = &network->bindings[index];
    *binding = (sac_binding){.index = (int32_t)index, .is_input = is_input};
    const ov_status_e status =
        is_input ? ov_compiled_model_input_by_index(network->compiled, index, port)
                 : ov_compiled_model_output_by_index(network->compiled,
                                                     index - network->input_count, port);
    if (status != OK)
        return sac__openvino_fail(SAC_EMODEL, status, "bindings");
    read_name(binding, network, source);
    const int error = read_dtype(binding, *port);
    return error ? error : read_shape(binding, *port);
}

int sac__openvino_bindings(struct openvino_network *network, const struct sac_source *source)
{
    size_t inputs = 0, outputs = 0;
    ov_status_e status = ov_compiled_model_inputs_size(network->compiled, &inputs);
    if (status == OK)
        status = ov_compiled_model_outputs_size(network->compiled, &outputs);
    if (status != OK)
        return sac__openvino_fail(SAC_EMODEL, status, "bindings");
    network->input_count = inputs;
    network->binding_count = inputs + outputs;
    network->bindings = calloc(inputs + outputs + 1, sizeof *network->bindings);
    network->ports = calloc(inputs + outputs + 1, sizeof *network->ports);
    if (!network->bindings || !network->ports)
        return FAIL(SAC_ENOMEM, "no memory for %zu bindings", inputs + outputs);
    for (size_t i = 0; i < network->binding_count; i++) {
        const int error = read_binding(network, i, source);
        if (error)
            return error;
    }
    return 0;
}

void sac__openvino_bindings_free(struct openvino_network *network)
{
    for (size_t i = 0; network->ports && i < network->binding_count; i++)
        ov_output_const_port_free(network->ports[i]);
    free(network->ports);
    free(network->bindings);
}
