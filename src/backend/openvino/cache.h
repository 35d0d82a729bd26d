// SPDX-License-Identifier: Apache-2.0
// Compiled networks on disk. OpenVINO has a cache, without checksum, shared between precisions
// and never cleaned; so this one is ours. One that cannot be used is a note in the log, never
// a failure.
#ifndef SAC_SRC_OPENVINO_CACHE_H
#define SAC_SRC_OPENVINO_CACHE_H

#include <stddef.h>
#include <stdint.h>

/// One entry of the folder: "openvino-HASH.blob", HASH = XXH3-128 of the key.
struct openvino_cache {
    int folder; ///< file descriptor, -1: no cache
    char name[64];
    char key[1536];  ///< all that the entry depends on, as text
    uint64_t limit;  ///< bytes that all entries together may take
    void (*log)(void *user, const char *line);
    void *log_user;
};

/// An entry's bytes. Free `file`.
struct openvino_blob {
    uint8_t *file;       ///< header, key, blob
    const uint8_t *data; ///< inside file, at a multiple of 64 bytes
    size_t size;
};

/// Opens (and makes, mode 0700) the folder: `path`, or where it is NULL $XDG_CACHE_HOME/saccade or
/// ~/.cache/saccade; "" = no cache. Every field is set, folder to -1 when it cannot be used.
void sac__openvino_cache_open(struct openvino_cache *cache_out, const char *path, uint64_t limit,
                              void (*log)(void *, const char *), void *log_user);

/// Names the entry that the functions below are about: call after writing `key`.
void sac__openvino_cache_select(struct openvino_cache *cache);
void sac__openvino_cache_close(struct openvino_cache *cache);

/// Reads and verifies the entry; nonzero when blob_out holds it. A damaged or foreign file is
/// removed. A hit renews the entry's time.
int sac__openvino_cache_load(struct openvino_cache *cache, struct openvino_blob *blob_out);

/// Writes the entry atomically, then removes the entries that were unused for longest until the
/// limit holds.
void sac__openvino_cache_store(struct openvino_cache *cache, const void *data, size_t size);

/// Removes the entry and logs why.
void sac__openvino_cache_drop(struct openvino_cache *cache, const char *why);

/// A line to the log: "compiled-model cache: …".
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void sac__openvino_cache_log(struct openvino_cache *cache, const char *format, ...);

#endif
