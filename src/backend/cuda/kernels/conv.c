// SPDX-License-Identifier: Apache-2.0
// Convolutions of a plan as the kernels see them, packed weights, and the table of kernels.
#include "conv_kernels.h"

#include <stdlib.h>
#include <string.h>

#include "ops/math/half.h"

static const struct sac_conv_kernel *const tables[] = {
    sac__conv_mma_kernels,        sac__conv_halo_kernels,  sac__conv_wgmma_kernels,
    sac__conv_halo_wgmma_kernels, sac__conv_chain_kernels, sac__conv_plain_kernels};
enum { TABLES = sizeof tables / sizeof *tables };

/// Whether the name begins as one of the list does, whose parts have commas between.
static int is_listed(const char *name, const char *list)
{
    while (list && *list) {
        size_t length = strcspn(list, ",");
        if (length && !strncmp(name, list, length)) return 1;
        list += length + (list[length] == ',');
    }
    return 0;
}

const struct sac_conv_kernel *sac__conv_kernel_at(int index)
{
    const char *without = getenv("SACCADE_CUDA_WITHOUT");
    for (int t = 0; t < TABLES; t++)
        for (const struct sac_conv_kernel *k = tables[t]; k->name; k++)
            if (!is_listed(k->name, without) && index-- == 0) return k;
    return NULL;
}

static void insert(struct sac_conv_choice *choices, int count, struct sac_conv_choice choice)
{
    int at = count;
    for (; at > 0 && choices[at - 1].expected > choice.expected; at--)
        choices[at] = choices[at - 1];
    choices[at] = choice;
}

int sac__conv_usable(const struct sac_conv_kernel *kernel, const struct sac_conv *conv,
                     const struct sac_conv_device *device, int split)
{
    int chain = 0;
    for (const struct sac_conv_after *after = conv->after; after; after = after->after)
        chain++;
    return chain == kernel->chain && kernel->usable(kernel, conv, device, split);
}

int sac__conv_candidates(const struct sac_conv *conv, const struct sac_conv_device *device,
                         struct sac_conv_choice *choices)
{
    const struct sac_conv_kernel *kernel;
    int count = 0;
    for (int k = 0; (kernel = sac__conv_kernel_at(k)); k++)
        for (int split = 1; split <= SAC__CONV_SPLIT && count < SAC__CONV_CANDIDATES; split++)
            if (sac__conv_usable(kernel, conv, device, split)) {
                double expected = kernel->cost(kernel, conv, device, split);
                insert(choices, count++, (struct sac_conv_choice){kernel, split, expected});
            }
    return count;
}

static void *view_address(const struct sac_plan *plan, const struct sac_view *view, void *arena)
{
    const struct sac_buffer *b = &plan->buffers[view->buffer];
    return (char *)arena + b->offset + (size_t)view->channel * plan->element_size;
}

static void describe_parts(struct sac_conv *c, const struct sac_plan *plan,
                           const struct sac_layer *layer, void *arena)
{
    c->part_count = layer->out_count;
    for (int k = 0; k < layer->out_count; k++) {
        const struct sac_view *view = &layer->out[k];
        c->part[k] = (struct sac_conv_part){.data = view_address(plan, view, arena),
                                            .pitch = (int)plan->buffers[view->buffer].pitch,
                                            .channels = (int)sac__group_up(view->channels)};
        c->out_channels += c->part[k].channels;
    }
}

static void describe_addends(struct sac_conv *c, const struct sac_plan *plan,
                             const struct sac_layer *layer, void *arena)
{
    if (layer->residual.buffer >= 0) {
        c->residual = view_address(plan, &layer->residual, arena);
        c->residual_pitch = (int)plan->buffers[layer->residual.buffer].pitch;
    }
    if (layer->coarse.buffer >= 0) {
        const struct sac_buffer *b = &plan->buffers[layer->coarse.buffer];
        c->coarse = view_address(plan, &layer->coarse, arena);
        c->coarse_pitch = (int)b->pitch;
        c->coarse_height = (int)b->height;
        c->coarse_width = (int)b->width;
    }
}

void sac__conv_describe(struct sac_conv *conv_out, const struct sac_plan *plan,
                        const struct sac_layer *layer, void *arena)
{
    const struct sac_buffer *in = &plan->buffers[layer->in.buffer];
    const struct sac_buffer *out = &plan->buffers[layer->out[0].buffer];
    *conv_out = (struct sac_conv){.element_size = (int)plan->element_size,
                                  .in = view_address(plan, &layer->in, arena),
                                  .n = (int)in->n,
                                  .height = (int)in->height,
                                  .width = (int)in->width,
                                  .in_pitch = (int)in->pitch,
                                  .channels = (int)layer->in_packed,
                                  .out_height = (int)out->height,
                                  .out_width = (int)out->width,
                                  .act = layer->act,
                                  .alpha = layer->alpha};
    for (int k = 0; k < 2; k++) {
        conv_out->kernel[k] = (int)layer->window.kernel[k];
        conv_out->stride[k] = (int)layer->window.stride[k];
        conv_out->dilation[k] = (int)layer->window.dilation[k];
        conv_out->pad[k] = (int)layer->window.pad[k];
    }
    describe_parts(conv_out, plan, layer, arena);
    describe_addends(conv_out, plan, layer, arena);
}

