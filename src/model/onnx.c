// SPDX-License-Identifier: Apache-2.0
// Reads an ONNX file with code that protoc-c made from ONNX's own onnx.proto. The weights are
// stepped over: unpacking would copy them, which takes longer than all the rest.
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "internal.h"
#include "onnx.pb-c.h"
#include "wire.h"

// Memory and nesting are bounded, since the file may be hostile: a message of two bytes becomes a
// structure of a hundred, and messages nest without end.

enum { STACK_MAX = 256 << 10 };
static const size_t HEAP_BASE = (size_t)64 << 20, HEAP_FACTOR = 16;

struct heap {
    size_t left;
    const char *stack; ///< address within the frame that unpacking started from
    int failed;        ///< SAC_ENOMEM, or SAC_ELIMIT when a bound was hit
};

static void *heap_alloc(void *user, size_t size)
{
    struct heap *heap = user;
#if defined(__GNUC__)
    const char *here = __builtin_frame_address(0);
#else
    const char *here = (const char *)&heap;
#endif
    size_t depth = here < heap->stack ? (size_t)(heap->stack - here) : (size_t)(here - heap->stack);
    if (size > heap->left || depth > STACK_MAX) {
        heap->failed = SAC_ELIMIT;
        return NULL;
    }
    void *memory = malloc(size ? size : 1);
    if (memory)
        heap->left -= size;
    else
        heap->failed = SAC_ENOMEM;
    return memory;
}

static void heap_free(void *user, void *memory)
{
    (void)user;
    free(memory);
}

/// Optional fields that the file leaves out are NULL.
static const char *text(const char *field)
{
    return field ? field : "";
}

/// Field numbers of onnx.proto.
enum { MODEL_GRAPH = 7, GRAPH_INITIALIZER = 5, TENSOR_NAME = 8, TENSOR_EXTERNAL_DATA = 13 };

/// What reading needs, and what it finds beside the model's own fields.
struct reader {
    struct sac_model *model;
    struct heap heap;
    ProtobufCAllocator allocator;
    struct sac__span graph; ///< within the file
};

// Input and weights

static int damaged(void)
{
    return sac__fail(SAC_EMODEL, "no ONNX model, or a damaged one");
}

static int has_name(struct sac__span tensor, const char *name)
{
    struct sac__field field;
    while (sac__wire_next(&field, &tensor) > 0)
        if (field.number == TENSOR_NAME && field.data.size == strlen(name) &&
            memcmp(field.data.at, name, field.data.size) == 0)
            return 1;
    return 0;
}

static int is_initializer(struct sac__span graph, const char *name)
{
    struct sac__field field;
    while (sac__wire_next(&field, &graph) > 0)
        if (field.number == GRAPH_INITIALIZER && has_name(field.data, name)) return 1;
    return 0;
}

/// The first input; files of the first ONNX versions list the weights as inputs, too.
static const Onnx__ValueInfoProto *first_input(const struct reader *reader,
                                               const Onnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_input; i++)
        if (graph->n_input == 1 || !is_initializer(reader->graph, text(graph->input[i]->name)))
            return graph->input[i];
    return NULL;
}

static void read_input(const struct reader *reader, const Onnx__GraphProto *graph)
{
    struct sac_model *model = reader->model;
    const Onnx__ValueInfoProto *input = first_input(reader, graph);
    const Onnx__TypeProto *type = input ? input->type : NULL;
    if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE) return;
    const Onnx__TensorShapeProto *shape = type->tensor_type->shape;
    if (!shape || shape->n_dim > SAC_MAX_DIMS) return;
    model->input_ndim = (int32_t)shape->n_dim;
    for (size_t i = 0; i < shape->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
        int known = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        model->input_shape[i] = known && dim->dim_value > 0 ? dim->dim_value : -1;
    }
}

/// Called for each weight.
static int see_weight(void *user, struct sac__span tensor)
{
    struct reader *reader = user;
    struct sac__field field;
    int more;
    while ((more = sac__wire_next(&field, &tensor)) > 0)
        if (field.number == TENSOR_EXTERNAL_DATA) reader->model->self_contained = 0;
    return more < 0 ? damaged() : SAC_OK;
}

/// Weights may also be constants among the nodes.
static int has_external_constant(const Onnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t k = 0; k < graph->node[i]->n_attribute; k++) {
            const Onnx__TensorProto *tensor = graph->node[i]->attribute[k]->t;
            if (tensor && tensor->n_external_data) return 1;
        }
    return 0;
}

// The file's parts

static int read_graph(struct reader *reader, const Onnx__GraphProto *graph)
{
    if (!graph->n_node || !graph->n_output)
        return sac__fail(SAC_EMODEL, "no ONNX model: it holds no network");
    int error = sac__graph_check_cycles(graph);
    if (error) return error;
    read_input(reader, graph);
    if (has_external_constant(graph)) reader->model->self_contained = 0;
    return sac__graph_tail(&reader->model->tail, graph);
}

static int read_metadata(struct reader *reader, const Onnx__ModelProto *proto)
{
    int error = SAC_OK;
    for (size_t i = 0; i < proto->n_metadata_props && !error; i++) {
        const Onnx__StringStringEntryProto *entry = proto->metadata_props[i];
        error = sac__metadata_set(reader->model, text(entry->key), text(entry->value));
    }
    return error;
}

static int unpack_failed(const struct reader *reader)
{
    if (reader->heap.failed == SAC_ENOMEM) return sac__fail(SAC_ENOMEM, "out of memory");
    return damaged();
}

/// The graph without its weights.
static int unpack_graph(struct reader *reader)
{
    uint8_t *kept = NULL;
    size_t size = 0;
    int error = sac__wire_split(&kept, &size, reader->graph, GRAPH_INITIALIZER, see_weight, reader);
    if (error) return error;
    Onnx__GraphProto *graph = onnx__graph_proto__unpack(&reader->allocator, size, kept);
    free(kept);
    if (!graph) return unpack_failed(reader);
    error = read_graph(reader, graph);
    onnx__graph_proto__free_unpacked(graph, &reader->allocator);
    return error;
}

static int see_graph(void *user, struct sac__span graph)
{
    struct reader *reader = user;
    if (reader->graph.at) return damaged(); // two of them
    reader->graph = graph;
    return SAC_OK;
}

/// The model without its graph.
static int unpack_model(struct reader *reader, struct sac__span file)
{
    uint8_t *kept = NULL;
    size_t size = 0;
    int error = sac__wire_split(&kept, &size, file, MODEL_GRAPH, see_graph, reader);
    if (error) return error;
    Onnx__ModelProto *proto = onnx__model_proto__unpack(&reader->allocator, size, kept);
    free(kept);
    if (!proto) return unpack_failed(reader);
    error = read_metadata(reader, proto);
    onnx__model_proto__free_unpacked(proto, &reader->allocator);
    return error;
}

int sac__onnx_read(struct sac_model *model)
{
    struct reader reader = {
        .model = model,
        .heap = {.left = HEAP_BASE + HEAP_FACTOR * model->size, .stack = (const char *)&reader}};
    reader.allocator = (ProtobufCAllocator){heap_alloc, heap_free, &reader.heap};
    model->self_contained = 1;
    int error = unpack_model(&reader, (struct sac__span){model->bytes, model->size});
    if (error) return error;
    if (!reader.graph.at) return sac__fail(SAC_EMODEL, "no ONNX model: it holds no network");
    return unpack_graph(&reader);
}
