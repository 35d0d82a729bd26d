// SPDX-License-Identifier: Apache-2.0
// Which launches make the whole network fastest. By itself a launch is followed by its like; in the
// network its neighbours are others, and how soon their blocks find room and fetch weights counts
// for as much as a tenth of a small layer's time. So what was nearly as fast by itself is tried in
// the network, one after the other, and stays where that becomes faster: chains first.
#include "internal.h"

enum { RUNS = 6 };
static const double graph_us = 1000;  // about how long a graph shall take
static const double near = 1.35;      // times the best one's time by itself: not tried beyond
static const double near_chain = 0.8; // a chain's time, as a share of its layers' by themselves
static const double better = 0.9975;  // of the network's time: less may be chance
static const double hopeless = 1.02;  // times the fastest one: no further runs
static const double whole = 0.25;     // of the time for tuning

struct network {
    struct sac_program *program;
    const struct sac_program_options *options;
    struct knowledge *knowledge;
    void *arena;
    int laid; ///< the program can run: what was chosen has its memory
    cudaStream_t stream;
    int repeat; ///< runs in a graph
    double us;  ///< of the fastest so far
    double end; ///< seconds of the monotonic clock
};

static int run(void *user, int turn, cudaStream_t stream)
{
    const struct network *n = user;
    (void)turn;
    return sac__program_enqueue(n->program, n->arena, stream);
}

static int time_network(struct network *n, double *us_out)
{
    const struct timing timing = {run, n, n->repeat, RUNS, hopeless * n->us, n->stream};
    return sac__timing_run(&timing, us_out);
}

static int is_same(const struct sac_conv_choice *a, const struct sac_conv_choice *b)
{
    return a->kernel == b->kernel && a->split == b->split;
}

/// Whether weights and arena, as they are, are right for it.
static int fits(const struct network *n, const struct unit *unit,
                const struct sac_conv_choice *choice)
{
    struct sac_conv convs[SAC__CONV_GROUP];
    struct sac_conv_after after[SAC__AFTER];
    int fit = choice->kernel->packing == unit->choice.kernel->packing;
    int count = sac__unit_describe(n->program->plan, unit, n->arena, convs, after);
    for (int k = 0; k < count; k++)
        fit = fit && !choice->kernel->workspace(choice->kernel, &convs[k], choice->split);
    return fit;
}

/// Whether launches follow an entry, and the choice fits them.
static int concerns(const struct network *n, int entry, const struct sac_conv_choice *choice)
{
    int count = 0;
    for (int k = 0; k < n->program->unit_count; k++) {
        const struct unit *unit = &n->program->units[k];
        if (unit->known != entry) continue;
        if (!fits(n, unit, choice)) return 0;
        count++;
    }
    return count > 0;
}

static void follow(const struct network *n, int entry, const struct sac_conv_choice *choice,
                   double us)
{
    for (int k = 0; k < n->program->unit_count; k++) {
        struct unit *unit = &n->program->units[k];
        if (unit->known != entry) continue;
        unit->choice = *choice;
        unit->us = us;
    }
}

/// By itself, of what is chosen now.
static double us_of(const struct known *known)
{
    for (int k = 0; k < known->rivals.count; k++)
        if (is_same(&known->rivals.choice[k], &known->choice)) return known->rivals.us[k];
    return known->us;
}

/// Twice, where the first time promises something.
static int try_rival(struct network *n, int entry, int rival)
{
    struct known *known = &n->knowledge->at[entry];
    const struct sac_conv_choice *choice = &known->rivals.choice[rival];
    double us = 0, again = 0;
    if (!concerns(n, entry, choice)) return 0;
    follow(n, entry, choice, known->rivals.us[rival]);
    int error = time_network(n, &us);
    if (!error && us < better * n->us) error = time_network(n, &again);
    if (error) return error;
    if (again > us) us = again;
    if (again > 0 && us < better * n->us) {
        known->choice = *choice; // its time by itself stays: by it, layers share launches or not
        n->us = us;
    } else {
        follow(n, entry, &known->choice, us_of(known));
    }
    return 0;
}

