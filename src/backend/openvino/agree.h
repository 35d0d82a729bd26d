// SPDX-License-Identifier: Apache-2.0
// Whether a network gives the same in two precisions.
#ifndef SAC_SRC_OPENVINO_AGREE_H
#define SAC_SRC_OPENVINO_AGREE_H

#include "openvino.h"

/// Runs both networks on the same made-up picture. Returns the share (0–1) of output values on
/// which they agree; -1 where that cannot be found out.
double sac__openvino_agreement(const ov_compiled_model_t *exact, const ov_compiled_model_t *fast);

/// Nonzero when the share is enough for the fast one to stand for the exact one.
int sac__openvino_agrees(double agreement);

#endif
