// SPDX-License-Identifier: Apache-2.0
// Convolution nodes and their weights, as passes change them.
#ifndef SAC_CUDA_CONVOLUTION_H
#define SAC_CUDA_CONVOLUTION_H

#include "plan.h"

/// Makes constant weights of `shape` (K,C,R,S) and a bias of K; both zero. The node's own from now
/// on. Errors: SAC_ENOMEM, SAC_ELIMIT.
int sac__conv_weights(struct sac_graph *graph, int node, const int64_t shape[4]);

/// Whether a node is a live convolution with constant weights and bias and no epilogue but a bias.
int sac__conv_is_plain(const struct sac_graph *graph, int node);

/// Whether it is 1×1 with stride 1, no padding and one group.
int sac__conv_is_pointwise(const struct sac_graph *graph, int node);

/// Output channels, over all parts.
int64_t sac__conv_channels(const struct sac_graph *graph, int node);

/// Gives a node `count` outputs. Errors: SAC_ENOMEM.
int sac__node_outputs(struct sac_graph *graph, int node, const int *outputs, int count);

#endif
