// SPDX-License-Identifier: Apache-2.0
// A program from the inside.
#ifndef SAC_CUDA_RUN_INTERNAL_H
#define SAC_CUDA_RUN_INTERNAL_H

#include "program.h"

#include "backend/cuda/kernels/conv.h"
#include "backend/cuda/kernels/layers.h"
#include "backend/gpu/gpu.h"

enum { SAC__RIVALS = 8 };

/// The fastest ways to run convolutions in one launch, each measured by itself, the best first.
struct rivals {
    struct sac_conv_choice choice[SAC__RIVALS];
    double us[SAC__RIVALS]; ///< 0: not measured, and then the only one
    int count;              ///< 0: there is no way
};

/// What runs as one launch: convolutions that do not depend on each other; or that come after each
/// other, each on the results of the one before (a chain); or one other layer.
struct unit {
    int layers[SAC__CONV_GROUP], count;
    int chain;
    struct sac_conv_choice choice; ///< kernel NULL: not convolutions
    double us;                     ///< measured; 0: not
    int known;                     ///< entry of the knowledge that it follows; negative: none
};

/// Where what belongs to a layer lies.
struct bound {
    size_t weights, bias; ///< in sac_program.weights
    size_t workspace;     ///< in an arena
};

struct sac_program {
    struct sac_plan *plan;
    int device;
    struct sac_conv_device facts;
    struct unit *units; ///< in running order
    int unit_count;
    struct bound *bound;              ///< a layer each
    struct sac_program_layer *layers; ///< a layer each
    char *weights;                    ///< on the device
    size_t weight_bytes, arena_bytes;
};

/// What is known of one group of convolutions, by the text that describes it.
struct known {
    char *key;
    struct sac_conv_choice choice;
    double us;    ///< of the fastest by itself
    double apart; ///< µs of the layers of a chain by themselves; 0: no chain, or not measured
    int verdict;  ///< of the whole network on a chain: 1 together, -1 apart, 0 none
    struct rivals rivals; ///< none where the entry is from disk
};
struct knowledge {
    struct known *at;
    int count, capacity;
    int fresh; ///< entries that are not on disk
};

/// The entry of a key, or NULL.
const struct known *sac__known_find(const struct knowledge *knowledge, const char *key);

/// Adds an entry; copies the key. Errors: SAC_ENOMEM.
int sac__known_add(struct knowledge *knowledge, const char *key, struct sac_conv_choice choice,
                   double us);
void sac__known_free(struct knowledge *knowledge);

/// Reads what earlier runs measured for this model, GPU and version, and writes what is fresh.
/// Failures are for the log only.
void sac__known_load(struct knowledge *knowledge, const struct sac_program *program,
                     const struct sac_program_options *options);
void sac__known_store(const struct knowledge *knowledge, const struct sac_program *program,
                      const struct sac_program_options *options);

/// Fills program->units with the fastest way known or measured now, each launch by itself.
int sac__program_choose(struct sac_program *program, const struct sac_program_options *options,
                        struct knowledge *knowledge);

/// The same from what is known only, for a program that has units already. It cannot run before
/// sac__program_lay.
int sac__program_choose_again(struct sac_program *program,
                              const struct sac_program_options *options,
                              struct knowledge *knowledge);

/// Gives what was chosen its memory and weights; again, where it had others. Arenas of before are
/// none of the program any more.
int sac__program_lay(struct sac_program *program);

/// Tries what was nearly as fast by itself in the whole network, and keeps what makes that faster.
/// The program is ready to run, before and after.
int sac__program_refine(struct sac_program *program, const struct sac_program_options *options,
                        struct knowledge *knowledge);

/// Runs the whole network until the GPU has raised its clock.
int sac__program_warm(const struct sac_program *program, void *arena, cudaStream_t stream);

/// Where only extents and alignment count.
#define SAC__NO_ARENA ((void *)(uintptr_t)SAC__ALIGN)

/// The convolutions of a unit, but for weights, bias and workspace. Returns how many; of a chain it
/// is one, and the others are in `after`, SAC__AFTER at most.
int sac__unit_describe(const struct sac_plan *plan, const struct unit *unit, void *arena,
                       struct sac_conv *convs, struct sac_conv_after *after);

/// Launches one unit.
int sac__unit_launch(const struct sac_program *program, const struct unit *unit, void *arena,
                     cudaStream_t stream);

/// How much of a unit's time layer k of it is taken to need: by FLOP or bytes.
double sac__unit_share(const struct sac_program *program, const struct unit *unit, int k);

/// Times ways to run convolutions on memory of its own.
struct tuner;
int sac__tuner_open(struct tuner **tuner_out, const struct sac_program *program,
                    const struct sac_program_options *options);
void sac__tuner_close(struct tuner **tuner);

/// Seconds that the tuner may take, the whole network's included.
double sac__tune_seconds(const struct sac_program_options *options);

/// Measures all ways to run the unit's layers in one launch. Where time ran out, the one expected
/// fastest is there with 0 µs. `share`: of the time left, how much may be spent. A way that cannot
/// be launched is logged and left out. Errors: SAC_EBACKEND, which names the kernel that the GPU
/// failed in.
int sac__tuner_measure(struct tuner *tuner, const struct unit *unit, double share,
                       struct rivals *rivals_out);

/// Every choice that can run all of `convs` in one launch, expected fastest first.
int sac__choices_list(const struct sac_conv *convs, int count, const struct sac_conv_device *device,
                      struct sac_conv_choice *choices);

/// Times what `launch` enqueues: `repeat` calls in one CUDA graph, the best of `runs` runs; µs a
/// call. Stops after a run slower than `give_up` (0: never). Errors: SAC_EBACKEND and launch's own.
struct timing {
    int (*launch)(void *user, int turn, cudaStream_t stream);
    void *user;
    int repeat, runs;
    double give_up;
    cudaStream_t stream;
};
int sac__timing_run(const struct timing *timing, double *us_out);

/// Seconds of a clock that only goes forward.
double sac__timing_now(void);

#endif
