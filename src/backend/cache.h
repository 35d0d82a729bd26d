// SPDX-License-Identifier: Apache-2.0
// What plugins keep on disk: compiled networks (OpenVINO has a cache, without checksum, shared
// between precisions and never cleaned; so this one is ours) and the CUDA tuner's choices. One that
// cannot be used is a note in the log, never a failure.
#ifndef SAC_SRC_CACHE_H
#define SAC_SRC_CACHE_H

#include <stddef.h>
#include <stdint.h>

/// One entry of the folder: "BACKEND-HASH.blob", HASH = XXH3-128 of the key.
struct sac_cache {
    const char *backend; ///< at most 16 letters; only its own entries are seen and removed
    const char *title;   ///< for the log: "compiled-model cache"
    uint64_t limit;      ///< bytes that all entries together may take
    void (*log)(void *user, const char *line);
    void *log_user;
    // Not the caller's, but for the key.
    int folder; ///< file descriptor, -1: no cache
    char name[64];
    char key[1536]; ///< all that the entry depends on, as text
};

/// An entry's bytes. Free `file`.
struct sac_cache_blob {
    uint8_t *file;       ///< header, key, blob
    const uint8_t *data; ///< inside file, at a multiple of 64 bytes
    size_t size;
};

/// Opens (and makes, mode 0700) the folder: `path`, or where it is NULL $XDG_CACHE_HOME/saccade or
/// ~/.cache/saccade; "" = no cache. The caller has set the first five fields; folder becomes -1
/// when it cannot be used.
void sac__cache_open(struct sac_cache *cache, const char *path);

/// Names the entry that the functions below are about: call after writing `key`.
void sac__cache_select(struct sac_cache *cache);
void sac__cache_close(struct sac_cache *cache);

/// Reads and verifies the entry; nonzero when blob_out holds it. A damaged or foreign file is
/// removed. A hit renews the entry's time.
int sac__cache_load(struct sac_cache *cache, struct sac_cache_blob *blob_out);

/// Writes the entry atomically, then removes the entries that were unused for longest until the
/// limit holds.
void sac__cache_store(struct sac_cache *cache, const void *data, size_t size);

/// Removes the entry and logs why.
void sac__cache_drop(struct sac_cache *cache, const char *why);

/// A line to the log: "TITLE: …".
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void sac__cache_log(struct sac_cache *cache, const char *format, ...);

#endif
