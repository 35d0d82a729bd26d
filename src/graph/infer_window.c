// SPDX-License-Identifier: Apache-2.0
// Shapes of operators that change the rank, slide a window or multiply matrices.
#include "ops.h"

#include <math.h>
#include <string.h>

static int give(struct sac_graph *graph, int node, int ndim, const int64_t *shape)
{
    sac__output(graph, node, 0)->real = sac__input(graph, node, 0)->real;
    return sac__tensor_shape(graph, graph->nodes[node].outputs[0], ndim, shape);
}

int sac__infer_reshape(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    const int64_t *to = NULL;
    int64_t shape[SAC__RANK], known = 1, count = sac__tensor_count(x);
    int rank, open = -1, error = sac__operand(graph, node, 1, "shape", &to, &rank);
    if (error) return error;
    if (rank < 0 || rank > SAC__RANK) return sac__node_fail(graph, node, SAC_EMODEL, "no shape");
    int keep_zero = (int)sac__attr_int(&graph->nodes[node], "allowzero", 0);
    for (int axis = 0; axis < rank; axis++) {
        shape[axis] = to[axis] || keep_zero ? to[axis] : axis < x->ndim ? x->shape[axis] : -2;
        if (shape[axis] == -1 && open < 0) {
            open = axis;
            continue;
        }
        if (shape[axis] < 0 || (shape[axis] && known > INT32_MAX / shape[axis]))
            return sac__node_fail(graph, node, SAC_EMODEL, "impossible shape");
        known *= shape[axis];
    }
    if (open >= 0) shape[open] = known ? count / known : 0;
    if ((open >= 0 ? known * shape[open] : known) != count)
        return sac__node_fail(graph, node, SAC_EMODEL, "%lld elements do not fit the shape",
                              (long long)count);
    return give(graph, node, rank, shape);
}

int sac__infer_flatten(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    int64_t shape[2] = {1, 1}, axis = sac__attr_int(&graph->nodes[node], "axis", 1);
    if (axis < 0) axis += x->ndim;
    if (axis < 0 || axis > x->ndim) return sac__node_fail(graph, node, SAC_EMODEL, "wrong axis");
    for (int a = 0; a < x->ndim; a++)
        shape[a >= axis] *= x->shape[a];
    return give(graph, node, 2, shape);
}

/// Axes in a list as bits, for a tensor of `rank`.
static int axis_bits(const struct sac_graph *graph, int node, int rank, unsigned *bits_out)
{
    const int64_t *axes = NULL;
    int count, axis, error = sac__operand(graph, node, 1, "axes", &axes, &count);
    *bits_out = 0;
    for (int k = 0; !error && k < count; k++) {
        error = sac__axis(graph, node, axes[k], rank, &axis);
        if (!error && *bits_out >> axis & 1)
            error = sac__node_fail(graph, node, SAC_EMODEL, "axis %d twice", axis);
        if (!error) *bits_out |= 1u << axis;
    }
    return error;
}

int sac__infer_squeeze(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    int64_t shape[SAC__RANK];
    unsigned bits;
    int rank = 0, error = axis_bits(graph, node, x->ndim, &bits);
    if (error) return error;
    for (int axis = 0; axis < x->ndim; axis++) {
        int drop = bits ? bits >> axis & 1 : x->shape[axis] == 1;
        if (drop && x->shape[axis] != 1)
            return sac__node_fail(graph, node, SAC_EMODEL, "axis %d has not extent 1", axis);
        if (!drop) shape[rank++] = x->shape[axis];
    }
    return give(graph, node, rank, shape);
}

int sac__infer_unsqueeze(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    const int64_t *axes = NULL;
    int64_t shape[SAC__RANK];
    unsigned bits;
    int count, from = 0, error = sac__operand(graph, node, 1, "axes", &axes, &count);
    if (error) return error;
    if (count < 0 || x->ndim + count > SAC__RANK)
        return sac__node_fail(graph, node, SAC_EMODEL, "wrong axes");
    error = axis_bits(graph, node, x->ndim + count, &bits);
    if (error) return error;
    for (int axis = 0; axis < x->ndim + count; axis++)
        shape[axis] = bits >> axis & 1 ? 1 : x->shape[from++];
    return give(graph, node, x->ndim + count, shape);
}

