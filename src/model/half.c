// SPDX-License-Identifier: Apache-2.0
// Every tensor T that leads to the raw maps becomes T_half; where somebody else reads it, a Cast
// makes T again. The graph's inputs keep their names.
#include "half.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "graph/head.h"
#include "internal.h"
#include "names.h"
#include "onnx.pb-c.h"
#include "ops/math/half.h"

enum {
    FLOAT = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
    HALF = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16
};

struct halving {
    Onnx__GraphProto *graph;
    struct sac__names half;    ///< tensors on the way to the raw maps
    struct sac__names inputs;  ///< of the graph, now half
    struct sac__names others;  ///< tensors with readers outside
    struct sac__names weights; ///< written as half already
    Onnx__NodeProto **nodes;   ///< the new order, casts among them
    size_t node_count;
    Onnx__TensorProto **made; ///< half weights
    size_t made_count;
    char *inside; ///< a byte a node
};

static int out_of_memory(void)
{
    return sac__fail(SAC_ENOMEM, "no memory for a model in half precision");
}

static const char *op_of(const Onnx__NodeProto *node)
{
    return node->op_type ? node->op_type : "";
}

static int is_op(const Onnx__NodeProto *node, const char *op)
{
    return strcmp(op_of(node), op) == 0;
}

// Whether input `k` of a node is a value that the network computes with.
static int is_value(const Onnx__NodeProto *node, size_t k)
{
    if (is_op(node, "Pad") && k == 2) return 1;
    return k == 0 || !sac__shape_inputs(op_of(node));
}

// ---- which nodes --------------------------------------------------------------------------------

// The raw maps, where the tail is known.
static int add_maps(struct halving *h, const struct sac_model *model, const int64_t shape[4])
{
    struct sac_graph *graph = NULL;
    struct sac_head_plan head;
    sac__raw_maps raw;
    int found = 0;
    int error = sac__graph_import(&graph, model->bytes, model->size, shape);
    if (!error) error = sac__graph_fold(graph);
    if (!error) error = sac__head_find(graph, &head, raw, &found);
    for (int k = 0; !error && found && k < head.level_count; k++)
        for (int part = 0; part < 2; part++)
            if (raw[k][part] >= 0) sac__names_add(&h->half, graph->tensors[raw[k][part]].name);
    sac__graph_close(&graph);
    if (error == SAC_ENOMEM) return error;
    for (size_t i = 0; !found && i < h->graph->n_node; i++)
        if (is_op(h->graph->node[i], "Conv"))
            sac__names_add(&h->half, h->graph->node[i]->output[0]);
    return 0;
}

static int makes_half(const struct halving *h, const Onnx__NodeProto *node)
{
    for (size_t k = 0; k < node->n_output; k++)
        if (sac__names_have(&h->half, node->output[k])) return 1;
    return 0;
}

// Walks back from the raw maps until nothing is new: nodes may stand in any order.
static void walk_back(struct halving *h)
{
    for (int added = 1; added;) {
        added = 0;
        for (size_t i = h->graph->n_node; i-- > 0;) {
            const Onnx__NodeProto *node = h->graph->node[i];
            if (!makes_half(h, node)) continue;
            h->inside[i] = 1;
            for (size_t k = 0; k < node->n_input; k++)
                if (*node->input[k] && is_value(node, k))
                    added += sac__names_add(&h->half, node->input[k]);
        }
    }
}

// Whether input `k` of a node reads the half tensor: Shape does not care for types.
static int reads_half(const struct halving *h, size_t node, size_t k)
{
    const Onnx__NodeProto *reader = h->graph->node[node];
    if (is_op(reader, "Shape") || is_op(reader, "Size"))
        return sac__names_have(&h->half, reader->input[k]);
    return h->inside[node] && is_value(reader, k);
}

// What nodes outside, and the graph itself, read of it.
static void list_readers(struct halving *h)
{
    for (size_t i = 0; i < h->graph->n_node; i++) {
        const Onnx__NodeProto *node = h->graph->node[i];
        for (size_t k = 0; k < node->n_input; k++)
            if (!reads_half(h, i, k)) sac__names_add(&h->others, node->input[k]);
    }
    for (size_t i = 0; i < h->graph->n_output; i++)
        sac__names_add(&h->others, h->graph->output[i]->name);
}

// ---- tensors ------------------------------------------------------------------------------------

static char *half_name(const char *name)
{
    static const char suffix[] = "_half";
    const size_t length = strlen(name);
    char *longer = malloc(length + sizeof suffix);
    if (longer) memcpy(longer, name, length), memcpy(longer + length, suffix, sizeof suffix);
    return longer;
}

