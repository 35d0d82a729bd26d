// SPDX-License-Identifier: Apache-2.0
#ifndef SAC_CLI_LIST_H
#define SAC_CLI_LIST_H

#include <stddef.h>

/// Growing list of strings; owns them. Zero-initialise.
struct strings {
    char **items;
    size_t count;
};

/// Appends a copy. Returns 0, or -1 after message_set.
int strings_add(struct strings *list, const char *text);
void strings_free(struct strings *list);

#endif
