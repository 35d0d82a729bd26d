// SPDX-License-Identifier: Apache-2.0
// A colour for each class, any number of them.
#ifndef SAC_CLI_PALETTE_H
#define SAC_CLI_PALETTE_H

#include <stdint.h>

struct rgb {
    double r, g, b; ///< sRGB, 0–1
};

/// The colour of a class: always the same, and far from those of its neighbours.
struct rgb palette_color(int32_t class_id);

/// Black or white, whichever reads better on the colour.
struct rgb palette_text_on(struct rgb background);

#endif
