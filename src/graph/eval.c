// SPDX-License-Identifier: Apache-2.0
// Values of operators that compute: for constants, and for the decode tail on made-up input.
#include "ops.h"

#include <math.h>
#include <string.h>

float sac__sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

static float unary(enum sac__op op, float x, float alpha)
{
    switch (op) {
    case SAC__OP_SIGMOID:
        return sac__sigmoid(x);
    case SAC__OP_SILU:
        return x * sac__sigmoid(x);
    case SAC__OP_RELU:
        return x > 0 ? x : 0;
    case SAC__OP_LEAKY:
        return x > 0 ? x : alpha * x;
    case SAC__OP_EXP:
        return expf(x);
    case SAC__OP_SQRT:
        return sqrtf(x);
    case SAC__OP_FLOOR:
        return floorf(x);
    case SAC__OP_NEG:
        return -x;
    default:
        return x;
    }
}

int sac__eval_unary(struct sac_graph *graph, int node)
{
    const struct sac_gnode *n = &graph->nodes[node];
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    struct sac_gtensor *y = sac__output(graph, node, 0);
    int64_t count = sac__tensor_count(y);
    if (x->f) {
        for (int64_t k = 0; k < count; k++)
            y->f[k] = unary(n->op, x->f[k], n->alpha);
        return 0;
    }
    if (n->op != SAC__OP_IDENTITY && n->op != SAC__OP_NEG)
        return sac__node_fail(graph, node, SAC_EMODEL, "integers");
    for (int64_t k = 0; k < count; k++)
        y->i[k] = n->op == SAC__OP_NEG ? (int64_t)(0 - (uint64_t)x->i[k]) : x->i[k];
    return 0;
}

int sac__eval_cast(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    struct sac_gtensor *y = sac__output(graph, node, 0);
    int to_bool = sac__attr_int(&graph->nodes[node], "to", 1) == 9;
    for (int64_t k = 0, count = sac__tensor_count(y); k < count; k++) {
        if (y->f)
            y->f[k] = x->f ? x->f[k] : (float)x->i[k];
        else if (x->f)
            y->i[k] = fabsf(x->f[k]) < 9e18f ? (int64_t)x->f[k] : 0;
        else
            y->i[k] = x->i[k];
        if (to_bool && y->i) y->i[k] = x->f ? x->f[k] != 0 : x->i[k] != 0;
    }
    return 0;
}

static float binary_real(enum sac__op op, float a, float b)
{
    switch (op) {
    case SAC__OP_ADD:
        return a + b;
    case SAC__OP_SUB:
        return a - b;
    case SAC__OP_MUL:
        return a * b;
    case SAC__OP_DIV:
        return a / b;
    default:
        return b == 2.0f ? a * a : powf(a, b);
    }
}

/// Integers wrap, as in the runtimes; a division by zero gives zero.
static int64_t binary_whole(enum sac__op op, int64_t a, int64_t b)
{
    switch (op) {
    case SAC__OP_ADD:
        return (int64_t)((uint64_t)a + (uint64_t)b);
    case SAC__OP_SUB:
        return (int64_t)((uint64_t)a - (uint64_t)b);
    case SAC__OP_MUL:
        return (int64_t)((uint64_t)a * (uint64_t)b);
    case SAC__OP_DIV:
        return b == 0 || b == -1 ? (int64_t)(b ? 0 - (uint64_t)a : 0) : a / b;
    case SAC__OP_EQUAL:
        return a == b;
    case SAC__OP_LESS:
        return a < b;
    case SAC__OP_MOD: // the sign of the divisor
        return b == 0 || b == -1 ? 0 : a % b + (a % b && (a % b < 0) != (b < 0) ? b : 0);
    case SAC__OP_AND:
        return a && b;
    case SAC__OP_XOR:
        return !a != !b;
    default:
        return (int64_t)fmax(fmin(pow((double)a, (double)b), 9e18), -9e18);
    }
}

/// Element steps with which an operand is read along the axes of a result of `rank`; 0 where its
/// extent of 1 repeats.
static void repeat_steps(const struct sac_gtensor *t, int rank, int64_t steps[SAC__RANK])
{
    int64_t step = 1;
    for (int axis = rank - 1; axis >= 0; axis--) {
        int own = axis - (rank - t->ndim);
        steps[axis] = own >= 0 && t->shape[own] != 1 ? step : 0;
        if (own >= 0) step *= t->shape[own];
    }
}

/// Counts an index of `rank` axes up by one and moves the operands' positions with it.
static void advance(const int64_t *shape, int rank, int64_t index[SAC__RANK], int operands,
                    int64_t steps[][SAC__RANK], int64_t *position)
{
    for (int axis = rank - 1; axis >= 0; axis--) {
        for (int o = 0; o < operands; o++)
            position[o] += steps[o][axis];
        if (++index[axis] < shape[axis]) return;
        for (int o = 0; o < operands; o++)
            position[o] -= steps[o][axis] * shape[axis];
        index[axis] = 0;
    }
}

