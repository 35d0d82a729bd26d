// SPDX-License-Identifier: Apache-2.0
// Protobuf's wire format, as far as it takes to step over the weights of a model: unpacking would
// copy them.
#ifndef SAC_SRC_WIRE_H
#define SAC_SRC_WIRE_H

#include <stddef.h>
#include <stdint.h>

/// Some bytes; borrowed.
struct sac__span {
    const uint8_t *at;
    size_t size;
};

/// A field of a message.
struct sac__field {
    uint64_t number;
    struct sac__span whole; ///< with its tag
    struct sac__span data;  ///< of a length-delimited field (bytes, text, message); else empty
};

/// Takes the first field off `message`. Returns 1, 0 at the end, -1 when the bytes are no message.
int sac__wire_next(struct sac__field *field_out, struct sac__span *message);

/// Splits a message: fields of the number go to `visit`, all others, in order, into kept_out, which
/// the caller frees. Errors: SAC_EMODEL (no message), SAC_ENOMEM, and what visit returns.
int sac__wire_split(uint8_t **kept_out, size_t *size_out, struct sac__span message, uint64_t number,
                    int (*visit)(void *user, struct sac__span data), void *user);

#endif
