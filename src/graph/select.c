// SPDX-License-Identifier: Apache-2.0
// Operators of end-to-end tails: the largest along an axis, the best k, elements by index,
// repetition.
#include "ops.h"

#include <stdlib.h>
#include <string.h>

static int give(struct sac_graph *graph, int node, int output, int real, int ndim,
                const int64_t *shape)
{
    sac__output(graph, node, output)->real = real;
    return sac__tensor_shape(graph, graph->nodes[node].outputs[output], ndim, shape);
}

/// Extents before, at and behind an axis.
static void around(const struct sac_gtensor *t, int64_t axis, int64_t sizes[3])
{
    sizes[0] = sizes[2] = 1;
    sizes[1] = t->shape[axis];
    for (int a = 0; a < t->ndim; a++)
        if (a != axis) sizes[a < axis ? 0 : 2] *= t->shape[a];
}

int sac__infer_reduce(struct sac_graph *graph, int node)
{
    struct sac_gnode *n = &graph->nodes[node];
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    const int64_t *axes = NULL;
    int64_t shape[SAC__RANK];
    int count, axis = 0, rank = 0, keep = (int)sac__attr_int(n, "keepdims", 1);
    int error = sac__operand(graph, node, 1, "axes", &axes, &count);
    if (error) return error;
    if (count != 1) return sac__node_refuse(graph, node, "only one axis is supported");
    error = sac__axis(graph, node, axes[0], x->ndim, &axis);
    if (error) return error;
    for (int a = 0; a < x->ndim; a++)
        if (a != axis || keep) shape[rank++] = a == axis ? 1 : x->shape[a];
    n->axis = axis;
    if (!x->shape[axis]) return sac__node_fail(graph, node, SAC_EMODEL, "nothing to compare");
    return give(graph, node, 0, x->real, rank, shape);
}

int sac__eval_reduce(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    struct sac_gtensor *y = sac__output(graph, node, 0);
    int64_t sizes[3];
    around(x, graph->nodes[node].axis, sizes);
    for (int64_t k = 0; k < sizes[0] * sizes[2]; k++) {
        int64_t at = k / sizes[2] * sizes[1] * sizes[2] + k % sizes[2], best = at;
        for (int64_t i = 1; i < sizes[1]; i++) {
            int64_t other = at + i * sizes[2];
            if (x->f ? x->f[other] > x->f[best] : x->i[other] > x->i[best]) best = other;
        }
        sac__copy_value(y, k, x, best);
    }
    return 0;
}

int sac__infer_topk(struct sac_graph *graph, int node)
{
    struct sac_gnode *n = &graph->nodes[node];
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    const int64_t *most = NULL;
    int64_t shape[SAC__RANK];
    int count, axis = 0, error = sac__operand(graph, node, 1, NULL, &most, &count);
    if (!error) error = sac__axis(graph, node, sac__attr_int(n, "axis", -1), x->ndim, &axis);
    if (error) return error;
    if (count != 1 || !x->real || n->output_count != 2 || !sac__attr_int(n, "largest", 1) ||
        !sac__attr_int(n, "sorted", 1))
        return sac__node_refuse(graph, node, "this form is not supported");
    memcpy(shape, x->shape, sizeof shape);
    if (most[0] < 0 || most[0] > shape[axis])
        return sac__node_fail(graph, node, SAC_EMODEL, "the best %lld of %lld", (long long)most[0],
                              (long long)shape[axis]);
    shape[axis] = most[0];
    n->axis = axis;
    error = give(graph, node, 0, 1, x->ndim, shape);
    return error ? error : give(graph, node, 1, 0, x->ndim, shape);
}

struct ranked {
    float value;
    int64_t index;
};

/// Larger first; of equal ones the first.
static int better(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->value != y->value) return x->value > y->value ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

