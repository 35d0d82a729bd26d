// SPDX-License-Identifier: Apache-2.0
// What the checks share: a generator whose seed is printed and can be passed back, and a clock of
// the time on the processor.
//   check_NAME [SEED]      compares every set of kernels with "c" on random cases
//   check_NAME --bench     prints nanoseconds and bytes a call for every set
#ifndef SAC_TESTS_CHECK_H
#define SAC_TESTS_CHECK_H

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "ops/ops.h"

static const char *const check_sets[] = {"c", "avx2", "avx512"};
enum { CHECK_SETS = sizeof check_sets / sizeof *check_sets };

static uint64_t check_state;

/// Splitmix64 (S. Vigna, public domain).
static inline uint64_t check_random(void)
{
    uint64_t z = check_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/// From low to high, both included.
static inline int check_int(int low, int high)
{
    return low + (int)(check_random() % ((uint64_t)(high - low) + 1));
}

/// In [low,high).
static inline float check_float(float low, float high)
{
    return low + (high - low) * (float)(check_random() >> 40) / 16777216.f;
}

/// Spread evenly over the logarithm: 1 to 2^bits.
static inline int check_extent(int bits)
{
    return check_int(1, 1 << check_int(0, bits));
}

/// What is under way: said when the program is told to stop, so that what hangs has a name.
static char check_doing[512] = "starting";

static inline void check_now(const char *what)
{
    snprintf(check_doing, sizeof check_doing, "%s", what);
}

static inline void check_stop(int number)
{
    (void)number;
    const int failed = write(STDOUT_FILENO, "STOPPED in ", 11) < 0 ||
                       write(STDOUT_FILENO, check_doing, strlen(check_doing)) < 0 ||
                       write(STDOUT_FILENO, "\n", 1) < 0;
    _exit(failed ? 2 : 1);
}

/// Seed from the command line, the environment (SACCADE_SEED) or the clock; printed.
static inline void check_seed(const char *argument)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGTERM, check_stop);
    const char *text = argument ? argument : getenv("SACCADE_SEED");
    check_state = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)check_state);
}

static inline double check_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/// Fails the program, saying what and with which words.
#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("FAILED %s:%d: %s: ", __FILE__, __LINE__, #condition);                          \
            printf(__VA_ARGS__);                                                                   \
            printf("\n");                                                                          \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/// Runs `call` for a while; prints the best time and what it moved.
#define BENCH(what, set, bytes, call)                                                              \
    do {                                                                                           \
        double best = 1e9;                                                                         \
        for (double end = check_seconds() + 0.5; check_seconds() < end;) {                         \
            const double start = check_seconds();                                                  \
            call;                                                                                  \
            const double took = check_seconds() - start;                                           \
            if (took < best) best = took;                                                          \
        }                                                                                          \
        printf("%-44s %-6s %12.0f ns %12zu bytes\n", what, set, best * 1e9, (size_t)(bytes));      \
    } while (0)

#endif
