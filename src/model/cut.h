// SPDX-License-Identifier: Apache-2.0
// A model without its decode tail: the network ends at its last convolutions, whose raw maps the
// head reads.
#ifndef SAC_SRC_CUT_H
#define SAC_SRC_CUT_H

#include "model.h"
#include "ops/math/maps.h"

/// What is left of a model, and how to read what it gives.
struct sac_cut {
    uint8_t *bytes; ///< ONNX; owned
    size_t size;
    char hash[33]; ///< XXH3-128 of bytes in hex
    /// Strides, anchors, extents; without data. Output 0, 1, … of the network: V5: boxes of each
    /// level; V8: boxes and scores of each.
    struct sac__maps maps;
    sac_binding replaced; ///< the output that the tail would have made
};

/// Cuts the tail off where it is known and computes exactly what the head would; `shape` is the
/// input's, extents that the file leaves open filled in. *cut_out is NULL where nothing can be cut:
/// another family, several outputs, weights in other files, operators that the graph does not know.
/// Close with sac__cut_close. Errors: SAC_ENOMEM.
int sac__cut_open(struct sac_cut **cut_out, const struct sac_model *model, const int64_t shape[4]);
void sac__cut_close(struct sac_cut **cut);

/// How many outputs the network has.
int sac__cut_outputs(const struct sac_cut *cut);

/// Extents (C,H,W) of output `index`.
void sac__cut_shape(const struct sac_cut *cut, int index, int64_t shape_out[3]);

/// The raw maps of picture `index` of a batch; `outputs` are the network's, in order.
/// Errors: SAC_EINVAL (not of that shape, not contiguous host memory, not all SAC_F32 or SAC_F16).
int sac__cut_maps(const struct sac_cut *cut, const sac_tensor *outputs, int64_t index,
                  struct sac__maps *maps_out);

#endif
