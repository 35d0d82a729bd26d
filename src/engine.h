// SPDX-License-Identifier: Apache-2.0
#ifndef SAC_SRC_ENGINE_H
#define SAC_SRC_ENGINE_H

#include "backend/backend.h"
#include "model/model.h"

/// What a backend opens of a model; everything is borrowed. `path` is NULL for bytes without one.
struct sac_source sac__engine_source(const struct sac_model *model, const char *path);

/// sac_engine_open with the file already read; `source` is borrowed for the call.
int sac__engine_open(sac_engine **engine_out, const struct sac_source *source,
                     const sac_engine_options *options);

#endif
