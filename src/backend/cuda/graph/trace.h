// SPDX-License-Identifier: Apache-2.0
// Where an element comes from, through nodes that only move elements.
#ifndef SAC_CUDA_TRACE_H
#define SAC_CUDA_TRACE_H

#include "plan.h"

/// Whether a node only moves elements of its first input, or multiplies all by one constant number.
int sac__node_moves(const struct sac_graph *graph, int node);

/// Walks from element `*flat` of a tensor back to `origin` and writes the element there; multiplies
/// *factor by the constants on the way. Returns whether it comes from there.
int sac__trace(const struct sac_graph *graph, int tensor, int origin, int64_t *flat, float *factor);

/// Follows the inputs of such nodes to the tensor that none of them makes.
int sac__trace_origin(const struct sac_graph *graph, int tensor);

#endif