int sac__infer_softmax(struct sac_graph *graph, int node)
{
    struct sac_gnode *n = &graph->nodes[node];
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    int64_t absent = graph->opset < 13 ? 1 : -1;
    int axis = 0, error = sac__axis(graph, node, sac__attr_int(n, "axis", absent), x->ndim, &axis);
    if (error) return error;
    if (graph->opset < 13 && axis != x->ndim - 1) // there it flattens all axes from this one on
        return sac__node_refuse(graph, node, "before opset 13 only the last axis is supported");
    if (!x->real) return sac__node_fail(graph, node, SAC_EMODEL, "integers");
    n->axis = axis;
    return give(graph, node, x->ndim, x->shape);
}

static int read_pair(const struct sac_gnode *node, const char *name, int64_t absent,
                     int64_t pair[2])
{
    const int64_t *values = NULL;
    int count = sac__attr_ints(node, name, &values);
    pair[0] = count == 2 ? values[0] : absent;
    pair[1] = count == 2 ? values[1] : absent;
    return (count == 2 || count < 0) && pair[0] > 0 && pair[1] > 0 && pair[0] < 1024 &&
           pair[1] < 1024;
}

static int read_window(struct sac_graph *graph, int node, const int64_t kernel[2])
{
    struct sac_gnode *n = &graph->nodes[node];
    struct sac_window *w = &n->window;
    const int64_t *pads = NULL;
    const char *automatic = sac__attr_text(n, "auto_pad", "NOTSET");
    int ok = read_pair(n, "kernel_shape", kernel ? kernel[0] : 0, w->kernel) &&
             read_pair(n, "strides", 1, w->stride) && read_pair(n, "dilations", 1, w->dilation);
    if (ok && kernel) ok = w->kernel[0] == kernel[0] && w->kernel[1] == kernel[1];
    int count = sac__attr_ints(n, "pads", &pads);
    for (int k = 0; ok && k < 4; k++) {
        w->pad[k] = count == 4 ? pads[k] : 0;
        ok = (count == 4 || count < 0) && w->pad[k] >= 0 && w->pad[k] < 1024;
    }
    if (!ok) return sac__node_fail(graph, node, SAC_EMODEL, "wrong kernel, stride or padding");
    if (strcmp(automatic, "NOTSET") && strcmp(automatic, "VALID"))
        return sac__node_refuse(graph, node, "auto_pad is not supported");
    return 0;
}

static int slide(struct sac_graph *graph, int node, int64_t channels)
{
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    const struct sac_window *w = &graph->nodes[node].window;
    int64_t shape[4] = {x->shape[0], channels, 0, 0};
    for (int a = 0; a < 2; a++) {
        int64_t room =
            x->shape[2 + a] + w->pad[a] + w->pad[2 + a] - (w->dilation[a] * (w->kernel[a] - 1) + 1);
        if (room < 0)
            return sac__node_fail(graph, node, SAC_EMODEL,
                                  "the picture is smaller than the kernel");
        shape[2 + a] = room / w->stride[a] + 1;
    }
    return give(graph, node, 4, shape);
}

int sac__infer_conv(struct sac_graph *graph, int node)
{
    struct sac_gnode *n = &graph->nodes[node];
    const struct sac_gtensor *x = sac__input(graph, node, 0), *w = sac__input(graph, node, 1),
                             *b = sac__input(graph, node, 2);
    int64_t groups = n->window.groups = sac__attr_int(n, "group", 1);
    if (!w || x->ndim != 4 || w->ndim != 4 || !x->real || !w->real || (b && !b->real))
        return sac__node_refuse(graph, node, "only two-dimensional convolution is supported");
    if (groups < 1 || groups > w->shape[0] || w->shape[0] % groups ||
        x->shape[1] != w->shape[1] * groups || (b && (b->ndim != 1 || b->shape[0] != w->shape[0])))
        return sac__node_fail(graph, node, SAC_EMODEL, "%lld channels do not fit the weights",
                              (long long)x->shape[1]);
    int error = read_window(graph, node, w->shape + 2);
    return error ? error : slide(graph, node, w->shape[0]);
}

