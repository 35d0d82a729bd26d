// SPDX-License-Identifier: Apache-2.0
// ONNX bytes to a graph: names become numbers, weights become float or int64.
#include "graph.h"

#include <stdlib.h>
#include <string.h>

#include "onnx.pb-c.h"
#include "proto.h"

enum { MOST_NODES = 10000, MOST_ROUNDS = 100 };

struct importer {
    struct sac_graph *graph;
    const Onnx__GraphProto *source;
};

/// Newest first, so that look-ups are short in the usual order of nodes.
static int find(const struct sac_graph *graph, const char *name)
{
    for (int t = graph->tensor_count - 1; t >= 0; t--)
        if (!strcmp(graph->tensors[t].name, name)) return t;
    return SAC__NONE;
}

static int import_initializers(struct importer *in)
{
    for (size_t k = 0; k < in->source->n_initializer; k++) {
        const Onnx__TensorProto *proto = in->source->initializer[k];
        int tensor = sac__tensor_add(in->graph, proto->name ? proto->name : "");
        if (tensor < 0) return sac__fail(SAC_ENOMEM, "out of memory for initializers");
        int error = sac__proto_tensor(in->graph, tensor, proto);
        if (error) return error;
    }
    return 0;
}

/// The declared type, if it is a tensor's.
static const Onnx__TypeProto__Tensor *declared_type(const Onnx__ValueInfoProto *info)
{
    return info->type && info->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE
               ? info->type->tensor_type
               : NULL;
}

/// Extents of a declared input; 0 where the file leaves one open.
static int declared_shape(const Onnx__ValueInfoProto *info, int64_t shape[4])
{
    const Onnx__TypeProto__Tensor *type = declared_type(info);
    if (!type || !type->shape || type->shape->n_dim != 4)
        return sac__fail(SAC_EMODEL, "input %s: not a picture (N,3,H,W)", info->name);
    for (int axis = 0; axis < 4; axis++) {
        const Onnx__TensorShapeProto__Dimension *dim = type->shape->dim[axis];
        int fixed = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        shape[axis] = fixed && dim->dim_value > 0 ? dim->dim_value : 0;
    }
    return 0;
}

static int input_shape(const Onnx__ValueInfoProto *info, const int64_t wanted[4], int64_t shape[4])
{
    int error = declared_shape(info, shape);
    if (error) return error;
    for (int axis = 0; axis < 4; axis++) {
        if (shape[axis] && wanted[axis] && shape[axis] != wanted[axis])
            return sac__fail(SAC_EMODEL, "input %s: axis %d is fixed at %lld, not %lld", info->name,
                             axis, (long long)shape[axis], (long long)wanted[axis]);
        if (!shape[axis]) shape[axis] = wanted[axis];
        if (!shape[axis] && axis == 0) shape[axis] = 1;
        if (!shape[axis] && axis == 1) shape[axis] = 3;
        if (shape[axis] < 1 || shape[axis] > 65536)
            return sac__fail(SAC_EUNSUPPORTED,
                             "input %s: axis %d is open; give a size from 1 to 65536", info->name,
                             axis);
    }
    return 0;
}

static int import_input(struct importer *in, const int64_t wanted[4])
{
    in->graph->input = SAC__NONE;
    for (size_t k = 0; k < in->source->n_input; k++) {
        const Onnx__ValueInfoProto *info = in->source->input[k];
        int64_t shape[4];
        if (!info->name || find(in->graph, info->name) >= 0) continue; // old files list weights too
        if (in->graph->input >= 0)
            return sac__fail(SAC_EUNSUPPORTED, "input %s: a second input is not supported",
                             info->name);
        int error = input_shape(info, wanted, shape);
        if (error) return error;
        in->graph->input = sac__tensor_add(in->graph, info->name);
        if (in->graph->input < 0) return sac__fail(SAC_ENOMEM, "out of memory for the input");
        in->graph->input_type = declared_type(info)->elem_type;
        error = sac__tensor_shape(in->graph, in->graph->input, 4, shape);
        if (error) return error;
    }
    return in->graph->input >= 0 ? 0 : sac__fail(SAC_EMODEL, "the network has no input");
}

static int find_op(const char *name)
{
    for (int op = 0; op < SAC__OP_SILU; op++)
        if (!strcmp(sac__op_name((enum sac__op)op), name)) return op;
    return SAC__NONE;
}

static int connect(struct importer *in, int n, const Onnx__NodeProto *proto)
{
    struct sac_graph *graph = in->graph;
    for (size_t k = 0; k < proto->n_input; k++) {
        const char *name = proto->input[k];
        if (!*name) continue;
        int tensor = find(graph, name);
        if (tensor < 0) return sac__node_fail(graph, n, SAC_EMODEL, "nothing makes input %s", name);
        graph->nodes[n].inputs[k] = tensor;
    }
    for (size_t k = 0; k < proto->n_output; k++) {
        int tensor = sac__tensor_add(graph, proto->output[k]);
        if (tensor < 0) return sac__fail(SAC_ENOMEM, "out of memory for tensors");
        graph->nodes[n].outputs[k] = tensor;
        graph->tensors[tensor].producer = n;
    }
    return 0;
}

