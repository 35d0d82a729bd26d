// SPDX-License-Identifier: Apache-2.0
// Reads an ONNX file with code that protoc-c made from ONNX's own onnx.proto.
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "internal.h"
#include "onnx.pb-c.h"

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

// Input and weights

static int is_initializer(const Onnx__GraphProto *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (strcmp(text(graph->initializer[i]->name), name) == 0) return 1;
    return 0;
}

/// The first input; files of the first ONNX versions list the weights as inputs, too.
static const Onnx__ValueInfoProto *first_input(const Onnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_input; i++)
        if (!is_initializer(graph, text(graph->input[i]->name))) return graph->input[i];
    return NULL;
}

static void read_input(struct sac_model *model, const Onnx__GraphProto *graph)
{
    const Onnx__ValueInfoProto *input = first_input(graph);
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

static int add_binding(struct sac_model *model, const char *name)
{
    model->bindings[model->binding_count] = strdup(name);
    if (!model->bindings[model->binding_count]) return sac__fail(SAC_ENOMEM, "out of memory");
    model->binding_count++;
    return SAC_OK;
}

static int read_bindings(struct sac_model *model, const Onnx__GraphProto *graph)
{
    int error = SAC_OK;
    model->bindings = calloc(graph->n_input + graph->n_output, sizeof *model->bindings);
    if (!model->bindings) return sac__fail(SAC_ENOMEM, "out of memory");
    for (size_t i = 0; i < graph->n_input && !error; i++)
        if (!is_initializer(graph, text(graph->input[i]->name)))
            error = add_binding(model, text(graph->input[i]->name));
    for (size_t i = 0; i < graph->n_output && !error; i++)
        error = add_binding(model, text(graph->output[i]->name));
    return error;
}

static int is_external(const Onnx__TensorProto *tensor)
{
    return tensor && (tensor->n_external_data ||
                      tensor->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL);
}

static int is_self_contained(const Onnx__GraphProto *graph)
{
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (is_external(graph->initializer[i])) return 0;
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t k = 0; k < graph->node[i]->n_attribute; k++)
            if (is_external(graph->node[i]->attribute[k]->t)) return 0;
    return 1;
}

static int read_model(struct sac_model *model, const Onnx__ModelProto *proto)
{
    if (!proto->graph || !proto->graph->n_node || !proto->graph->n_output)
        return sac__fail(SAC_EMODEL, "no ONNX model: it holds no network");
    int cycle = sac__graph_check_cycles(proto->graph);
    if (cycle) return cycle;
    for (size_t i = 0; i < proto->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *entry = proto->metadata_props[i];
        int error = sac__metadata_set(model, text(entry->key), text(entry->value));
        if (error) return error;
    }
    read_input(model, proto->graph);
    int error = read_bindings(model, proto->graph);
    if (error) return error;
    model->self_contained = is_self_contained(proto->graph);
    return sac__graph_tail(&model->tail, proto->graph);
}

int sac__onnx_read(struct sac_model *model)
{
    struct heap heap = {.left = HEAP_BASE + HEAP_FACTOR * model->size,
                        .stack = (const char *)&heap};
    ProtobufCAllocator allocator = {heap_alloc, heap_free, &heap};
    Onnx__ModelProto *proto = onnx__model_proto__unpack(&allocator, model->size, model->bytes);
    if (!proto && heap.failed == SAC_ENOMEM) return sac__fail(SAC_ENOMEM, "out of memory");
    if (!proto) return sac__fail(SAC_EMODEL, "no ONNX model, or a damaged one");
    int error = read_model(model, proto);
    onnx__model_proto__free_unpacked(proto, &allocator);
    return error;
}
