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

static void find_lifetimes(struct sac_plan *plan)
{
    int end = plan->layer_count ? plan->layers[plan->layer_count - 1].step + 1 : 0;
    use(plan, &plan->input, -1);
    for (int i = 0; i < plan->layer_count; i++) {
        const struct sac_layer *layer = &plan->layers[i];
        use(plan, &layer->in, layer->step);
        use(plan, &layer->residual, layer->step);
        use(plan, &layer->coarse, layer->step);
        for (int k = 0; k < layer->out_count; k++)
            use(plan, &layer->out[k], layer->step);
        // What may be run with it is written while it reads.
        for (int k = 0; layer->after >= 0 && k < plan->layers[layer->after].out_count; k++)
            use(plan, &plan->layers[layer->after].out[k], layer->step);
    }
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
    find_lifetimes(plan);
    sort(plan, order);
    for (int k = 0; k < plan->buffer_count; k++)
        place(plan, order, k);
    free(order);
    return 0;
}
