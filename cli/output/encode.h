// SPDX-License-Identifier: Apache-2.0
// Picture files from pixels: JPEG, PNG and WebP in memory.
#ifndef CLI_OUTPUT_ENCODE_H
#define CLI_OUTPUT_ENCODE_H

#include <stddef.h>
#include <stdint.h>

/// Encodes (height,width,3) BGR rows, stride bytes apart (negative: bottom-up), as the format that
/// the name's extension says (.jpg .jpeg .png .webp, in any case). quality is 1–100, for JPEG and
/// WebP. bytes_out is malloc'ed; NULL after a failure. Returns 0, SAC_EUNSUPPORTED (another
/// extension), SAC_ELIMIT (sides above what the format can say: 65500 for JPEG, 16383 for WebP),
/// SAC_EINVAL (sides below 1) or SAC_ENOMEM.
int encode_bgr(uint8_t **bytes_out, size_t *size_out, const char *name, const uint8_t *bgr,
               int width, int height, ptrdiff_t stride, int quality);

/// Nonzero when encode_bgr knows the name's extension.
int encode_knows(const char *name);

#endif
