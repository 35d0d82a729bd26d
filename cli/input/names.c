// SPDX-License-Identifier: Apache-2.0
#include "input/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

// FNV-1a, 64 bit (Fowler, Noll, Vo). A collision of two stems only costs a needless suffix.
static uint64_t hash_of(const char *text, size_t size)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
    return hash ? hash : 1;
}

static struct names_slot *find(const struct names *names, uint64_t hash)
{
    size_t i = (size_t)hash & (names->capacity - 1);
    while (names->slots[i].hash && names->slots[i].hash != hash)
        i = (i + 1) & (names->capacity - 1);
    return &names->slots[i];
}

static int grow(struct names *names)
{
    if (2 * (names->count + 1) <= names->capacity) return 0;
    struct names larger = {.capacity = names->capacity ? 2 * names->capacity : 64,
                           .count = names->count};
    larger.slots = calloc(larger.capacity, sizeof *larger.slots);
    if (!larger.slots) return message_set("out of memory");
    for (size_t i = 0; i < names->capacity; i++)
        if (names->slots[i].hash) *find(&larger, names->slots[i].hash) = names->slots[i];
    free(names->slots);
    *names = larger;
    return 0;
}

// Takes the stem if it is free: 1; 0 where it is taken (slot_out then knows the next suffix).
static int claim(struct names *names, const char *stem, size_t size, struct names_slot **slot_out)
{
    uint64_t hash = hash_of(stem, size);
    struct names_slot *slot = find(names, hash);
    *slot_out = slot;
    if (slot->hash) return 0;
    *slot = (struct names_slot){hash, 2};
    names->count++;
    return 1;
}

static size_t stem_size(const char *path)
{
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    const char *dot = strrchr(base, '.');
    return dot && dot > base ? (size_t)(dot - path) : strlen(path);
}

char *names_take(struct names *names, const char *path)
{
    while (*path == '/')
        path++;
    if (!*path) path = "picture";
    size_t stem = stem_size(path), room = strlen(path) + 24;
    char *name = malloc(room);
    if (!name || grow(names)) {
        free(name);
        message_set("out of memory");
        return NULL;
    }
    strcpy(name, path);
    struct names_slot *slot;
    if (claim(names, path, stem, &slot)) return name;
    const size_t home = (size_t)(slot - names->slots); // stays: the table does not grow below
    for (int taken = 0; !taken;) {
        int n = snprintf(name, room, "%.*s-%llu", (int)stem, path,
                         (unsigned long long)names->slots[home].next++);
        taken = claim(names, name, (size_t)n, &slot);
        strcpy(name + n, path + stem);
    }
    return name;
}

void names_free(struct names *names)
{
    free(names->slots);
    *names = (struct names){NULL, 0, 0};
}
