// SPDX-License-Identifier: Apache-2.0
// A set of tensor names, by hash, with open addressing.
#ifndef SAC_SRC_MODEL_NAMES_H
#define SAC_SRC_MODEL_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct sac__names {
    uint64_t *slots; ///< 0 = free
    size_t mask;
};

/// Takes room for `most` names. Close with sac__names_close. Errors: SAC_ENOMEM.
int sac__names_open(struct sac__names *names, size_t most);
void sac__names_close(struct sac__names *names);

int sac__names_have(const struct sac__names *names, const char *name);

/// Nonzero when the name is new.
int sac__names_add(struct sac__names *names, const char *name);

#endif
