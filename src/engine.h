// SPDX-License-Identifier: Apache-2.0
#ifndef SAC_SRC_ENGINE_H
#define SAC_SRC_ENGINE_H

#include "backend/backend.h"
#include "model/model.h"

struct sac_engine {
    const struct sac_backend *backend;
    void *state;
    struct sac_engine_facts facts;
    sac_head head; ///< where has_head is nonzero
    int has_head;
    size_t output; ///< binding that the head is read from
};

/// What a backend opens of a model; everything is borrowed. `path` is NULL for bytes without one.
struct sac_source sac__engine_source(const struct sac_model *model, const char *path);

/// sac_engine_open with the file already read; `source` is borrowed for the call.
int sac__engine_open(sac_engine **engine_out, const struct sac_source *source,
                     const sac_engine_options *options);

/// The binding of that index. Errors: SAC_EINVAL.
int sac__engine_binding(const sac_binding **binding_out, const sac_engine *engine, size_t index);

#endif
