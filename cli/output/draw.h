// SPDX-License-Identifier: Apache-2.0
// Boxes and labels onto a picture.
#ifndef SAC_CLI_DRAW_H
#define SAC_CLI_DRAW_H

#include <stddef.h>
#include <stdint.h>

#include "output/sink.h"

/// Nonzero when there is a font to write labels with. Call once before draw_boxes, from one thread.
int draw_has_font(void);

/// Draws an item's boxes onto a copy of its picture, BGR rows `stride` bytes apart. Pixels away
/// from boxes and labels stay as they are. Thread-safe. Returns 0, or -1 after message_set.
int draw_boxes(uint8_t *bgr, ptrdiff_t stride, const struct item *item,
               const struct sink_options *options);

#endif
