// SPDX-License-Identifier: Apache-2.0
// TensorRT engine files: a plan, with ultralytics' header before it or bare. The header is a 32-bit
// little-endian length and as many bytes of JSON: the metadata that an ONNX file would carry.
#ifndef SAC_SRC_PLAN_FILE_H
#define SAC_SRC_PLAN_FILE_H

#include "model.h"

/// Where the plan begins in the bytes of an engine file; -1: they are no engine file.
int64_t sac__plan_file_find(const uint8_t *bytes, size_t size);

/// Takes the header's metadata into the model, whose bytes are an engine file.
/// Errors: SAC_EMODEL (names the key), SAC_ENOMEM.
int sac__plan_file_read(struct sac_model *model);

/// The header for a plan that was built from an ONNX model: length and JSON. `engine` says what
/// built it. Free *header_out with free(). Errors: SAC_ENOMEM, SAC_EMODEL.
int sac__plan_file_header(uint8_t **header_out, size_t *size_out, const struct sac_model *model,
                          const char *engine);

#endif
