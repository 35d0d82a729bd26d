// SPDX-License-Identifier: Apache-2.0
// Times each launch of a program by itself, over an arena as it is.
#include "internal.h"

enum { REPEAT = 20, RUNS = 5 };
static const double warming = 0.1; // seconds

struct measured {
    const struct sac_program *program;
    const struct unit *unit;
    void *arena;
};

static int launch(void *user, int turn, cudaStream_t stream)
{
    const struct measured *m = user;
    (void)turn;
    return sac__unit_launch(m->program, m->unit, m->arena, stream);
}

int sac__program_warm(const struct sac_program *program, void *arena, cudaStream_t stream)
{
    const double end = sac__timing_now() + warming;
    int error = 0;
    do {
        error = sac__program_enqueue(program, arena, stream);
        if (!error) error = SAC__CUDA(cudaStreamSynchronize, stream);
    } while (!error && sac__timing_now() < end);
    return error;
}

int sac__program_measure(const struct sac_program *program, void *arena, double *us_out)
{
    cudaStream_t stream = NULL;
    int error = SAC__CUDA(cudaStreamCreateWithFlags, &stream, cudaStreamNonBlocking);
    if (!error) error = sac__program_warm(program, arena, stream);
    for (int k = 0; !error && k < program->unit_count; k++) {
        struct measured m = {program, &program->units[k], arena};
        const struct timing timing = {launch, &m, REPEAT, RUNS, 0, stream};
        double us = 0;
        error = sac__timing_run(&timing, &us);
        for (int i = 0; !error && i < m.unit->count; i++)
            us_out[m.unit->layers[i]] = us * sac__unit_share(program, m.unit, i);
    }
    if (stream) cudaStreamDestroy(stream);
    return error;
}