static int try_all(struct network *n)
{
    for (int entry = 0; entry < n->knowledge->count; entry++) {
        const struct known *known = &n->knowledge->at[entry];
        const struct rivals *rivals = &known->rivals;
        for (int k = 0; k < rivals->count && rivals->us[k] < near * rivals->us[0]; k++) {
            if (is_same(&rivals->choice[k], &known->choice)) continue;
            int error = try_rival(n, entry, k);
            if (error || sac__timing_now() > n->end) return error;
        }
    }
    return 0;
}

/// Memory to run the program in, instead of what there was. No memory: n->arena is NULL.
static int take_arena(struct network *n)
{
    const int pattern = 0x30; // halves of 0.13: zeros would run too fast
    size_t bytes = sac__program_arena_bytes(n->program);
    cudaFree(n->arena);
    n->arena = NULL;
    if (cudaMalloc(&n->arena, bytes) != cudaSuccess) {
        cudaGetLastError();
        n->arena = NULL;
        return 0;
    }
    int error = SAC__CUDA(cudaMemsetAsync, n->arena, pattern, bytes, n->stream);
    return error ? error : sac__program_arena_init(n->program, n->arena, n->stream);
}

static int choose_again(struct network *n)
{
    n->laid = 0;
    return sac__program_choose_again(n->program, n->options, n->knowledge);
}

static int lay_again(struct network *n)
{
    n->laid = 1;
    int error = sac__program_lay(n->program);
    return error ? error : take_arena(n);
}

static int is_chain(const struct network *n, int entry)
{
    for (int k = 0; k < n->program->unit_count; k++)
        if (n->program->units[k].chain && n->program->units[k].known == entry) return 1;
    return 0;
}

/// The other way round, which may change what chains there are beside it.
static int turn_chain(struct network *n, int entry)
{
    struct known *known = &n->knowledge->at[entry];
    const int was = known->verdict, taken = is_chain(n, entry);
    double us = 0, again = 0;
    known->verdict = taken ? -1 : 1;
    int error = choose_again(n);
    if (!error && is_chain(n, entry) != taken) {
        error = lay_again(n);
        if (!error && n->arena) error = time_network(n, &us);
        if (!error && us > 0 && us < better * n->us) error = time_network(n, &again);
    }
    if (error) return error;
    if (again > us) us = again;
    if (again > 0 && us < better * n->us) {
        n->us = us;
        return 0;
    }
    known->verdict = was;
    return choose_again(n);
}

/// Chains that nearly were none, and the other way round.
static int try_chains(struct network *n)
{
    const double end = (sac__timing_now() + n->end) / 2;
    int error = 0;
    n->laid = 1;
    for (int k = 0; !error && k < n->knowledge->count && sac__timing_now() < end; k++) {
        const struct known *known = &n->knowledge->at[k];
        const double share = known->apart > 0 ? known->us / known->apart : 0;
        if (share > near_chain && share < 1 / near_chain) error = turn_chain(n, k);
    }
    return error || n->laid ? error : lay_again(n);
}

static int refine(struct network *n)
{
    int error = take_arena(n);
    if (error || !n->arena) return error; // runs without
    error = sac__program_warm(n->program, n->arena, n->stream);
    if (error || sac__timing_now() > n->end) return error;
    n->repeat = 1;
    error = time_network(n, &n->us);
    if (error) return error;
    n->repeat += (int)(graph_us / n->us);
    n->us = 0;
    error = time_network(n, &n->us);
    if (!error) error = try_chains(n);
    return error || !n->arena ? error : try_all(n);
}

int sac__program_refine(struct sac_program *program, const struct sac_program_options *options,
                        struct knowledge *knowledge)
{
    struct network n = {.program = program, .options = options, .knowledge = knowledge};
    n.end = sac__timing_now() + whole * sac__tune_seconds(options);
    int error = SAC__CUDA(cudaStreamCreateWithFlags, &n.stream, cudaStreamNonBlocking);
    if (!error) error = refine(&n);
    if (n.stream) cudaStreamDestroy(n.stream);
    cudaFree(n.arena);
    return error;
}