static int rename_text(char **name)
{
    char *longer = half_name(*name);
    if (!longer) return out_of_memory();
    free(*name);
    *name = longer;
    return 0;
}

static int64_t value_count(const Onnx__TensorProto *tensor)
{
    return tensor->has_raw_data ? (int64_t)(tensor->raw_data.len / sizeof(float))
                                : (int64_t)tensor->n_float_data;
}

static float value_at(const Onnx__TensorProto *tensor, int64_t at)
{
    float value;
    if (!tensor->has_raw_data) return tensor->float_data[at];
    memcpy(&value, tensor->raw_data.data + (size_t)at * sizeof value, sizeof value);
    return value;
}

// Turns a float tensor into half in place.
static int halve_tensor(Onnx__TensorProto *tensor, const char *name)
{
    const int64_t count = value_count(tensor);
    uint16_t *halves = malloc(count ? (size_t)count * sizeof *halves : 1);
    if (!halves) return out_of_memory();
    for (int64_t i = 0; i < count; i++) {
        const float value = value_at(tensor, i);
        halves[i] = sac__float_half(value);
        if (isfinite(value) && (halves[i] & 0x7c00) == 0x7c00) {
            free(halves);
            return sac__fail(SAC_EUNSUPPORTED,
                             "tensor '%s' holds %g, which is beyond fp16: build "
                             "with precision fp32",
                             name, (double)value);
        }
    }
    if (tensor->has_raw_data) free(tensor->raw_data.data);
    free(tensor->float_data);
    tensor->float_data = NULL;
    tensor->n_float_data = 0;
    tensor->has_raw_data = 1;
    tensor->raw_data = (ProtobufCBinaryData){(size_t)count * sizeof *halves, (uint8_t *)halves};
    tensor->data_type = HALF;
    return 0;
}

// A half copy of a weight, beside the float one that others may read.
static int halve_weight(struct halving *h, const Onnx__TensorProto *weight)
{
    const size_t size = onnx__tensor_proto__get_packed_size(weight);
    uint8_t *packed = malloc(size ? size : 1);
    if (!packed) return out_of_memory();
    onnx__tensor_proto__pack(weight, packed);
    Onnx__TensorProto *copy = onnx__tensor_proto__unpack(NULL, size, packed);
    free(packed);
    if (!copy) return out_of_memory();
    h->made[h->made_count++] = copy;
    int error = copy->data_type == FLOAT ? halve_tensor(copy, weight->name) : 0;
    return error ? error : rename_text(&copy->name);
}

static int halve_weights(struct halving *h)
{
    int error = 0;
    for (size_t i = 0; i < h->graph->n_initializer && !error; i++) {
        const Onnx__TensorProto *weight = h->graph->initializer[i];
        if (weight->name && sac__names_have(&h->half, weight->name))
            error = halve_weight(h, weight);
    }
    return error;
}

// The graph's inputs of type float, not its weights (which old files list among them).
static void halve_inputs(struct halving *h)
{
    for (size_t i = 0; i < h->graph->n_initializer; i++)
        if (h->graph->initializer[i]->name)
            sac__names_add(&h->weights, h->graph->initializer[i]->name);
    for (size_t i = 0; i < h->graph->n_input; i++) {
        Onnx__ValueInfoProto *input = h->graph->input[i];
        if (!input->name || sac__names_have(&h->weights, input->name)) continue;
        if (!sac__names_have(&h->half, input->name) || !input->type) continue;
        if (input->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE) continue;
        if (input->type->tensor_type->elem_type != FLOAT) continue;
        input->type->tensor_type->elem_type = HALF;
        sac__names_add(&h->inputs, input->name);
    }
}

// ---- nodes --------------------------------------------------------------------------------------

// Types that a node names: a Cast's target, the value of a Constant.
static int halve_attributes(Onnx__NodeProto *node)
{
    int error = 0;
    for (size_t k = 0; k < node->n_attribute && !error; k++) {
        Onnx__AttributeProto *a = node->attribute[k];
        if (!a->name) continue;
        if (is_op(node, "Cast") && !strcmp(a->name, "to") && a->i == FLOAT) a->i = HALF;
        if (a->t && a->t->data_type == FLOAT) error = halve_tensor(a->t, node->output[0]);
        if (is_op(node, "Constant") && !strncmp(a->name, "value_float", 11))
            error = sac__fail(SAC_EUNSUPPORTED,
                              "node '%s' (Constant): %s is not known to fp16: "
                              "build with precision fp32",
                              node->name ? node->name : "", a->name);
    }
    return error;
}

