// SPDX-License-Identifier: Apache-2.0
// Shapes of operators that compute element by element, and of those that only move elements.
#include "ops.h"

#include <string.h>

int sac__operand(const struct sac_graph *graph, int node, int k, const char *name,
                 const int64_t **values_out, int *count_out)
{
    const struct sac_gtensor *t = sac__input(graph, node, k);
    *count_out = -1;
    if (!t) {
        if (name) *count_out = sac__attr_ints(&graph->nodes[node], name, values_out);
        return 0;
    }
    if (!t->i || t->ndim > 1)
        return sac__node_fail(graph, node, SAC_EUNSUPPORTED, "input %d (%s) depends on the picture",
                              k, t->name);
    *values_out = t->i;
    *count_out = (int)sac__tensor_count(t);
    return 0;
}

int sac__axis(const struct sac_graph *graph, int node, int64_t axis, int rank, int *axis_out)
{
    if (axis < -rank || axis >= rank)
        return sac__node_fail(graph, node, SAC_EMODEL, "axis %lld of %d", (long long)axis, rank);
    *axis_out = (int)(axis < 0 ? axis + rank : axis);
    return 0;
}

static int give(struct sac_graph *graph, int node, int k, int real, int ndim, const int64_t *shape)
{
    sac__output(graph, node, k)->real = real;
    return sac__tensor_shape(graph, graph->nodes[node].outputs[k], ndim, shape);
}

int sac__infer_same(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    struct sac_gnode *n = &graph->nodes[node];
    if (n->op == SAC__OP_LEAKY) n->alpha = sac__attr_float(n, "alpha", 0.01f);
    return give(graph, node, 0, x->real, x->ndim, x->shape);
}

int sac__infer_cast(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    int64_t to = sac__attr_int(&graph->nodes[node], "to", 1);
    int real = to == 1 || to == 10 || to == 11 || to == 16; // float, float16, double, bfloat16
    return give(graph, node, 0, real, x->ndim, x->shape);
}

/// NumPy's rule: axes are aligned at the end, and an extent of 1 repeats.
static int broadcast(const struct sac_graph *graph, int node, const int64_t *a, int a_rank,
                     const int64_t *b, int b_rank, int64_t *shape)
{
    int rank = a_rank > b_rank ? a_rank : b_rank;
    for (int axis = 0; axis < rank; axis++) {
        int64_t x = axis < rank - a_rank ? 1 : a[axis - rank + a_rank];
        int64_t y = axis < rank - b_rank ? 1 : b[axis - rank + b_rank];
        if (x != y && x != 1 && y != 1)
            return sac__node_fail(graph, node, SAC_EMODEL,
                                  "extents %lld and %lld do not go together", (long long)x,
                                  (long long)y);
        shape[axis] = x == 1 ? y : x;
    }
    return 0;
}

int sac__infer_binary(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *a = sac__input(graph, node, 0), *b = sac__input(graph, node, 1);
    int64_t shape[SAC__RANK];
    if (!b) return sac__node_fail(graph, node, SAC_EMODEL, "one input only");
    int truth = graph->nodes[node].op == SAC__OP_EQUAL || graph->nodes[node].op == SAC__OP_LESS;
    enum sac__op op = graph->nodes[node].op;
    if (a->real && (op == SAC__OP_MOD || op == SAC__OP_AND || op == SAC__OP_XOR))
        return sac__node_refuse(graph, node, "only whole numbers are supported");
    // Pow may have an integer exponent; all others take both inputs of one type.
    if (a->real != b->real && !(a->real && graph->nodes[node].op == SAC__OP_POW))
        return sac__node_fail(graph, node, SAC_EMODEL, "inputs of different types");
    int error = broadcast(graph, node, a->shape, a->ndim, b->shape, b->ndim, shape);
    return error ? error
                 : give(graph, node, 0, truth ? 0 : a->real, a->ndim > b->ndim ? a->ndim : b->ndim,
                        shape);
}

int sac__infer_where(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *c = sac__input(graph, node, 0), *a = sac__input(graph, node, 1),
                             *b = sac__input(graph, node, 2);
    int64_t both[SAC__RANK], shape[SAC__RANK];
    if (!a || !b || a->real != b->real || c->real)
        return sac__node_fail(graph, node, SAC_EMODEL, "wrong inputs");
    int rank = a->ndim > b->ndim ? a->ndim : b->ndim;
    int error = broadcast(graph, node, a->shape, a->ndim, b->shape, b->ndim, both);
    if (!error) error = broadcast(graph, node, both, rank, c->shape, c->ndim, shape);
    return error ? error : give(graph, node, 0, a->real, rank > c->ndim ? rank : c->ndim, shape);
}

