// SPDX-License-Identifier: Apache-2.0
// A model with its network in half precision, for builders that take each tensor's type as given.
#ifndef SAC_SRC_HALF_H
#define SAC_SRC_HALF_H

#include "model.h"

/// Writes the model again: picture, weights and everything up to the raw maps are binary16; the
/// decode tail stays float, since half has no more than one pixel's resolution above 1024. Where
/// the tail is not known (see cut.h) all that leads to a convolution is made half. A model with
/// quantised layers stays as it is. `shape`: the input's, extents that the file leaves open filled
/// in (used to recognise the tail). Free *bytes_out.
/// Errors: SAC_EUNSUPPORTED (a weight beyond half's range, named; weights in other files),
/// SAC_EMODEL, SAC_ENOMEM.
int sac__half_write(uint8_t **bytes_out, size_t *size_out, const struct sac_model *model,
                    const int64_t shape[4]);

#endif