int sac__infer_pool(struct sac_graph *graph, int node)
{
    const struct sac_gnode *n = &graph->nodes[node];
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    if (x->ndim != 4 || !x->real || n->output_count != 1)
        return sac__node_refuse(graph, node, "only two-dimensional pooling is supported");
    if (sac__attr_int(n, "ceil_mode", 0))
        return sac__node_refuse(graph, node, "ceil_mode is not supported");
    int error = read_window(graph, node, NULL);
    return error ? error : slide(graph, node, x->shape[1]);
}

/// Whether output pixel p shows input pixel p/2, for all p: nearest, twice the size.
static int doubles(const struct sac_gnode *node, int upsample, int64_t opset)
{
    const char *rounding = sac__attr_text(node, "nearest_mode", "round_prefer_floor");
    const char *place = sac__attr_text(node, "coordinate_transformation_mode", "half_pixel");
    if (strcmp(sac__attr_text(node, "mode", "nearest"), "nearest")) return 0;
    if (upsample || opset < 11) return 1; // defined as asymmetric and floor
    if (!strcmp(place, "asymmetric"))     // p/2: 0, 0.5, 1, 1.5, …
        return !strcmp(rounding, "floor") || !strcmp(rounding, "round_prefer_floor");
    if (!strcmp(place, "half_pixel") ||
        !strcmp(place, "pytorch_half_pixel")) // -0.25, 0.25, 0.75, …
        return !strncmp(rounding, "round_prefer", 12);
    return 0;
}

static int resize_target(struct sac_graph *graph, int node, int64_t shape[4])
{
    const struct sac_gnode *n = &graph->nodes[node];
    int old = n->op == SAC__OP_UPSAMPLE || graph->opset < 11;
    const struct sac_gtensor *x = sac__input(graph, node, 0),
                             *scales = sac__input(graph, node, old ? 1 : 2),
                             *sizes = old ? NULL : sac__input(graph, node, 3);
    for (int axis = 0; axis < 4; axis++) {
        double size = -1;
        if (sizes && sizes->i && sac__tensor_count(sizes) == 4)
            size = (double)sizes->i[axis];
        else if (scales && scales->f && sac__tensor_count(scales) == 4)
            size = floor((double)x->shape[axis] * scales->f[axis]);
        if (!(size >= 0 && size < 1e6))
            return sac__node_fail(graph, node, SAC_EUNSUPPORTED, "a size that is not constant");
        shape[axis] = (int64_t)size;
    }
    return 0;
}

int sac__infer_resize(struct sac_graph *graph, int node)
{
    const struct sac_gnode *n = &graph->nodes[node];
    const struct sac_gtensor *x = sac__input(graph, node, 0);
    int64_t shape[4];
    if (x->ndim != 4 || !x->real) return sac__node_refuse(graph, node, "not a feature map");
    int error = resize_target(graph, node, shape);
    if (error) return error;
    for (int axis = 0; axis < 4; axis++)
        if (shape[axis] != x->shape[axis] * (axis < 2 ? 1 : 2))
            return sac__node_refuse(graph, node, "only twice the size is supported");
    if (!doubles(n, n->op == SAC__OP_UPSAMPLE, graph->opset))
        return sac__node_refuse(graph, node, "only nearest, each pixel twice, is supported");
    return give(graph, node, 4, shape);
}

int sac__infer_matmul(struct sac_graph *graph, int node)
{
    const struct sac_gtensor *a = sac__input(graph, node, 0), *b = sac__input(graph, node, 1);
    int64_t shape[SAC__RANK];
    if (!b || a->ndim < 2 || a->ndim != b->ndim || a->shape[a->ndim - 1] != b->shape[b->ndim - 2])
        return sac__node_refuse(graph, node, "these shapes are not supported");
    for (int axis = 0; axis < a->ndim - 2; axis++) {
        if (a->shape[axis] != b->shape[axis])
            return sac__node_refuse(graph, node, "these shapes are not supported");
    }
    memcpy(shape, a->shape, sizeof shape);
    shape[a->ndim - 1] = b->shape[b->ndim - 1];
    return give(graph, node, a->ndim, shape);
}
