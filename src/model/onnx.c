// SPDX-License-Identifier: Apache-2.0
// Reads an ONNX file with code that protoc-c made from ONNX's own onnx.proto.
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

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

// The tail: walking the nodes backwards from the outputs, up to the convolutions.

/// A set of tensor names, by hash, with open addressing.
struct name_set {
    uint64_t *slots; ///< 0 = free
    size_t mask;
};

static uint64_t *find_slot(const struct name_set *set, const char *name)
{
    uint64_t hash = XXH3_64bits(name, strlen(name)) | 1;
    size_t at = (size_t)(hash >> 1) & set->mask;
    while (set->slots[at] && set->slots[at] != hash)
        at = (at + 1) & set->mask;
    return set->slots + at;
}

static int set_has(const struct name_set *set, const char *name)
{
    return *find_slot(set, name) != 0;
}

static void set_add(struct name_set *set, const char *name)
{
    *find_slot(set, name) = XXH3_64bits(name, strlen(name)) | 1;
}

static int set_open(struct name_set *set, size_t most)
{
    size_t slots = 16;
    while (slots < 2 * most)
        slots *= 2;
    set->slots = calloc(slots, sizeof *set->slots);
    set->mask = slots - 1;
    return set->slots ? SAC_OK : sac__fail(SAC_ENOMEM, "out of memory");
}

static int is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0) return 1;
    return 0;
}

/// Operators whose further inputs are shapes and indices, not values.
static int first_input_only(const char *op)
{
    static const char *const ops[] = {"Reshape",   "Slice",   "Gather", "Expand", "Tile", "Resize",
                                      "Unsqueeze", "Squeeze", "Split",  "Pad",    NULL};
    return is_one_of(op, ops);
}

static unsigned tail_bits(const char *op)
{
    static const char *const arithmetic[] = {"Add", "Sub", "Mul", "Div", "Pow", NULL};
    if (is_one_of(op, arithmetic)) return SAC__TAIL_ARITHMETIC;
    if (strcmp(op, "Exp") == 0) return SAC__TAIL_EXP;
    if (strcmp(op, "TopK") == 0 || strcmp(op, "NonMaxSuppression") == 0) return SAC__TAIL_SELECT;
    return 0;
}

static int makes_wanted(const Onnx__NodeProto *node, const struct name_set *wanted)
{
    for (size_t i = 0; i < node->n_output; i++)
        if (set_has(wanted, node->output[i])) return 1;
    return 0;
}

/// ONNX keeps nodes in an order in which every input is made before it is used.
static int read_tail(struct sac_model *model, const Onnx__GraphProto *graph)
{
    size_t most = graph->n_output;
    for (size_t i = 0; i < graph->n_node; i++)
        most += graph->node[i]->n_input;
    struct name_set wanted;
    int error = set_open(&wanted, most);
    if (error) return error;
    for (size_t i = 0; i < graph->n_output; i++)
        set_add(&wanted, text(graph->output[i]->name));
    for (size_t i = graph->n_node; i-- > 0;) {
        const Onnx__NodeProto *node = graph->node[i];
        const char *op = text(node->op_type);
        if (!makes_wanted(node, &wanted) || strcmp(op, "Conv") == 0) continue;
        model->tail |= tail_bits(op);
        size_t inputs = first_input_only(op) && node->n_input ? 1 : node->n_input;
        for (size_t k = 0; k < inputs; k++)
            set_add(&wanted, node->input[k]);
    }
    free(wanted.slots);
    return SAC_OK;
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
    model->self_contained = is_self_contained(proto->graph);
    return read_tail(model, proto->graph);
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
