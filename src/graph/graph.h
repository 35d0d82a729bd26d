// SPDX-License-Identifier: Apache-2.0
// A network as the graph compiler sees it: tensors with fixed shapes, nodes in an order in which
// they can run. Passes rewrite it until only what plan.h lists is left.
#ifndef SAC_GRAPH_GRAPH_H
#define SAC_GRAPH_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

enum { SAC__RANK = 8, SAC__NONE = -1 };

/// ONNX operators that the importer knows: enumerator, ONNX name, inference, evaluation of
/// constants (eval_never: not folded). The last three are made by passes.
#define SAC__OPS(X)                                                                                \
    X(ADD, "Add", infer_binary, eval_binary)                                                       \
    X(SUB, "Sub", infer_binary, eval_binary)                                                       \
    X(MUL, "Mul", infer_binary, eval_binary)                                                       \
    X(DIV, "Div", infer_binary, eval_binary)                                                       \
    X(POW, "Pow", infer_binary, eval_binary)                                                       \
    X(EQUAL, "Equal", infer_binary, eval_binary)                                                   \
    X(LESS, "Less", infer_binary, eval_binary)                                                     \
    X(MOD, "Mod", infer_binary, eval_binary)                                                       \
    X(AND, "And", infer_binary, eval_binary)                                                       \
    X(XOR, "Xor", infer_binary, eval_binary)                                                       \
    X(SIGMOID, "Sigmoid", infer_same, eval_unary)                                                  \
    X(RELU, "Relu", infer_same, eval_unary)                                                        \
    X(LEAKY, "LeakyRelu", infer_same, eval_unary)                                                  \
    X(EXP, "Exp", infer_same, eval_unary)                                                          \
    X(SQRT, "Sqrt", infer_same, eval_unary)                                                        \
    X(FLOOR, "Floor", infer_same, eval_unary)                                                      \
    X(NEG, "Neg", infer_same, eval_unary)                                                          \
    X(IDENTITY, "Identity", infer_same, eval_unary)                                                \
    X(CAST, "Cast", infer_cast, eval_cast)                                                         \
    X(CONSTANT, "Constant", infer_constant, eval_never)                                            \
    X(FILL, "ConstantOfShape", infer_fill, eval_fill)                                              \
    X(SHAPE, "Shape", infer_shape, eval_shape)                                                     \
    X(RANGE, "Range", infer_range, eval_range)                                                     \
    X(WHERE, "Where", infer_where, eval_where)                                                     \
    X(CONCAT, "Concat", infer_concat, eval_concat)                                                 \
    X(SPLIT, "Split", infer_split, eval_split)                                                     \
    X(SLICE, "Slice", infer_slice, eval_slice)                                                     \
    X(GATHER, "Gather", infer_gather, eval_gather)                                                 \
    X(EXPAND, "Expand", infer_expand, eval_expand)                                                 \
    X(TRANSPOSE, "Transpose", infer_transpose, eval_transpose)                                     \
    X(RESHAPE, "Reshape", infer_reshape, eval_copy)                                                \
    X(FLATTEN, "Flatten", infer_flatten, eval_copy)                                                \
    X(SQUEEZE, "Squeeze", infer_squeeze, eval_copy)                                                \
    X(UNSQUEEZE, "Unsqueeze", infer_unsqueeze, eval_copy)                                          \
    X(SOFTMAX, "Softmax", infer_softmax, eval_softmax)                                             \
    X(REDUCE_MAX, "ReduceMax", infer_reduce, eval_reduce)                                          \
    X(TOPK, "TopK", infer_topk, eval_topk)                                                         \
    X(PICK, "GatherElements", infer_pick, eval_pick)                                               \
    X(TILE, "Tile", infer_tile, eval_tile)                                                         \
    X(CONV, "Conv", infer_conv, eval_conv)                                                         \
    X(POOL, "MaxPool", infer_pool, eval_never)                                                     \
    X(AVERAGE, "AveragePool", infer_pool, eval_never)                                              \
    X(RESIZE, "Resize", infer_resize, eval_never)                                                  \
    X(UPSAMPLE, "Upsample", infer_resize, eval_never)                                              \
    X(MATMUL, "MatMul", infer_matmul, eval_never)                                                  \
    X(SILU, "SiLU", infer_same, eval_unary)                                                        \
    X(POOLS, "(pyramid of pools)", infer_same, eval_never)                                         \
    X(ATTENTION, "(attention)", infer_same, eval_never)

#define SAC__OP_ENUM(name, onnx, infer, eval) SAC__OP_##name,
enum sac__op { SAC__OPS(SAC__OP_ENUM) SAC__OP_COUNT };
#undef SAC__OP_ENUM

/// Activation in a convolution's epilogue.
enum sac__act { SAC__ACT_NONE, SAC__ACT_SILU, SAC__ACT_RELU, SAC__ACT_LEAKY, SAC__ACT_SIGMOID };

/// All real types are held as float, all integers and booleans as int64.
struct sac_gtensor {
    const char *name; ///< of the ONNX file; owned by the graph
    int real;         ///< 1: float; 0: int64
    int ndim;         ///< -1: not known yet
    int64_t shape[SAC__RANK];
    float *f;     ///< values of a real constant, else NULL; owned
    int64_t *i;   ///< values of an integer constant, else NULL; owned
    int producer; ///< node, or SAC__NONE
};

