// SPDX-License-Identifier: Apache-2.0
#include "names.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "error.h"

static uint64_t hash_of(const char *name)
{
    return XXH3_64bits(name, strlen(name)) | 1;
}

static uint64_t *find_slot(const struct sac__names *names, uint64_t hash)
{
    size_t at = (size_t)(hash >> 1) & names->mask;
    while (names->slots[at] && names->slots[at] != hash)
        at = (at + 1) & names->mask;
    return names->slots + at;
}

int sac__names_open(struct sac__names *names, size_t most)
{
    size_t slots = 16;
    while (slots < 2 * most)
        slots *= 2;
    names->slots = calloc(slots, sizeof *names->slots);
    names->mask = slots - 1;
    return names->slots ? SAC_OK : sac__fail(SAC_ENOMEM, "out of memory");
}

void sac__names_close(struct sac__names *names)
{
    free(names->slots);
    names->slots = NULL;
}

int sac__names_have(const struct sac__names *names, const char *name)
{
    return *find_slot(names, hash_of(name)) != 0;
}

int sac__names_add(struct sac__names *names, const char *name)
{
    uint64_t *slot = find_slot(names, hash_of(name));
    const int is_new = *slot == 0;
    *slot = hash_of(name);
    return is_new;
}
