// SPDX-License-Identifier: Apache-2.0
// What runs the network: one table a backend, loaded at run time from libsaccade-NAME.so.
#ifndef SAC_SRC_BACKEND_H
#define SAC_SRC_BACKEND_H

#include "saccade/engine.h"

/// Grows whenever a structure in this file changes; core and plugin must agree.
#define SAC_BACKEND_ABI 2

/// What the core gives a plugin, so that a plugin links nothing of the core.
struct sac_host {
    uint32_t abi;
    const char *version;                              ///< of the core library
    int (*fail)(int error, const char *format, ...);  ///< sac__fail
};

/// What a backend opens. Borrowed for the call.
struct sac_source {
    const char *path;    ///< file, or NULL for bytes without one (external data needs the path)
    const uint8_t *bytes; ///< the whole file
    size_t size;
    const char *hash; ///< XXH3-128 of bytes in hex
    const char *const *names; ///< of the graph's inputs, then outputs; NULL where not known
    size_t name_count;
    int self_contained; ///< zero: weights lie in other files, so the hash does not cover them
    /// Extents for the first input, input_ndim of them, -1 = leave dynamic; input_ndim 0 = as in
    /// the file. Only extents that the file leaves dynamic may be given another value.
    int32_t input_ndim;
    int64_t input_shape[SAC_MAX_DIMS];
};

/// Facts of an opened engine, written by `open`, owned by the backend until `close`.
struct sac_engine_facts {
    const char *where; ///< for sac_engine_where
    sac_precision precision;
    int parallel;
    size_t binding_count;
    const sac_binding *bindings;
};

/// Functions return 0 or SAC_E… after host->fail. `state` and `run` are the backend's own.
struct sac_backend {
    uint32_t abi;
    const char *name;
    sac_memory memory; ///< where it wants inputs and leaves outputs

    /// Writes up to capacity devices, returns how many there are (0 or more).
    size_t (*devices)(sac_device *devices_out, size_t capacity);
    int (*open)(void **state_out, struct sac_engine_facts *facts_out,
                const struct sac_source *source, const sac_engine_options *options);
    void (*close)(void *state);

    int (*context_open)(void **run_out, void *state);
    void (*context_close)(void *run);
    int (*bind)(void *run, size_t index, const sac_tensor *tensor); ///< shaped, checked by the core
    int (*enqueue)(void *run);
    int (*wait)(void *run);
    int (*tensor)(void *run, size_t index, sac_tensor *tensor_out);
};

/// The one symbol that a plugin exports: SAC_BACKEND_ENTRY. Returns NULL after host->fail when the
/// plugin cannot serve this core or its own libraries are missing.
typedef const struct sac_backend *sac_backend_entry(const struct sac_host *host);
#define SAC_BACKEND_ENTRY "sac_backend_entry_v1"

/// Finds the backend for the options' device and backend; loads its plugin on first use (kept
/// loaded, never unloaded). Errors: SAC_EDEVICE (says what is missing), SAC_EINVAL.
int sac__backend_find(const struct sac_backend **backend_out, const sac_engine_options *options);

#endif
