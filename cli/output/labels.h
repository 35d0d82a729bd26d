// SPDX-License-Identifier: Apache-2.0
// Where labels go: beside their box, within the picture, and off one another where there is room.
#ifndef SAC_CLI_LABELS_H
#define SAC_CLI_LABELS_H

#include <stddef.h>

/// Whole pixels: x1 ≤ x < x2.
struct area {
    int x1, y1, x2, y2;
};

/// Chooses a place for a plate of width × height beside `box` (its outer edge) in a picture, away
/// from the plates placed before. The result lies in the picture if the plate fits in at all.
struct area label_place(struct area box, int width, int height, struct area picture,
                        const struct area *placed, size_t count);

#endif
