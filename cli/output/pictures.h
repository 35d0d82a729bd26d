// SPDX-License-Identifier: Apache-2.0
// What the sinks that write pictures share.
#ifndef SAC_CLI_PICTURES_H
#define SAC_CLI_PICTURES_H

#include <stdint.h>

#include "output/folder.h"

/// BGR pixels, rows `stride` bytes apart.
struct picture {
    const uint8_t *bgr;
    int width, height;
    ptrdiff_t stride;
};

/// Returns 0 when the item's pixels are BGR in host memory, else -1 after message_set.
int picture_check(const struct item *item);

/// Extension of the pictures that the sink writes: what the user chose, or `automatic`.
const char *picture_format(const struct sink *sink, const char *automatic);

/// Encodes a picture and adds it under the item's name with `suffix` after the stem. What is too
/// large for the format becomes PNG. Returns 0, or -1 after message_set.
int picture_add(struct files *files, const struct sink *sink, const struct item *item,
                const char *below, const char *suffix, const char *format,
                const struct picture *picture);

#endif