int sac__infer_expand(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    const int64_t *to = NULL;
    int64_t shape[SAC__RANK];
    int count, error = sac__operand(graph, node, 1, NULL, &to, &count);
    if (error) return error;
    if (count < 0 || count > SAC__RANK) return sac__node_fail(graph, node, SAC_EMODEL, "no shape");
    error = broadcast(graph, node, x->shape, x->ndim, to, count, shape);
    return error ? error : give(graph, node, 0, x->real, x->ndim > count ? x->ndim : count, shape);
}

int sac__infer_constant(struct sac_graph *graph, int node)
{
    struct sac_gnode *n = &graph->nodes[node];
    const int64_t *ints;
    int tensor = n->outputs[0], count = sac__attr_ints(n, "value_ints", &ints);
    int64_t shape[1] = {count}, whole = sac__attr_int(n, "value_int", INT64_MIN);
    float real = sac__attr_float(n, "value_float", -1e30f);
    if (count < 0 && whole == INT64_MIN && real == -1e30f)
        return sac__attr_tensor(graph, node, "value", tensor);
    int error = give(graph, node, 0, count < 0 && whole == INT64_MIN, count >= 0, shape);
    if (!error) error = sac__tensor_fill(graph, tensor);
    if (error) return error;
    struct sac_gtensor *t = &graph->tensors[tensor];
    if (t->f)
        t->f[0] = real;
    else if (count < 0)
        t->i[0] = whole;
    else if (count)
        memcpy(t->i, ints, (size_t)count * sizeof *ints);
    return 0;
}

int sac__infer_fill(struct sac_graph *graph, int node)
{
    const int64_t *shape = NULL;
    int count, error = sac__operand(graph, node, 0, NULL, &shape, &count);
    if (error) return error;
    // The value's type is found by reading it; without one it is a float 0.
    int value = sac__tensor_add(graph, "value"), real = 1;
    if (value < 0) return sac__fail(SAC_ENOMEM, "out of memory for tensors");
    if (!sac__attr_tensor(graph, node, "value", value)) real = graph->tensors[value].real;
    sac__tensor_drop(graph, value);
    return give(graph, node, 0, real, count, shape);
}

int sac__infer_shape(struct sac_graph *graph, int node)
{
    int64_t rank = sac__input(graph, node, 0)->ndim;
    return give(graph, node, 0, 0, 1, &rank);
}

int sac__infer_range(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *start = sac__input(graph, node, 0), *end = sac__input(graph, node, 1),
                             *step = sac__input(graph, node, 2);
    if (!end || !step || !sac__tensor_count(start) || !sac__tensor_count(end) ||
        !sac__tensor_count(step) || start->real != end->real || start->real != step->real ||
        !(start->f || start->i) || !(end->f || end->i) || !(step->f || step->i))
        return sac__node_fail(graph, node, SAC_EUNSUPPORTED, "a range that is not constant");
    double from = start->f ? start->f[0] : (double)start->i[0];
    double to = end->f ? end->f[0] : (double)end->i[0];
    double by = step->f ? step->f[0] : (double)step->i[0];
    double steps = (to - from) / by;
    if (!(steps < 1e7)) return sac__node_fail(graph, node, SAC_EMODEL, "impossible range");
    int64_t count = steps > 0 ? (int64_t)steps : 0;
    count += steps > 0 && (double)count < steps;
    return give(graph, node, 0, start->real, 1, &count);
}

int sac__infer_concat(struct sac_graph *graph, int node)
{
    struct sac_gnode *n = &graph->nodes[node];
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    int64_t shape[SAC__RANK];
    int axis = 0, error = sac__axis(graph, node, sac__attr_int(n, "axis", 0), x->ndim, &axis);
    if (error) return error;
    memcpy(shape, x->shape, sizeof shape);
    for (int k = 1; k < n->input_count; k++) {
        const struct sac_gtensor *y = sac__input(graph, node, k);
        if (!y || y->ndim != x->ndim || y->real != x->real)
            return sac__node_fail(graph, node, SAC_EMODEL, "input %d differs in rank or type", k);
        for (int a = 0; a < x->ndim; a++)
            if (a != axis && y->shape[a] != x->shape[a])
                return sac__node_fail(graph, node, SAC_EMODEL, "input %d differs in axis %d", k, a);
        shape[axis] += y->shape[axis];
    }
    n->axis = axis;
    return give(graph, node, 0, x->real, x->ndim, shape);
}

