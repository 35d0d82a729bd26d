// SPDX-License-Identifier: Apache-2.0
// Writes a very small ONNX model for tests of engines: Y = OP(Conv(X, W)), X (N,3,H,W),
// W (4,3,3,3), padding 1. Field numbers are those of onnx.proto.
#ifndef SAC_TESTS_TINY_ONNX_H
#define SAC_TESTS_TINY_ONNX_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct tiny {
    const char *op;       ///< the operator after the convolution; NULL = Sigmoid
    int64_t input[4];     ///< -1 = dynamic
    const char *external; ///< NULL, or the file beside the model that holds W
    int dtype;            ///< ONNX element type of X, W and Y; 0 = float
    int seed;             ///< of the weights
    float scale;          ///< of the weights; 0 = 1
};

struct tiny_bytes {
    uint8_t at[8192];
    size_t size;
};

enum { TINY_OUT = 4, TINY_IN = 3, TINY_WEIGHTS = TINY_OUT * TINY_IN * 9 };

static void tiny_weights(float *weights, int seed)
{
    uint32_t x = 2463534242u + (uint32_t)seed;
    for (int i = 0; i < TINY_WEIGHTS; i++) {
        x ^= x << 13, x ^= x >> 17, x ^= x << 5; // xorshift32
        weights[i] = (float)(x % 2001) / 1000.f - 1.f;
    }
}

static void tiny_varint(struct tiny_bytes *to, uint64_t value)
{
    for (; value > 127; value >>= 7) to->at[to->size++] = (uint8_t)(value | 128);
    to->at[to->size++] = (uint8_t)value;
}

static void tiny_number(struct tiny_bytes *to, int field, int64_t value)
{
    tiny_varint(to, (uint64_t)field << 3);
    tiny_varint(to, (uint64_t)value);
}

static void tiny_put(struct tiny_bytes *to, int field, const void *bytes, size_t size)
{
    tiny_varint(to, (uint64_t)field << 3 | 2);
    tiny_varint(to, size);
    memcpy(to->at + to->size, bytes, size);
    to->size += size;
}

static void tiny_text(struct tiny_bytes *to, int field, const char *text)
{
    tiny_put(to, field, text, strlen(text));
}

static void tiny_inside(struct tiny_bytes *to, int field, const struct tiny_bytes *part)
{
    tiny_put(to, field, part->at, part->size);
}

static struct tiny_bytes tiny_value(const char *name, int dtype, const int64_t *shape)
{
    struct tiny_bytes dims = {.size = 0}, tensor = {.size = 0}, type = {.size = 0},
                      value = {.size = 0};
    for (int i = 0; i < 4; i++) {
        struct tiny_bytes dim = {.size = 0};
        char letter[2] = {"NCHW"[i], 0};
        if (shape[i] >= 0) tiny_number(&dim, 1, shape[i]); // Dimension.dim_value
        else tiny_text(&dim, 2, letter);                   // Dimension.dim_param
        tiny_inside(&dims, 1, &dim);
    }
    tiny_number(&tensor, 1, dtype); // TypeProto.Tensor.elem_type
    tiny_inside(&tensor, 2, &dims);
    tiny_inside(&type, 1, &tensor);
    tiny_text(&value, 1, name);
    tiny_inside(&value, 2, &type);
    return value;
}

static struct tiny_bytes tiny_node(const char *op, const char *a, const char *b, const char *out)
{
    struct tiny_bytes node = {.size = 0};
    tiny_text(&node, 1, a);
    if (b) tiny_text(&node, 1, b);
    tiny_text(&node, 2, out);
    tiny_text(&node, 3, op);
    tiny_text(&node, 4, op);
    if (!b) return node;
    struct tiny_bytes pads = {.size = 0};
    tiny_text(&pads, 1, "pads");
    for (int i = 0; i < 4; i++) tiny_number(&pads, 8, 1);
    tiny_number(&pads, 20, 7); // AttributeProto.INTS
    tiny_inside(&node, 5, &pads);
    return node;
}

static struct tiny_bytes tiny_tensor(const struct tiny *model, int dtype)
{
    static const int64_t shape[] = {TINY_OUT, TINY_IN, 3, 3};
    struct tiny_bytes tensor = {.size = 0};
    float weights[TINY_WEIGHTS];
    double wide[TINY_WEIGHTS];
    tiny_weights(weights, model->seed);
    for (int i = 0; i < TINY_WEIGHTS; i++) {
        weights[i] *= model->scale != 0 ? model->scale : 1;
        wide[i] = weights[i];
    }
    for (int i = 0; i < 4; i++) tiny_number(&tensor, 1, shape[i]);
    tiny_number(&tensor, 2, dtype);
    tiny_text(&tensor, 8, "W");
    if (model->external) {
        struct tiny_bytes entry = {.size = 0};
        tiny_text(&entry, 1, "location");
        tiny_text(&entry, 2, model->external);
        tiny_inside(&tensor, 13, &entry);
        tiny_number(&tensor, 14, 1); // TensorProto.EXTERNAL
    } else if (dtype == 11) {        // TensorProto.DOUBLE
        tiny_put(&tensor, 9, wide, sizeof wide);
    } else {
        tiny_put(&tensor, 9, weights, sizeof weights);
    }
    return tensor;
}

/// The model as bytes of a file.
static inline struct tiny_bytes tiny_model(const struct tiny *model)
{
    const int dtype = model->dtype ? model->dtype : 1;
    const int64_t output[] = {model->input[0], TINY_OUT, model->input[2], model->input[3]};
    const struct tiny_bytes conv = tiny_node("Conv", "X", "W", "between"),
                            op = tiny_node(model->op ? model->op : "Sigmoid", "between", NULL, "Y"),
                            weights = tiny_tensor(model, dtype),
                            x = tiny_value("X", dtype, model->input),
                            y = tiny_value("Y", dtype, output);
    struct tiny_bytes graph = {.size = 0}, opset = {.size = 0}, file = {.size = 0};
    tiny_inside(&graph, 1, &conv);
    tiny_inside(&graph, 1, &op);
    tiny_text(&graph, 2, "tiny");
    tiny_inside(&graph, 5, &weights);
    tiny_inside(&graph, 11, &x);
    tiny_inside(&graph, 12, &y);
    tiny_number(&opset, 2, 13);
    tiny_number(&file, 1, 8); // ir_version
    tiny_inside(&file, 7, &graph);
    tiny_inside(&file, 8, &opset);
    return file;
}

#endif
