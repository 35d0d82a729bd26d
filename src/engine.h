// SPDX-License-Identifier: Apache-2.0
#ifndef SAC_SRC_ENGINE_H
#define SAC_SRC_ENGINE_H

#include "backend/backend.h"

/// sac_engine_open with the file already read; `source` is borrowed for the call.
int sac__engine_open(sac_engine **engine_out, const struct sac_source *source,
                     const sac_engine_options *options);

#endif