/// Geometry of convolutions and pools.
struct sac_window {
    int64_t kernel[2], stride[2], dilation[2]; ///< height, width
    int64_t pad[4];                            ///< top, left, bottom, right
    int64_t groups;
};

struct sac_gnode {
    enum sac__op op;
    const char *name;
    const void *proto;     ///< Onnx__NodeProto, or NULL for nodes made by passes
    int *inputs, *outputs; ///< tensors; SAC__NONE: optional input left out
    int input_count, output_count;
    int dead; ///< folded or replaced

    struct sac_window window; ///< CONV, POOL
    int64_t axis;             ///< CONCAT, SPLIT, SOFTMAX, …
    float alpha;              ///< LEAKY, or LEAKY as an epilogue

    // Written by passes.
    enum sac__act act;
    int residual;  ///< tensor added after the activation, or SAC__NONE
    int coarse;    ///< tensor of half height and width added before it, or SAC__NONE
    int stem_taps; ///< CONV over the space-to-depth input: products a sum before that, else 0
    int64_t begin; ///< SLICE made by a pass (no proto): first channel
    int heads, key, value; ///< ATTENTION: heads, channels of a key and of a value
    int areas;             ///< ATTENTION: runs of places, each by itself
    float scale;           ///< ATTENTION
};

struct sac_graph {
    struct sac_gtensor *tensors;
    struct sac_gnode *nodes;
    int tensor_count, tensor_capacity, node_count, node_capacity;
    int input;    ///< tensor: the picture (N,3,H,W)
    int *outputs; ///< tensors
    int output_count;
    int input_type, output_type; ///< ONNX element types, of the first output; 0: not said
    int64_t opset;
    int64_t fold_limit; ///< most elements that a folded tensor may have
    void *proto;        ///< Onnx__ModelProto
    void **blocks;      ///< memory that goes with the graph
    size_t block_count, block_capacity;
};

/// Zeroed memory that lives as long as the graph; NULL when out of memory.
void *sac__graph_alloc(struct sac_graph *graph, size_t count, size_t size);

/// New tensor or node; SAC__NONE when out of memory. Pointers to others become invalid.
int sac__tensor_add(struct sac_graph *graph, const char *name);
int sac__node_add(struct sac_graph *graph, enum sac__op op, const char *name, int inputs,
                  int outputs);

/// Moves the last node to `position`, keeping the order of all others.
void sac__node_place(struct sac_graph *graph, int position);

/// Sets a tensor's shape. Errors: SAC_EMODEL (negative, or more than 2^31 elements).
int sac__tensor_shape(struct sac_graph *graph, int tensor, int ndim, const int64_t *shape);

/// Takes memory for a tensor's values. Errors: SAC_ELIMIT, SAC_ENOMEM.
int sac__tensor_fill(struct sac_graph *graph, int tensor);
void sac__tensor_drop(struct sac_graph *graph, int tensor);

int64_t sac__tensor_count(const struct sac_gtensor *tensor);
int sac__tensor_is_constant(const struct sac_graph *graph, int tensor);

/// Live nodes that read a tensor: how many, and the first of them (may be NULL). A graph output
/// counts as one more.
int sac__tensor_uses(const struct sac_graph *graph, int tensor, int *first_out);

/// The live node that makes a tensor, if its operator is `op`; else SAC__NONE.
int sac__producer(const struct sac_graph *graph, int tensor, enum sac__op op);

/// Lets every reader of `from`, and the graph's outputs, read `to`.
void sac__tensor_replace(struct sac_graph *graph, int from, int to);

/// Marks nodes dead that no output needs.
void sac__graph_sweep(struct sac_graph *graph);

/// "node NAME (OP): text" as the thread's message; returns `error`.
int sac__node_fail(const struct sac_graph *graph, int node, int error, const char *format, ...)
    SAC_PRINTF(4, 5);

/// The refusal of what the engine cannot run, with what would run it.
int sac__node_refuse(const struct sac_graph *graph, int node, const char *why);

/// ONNX name of an operator.
const char *sac__op_name(enum sac__op op);

/// Reads ONNX bytes; `shape` (4 extents, 0 = as in the file) fixes the first input.
/// Errors: SAC_EMODEL, SAC_EUNSUPPORTED, SAC_ENOMEM.
int sac__graph_import(struct sac_graph **graph_out, const void *bytes, size_t size,
                      const int64_t shape[4]);
void sac__graph_close(struct sac_graph **graph);
void sac__proto_free(void *proto);

/// Infers shapes and folds constants.
int sac__graph_fold(struct sac_graph *graph);

/// One node: shapes of its outputs; values of its outputs (its inputs have values).
int sac__node_infer(struct sac_graph *graph, int node);
int sac__node_eval(struct sac_graph *graph, int node);

/// Whether sac__node_eval knows the node's operator.
int sac__node_evaluable(const struct sac_graph *graph, int node);

/// Attributes of an ONNX node; `ints` returns their number, or -1 when absent.
int64_t sac__attr_int(const struct sac_gnode *node, const char *name, int64_t absent);
float sac__attr_float(const struct sac_gnode *node, const char *name, float absent);
int sac__attr_ints(const struct sac_gnode *node, const char *name, const int64_t **values_out);
const char *sac__attr_text(const struct sac_gnode *node, const char *name, const char *absent);
/// Reads a tensor attribute into a tensor. Errors as the importer's.
int sac__attr_tensor(struct sac_graph *graph, int node, const char *name, int tensor);

#endif
