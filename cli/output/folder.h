// SPDX-License-Identifier: Apache-2.0
// What the sinks that write files into a folder share: everything but `render`.
#ifndef SAC_CLI_FOLDER_H
#define SAC_CLI_FOLDER_H

#include "output/sink.h"

struct sink {
    char *folder;
    struct sink_options options;
};

/// What such a sink renders: files, whole in memory, owned.
struct files {
    size_t count;
    struct output_file {
        char *path;
        void *bytes; ///< from malloc
        size_t size;
    } items[];
};

int folder_sink_open(struct sink **sink_out, const char *target,
                     const struct sink_options *options);
int folder_sink_commit(struct sink *sink, const struct rendered *rendered);
int folder_sink_close(struct sink **sink, int complete);

/// Room for `capacity` files, none in it yet, as rendered_out, which owns them; NULL after
/// message_set.
struct files *files_take(struct rendered *rendered_out, size_t capacity);

/// Adds a file; takes `path` and `bytes` in any case, even NULL. Returns 0, or -1 after message_set
/// (out of memory, or the file
/// is the item's own source or a picture that lies beside it).
int files_add(struct files *files, const struct item *item, char *path, void *bytes, size_t size);

/// Path below the sink's folder of what is made from an item: its name with `suffix` (".txt") in
/// place of the extension. `below` is a folder in between, or NULL. Free it; NULL when out of
/// memory.
char *output_path(const struct sink *sink, const char *below, const struct item *item,
                  const char *suffix);

/// Whether a file name says JPEG.
int name_is_jpeg(const char *name);

#endif