static int makes_whole_numbers(const Onnx__NodeProto *node)
{
    static const char *const ops[] = {"Shape", "Size", "Equal", "Greater", "Less",
                                      "And",   "Or",   "Not",   "ArgMax",  "NonZero"};
    for (size_t k = 0; k < sizeof ops / sizeof *ops; k++)
        if (is_op(node, ops[k])) return 1;
    for (size_t k = 0; is_op(node, "Cast") && k < node->n_attribute; k++)
        if (node->attribute[k]->name && !strcmp(node->attribute[k]->name, "to"))
            return node->attribute[k]->i != HALF && node->attribute[k]->i != FLOAT;
    return 0;
}

static Onnx__AttributeProto *new_type(int64_t type)
{
    Onnx__AttributeProto *a = malloc(sizeof *a);
    if (!a) return NULL;
    onnx__attribute_proto__init(a);
    a->name = strdup("to");
    a->has_type = a->has_i = 1;
    a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    a->i = type;
    return a;
}

// from → to in float; with `plain` as it is. Memory is protobuf's: it goes with the message.
static int add_cast(struct halving *h, const char *from, const char *to, int plain)
{
    Onnx__NodeProto *node = malloc(sizeof *node);
    if (!node) return out_of_memory();
    onnx__node_proto__init(node);
    h->nodes[h->node_count++] = node;
    node->op_type = strdup(plain ? "Identity" : "Cast");
    node->name = strdup(from);
    node->input = calloc(1, sizeof *node->input);
    node->output = calloc(1, sizeof *node->output);
    node->attribute = calloc(1, sizeof(Onnx__AttributeProto *));
    if (!node->op_type || !node->name || !node->input || !node->output || !node->attribute)
        return out_of_memory();
    node->input[0] = strdup(from);
    node->output[0] = strdup(to);
    node->n_input = node->n_output = 1;
    if (!node->input[0] || !node->output[0]) return out_of_memory();
    if (plain) return 0;
    node->attribute[0] = new_type(FLOAT);
    if (!node->attribute[0] || !node->attribute[0]->name) return out_of_memory();
    node->n_attribute = 1;
    return 0;
}

static int rename_inputs(struct halving *h, size_t at)
{
    Onnx__NodeProto *node = h->graph->node[at];
    int error = 0;
    for (size_t k = 0; k < node->n_input && !error; k++)
        if (*node->input[k] && reads_half(h, at, k) && !sac__names_have(&h->inputs, node->input[k]))
            error = rename_text(&node->input[k]);
    return error;
}

// A node on the way to the raw maps; casts for other readers follow it.
static int halve_node(struct halving *h, size_t at)
{
    Onnx__NodeProto *node = h->graph->node[at];
    int error = halve_attributes(node);
    const int plain = makes_whole_numbers(node);
    if (!error) error = rename_inputs(h, at);
    h->nodes[h->node_count++] = node;
    for (size_t k = 0; k < node->n_output && !error; k++) {
        char *name = node->output[k], *longer = *name ? half_name(name) : NULL;
        if (!*name) continue;
        if (!longer) return out_of_memory();
        node->output[k] = longer;
        if (sac__names_have(&h->others, name)) error = add_cast(h, longer, name, plain);
        free(name);
    }
    return error;
}

// Readers outside of a picture that is half now: they get it in float.
static int rewire_input(struct halving *h, Onnx__NodeProto *node)
{
    static const char suffix[] = "_float";
    for (size_t k = 0; k < node->n_input; k++) {
        if (is_op(node, "Shape") || is_op(node, "Size")) continue;
        if (!sac__names_have(&h->inputs, node->input[k])) continue;
        const size_t length = strlen(node->input[k]);
        char *longer = malloc(length + sizeof suffix);
        if (!longer) return out_of_memory();
        memcpy(longer, node->input[k], length);
        memcpy(longer + length, suffix, sizeof suffix);
        int error =
            sac__names_add(&h->weights, longer) ? add_cast(h, node->input[k], longer, 0) : 0;
        free(node->input[k]);
        node->input[k] = longer;
        if (error) return error;
    }
    return 0;
}

static int halve_nodes(struct halving *h)
{
    int error = 0;
    const size_t count = h->graph->n_node;
    size_t at = 0;
    for (; at < count && !error; at++) {
        Onnx__NodeProto *node = h->graph->node[at];
        if (h->inside[at]) {
            error = halve_node(h, at);
            continue;
        }
        error = rewire_input(h, node);
        if (!error) error = rename_inputs(h, at);
        h->nodes[h->node_count++] = node;
    }
    for (; at < count; at++)
        h->nodes[h->node_count++] = h->graph->node[at]; // for freeing
    return error;
}

// ---- the whole ----------------------------------------------------------------------------------