int sac__eval_topk(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    struct sac_gtensor *values = sac__output(graph, node, 0), *places = sac__output(graph, node, 1);
    int64_t sizes[3], most = values->shape[graph->nodes[node].axis];
    around(x, graph->nodes[node].axis, sizes);
    struct ranked *line = malloc((size_t)(sizes[1] + 1) * sizeof *line);
    if (!line)
        return sac__fail(SAC_ENOMEM, "out of memory for the best of %lld", (long long)sizes[1]);
    for (int64_t k = 0; k < sizes[0] * sizes[2]; k++) {
        int64_t from = k / sizes[2] * sizes[1] * sizes[2] + k % sizes[2];
        int64_t to = k / sizes[2] * most * sizes[2] + k % sizes[2];
        for (int64_t i = 0; i < sizes[1]; i++)
            line[i] = (struct ranked){x->f[from + i * sizes[2]], i};
        qsort(line, (size_t)sizes[1], sizeof *line, better);
        for (int64_t i = 0; i < most; i++) {
            values->f[to + i * sizes[2]] = line[i].value;
            places->i[to + i * sizes[2]] = line[i].index;
        }
    }
    free(line);
    return 0;
}

int sac__infer_pick(struct sac_graph *graph, int node)
{
    struct sac_gnode *n = &graph->nodes[node];
    const struct sac_gtensor *x = sac__input(graph, node, 0), *index = sac__input(graph, node, 1);
    int axis = 0, error = sac__axis(graph, node, sac__attr_int(n, "axis", 0), x->ndim, &axis);
    if (error) return error;
    int fits = index && !index->real && index->ndim == x->ndim;
    for (int a = 0; fits && a < x->ndim; a++)
        fits = a == axis || index->shape[a] <= x->shape[a];
    if (!fits) return sac__node_fail(graph, node, SAC_EMODEL, "wrong indices");
    n->axis = axis;
    return give(graph, node, 0, x->real, index->ndim, index->shape);
}

int sac__eval_pick(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0), *index = sac__input(graph, node, 1);
    struct sac_gtensor *y = sac__output(graph, node, 0);
    int64_t axis = graph->nodes[node].axis;
    for (int64_t k = 0, count = sac__tensor_count(y); k < count; k++) {
        int64_t rest = k, at = 0, step = 1, i = index->i[k];
        if (i < 0) i += x->shape[axis];
        if (i < 0 || i >= x->shape[axis])
            return sac__node_fail(graph, node, SAC_EMODEL, "index %lld of %lld",
                                  (long long)index->i[k], (long long)x->shape[axis]);
        for (int a = x->ndim - 1; a >= 0; a--) {
            at += step * (a == axis ? i : rest % y->shape[a]);
            rest /= y->shape[a];
            step *= x->shape[a];
        }
        sac__copy_value(y, k, x, at);
    }
    return 0;
}

int sac__infer_tile(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    const int64_t *times = NULL;
    int64_t shape[SAC__RANK];
    int count, error = sac__operand(graph, node, 1, NULL, &times, &count);
    if (error) return error;
    for (int a = 0; a < x->ndim; a++) {
        if (count != x->ndim || times[a] < 0 || (x->shape[a] && times[a] > INT32_MAX / x->shape[a]))
            return sac__node_fail(graph, node, SAC_EMODEL, "wrong repetitions");
        shape[a] = x->shape[a] * times[a];
    }
    return give(graph, node, 0, x->real, x->ndim, shape);
}

int sac__eval_tile(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    struct sac_gtensor *y = sac__output(graph, node, 0);
    for (int64_t k = 0, count = sac__tensor_count(y); k < count; k++) {
        int64_t rest = k, at = 0, step = 1;
        for (int a = x->ndim - 1; a >= 0; a--) {
            at += step * (rest % y->shape[a] % x->shape[a]);
            rest /= y->shape[a];
            step *= x->shape[a];
        }
        sac__copy_value(y, k, x, at);
    }
    return 0;
}
