// SPDX-License-Identifier: Apache-2.0
// Pictures to measure with: the user's files, or generated ones.
#ifndef SAC_CLI_BENCH_PICTURES_H
#define SAC_CLI_BENCH_PICTURES_H

#include <stddef.h>
#include <stdint.h>

#include "input/source.h"
#include "options.h"
#include "saccade/saccade.h"

/// More than this many are not needed, and their files should stay in the system's cache.
enum { BENCH_PICTURES = 256 };

struct bench_picture {
    char *path;     ///< a file, or NULL
    uint8_t *bytes; ///< a generated picture's file in memory, or NULL
    size_t size;    ///< of bytes
    int width, height;
};

struct bench_pictures {
    int generated;
    size_t count;
    sac_image_options options; ///< how to open them
    struct bench_picture items[BENCH_PICTURES];
};

/// The files that operands `first`… name.
struct sources_request bench_pictures_request(const struct options *options, size_t first);

/// Fills `pictures` (zeroed by the caller) from the operands `first`… of the options, or with
/// generated ones of the sizes asked for. Every picture is opened once: what cannot be read is told
/// of and left out. Returns an exit code.
int bench_pictures_take(struct bench_pictures *pictures, const struct options *options,
                        size_t first);
void bench_pictures_free(struct bench_pictures *pictures);

/// Opens picture `index` (taken modulo their number). Returns as sac_image_open.
int bench_picture_open(const struct bench_pictures *pictures, size_t index, sac_image *image_out);

#endif