int sac__eval_binary(struct sac_graph *graph, int node)
{
    enum sac__op op = graph->nodes[node].op;
    const struct sac_gtensor *a = sac__input(graph, node, 0), *b = sac__input(graph, node, 1);
    struct sac_gtensor *y = sac__output(graph, node, 0);
    int64_t steps[2][SAC__RANK], index[SAC__RANK] = {0}, at[2] = {0, 0};
    repeat_steps(a, y->ndim, steps[0]);
    repeat_steps(b, y->ndim, steps[1]);
    for (int64_t k = 0, count = sac__tensor_count(y); k < count; k++) {
        if (y->i && a->f)
            y->i[k] = op == SAC__OP_EQUAL ? a->f[at[0]] == b->f[at[1]] : a->f[at[0]] < b->f[at[1]];
        else if (a->i)
            y->i[k] = binary_whole(op, a->i[at[0]], b->i ? b->i[at[1]] : (int64_t)b->f[at[1]]);
        else
            y->f[k] = binary_real(op, a->f[at[0]], b->f ? b->f[at[1]] : (float)b->i[at[1]]);
        advance(y->shape, y->ndim, index, 2, steps, at);
    }
    return 0;
}

int sac__eval_where(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *in[3];
    struct sac_gtensor *y = sac__output(graph, node, 0);
    int64_t steps[3][SAC__RANK], index[SAC__RANK] = {0}, at[3] = {0, 0, 0};
    for (int k = 0; k < 3; k++) {
        in[k] = sac__input(graph, node, k);
        repeat_steps(in[k], y->ndim, steps[k]);
    }
    for (int64_t k = 0, count = sac__tensor_count(y); k < count; k++) {
        int from = in[0]->i[at[0]] ? 1 : 2;
        sac__copy_value(y, k, in[from], at[from]);
        advance(y->shape, y->ndim, index, 3, steps, at);
    }
    return 0;
}

int sac__eval_range(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *from = sac__input(graph, node, 0), *by = sac__input(graph, node, 2);
    struct sac_gtensor *y = sac__output(graph, node, 0);
    for (int64_t k = 0, count = sac__tensor_count(y); k < count; k++) {
        if (y->f)
            y->f[k] = from->f[0] + (float)k * by->f[0];
        else
            y->i[k] = (int64_t)((uint64_t)from->i[0] + (uint64_t)k * (uint64_t)by->i[0]);
    }
    return 0;
}

static void softmax(float *y, const float *x, int64_t count, int64_t step)
{
    float most = -INFINITY, sum = 0;
    for (int64_t k = 0; k < count; k++)
        most = fmaxf(most, x[k * step]);
    for (int64_t k = 0; k < count; k++)
        sum += y[k * step] = expf(x[k * step] - most);
    for (int64_t k = 0; k < count; k++)
        y[k * step] /= sum;
}

int sac__eval_softmax(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    struct sac_gtensor *y = sac__output(graph, node, 0);
    int64_t axis = graph->nodes[node].axis, extent = x->shape[axis], inner = 1;
    for (int a = (int)axis + 1; a < x->ndim; a++)
        inner *= x->shape[a];
    for (int64_t k = 0, count = sac__tensor_count(x); k < count; k += extent * inner)
        for (int64_t i = 0; i < inner; i++)
            softmax(y->f + k + i, x->f + k + i, extent, inner);
    return 0;
}

/// Only what decode tails contain: 1×1, stride 1, one group (the mean of a distribution).
int sac__eval_conv(struct sac_graph *graph, int node)
{
    const struct sac_window *w = &graph->nodes[node].window;
    const struct sac_gtensor *x = sac__input(graph, node, 0), *weight = sac__input(graph, node, 1),
                             *bias = sac__input(graph, node, 2);
    struct sac_gtensor *y = sac__output(graph, node, 0);
    int64_t in = x->shape[1], out = y->shape[1], area = x->shape[2] * x->shape[3];
    int plain = w->kernel[0] * w->kernel[1] * w->stride[0] * w->stride[1] * w->groups == 1 &&
                !(w->pad[0] | w->pad[1] | w->pad[2] | w->pad[3]);
    if (!plain) return sac__eval_never(graph, node);
    for (int64_t nk = 0; nk < x->shape[0] * out; nk++) {
        const float *from = x->f + nk / out * in * area, *row = weight->f + nk % out * in;
        float *to = y->f + nk * area;
        for (int64_t p = 0; p < area; p++)
            to[p] = bias ? bias->f[nk % out] : 0;
        for (int64_t c = 0; c < in; c++)
            for (int64_t p = 0; p < area; p++)
                to[p] += row[c] * from[c * area + p];
    }
    return 0;
}
