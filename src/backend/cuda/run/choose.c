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

static int describe(const struct choosing *c, const struct unit *unit, struct sac_conv *convs,
                    struct sac_conv_after *after)
{
    return sac__unit_describe(c->program->plan, unit, SAC__NO_ARENA, convs, after);
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

static void write_keys(const struct choosing *c, const struct unit *unit, char *text, size_t size)
{
    const struct sac_layer *layers = c->program->plan->layers, *last = NULL;
    int at = 0;
    for (int k = 0; k < unit->count; k++) {
        const struct sac_layer *layer = &layers[unit->layers[k]];
        struct sac_conv conv;
        sac__conv_describe(&conv, c->program->plan, layer, SAC__NO_ARENA);
        if (unit->chain && k)
            at += snprintf(text + at, size - (size_t)at, "%s then %dof ", last->kept ? "kept" : "",
                           (int)sac__after_depth(last, layer));
        last = layer;
        at += write_key(text + at, size - (size_t)at, &conv);
    }
}

/// Expected only: not measured.
static void expect(const struct choosing *c, struct unit *unit)
{
    struct sac_conv_choice choices[SAC__CONV_CANDIDATES];
    struct sac_conv convs[SAC__CONV_GROUP];
    struct sac_conv_after after[SAC__AFTER];
    int count = describe(c, unit, convs, after);
    if (sac__choices_list(convs, count, &c->program->facts, choices)) unit->choice = choices[0];
}

static int measure(struct choosing *c, struct unit *unit, const char *key)
{
    int error = c->tuner ? 0 : sac__tuner_open(&c->tuner, c->program, c->options);
    double share = 2.0 / (c->left + 2); // equal layers are measured once, so most leave time over
    struct rivals rivals = {.count = 0};
    if (!error) error = sac__tuner_measure(c->tuner, unit, share, &rivals);
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
                const struct unit *unit)
{
    const struct sac_conv_kernel *kernel = choice->kernel;
    struct sac_conv convs[SAC__CONV_GROUP];
    struct sac_conv_after after[SAC__AFTER];
    int count = describe(c, unit, convs, after), usable = kernel->group >= count;
    for (int k = 0; usable && k < count; k++)
        usable = sac__conv_usable(kernel, &convs[k], &c->program->facts, choice->split);
    return usable;
}

/// The best way to run the unit's layers in one launch; kernel NULL where there is none.
static int choose(struct choosing *c, struct unit *unit)
{
    char key[1024];
    write_keys(c, unit, key, sizeof key);
    const struct known *known = sac__known_find(c->known, key);
    if (known && !runs(c, &known->choice, unit)) known = NULL;
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

/// A chain takes less time than its layers one after the other, by so much that it is no chance.
static const double gain = 0.98;

/// The chains that begin with a layer.
struct beginning {
    int unit; ///< that runs the layer alone; negative: it shares a launch, or is no convolution
    struct unit chain[SAC__AFTER]; ///< with one after it, with two
    double saved[SAC__AFTER];      ///< µs; 0: none
    int taken;                     ///< how many after it; negative: it is inside of a chain
    double most;                   ///< µs saved by it and those after it
};

/// What a chain saves of its layers' time: all measured, or all only expected. What the whole
/// network said counts for more.
static double saved_by(struct choosing *c, const struct beginning *all, const struct unit *chain)
{
    const double least = 1e-3;
    struct known *known = chain->known < 0 ? NULL : &c->known->at[chain->known];
    double together = chain->us, apart = 0, expected = 0;
    int measured = chain->us > 0;
    if (!chain->choice.kernel) return 0;
    for (int k = 0; k < chain->count; k++) {
        const struct unit *alone = &c->program->units[all[chain->layers[k]].unit];
        measured += alone->us > 0;
        apart += alone->us;
        expected += alone->choice.expected;
    }
    if (measured && measured <= chain->count) return 0;
    if (!measured) {
        together = chain->choice.expected;
        apart = expected;
    }
    if (measured && known) {
        known->apart = apart;
        if (known->verdict < 0) return 0;
        if (known->verdict > 0) return together < apart - least ? apart - together : least;
    }
    return together < gain * apart ? apart - together : 0;
}

static int weigh(struct choosing *c, struct beginning *all, int first)
{
    const struct sac_layer *layers = c->program->plan->layers;
    struct unit unit = {.layers = {first}, .count = 1, .chain = 1};
    for (int k = 0, last = first; k < SAC__AFTER; k++) {
        const int next = layers[last].after;
        if (next < 0 || all[first].unit < 0 || all[next].unit < 0) break;
        // What lies beside is surely there for the second layer only.
        if (k && sac__after_depth(&layers[last], &layers[next]) < layers[next].in_packed) break;
        unit.layers[unit.count++] = last = next;
        all[first].chain[k] = unit;
        int error = choose(c, &all[first].chain[k]);
        if (error) return error;
        all[first].saved[k] = saved_by(c, all, &all[first].chain[k]);
    }
    return 0;
}

/// Layers come before those after them, so the way back knows the best of the rest.
static void sum_up(const struct sac_plan *plan, struct beginning *all)
{
    for (int i = plan->layer_count - 1; i >= 0; i--) {
        struct beginning *b = &all[i];
        int next = plan->layers[i].after;
        b->most = next < 0 ? 0 : all[next].most;
        for (int k = 0; k < SAC__AFTER && next >= 0; k++) {
            next = plan->layers[next].after;
            const double sum = b->saved[k] + (next < 0 ? 0 : all[next].most);
            if (b->saved[k] <= 0 || sum <= b->most) continue;
            b->most = sum;
            b->taken = k + 1;
        }
    }
}

/// A chain takes the place of its first layer. Those that are not taken are forgotten.
static void join(struct sac_program *program, struct beginning *all)
{
    int count = 0;
    for (int i = 0; i < program->plan->layer_count; i++) {
        struct beginning *b = &all[i];
        if (b->taken < 0) continue;
        if (!b->taken || b->unit < 0) {
            program->plan->layers[i].after = SAC__NONE;
            continue;
        }
        const struct unit *chain = &b->chain[b->taken - 1];
        program->units[b->unit] = *chain;
        for (int k = 1; k < chain->count; k++) {
            struct beginning *other = &all[chain->layers[k]];
            program->units[other->unit].count = 0;
            other->unit = -1;
            other->taken = k + 1 < chain->count ? -1 : 0;
        }
    }
    for (int k = 0; k < program->unit_count; k++)
        if (program->units[k].count) program->units[count++] = program->units[k];
    program->unit_count = count;
}

static int choose_chains(struct choosing *c)
{
    struct sac_program *program = c->program;
    const int count = program->plan->layer_count;
    struct beginning *all = calloc((size_t)count + 1, sizeof *all);
    int error = all ? 0 : sac__fail(SAC_ENOMEM, "out of memory for a program");
    for (int k = 0; !error && k < count; k++)
        all[k].unit = -1;
    for (int k = 0; !error && k < program->unit_count; k++) {
        const struct unit *unit = &program->units[k];
        if (unit->count == 1 && unit->choice.kernel) all[unit->layers[0]].unit = k;
    }
    for (int k = 0; !error && k < count; k++) {
        c->left = count - k;
        error = weigh(c, all, k);
    }
    if (!error) {
        sum_up(program->plan, all);
        join(program, all);
    }
    free(all);
    return error;
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
    if (!error) error = choose_chains(&c);
    sac__tuner_close(&c.tuner);
    free(done);
    return error;
}

int sac__program_choose_again(struct sac_program *program,
                              const struct sac_program_options *options,
                              struct knowledge *knowledge)
{
    struct sac_program_options untuned = *options;
    untuned.tune_seconds = -1;
    sac__pass_chain(program->plan);
    program->unit_count = 0;
    return sac__program_choose(program, &untuned, knowledge);
}
