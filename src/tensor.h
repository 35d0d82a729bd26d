// SPDX-License-Identifier: Apache-2.0
#ifndef SAC_SRC_TENSOR_H
#define SAC_SRC_TENSOR_H

#include "saccade/tensor.h"

/// What sac_tensor.owned points to for memory that is not SAC_HOST.
struct sac__owned {
    void (*free)(struct sac__owned *owned); ///< frees data, then itself
    void (*backend_free)(void *data, sac_memory memory, int32_t device);
    void *data;
    sac_memory memory;
    int32_t device;
};

#endif
