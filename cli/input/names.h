// SPDX-License-Identifier: Apache-2.0
// Names for output files: unique within a run, up to the extension.
#ifndef SAC_CLI_NAMES_H
#define SAC_CLI_NAMES_H

#include <stddef.h>
#include <stdint.h>

/// Hashes of the stems that were given out; 16 bytes a name. Zero-initialise.
struct names {
    struct names_slot {
        uint64_t hash; ///< 0: free
        uint64_t next; ///< suffix to try next
    } * slots;
    size_t capacity, count;
};

/// An owned copy of `path`, cleaned of leading slashes, with "-2", "-3"… before its extension when
/// an earlier one had the same stem. NULL after message_set (out of memory).
char *names_take(struct names *names, const char *path);

void names_free(struct names *names);

#endif
