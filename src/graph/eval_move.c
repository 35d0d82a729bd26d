// SPDX-License-Identifier: Apache-2.0
// Values of operators that move elements without changing them.
#include "ops.h"

#include <string.h>

/// y, element by element in order, from x at `base` with `steps` along the axes of y.
static void gather_strided(struct sac_gtensor *y, const struct sac_gtensor *x, int64_t base,
                           const int64_t steps[SAC__RANK])
{
    int64_t index[SAC__RANK] = {0}, at = base;
    for (int64_t k = 0, count = sac__tensor_count(y); k < count; k++) {
        sac__copy_value(y, k, x, at);
        for (int axis = y->ndim - 1; axis >= 0; axis--) {
            at += steps[axis];
            if (++index[axis] < y->shape[axis]) break;
            at -= steps[axis] * y->shape[axis];
            index[axis] = 0;
        }
    }
}

static void own_steps(const struct sac_gtensor *x, int64_t steps[SAC__RANK])
{
    int64_t step = 1;
    for (int axis = x->ndim - 1; axis >= 0; axis--) {
        steps[axis] = step;
        step *= x->shape[axis];
    }
}

int sac__eval_copy(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    struct sac_gtensor *y = sac__output(graph, node, 0);
    size_t count = (size_t)sac__tensor_count(y);
    if (y->f)
        memcpy(y->f, x->f, count * sizeof *y->f);
    else
        memcpy(y->i, x->i, count * sizeof *y->i);
    return 0;
}

int sac__eval_fill(struct sac_graph *graph, int node)
{
    int value = sac__tensor_add(graph, "value");
    if (value < 0) return sac__fail(SAC_ENOMEM, "out of memory for tensors");
    int given = !sac__attr_tensor(graph, node, "value", value);
    struct sac_gtensor *y = sac__output(graph, node, 0), *v = &graph->tensors[value];
    int64_t usable = given && sac__tensor_count(v) > 0, count = sac__tensor_count(y);
    for (int64_t k = 0; usable && k < count; k++) // otherwise zeros, as it is
        sac__copy_value(y, k, v, 0);
    sac__tensor_drop(graph, value);
    return 0;
}

int sac__eval_shape(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    memcpy(sac__output(graph, node, 0)->i, x->shape, (size_t)x->ndim * sizeof *x->shape);
    return 0;
}

/// Copies between a whole tensor and a part of it along an axis; `begin` is the part's first index.
static void copy_part(struct sac_gtensor *whole, struct sac_gtensor *part, int64_t axis,
                      int64_t begin, int into_whole)
{
    size_t size = whole->f ? sizeof *whole->f : sizeof *whole->i, inner = size;
    int64_t outer = 1;
    for (int a = 0; a < axis; a++)
        outer *= whole->shape[a];
    for (int a = (int)axis + 1; a < whole->ndim; a++)
        inner *= (size_t)whole->shape[a];
    char *large = whole->f ? (char *)whole->f : (char *)whole->i;
    char *small = part->f ? (char *)part->f : (char *)part->i;
    size_t run = inner * (size_t)part->shape[axis], jump = inner * (size_t)whole->shape[axis];
    for (int64_t o = 0; o < outer; o++) {
        char *in_large = large + (size_t)o * jump + (size_t)begin * inner;
        if (into_whole)
            memcpy(in_large, small + (size_t)o * run, run);
        else
            memcpy(small + (size_t)o * run, in_large, run);
    }
}

int sac__eval_concat(struct sac_graph *graph, int node)
{
    const struct sac_gnode *n = &graph->nodes[node];
    int64_t begin = 0;
    for (int k = 0; k < n->input_count; k++) {
        struct sac_gtensor *x = sac__input(graph, node, k);
        copy_part(sac__output(graph, node, 0), x, n->axis, begin, 1);
        begin += x->shape[n->axis];
    }
    return 0;
}

int sac__eval_split(struct sac_graph *graph, int node)
{
    const struct sac_gnode *n = &graph->nodes[node];
    int64_t begin = 0;
    for (int k = 0; k < n->output_count; k++) {
        struct sac_gtensor *y = sac__output(graph, node, k);
        copy_part(sac__input(graph, node, 0), y, n->axis, begin, 0);
        begin += y->shape[n->axis];
    }
    return 0;
}

int sac__eval_slice(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    int64_t start[SAC__RANK], step[SAC__RANK], extent[SAC__RANK], steps[SAC__RANK], base = 0;
    int error = sac__slice_ranges(graph, node, start, step, extent);
    if (error) return error;
    own_steps(x, steps);
    for (int axis = 0; axis < x->ndim; axis++) {
        base += start[axis] * steps[axis];
        steps[axis] *= step[axis];
    }
    gather_strided(sac__output(graph, node, 0), x, base, steps);
    return 0;
}

int sac__eval_transpose(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    const int64_t *order = NULL;
    int64_t steps[SAC__RANK], turned[SAC__RANK];
    int count = sac__attr_ints(&graph->nodes[node], "perm", &order);
    own_steps(x, steps);
    for (int axis = 0; axis < x->ndim; axis++)
        turned[axis] = steps[count >= 0 ? order[axis] : x->ndim - 1 - axis];
    gather_strided(sac__output(graph, node, 0), x, 0, turned);
    return 0;
}

int sac__eval_expand(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    struct sac_gtensor *y = sac__output(graph, node, 0);
    int64_t steps[SAC__RANK], repeated[SAC__RANK];
    own_steps(x, steps);
    for (int axis = 0; axis < y->ndim; axis++) {
        int own = axis - (y->ndim - x->ndim);
        repeated[axis] = own >= 0 && x->shape[own] != 1 ? steps[own] : 0;
    }
    gather_strided(y, x, 0, repeated);
    return 0;
}

int sac__eval_gather(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0), *index = sac__input(graph, node, 1);
    struct sac_gtensor *y = sac__output(graph, node, 0);
    int64_t axis = graph->nodes[node].axis, inner = 1, outer = 1, extent = x->shape[axis], to = 0;
    for (int a = 0; a < axis; a++)
        outer *= x->shape[a];
    for (int a = (int)axis + 1; a < x->ndim; a++)
        inner *= x->shape[a];
    int64_t count = sac__tensor_count(index);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < count; k++) {
            int64_t i = index->i[k] < 0 ? index->i[k] + extent : index->i[k];
            if (i < 0 || i >= extent)
                return sac__node_fail(graph, node, SAC_EMODEL, "index %lld of %lld",
                                      (long long)index->i[k], (long long)extent);
            for (int64_t p = 0; p < inner; p++, to++)
                sac__copy_value(y, to, x, (o * extent + i) * inner + p);
        }
    return 0;
}
