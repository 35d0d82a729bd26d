// SPDX-License-Identifier: Apache-2.0
// Writes small ONNX files for tests of the reader: a chain of operators from "images" to "output0".
#ifndef SAC_TESTS_ONNX_FILE_H
#define SAC_TESTS_ONNX_FILE_H

#include <stdlib.h>
#include <string.h>

#include "onnx.pb-c.h"

struct onnx_file {
    const char *ops;         ///< names with a space between; NULL: "Conv Sigmoid"
    const char *metadata[9]; ///< key, value, key, value …
    int64_t input[4];        ///< -1 = dynamic; all zero: no shape
    int weights_as_inputs;   ///< as the first ONNX versions have it, the weights first
    int reversed;            ///< nodes in the file last to first
    const char *external;    ///< name of a file that holds the weights
};

/// Node `i`: its inputs are the output before it and "W".
static void onnx_file_node(Onnx__NodeProto *node, char *op, char (*names)[16], int i, int last)
{
    static char *inputs[16][2], *outputs[16][1];
    static char weights[] = "W", output[] = "output0";
    inputs[i][0] = names[i];
    inputs[i][1] = weights;
    outputs[i][0] = last ? output : names[i + 1];
    onnx__node_proto__init(node);
    node->op_type = op;
    node->n_input = 2;
    node->input = inputs[i];
    node->n_output = 1;
    node->output = outputs[i];
}

static void onnx_file_input(Onnx__ValueInfoProto *info, const int64_t *shape)
{
    static Onnx__TypeProto type;
    static Onnx__TypeProto__Tensor tensor;
    static Onnx__TensorShapeProto dims;
    static Onnx__TensorShapeProto__Dimension dim[4], *dim_at[4];
    static char letter[] = "n";
    onnx__type_proto__init(&type);
    onnx__type_proto__tensor__init(&tensor);
    onnx__tensor_shape_proto__init(&dims);
    type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type.tensor_type = &tensor;
    if (shape[0]) tensor.shape = &dims;
    for (int i = 0; i < 4; i++) {
        onnx__tensor_shape_proto__dimension__init(dim_at[i] = &dim[i]);
        dim[i].value_case = shape[i] > 0 ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE
                                         : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        if (shape[i] > 0)
            dim[i].dim_value = shape[i];
        else
            dim[i].dim_param = letter;
    }
    dims.n_dim = 4;
    dims.dim = dim_at;
    info->type = &type;
}

/// Bytes of the file, for free().
static uint8_t *onnx_file_write(const struct onnx_file *file, size_t *size_out)
{
    char ops[256], names[17][16] = {"images"}, weights_name[] = "W", output_name[] = "output0";
    uint8_t numbers[64] = {0};
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    Onnx__NodeProto nodes[16], *node_at[16];
    Onnx__TensorProto weights = ONNX__TENSOR_PROTO__INIT, *weights_at = &weights;
    Onnx__ValueInfoProto images = ONNX__VALUE_INFO_PROTO__INIT, input = images, output = images;
    Onnx__ValueInfoProto *inputs[2] = {&images}, *outputs[1] = {&output};
    Onnx__StringStringEntryProto entries[5], *entry_at[5], location;
    Onnx__StringStringEntryProto *location_at = &location;

    strcpy(ops, file->ops ? file->ops : "Conv Sigmoid");
    for (char *op = strtok(ops, " "), *next; op; op = next) {
        next = strtok(NULL, " ");
        int i = (int)graph.n_node++;
        names[i + 1][0] = (char)('a' + i);
        names[i + 1][1] = '\0';
        onnx_file_node(node_at[i] = &nodes[i], op, names, i, !next);
    }
    for (size_t i = 0; file->reversed && i < graph.n_node; i++)
        node_at[i] = &nodes[graph.n_node - 1 - i];
    graph.node = node_at;

    weights.name = weights_name;
    weights.has_raw_data = 1;
    weights.raw_data = (ProtobufCBinaryData){sizeof numbers, numbers};
    onnx__string_string_entry_proto__init(&location);
    char key[] = "location";
    location.key = key;
    location.value = (char *)(uintptr_t)file->external;
    weights.n_external_data = file->external != NULL;
    weights.external_data = &location_at;
    graph.n_initializer = 1;
    graph.initializer = &weights_at;

    images.name = names[0];
    onnx_file_input(&images, file->input);
    input.name = weights_name;
    if (file->weights_as_inputs) inputs[graph.n_input++] = &input;
    inputs[graph.n_input++] = &images;
    graph.input = inputs;
    output.name = output_name;
    graph.n_output = 1;
    graph.output = outputs;

    for (size_t i = 0; i < 4 && file->metadata[2 * i]; i++) {
        onnx__string_string_entry_proto__init(entry_at[i] = &entries[i]);
        entries[i].key = (char *)(uintptr_t)file->metadata[2 * i];
        entries[i].value = (char *)(uintptr_t)file->metadata[2 * i + 1];
        model.n_metadata_props = i + 1;
    }
    model.metadata_props = entry_at;
    model.graph = &graph;
    uint8_t *bytes = malloc(*size_out = onnx__model_proto__get_packed_size(&model));
    onnx__model_proto__pack(&model, bytes);
    return bytes;
}

#endif
