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
    const struct sac_layer *layers = c->program->plan->layers, *first = &layers[unit->layers[0]];
    int at = 0;
    for (int k = 0; k < unit->count; k++) {
        const struct sac_layer *layer = &layers[unit->layers[k]];
        struct sac_conv conv;
        sac__conv_describe(&conv, c->program->plan, layer, SAC__NO_ARENA);
        if (unit->pair && k)
            at += snprintf(text + at, size - (size_t)at, "%s then %dof ", first->kept ? "kept" : "",
                           (int)sac__after_depth(first, layer));
        at += write_key(text + at, size - (size_t)at, &conv);
    }
}

/// Expected only: not measured.
static void expect(const struct choosing *c, struct unit *unit)
{
    struct sac_conv_choice choices[SAC__CONV_CANDIDATES];
    struct sac_conv convs[SAC__CONV_GROUP];
    struct sac_conv_after after;
    int count = describe(c, unit, convs, &after);
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
    struct sac_conv_after after;
    int count = describe(c, unit, convs, &after), usable = kernel->group >= count;
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

/// A pair takes less time than its layers one after the other, by so much that it is no chance.
static const double gain = 0.98;

/// What a pair saves of its layers' time: all measured, or all only expected. `known`: of the pair,
/// may be NULL; what the whole network said counts for more.
static double saved_by(const struct unit *pair, const struct unit *one, const struct unit *other,
                       struct known *known)
{
    const double least = 1e-3;
    const int measured = (pair->us > 0) + (one->us > 0) + (other->us > 0);
    double together = pair->us, apart = one->us + other->us;
    if (!pair->choice.kernel || measured % 3) return 0;
    if (!measured) {
        together = pair->choice.expected;
        apart = one->choice.expected + other->choice.expected;
    }
    if (measured && known) {
        known->apart = apart;
        if (known->verdict < 0) return 0;
        if (known->verdict > 0) return together < apart - least ? apart - together : least;
    }
    return together < gain * apart ? apart - together : 0;
}

/// Pairs of layers that could share a launch, and what that would save: a layer each, its first.
struct pairs {
    struct unit *units;
    double *saved; ///< µs; 0: none
    double *most;  ///< from this layer on, along those that come after each other
    int *unit_of;  ///< a layer's; negative: it shares a launch already, or is no convolution
};

static int weigh(struct choosing *c, struct pairs *p, int first)
{
    const struct sac_program *program = c->program;
    const int second = program->plan->layers[first].after;
    struct unit *pair = &p->units[first];
    if (second < 0 || p->unit_of[first] < 0 || p->unit_of[second] < 0) return 0;
    *pair = (struct unit){.layers = {first, second}, .count = 2, .pair = 1};
    int error = choose(c, pair);
    if (error) return error;
    p->saved[first] =
        saved_by(pair, &program->units[p->unit_of[first]], &program->units[p->unit_of[second]],
                 pair->known < 0 ? NULL : &c->known->at[pair->known]);
    return 0;
}

/// Layers come before those after them, so the way back knows the best of the rest.
static void sum_up(const struct sac_plan *plan, struct pairs *p)
{
    for (int k = plan->layer_count - 1; k >= 0; k--) {
        const int next = plan->layers[k].after;
        if (next < 0) continue;
        const int behind = plan->layers[next].after;
        const double with = p->saved[k] + (behind < 0 ? 0 : p->most[behind]);
        p->most[k] = p->most[next];
        if (p->saved[k] > 0 && with > p->most[next])
            p->most[k] = with;
        else
            p->saved[k] = 0;
    }
}

/// A pair takes the place of its first layer. Those that are not taken are forgotten.
static void join(struct sac_program *program, struct pairs *p)
{
    int count = 0;
    for (int k = 0; k < program->plan->layer_count; k++) {
        const int next = program->plan->layers[k].after;
        if (p->saved[k] <= 0 || p->unit_of[k] < 0) {
            program->plan->layers[k].after = SAC__NONE;
            continue;
        }
        program->units[p->unit_of[k]] = p->units[k];
        program->units[p->unit_of[next]].count = 0;
        p->unit_of[next] = -1;
    }
    for (int k = 0; k < program->unit_count; k++)
        if (program->units[k].count) program->units[count++] = program->units[k];
    program->unit_count = count;
}

static int find_pairs(struct choosing *c, struct pairs *p)
{
    struct sac_program *program = c->program;
    const int count = program->plan->layer_count;
    int error = 0;
    for (int k = 0; k < count; k++)
        p->unit_of[k] = -1;
    for (int k = 0; k < program->unit_count; k++) {
        const struct unit *unit = &program->units[k];
        if (unit->count == 1 && unit->choice.kernel) p->unit_of[unit->layers[0]] = k;
    }
    for (int k = 0; !error && k < count; k++) {
        c->left = count - k;
        error = weigh(c, p, k);
    }
    sum_up(program->plan, p);
    if (!error) join(program, p);
    return error;
}

static int choose_pairs(struct choosing *c)
{
    const size_t count = (size_t)c->program->plan->layer_count + 1;
    struct pairs p = {.units = calloc(count, sizeof *p.units),
                      .saved = calloc(count, sizeof *p.saved),
                      .most = calloc(count, sizeof *p.most),
                      .unit_of = calloc(count, sizeof *p.unit_of)};
    int error = p.units && p.saved && p.most && p.unit_of
                    ? find_pairs(c, &p)
                    : sac__fail(SAC_ENOMEM, "out of memory for a program");
    free(p.units);
    free(p.saved);
    free(p.most);
    free(p.unit_of);
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
    if (!error) error = choose_pairs(&c);
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