static int import_node(struct importer *in, const Onnx__NodeProto *proto)
{
    const char *type = proto->op_type ? proto->op_type : "";
    const char *name = proto->name && *proto->name ? proto->name
                       : proto->n_output           ? proto->output[0]
                                                   : "";
    int op = proto->domain && *proto->domain ? SAC__NONE : find_op(type);
    if (op < 0)
        return sac__fail(SAC_EUNSUPPORTED,
                         "node %s: the CUDA engine has no operator %s; the OpenVINO engine runs "
                         "it: --device cpu",
                         name, type);
    if (proto->n_input > 4096 || proto->n_output > 4096 || !proto->n_output)
        return sac__fail(SAC_EMODEL, "node %s (%s): impossible number of inputs or outputs", name,
                         type);
    int n =
        sac__node_add(in->graph, (enum sac__op)op, name, (int)proto->n_input, (int)proto->n_output);
    if (n < 0) return sac__fail(SAC_ENOMEM, "out of memory for nodes");
    in->graph->nodes[n].proto = proto;
    return connect(in, n, proto);
}

static int import_outputs(struct importer *in)
{
    struct sac_graph *graph = in->graph;
    graph->outputs = sac__graph_alloc(graph, in->source->n_output, sizeof *graph->outputs);
    if (!graph->outputs) return sac__fail(SAC_ENOMEM, "out of memory for outputs");
    for (size_t k = 0; k < in->source->n_output; k++) {
        const char *name = in->source->output[k]->name;
        int tensor = name ? find(graph, name) : SAC__NONE;
        if (tensor < 0) return sac__fail(SAC_EMODEL, "nothing makes output %s", name ? name : "");
        const Onnx__TypeProto__Tensor *type = declared_type(in->source->output[k]);
        if (k == 0 && type) graph->output_type = type->elem_type;
        graph->outputs[graph->output_count++] = tensor;
    }
    return graph->output_count ? 0 : sac__fail(SAC_EMODEL, "the network has no output");
}

/// Whether all inputs of a node are there.
static int is_ready(const struct sac_graph *graph, const Onnx__NodeProto *proto)
{
    for (size_t k = 0; k < proto->n_input; k++)
        if (*proto->input[k] && find(graph, proto->input[k]) < 0) return 0;
    return 1;
}

/// ONNX wants nodes in running order, but some converters append theirs: what cannot run yet waits
/// for another round.
static int import_nodes(struct importer *in)
{
    size_t waiting = in->source->n_node, before = waiting + 1;
    char *done = sac__graph_alloc(in->graph, waiting, 1);
    int error = done ? 0 : sac__fail(SAC_ENOMEM, "out of memory for nodes");
    for (int round = 0; !error && waiting && waiting < before && round < MOST_ROUNDS; round++) {
        before = waiting;
        for (size_t k = 0; !error && k < in->source->n_node; k++) {
            if (done[k] || !is_ready(in->graph, in->source->node[k])) continue;
            error = import_node(in, in->source->node[k]);
            done[k] = 1;
            waiting--;
        }
    }
    for (size_t k = 0; !error && waiting && k < in->source->n_node; k++)
        if (!done[k]) error = import_node(in, in->source->node[k]); // says what is missing
    return error;
}

static int import_graph(struct importer *in, const int64_t shape[4])
{
    if (in->source->n_node > MOST_NODES || in->source->n_initializer > MOST_NODES)
        return sac__fail(SAC_ELIMIT, "the network has %zu nodes; at most %d are supported",
                         in->source->n_node, MOST_NODES);
    int error = import_initializers(in);
    if (!error) error = import_input(in, shape);
    if (!error) error = import_nodes(in);
    return error ? error : import_outputs(in);
}

static int64_t opset_of(const Onnx__ModelProto *proto)
{
    for (size_t k = 0; k < proto->n_opset_import; k++) {
        const Onnx__OperatorSetIdProto *id = proto->opset_import[k];
        if (!id->domain || !*id->domain) return id->version;
    }
    return 1;
}

int sac__graph_import(struct sac_graph **graph_out, const void *bytes, size_t size,
                      const int64_t shape[4])
{
    struct sac_graph *graph = calloc(1, sizeof *graph);
    *graph_out = NULL;
    if (!graph) return sac__fail(SAC_ENOMEM, "out of memory for a graph");
    Onnx__ModelProto *proto = onnx__model_proto__unpack(NULL, size, bytes);
    graph->proto = proto;
    graph->fold_limit = INT32_MAX; // the file has these values
    int error = 0;
    if (!proto || !proto->graph) error = sac__fail(SAC_EMODEL, "not an ONNX model");
    struct importer in = {graph, proto ? proto->graph : NULL};
    if (!error) {
        graph->opset = opset_of(proto);
        error = import_graph(&in, shape);
    }
    if (error) sac__graph_close(&graph);
    *graph_out = graph;
    return error;
}
