// SPDX-License-Identifier: Apache-2.0
// One arena, planned once: buffers whose lifetimes do not meet may share addresses.
#include "plan.h"

#include <stdlib.h>

static void use(struct sac_plan *plan, const struct sac_view *view, int step)
{
    if (view->buffer < 0) return;
    struct sac_buffer *b = &plan->buffers[view->buffer];
    if (step < b->first) b->first = step;
    if (step > b->last) b->last = step;
}

static void write(struct sac_plan *plan, const struct sac_layer *layer, int step)
{
    for (int k = 0; k < layer->out_count; k++)
        use(plan, &layer->out[k], step);
}

static int comes_after(const struct sac_plan *plan, int index)
{
    for (int k = 0; k < plan->layer_count; k++)
        if (plan->layers[k].after == index) return 1;
    return 0;
}

/// A layer, and what may be run with it: that is written while it reads. What surely is run so does
/// not run again, and what nobody else reads is not written.
static void use_layer(struct sac_plan *plan, int index)
{
    const struct sac_layer *layer = &plan->layers[index];
    const int step = layer->step;
    if (plan->settled && comes_after(plan, index)) return;
    use(plan, &layer->in, step);
    use(plan, &layer->residual, step);
    use(plan, &layer->coarse, step);
    for (int count = 0; count <= SAC__AFTER; count++) {
        if (!plan->settled || layer->after < 0 || layer->kept) write(plan, layer, step);
        if (layer->after < 0) return;
        const struct sac_layer *second = &plan->layers[layer->after];
        const int beside = sac__after_depth(layer, second) < second->in_packed;
        if (beside && count) return;
        if (beside) use(plan, &second->in, step);
        layer = second;
    }
}

static void find_lifetimes(struct sac_plan *plan)
{
    int end = plan->layer_count ? plan->layers[plan->layer_count - 1].step + 1 : 0;
    for (int k = 0; k < plan->buffer_count; k++) {
        plan->buffers[k].first = INT32_MAX;
        plan->buffers[k].last = -1;
    }
    use(plan, &plan->input, -1);
    for (int i = 0; i < plan->layer_count; i++)
        use_layer(plan, i);
    for (int k = 0; k < plan->head.level_count; k++) {
        use(plan, &plan->head.levels[k].raw, end);
        use(plan, &plan->head.levels[k].scores, end);
    }
}

static size_t end_of(const struct sac_buffer *b)
{
    return (b->offset + b->bytes + SAC__ALIGN - 1) / SAC__ALIGN * SAC__ALIGN;
}

static int meet(const struct sac_buffer *a, const struct sac_buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/// Lowest offset at which buffer order[k] is clear of those before it that live when it lives.
static void place(struct sac_plan *plan, const int *order, int k)
{
    struct sac_buffer *b = &plan->buffers[order[k]];
    b->offset = 0;
    if (b->last < b->first) return; // never used
    for (int moved = 1; moved;) {
        moved = 0;
        for (int j = 0; j < k; j++) {
            const struct sac_buffer *other = &plan->buffers[order[j]];
            if (!meet(b, other) || b->offset >= end_of(other) || end_of(b) <= other->offset)
                continue;
            b->offset = end_of(other);
            moved = 1;
        }
    }
    if (end_of(b) > plan->arena_bytes) plan->arena_bytes = end_of(b);
}

/// Largest first, which keeps holes small; equal ones in running order.
static void sort(const struct sac_plan *plan, int *order)
{
    for (int a = 0; a < plan->buffer_count; a++) {
        int b = a;
        for (; b > 0 && plan->buffers[order[b - 1]].bytes < plan->buffers[a].bytes; b--)
            order[b] = order[b - 1];
        order[b] = a;
    }
}

int sac__pass_memory(struct sac_plan *plan)
{
    int *order = calloc((size_t)plan->buffer_count + 1, sizeof *order);
    if (!order) return sac__fail(SAC_ENOMEM, "out of memory for a plan");
    plan->arena_bytes = 0;
    find_lifetimes(plan);
    sort(plan, order);
    for (int k = 0; k < plan->buffer_count; k++)
        place(plan, order, k);
    free(order);
    return 0;
}

static double bytes_of(const struct sac_plan *plan, const struct sac_view *view, int64_t channels)
{
    const struct sac_buffer *b = &plan->buffers[view->buffer];
    return (double)(b->n * b->height * b->width * channels) * (double)plan->element_size;
}

int sac__plan_settle(struct sac_plan *plan)
{
    plan->settled = 1;
    return sac__pass_memory(plan);
}

void sac__plan_count(struct sac_plan *plan)
{
    for (int i = 0; i < plan->layer_count; i++) {
        struct sac_layer *layer = &plan->layers[i];
        if (layer->after < 0) continue;
        struct sac_layer *second = &plan->layers[layer->after];
        const int64_t depth = sac__after_depth(layer, second), all = second->in.channels;
        second->bytes -= bytes_of(plan, &second->in, depth < all ? depth : all);
        for (int k = 0; !layer->kept && k < layer->out_count; k++)
            layer->bytes -= bytes_of(plan, &layer->out[k], layer->out[k].channels);
    }
}
