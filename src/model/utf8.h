// SPDX-License-Identifier: Apache-2.0
#ifndef SAC_SRC_UTF8_H
#define SAC_SRC_UTF8_H

#include <stddef.h>
#include <stdint.h>

/// Bytes of the character at `at`, 1–4; 0 when it is not well-formed UTF-8 (RFC 3629).
static inline size_t sac__utf8_length(const uint8_t *at, size_t left)
{
    uint8_t first = at[0];
    if (first < 0x80) return 1;
    size_t length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (length == 0 || length > left) return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80) return 0;
    int overlong = (first == 0xe0 && at[1] < 0xa0) || (first == 0xf0 && at[1] < 0x90);
    int surrogate = first == 0xed && at[1] > 0x9f, beyond = first == 0xf4 && at[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : length;
}

/// Writes a code point (below 0x110000) as 1–4 bytes; returns how many.
static inline size_t sac__utf8_write(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)((0xf00 >> length) | code);
    return length;
}

#endif