static void describe_after(struct sac_conv_after *after, const struct sac_plan *plan,
                           const struct sac_layer *first, const struct sac_layer *second,
                           void *arena)
{
    struct sac_conv then;
    const int64_t depth = sac__after_depth(first, second);
    const int leads = second->in.channel < first->out[0].channel;
    struct sac_view beside = second->in;
    if (!leads) beside.channel += depth;
    sac__conv_describe(&then, plan, second, arena);
    *after = (struct sac_conv_after){.depth = (int)depth,
                                     .out_channels = then.out_channels,
                                     .act = then.act,
                                     .alpha = then.alpha,
                                     .part_count = then.part_count};
    memcpy(after->part, then.part, sizeof then.part);
    if (then.channels <= depth) return;
    after->beside = view_address(plan, &beside, arena);
    after->beside_pitch = then.in_pitch;
    after->beside_channels = then.channels - (int)depth;
    after->beside_leads = leads;
}

void sac__conv_describe_chain(struct sac_conv *conv_out, struct sac_conv_after *after_out,
                              const struct sac_plan *plan, const struct sac_layer *const *layers,
                              int count, void *arena)
{
    const struct sac_conv_after **link = &conv_out->after;
    int *kept = &conv_out->kept;
    sac__conv_describe(conv_out, plan, layers[0], arena);
    for (int k = 1; k < count; k++, after_out++) {
        describe_after(after_out, plan, layers[k - 1], layers[k], arena);
        *link = after_out;
        *kept = layers[k - 1]->kept;
        link = &after_out->after;
        kept = &after_out->kept;
    }
}

struct sac_conv_divisor sac__conv_divisor(int value)
{
    struct sac_conv_divisor d = {.value = value};
    while ((int64_t)1 << d.shift < value)
        d.shift++;
    uint64_t above = ((uint64_t)1 << d.shift) - (uint64_t)value;
    d.mul = (uint32_t)((above << 32) / (uint64_t)value + 1);
    return d;
}

int sac__conv_problems_fill(struct sac_conv_problems *problems,
                            const struct sac_conv_kernel *kernel, const struct sac_conv *convs,
                            int count, int split)
{
    int64_t blocks = 0;
    memset(problems, 0, sizeof *problems);
    problems->count = count;
    problems->split = split;
    for (int k = 0; k < count; k++) {
        const struct sac_conv *c = &convs[k];
        problems->at[k] = (struct sac_conv_problem){
            .conv = *c,
            .by_width = sac__conv_divisor(c->out_width),
            .by_height = sac__conv_divisor(c->out_height),
            .by_channels = sac__conv_divisor(c->channels),
            .by_window = sac__conv_divisor(c->kernel[1]),
            .by_split = sac__conv_divisor(split),
            .pixels = c->n * c->out_height * c->out_width,
            .steps = sac__conv_steps(c),
            .weight_rows = sac__conv_rows(c, kernel->packing),
            .columns = (c->out_channels + kernel->columns - 1) / kernel->columns,
            .first = (int)blocks};
        problems->at[k].by_columns = sac__conv_divisor(problems->at[k].columns);
        blocks += sac__conv_tiles(kernel, c) * split;
    }
    return (int)blocks;
}

static int aligned(const void *address)
{
    return (uintptr_t)address % 16 == 0;
}

static int fits_int(int64_t a, int64_t b, int64_t c, int64_t d)
{
    return a * b * c < INT32_MAX / 2 && a * b * c * d < INT32_MAX / 2;
}

static int parts_aligned(const struct sac_conv_part *part, int count)
{
    int ok = 1;
    for (int k = 0; k < count; k++)
        ok = ok && aligned(part[k].data) && part[k].pitch % 8 == 0 && part[k].channels % 8 == 0;
    return ok;
}

static int after_addressable(const struct sac_conv_after *after)
{
    if (!after) return 1;
    return aligned(after->beside) && after->beside_pitch % 8 == 0 &&
           after->beside_channels % 8 == 0 && after->depth % 8 == 0 &&
           parts_aligned(after->part, after->part_count) && after_addressable(after->after);
}

int sac__conv_addressable(const struct sac_conv *c)
{
    return c->element_size == 2 && aligned(c->in) && aligned(c->residual) && aligned(c->coarse) &&
           c->in_pitch % 8 == 0 && c->residual_pitch % 8 == 0 && c->coarse_pitch % 8 == 0 &&
           c->channels % 8 == 0 && fits_int(c->n, c->height, c->width, c->in_pitch) &&
           fits_int(c->n, c->out_height, c->out_width, 1) &&
           parts_aligned(c->part, c->part_count) && after_addressable(c->after);
}