int sac__infer_split(struct sac_graph *graph, int node)
{
    struct sac_gnode *n = &graph->nodes[node];
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    const int64_t *sizes = NULL;
    int64_t shape[SAC__RANK], total = 0;
    int axis = 0, count,
        error = sac__axis(graph, node, sac__attr_int(n, "axis", 0), x->ndim, &axis);
    if (!error) error = sac__operand(graph, node, 1, "split", &sizes, &count);
    if (error) return error;
    if (count >= 0 && count != n->output_count)
        return sac__node_fail(graph, node, SAC_EMODEL, "%d sizes for %d outputs", count,
                              n->output_count);
    memcpy(shape, x->shape, sizeof shape);
    int64_t even = (x->shape[axis] + n->output_count - 1) / n->output_count;
    for (int k = 0; !error && k < n->output_count; k++) {
        shape[axis] = count >= 0 ? sizes[k] : even;
        if (count < 0 && total + even > x->shape[axis]) shape[axis] = x->shape[axis] - total;
        if (shape[axis] < 0 || shape[axis] > x->shape[axis] - total) break;
        total += shape[axis];
        error = give(graph, node, k, x->real, x->ndim, shape);
    }
    n->axis = axis;
    if (!error && total != x->shape[axis])
        error = sac__node_fail(graph, node, SAC_EMODEL, "sizes do not add up to %lld",
                               (long long)x->shape[axis]);
    return error;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

int sac__slice_ranges(const struct sac_graph *graph, int node, int64_t start[SAC__RANK],
                      int64_t step[SAC__RANK], int64_t extent[SAC__RANK])
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    const int64_t *starts = NULL, *ends = NULL, *axes = NULL, *steps = NULL;
    int count, more, axis_count, step_count;
    int error = sac__operand(graph, node, 1, "starts", &starts, &count);
    if (!error) error = sac__operand(graph, node, 2, "ends", &ends, &more);
    if (!error) error = sac__operand(graph, node, 3, "axes", &axes, &axis_count);
    if (!error) error = sac__operand(graph, node, 4, NULL, &steps, &step_count);
    if (error) return error;
    if (count < 0 || count != more || (axis_count >= 0 && axis_count != count) ||
        (step_count >= 0 && step_count != count))
        return sac__node_fail(graph, node, SAC_EMODEL, "lists of different lengths");
    for (int axis = 0; axis < x->ndim; axis++) {
        start[axis] = 0;
        step[axis] = 1;
        extent[axis] = x->shape[axis];
    }
    for (int k = 0; k < count; k++) {
        int axis = 0;
        error = sac__axis(graph, node, axis_count >= 0 ? axes[k] : k, x->ndim, &axis);
        if (error) return error;
        int64_t size = x->shape[axis], by = step_count >= 0 ? steps[k] : 1;
        if (by < 1 || by > INT32_MAX)
            return sac__node_fail(graph, node, SAC_EUNSUPPORTED, "step %lld", (long long)by);
        int64_t from = clamp(starts[k] < 0 ? starts[k] + size : starts[k], 0, size);
        int64_t to = clamp(ends[k] < 0 ? ends[k] + size : ends[k], from, size);
        start[axis] = from;
        step[axis] = by;
        extent[axis] = (to - from + by - 1) / by;
    }
    return 0;
}

int sac__infer_slice(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    int64_t start[SAC__RANK], step[SAC__RANK], extent[SAC__RANK];
    int error = sac__slice_ranges(graph, node, start, step, extent);
    return error ? error : give(graph, node, 0, x->real, x->ndim, extent);
}

int sac__infer_gather(struct sac_graph *graph, int node)
{
    struct sac_gnode *n = &graph->nodes[node];
    const struct sac_gtensor *x = sac__input(graph, node, 0), *index = sac__input(graph, node, 1);
    int64_t shape[SAC__RANK];
    int axis = 0, rank = 0,
        error = sac__axis(graph, node, sac__attr_int(n, "axis", 0), x->ndim, &axis);
    if (error) return error;
    if (!index || index->real || x->ndim - 1 + index->ndim > SAC__RANK)
        return sac__node_fail(graph, node, SAC_EMODEL, "wrong indices");
    for (int a = 0; a < axis; a++)
        shape[rank++] = x->shape[a];
    for (int a = 0; a < index->ndim; a++)
        shape[rank++] = index->shape[a];
    for (int a = axis + 1; a < x->ndim; a++)
        shape[rank++] = x->shape[a];
    n->axis = axis;
    return give(graph, node, 0, x->real, rank, shape);
}

int sac__infer_transpose(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    const int64_t *order = NULL;
    int64_t shape[SAC__RANK];
    int count = sac__attr_ints(&graph->nodes[node], "perm", &order), seen = 0;
    if (count >= 0 && count != x->ndim)
        return sac__node_fail(graph, node, SAC_EMODEL, "%d axes for rank %d", count, x->ndim);
    for (int axis = 0; axis < x->ndim; axis++) {
        int64_t from = count >= 0 ? order[axis] : x->ndim - 1 - axis;
        if (from < 0 || from >= x->ndim || seen >> from & 1)
            return sac__node_fail(graph, node, SAC_EMODEL, "perm is no permutation");
        seen |= 1 << from;
        shape[axis] = x->shape[from];
    }
    return give(graph, node, 0, x->real, x->ndim, shape);
}
