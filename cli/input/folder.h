// SPDX-License-Identifier: Apache-2.0
// Names in a folder, and patterns.
#ifndef SAC_CLI_FOLDER_H
#define SAC_CLI_FOLDER_H

#include "list.h"

/// Which names of a folder are wanted.
struct folder_filter {
    int subfolders;      ///< nonzero: also folders below (no symbolic links), as "name/"
    const char *pattern; ///< NULL: pictures by extension; else what pattern_matches takes
    const char *below; ///< with a pattern: the folder's path below the pattern's root, "" or "a/b/"
};

/// Lists a folder in bytewise order, without hidden names. Returns 0, or -1 after message_set.
int folder_list(struct strings *names_out, const char *path, const struct folder_filter *filter);

/// Nonzero when the word has *, ? or [.
int pattern_is(const char *word);

/// Nonzero when the path matches: fnmatch for each part, and "**" for any number of folders.
int pattern_matches(const char *pattern, const char *path);

/// Nonzero when the name ends as pictures do.
int has_picture_extension(const char *name);

#endif
