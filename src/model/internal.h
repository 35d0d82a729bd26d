// SPDX-License-Identifier: Apache-2.0
// Shared by the files of this folder.
#ifndef SAC_SRC_MODEL_INTERNAL_H
#define SAC_SRC_MODEL_INTERNAL_H

#include "model.h"

/// Takes one metadata entry into the model; unknown keys are passed over. A later entry replaces an
/// earlier one. Errors: SAC_EMODEL (names the key, and the position in a literal), SAC_ENOMEM.
int sac__metadata_set(struct sac_model *model, const char *key, const char *value);

/// XXH3-128 as xxh128sum prints it: the canonical, big-endian form in hex.
void sac__model_hash(char hash_out[33], const void *bytes, size_t size);

/// Reads the ONNX graph of model->bytes: metadata, input shape, tail, external data.
/// Errors: SAC_EMODEL, SAC_ENOMEM.
int sac__onnx_read(struct sac_model *model);

struct Onnx__GraphProto;

/// Adds the SAC__TAIL_… bits of a graph. Errors: SAC_ENOMEM.
int sac__graph_tail(unsigned *tail_out, const struct Onnx__GraphProto *graph);

/// Whether an operator's further inputs are shapes and indices, not values.
int sac__shape_inputs(const char *op);

/// Errors: SAC_EMODEL (names a node of the cycle), SAC_ENOMEM.
int sac__graph_check_cycles(const struct Onnx__GraphProto *graph);

#endif