// Weights that nobody reads in float any more are dropped, the half ones added.
static int take_weights(struct halving *h)
{
    Onnx__GraphProto *graph = h->graph;
    const size_t most = graph->n_initializer + h->made_count;
    Onnx__TensorProto **all = calloc(most + 1, sizeof *all);
    if (!all) return out_of_memory();
    size_t count = 0;
    for (size_t i = 0; i < graph->n_initializer; i++) {
        Onnx__TensorProto *weight = graph->initializer[i];
        if (weight->name && sac__names_have(&h->half, weight->name) &&
            !sac__names_have(&h->others, weight->name))
            onnx__tensor_proto__free_unpacked(weight, NULL);
        else
            all[count++] = weight;
    }
    for (size_t i = 0; i < h->made_count; i++)
        all[count++] = h->made[i];
    free(graph->initializer);
    graph->initializer = all;
    graph->n_initializer = count;
    h->made_count = 0;
    return 0;
}

// Types of inner tensors are no longer those that the file states.
static void drop_value_info(Onnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_value_info; i++)
        onnx__value_info_proto__free_unpacked(graph->value_info[i], NULL);
    free(graph->value_info);
    graph->value_info = NULL;
    graph->n_value_info = 0;
}

// Models that are half already, or have quantised layers, stay as they are.
static int stays(const Onnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_input; i++)
        if (graph->input[i]->type && graph->input[i]->type->tensor_type &&
            graph->input[i]->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE &&
            graph->input[i]->type->tensor_type->elem_type == HALF)
            return 1;
    for (size_t i = 0; i < graph->n_node; i++)
        if (is_op(graph->node[i], "QuantizeLinear") || is_op(graph->node[i], "DequantizeLinear"))
            return 1;
    return 0;
}

static int open_halving(struct halving *h)
{
    size_t names = 2 * (h->graph->n_input + h->graph->n_output + h->graph->n_initializer),
           casts = 0;
    for (size_t i = 0; i < h->graph->n_node; i++) {
        names += h->graph->node[i]->n_input + h->graph->node[i]->n_output;
        casts += h->graph->node[i]->n_input + h->graph->node[i]->n_output;
    }
    h->inside = calloc(h->graph->n_node + 1, 1);
    h->nodes = calloc(h->graph->n_node + casts + 1, sizeof *h->nodes);
    h->made = calloc(h->graph->n_initializer + 1, sizeof *h->made);
    if (!h->inside || !h->nodes || !h->made) return out_of_memory();
    int error = sac__names_open(&h->half, names);
    if (!error) error = sac__names_open(&h->inputs, names);
    if (!error) error = sac__names_open(&h->others, names);
    if (!error) error = sac__names_open(&h->weights, names);
    return error;
}

static void close_halving(struct halving *h)
{
    for (size_t i = 0; i < h->made_count; i++)
        onnx__tensor_proto__free_unpacked(h->made[i], NULL);
    free(h->made);
    free(h->inside);
    free(h->nodes);
    sac__names_close(&h->half);
    sac__names_close(&h->inputs);
    sac__names_close(&h->others);
    sac__names_close(&h->weights);
}

static int halve(struct halving *h, const struct sac_model *model, const int64_t shape[4])
{
    int error = open_halving(h);
    if (!error) error = add_maps(h, model, shape);
    if (error) return error;
    walk_back(h);
    list_readers(h);
    halve_inputs(h);
    error = halve_weights(h);
    if (error) return error;
    error = halve_nodes(h);
    free(h->graph->node);
    h->graph->node = h->nodes;
    h->graph->n_node = h->node_count;
    h->nodes = NULL;
    if (!error) error = take_weights(h);
    drop_value_info(h->graph);
    return error;
}

static int pack(uint8_t **bytes_out, size_t *size_out, const Onnx__ModelProto *proto)
{
    *size_out = onnx__model_proto__get_packed_size(proto);
    *bytes_out = malloc(*size_out);
    if (!*bytes_out) return out_of_memory();
    onnx__model_proto__pack(proto, *bytes_out);
    return 0;
}

int sac__half_write(uint8_t **bytes_out, size_t *size_out, const struct sac_model *model,
                    const int64_t shape[4])
{
    *bytes_out = NULL;
    *size_out = 0;
    if (!model->self_contained)
        return sac__fail(SAC_EUNSUPPORTED, "weights lie in other files: build with precision fp32");
    Onnx__ModelProto *proto = onnx__model_proto__unpack(NULL, model->size, model->bytes);
    if (!proto) return out_of_memory(); // it was read once
    struct halving h = {.graph = proto->graph};
    int error = stays(proto->graph) ? 0 : halve(&h, model, shape);
    if (!error) error = pack(bytes_out, size_out, proto);
    close_halving(&h);
    onnx__model_proto__free_unpacked(proto, NULL);
    return error;
}
