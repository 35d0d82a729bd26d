// SPDX-License-Identifier: Apache-2.0
// Which layers share a launch, and which kernel runs them: what is known from disk, else what the
// tuner measures, else what the kernels expect of themselves.
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct choosing {
    struct sac_program *program;
    const struct sac_program_options *options;
    struct knowledge *known;
    struct tuner *tuner; ///< opened when first needed
    int left;            ///< layers that are yet to be looked at
};

static void describe(const struct choosing *c, const int *layers, int count, struct sac_conv *convs)
{
    for (int k = 0; k < count; k++)
        sac__conv_describe(&convs[k], c->program->plan, &c->program->plan->layers[layers[k]], NULL);
}

/// All that a convolution's speed depends on. Addresses are left out: buffers are aligned alike.
static int write_key(char *text, size_t size, const struct sac_conv *c)
{
    int at = snprintf(
        text, size, "%dx%dx%dx%d/%d>%dx%dx%d k%dx%ds%dx%dd%dx%dp%dx%d a%d r%d c%d:", c->n,
        c->height, c->width, c->channels, c->in_pitch, c->out_height, c->out_width, c->out_channels,
        c->kernel[0], c->kernel[1], c->stride[0], c->stride[1], c->dilation[0], c->dilation[1],
        c->pad[0], c->pad[1], (int)c->act, c->residual_pitch, c->coarse_pitch);
    for (int k = 0; k < c->part_count && at < (int)size; k++)
        at +=
            snprintf(text + at, size - (size_t)at, "%d/%d ", c->part[k].channels, c->part[k].pitch);
    return at < (int)size ? at : (int)size;
}

static void write_keys(char *text, size_t size, const struct sac_conv *convs, int count)
{
    int at = 0;
    for (int k = 0; k < count; k++)
        at += write_key(text + at, size - (size_t)at, &convs[k]);
}

/// Expected only: not measured.
static void expect(const struct choosing *c, struct unit *unit)
{
    struct sac_conv_choice choices[SAC__CONV_CANDIDATES];
    struct sac_conv convs[SAC__CONV_GROUP];
    describe(c, unit->layers, unit->count, convs);
    if (sac__choices_list(convs, unit->count, &c->program->facts, choices))
        unit->choice = choices[0];
}

static int measure(struct choosing *c, struct unit *unit, const char *key)
{
    int error = c->tuner ? 0 : sac__tuner_open(&c->tuner, c->program, c->options);
    double share = 2.0 / (c->left + 2); // equal layers are measured once, so most leave time over
    struct rivals rivals = {.count = 0};
    if (!error) error = sac__tuner_measure(c->tuner, unit->layers, unit->count, share, &rivals);
    if (error || !rivals.count) return error;
    unit->choice = rivals.choice[0];
    unit->us = rivals.us[0];
    if (unit->us <= 0) return 0;
    error = sac__known_add(c->known, key, unit->choice, unit->us);
    if (error) return error;
    c->known->fresh++;
    unit->known = c->known->count - 1;
    c->known->at[unit->known].rivals = rivals;
    return 0;
}

static int runs(const struct choosing *c, const struct sac_conv_choice *choice,
                const struct sac_conv *convs, int count)
{
    const struct sac_conv_kernel *kernel = choice->kernel;
    int usable = kernel->group >= count;
    for (int k = 0; usable && k < count; k++)
        usable = sac__conv_usable(kernel, &convs[k], &c->program->facts, choice->split);
    return usable;
}

/// The best way to run the unit's layers in one launch; kernel NULL where there is none.
static int choose(struct choosing *c, struct unit *unit)
{
    char key[1024];
    struct sac_conv convs[SAC__CONV_GROUP];
    describe(c, unit->layers, unit->count, convs);
    write_keys(key, sizeof key, convs, unit->count);
    const struct known *known = sac__known_find(c->known, key);
    if (known && !runs(c, &known->choice, convs, unit->count)) known = NULL;
    unit->choice = (struct sac_conv_choice){0};
    unit->us = 0;
    unit->known = -1;
    if (known) {
        unit->known = (int)(known - c->known->at);
        unit->choice = known->choice;
        unit->us = known->us;
        return 0;
    }
    if (c->options->tune_seconds >= 0) return measure(c, unit, key);
    expect(c, unit);
    return 0;
}

static void add_unit(struct sac_program *program, const struct unit *unit)
{
    program->units[program->unit_count++] = *unit;
}

/// Together, or each by itself: what is faster. Not measured, one launch is taken for faster.
static int choose_group(struct choosing *c, const int *layers, int count)
{
    struct unit together = {.count = count}, alone[SAC__CONV_GROUP];
    double sum = 0;
    int measured = 1;
    memcpy(together.layers, layers, (size_t)count * sizeof *layers);
    int error = choose(c, &together);
    for (int k = 0; !error && k < count; k++) {
        alone[k] = (struct unit){.layers = {layers[k]}, .count = 1};
        if (count == 1)
            alone[k] = together;
        else
            error = choose(c, &alone[k]);
        if (!error && !alone[k].choice.kernel)
            error = sac__fail(SAC_EUNSUPPORTED, "layer %s: no kernel for this convolution",
                              c->program->plan->layers[layers[k]].name);
        sum += alone[k].us;
        measured = measured && alone[k].us > 0;
    }
    if (error) return error;
    if (together.choice.kernel && (!measured || (together.us > 0 && together.us <= sum))) {
        add_unit(c->program, &together);
        return 0;
    }
    for (int k = 0; k < count; k++)
        add_unit(c->program, &alone[k]);
    return 0;
}

/// Convolutions that one tile size is likely to suit.
static int alike(const struct sac_layer *a, const struct sac_layer *b)
{
    return a->kind == SAC__LAYER_CONV && b->kind == SAC__LAYER_CONV && a->step == b->step &&
           !memcmp(&a->window, &b->window, sizeof a->window) && a->out_channels == b->out_channels;
}

static int choose_from(struct choosing *c, int first, char *done)
{
    const struct sac_plan *plan = c->program->plan;
    int layers[SAC__CONV_GROUP] = {first}, count = 1;
    done[first] = 1;
    if (plan->layers[first].kind != SAC__LAYER_CONV) {
        add_unit(c->program, &(struct unit){.layers = {first}, .count = 1, .known = -1});
        return 0;
    }
    for (int k = first + 1; k < plan->layer_count && count < SAC__CONV_GROUP; k++) {
        if (plan->layers[k].step != plan->layers[first].step) break;
        if (done[k] || !alike(&plan->layers[first], &plan->layers[k])) continue;
        layers[count++] = k;
        done[k] = 1;
    }
    return choose_group(c, layers, count);
}

int sac__program_choose(struct sac_program *program, const struct sac_program_options *options,
                        struct knowledge *knowledge)
{
    struct choosing c = {.program = program, .options = options, .known = knowledge};
    int count = program->plan->layer_count, error = 0;
    char *done = calloc((size_t)count + 1, 1);
    if (!done) return sac__fail(SAC_ENOMEM, "out of memory for a program");
    for (int k = 0; !error && k < count; k++) {
        c.left = count - k;
        if (!done[k]) error = choose_from(&c, k, done);
    }
    sac__tuner_close(&c.tuner);
    free(done);
    return error;
}
