// SPDX-License-Identifier: Apache-2.0
#ifndef SAC_CLI_MODEL_PATH_H
#define SAC_CLI_MODEL_PATH_H

#include <stddef.h>

/// Nonzero when an operand is a model rather than a source: its name ends in .onnx, .engine or
/// .plan.
int model_path_is(const char *operand);

/// The default model: $SACCADE_MODEL, else codes-n6.onnx or codes-n.onnx of an installation or a
/// build tree. Returns 0, or -1 after message_set.
int model_path_default(char *path_out, size_t size);

#endif
