// SPDX-License-Identifier: Apache-2.0
// A compiled network from a model file or from the cache.
#ifndef SAC_SRC_OPENVINO_COMPILE_H
#define SAC_SRC_OPENVINO_COMPILE_H

#include "backend/cache.h"
#include "openvino.h"

/// Reads the model and gives its first input the extents that are asked for. Free model_out also
/// after a failure. Errors: SAC_EMODEL, SAC_EINVAL, SAC_ENOMEM.
int sac__openvino_read(ov_model_t **model_out, const ov_core_t *core,
                       const struct sac_source *source);

/// Compiles the model as the core is configured. Errors: SAC_EMODEL, SAC_ENOMEM.
int sac__openvino_compile(ov_compiled_model_t **compiled_out, const ov_core_t *core,
                          const ov_model_t *model);

/// Nonzero when the cache had the network. An entry that OpenVINO refuses is removed. The network
/// reads its weights from *file_out as long as it lives: free that after it.
int sac__openvino_import(ov_compiled_model_t **compiled_out, void **file_out, const ov_core_t *core,
                         struct sac_cache *cache);

/// Puts the network into the cache; a failure is logged.
void sac__openvino_export(struct sac_cache *cache, const ov_compiled_model_t *compiled);

#endif
