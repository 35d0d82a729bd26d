// SPDX-License-Identifier: Apache-2.0
// Finds 1x1 convolutions that may be run on the results of the one before them while those are on
// the chip. Whether that is faster is for the program to say. What is run so, runs a few steps
// early: its input has to be there by then, but for what the one before it gives.
#include "plan.h"

static int is_pointwise(const struct sac_layer *layer)
{
    const struct sac_window *w = &layer->window;
    return layer->kind == SAC__LAYER_CONV && w->kernel[0] == 1 && w->kernel[1] == 1 &&
           w->stride[0] == 1 && w->stride[1] == 1 && !w->pad[0] && !w->pad[1] &&
           layer->residual.buffer < 0 && layer->coarse.buffer < 0;
}

/// Whether all that a view covers is there when a step begins.
static int is_there(const struct sac_plan *plan, const struct sac_view *view, int step)
{
    for (int k = 0; k < plan->layer_count; k++)
        if (plan->layers[k].step >= step && sac__layer_writes(&plan->layers[k], view)) return 0;
    return 1;
}

/// Channels from the first one of `first` on, up to where its first part or the input of `second`
/// ends.
static int64_t depth_of(const struct sac_layer *first, const struct sac_layer *second)
{
    const struct sac_view *out = &first->out[0], *in = &second->in;
    int64_t read = in->channel + in->channels - out->channel;
    return read < out->channels ? read : out->channels;
}

int64_t sac__after_depth(const struct sac_layer *first, const struct sac_layer *second)
{
    return sac__group_up(depth_of(first, second));
}

/// Whether `second` reads nothing but first channels of `first`, and beside them what is there.
static int may_follow(const struct sac_plan *plan, const struct sac_layer *first,
                      const struct sac_layer *second)
{
    const struct sac_view *out = &first->out[0], *in = &second->in;
    struct sac_view beside = *in;
    if (!is_pointwise(second) || in->buffer != out->buffer) return 0;
    int64_t in_end = in->channel + in->channels, depth = depth_of(first, second);
    if (depth <= 0 || in->channel > out->channel) return 0;
    if (in->channel < out->channel && out->channel + depth < in_end) return 0; // on both sides
    if (in->channel == out->channel) beside.channel += depth;
    beside.channels -= depth;
    return !beside.channels || is_there(plan, &beside, first->step);
}

static int meets(const struct sac_layer *layer, const struct sac_view *view)
{
    return view->buffer >= 0 && sac__layer_writes(layer, view);
}

static int is_kept(const struct sac_plan *plan, const struct sac_layer *layer)
{
    for (int k = 0; k < plan->layer_count; k++)
        if (k != layer->after && sac__layer_reads(&plan->layers[k], layer)) return 1;
    for (int k = 0; k < plan->head.level_count; k++)
        if (meets(layer, &plan->head.levels[k].raw) || meets(layer, &plan->head.levels[k].scores))
            return 1;
    return 0;
}

void sac__pass_chain(struct sac_plan *plan)
{
    for (int a = 0; a < plan->layer_count; a++) {
        struct sac_layer *first = &plan->layers[a];
        first->after = SAC__NONE;
        if (first->kind != SAC__LAYER_CONV || plan->element_size != 2) continue;
        for (int b = a + 1; b < plan->layer_count && first->after < 0; b++)
            if (plan->layers[b].step > first->step && may_follow(plan, first, &plan->layers[b]))
                first->after = b;
        first->kept = first->after >= 0 && is_kept(plan, first);
    }
}
