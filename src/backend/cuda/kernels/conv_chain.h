// SPDX-License-Identifier: Apache-2.0
// What conv_chain.c, which chooses, and conv_chain.cu, which runs, both know.
#ifndef SAC_CUDA_CONV_CHAIN_H
#define SAC_CUDA_CONV_CHAIN_H

#include "conv_halo_wgmma.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Name of the channels; of the first convolution as in SAC__CONV_HALO_WGMMA_SHAPES: channels,
/// output channels; then of the one after it: channels of the first that it reads, in 32s,
/// channels beside them, output channels, in 32s; then window, stride, wide, workers, blocks.
#define SAC__CONV_CHAIN_SHAPES(X)                                                                  \
    X("16>32>32", 16, 32, 32, 0, 32, 3, 2, 1, 4, 2)                                                \
    X("32>64>64", 32, 64, 64, 0, 64, 3, 2, 1, 6, 1)                                                \
    X("16>32+16>32", 16, 32, 32, 16, 32, 3, 1, 1, 4, 2)                                            \
    X("16>32>32", 16, 32, 32, 0, 32, 3, 1, 1, 4, 2)                                                \
    X("32>32+32>64", 32, 32, 32, 32, 64, 3, 1, 1, 3, 2)                                            \
    X("32>32>32", 32, 32, 32, 0, 32, 3, 1, 1, 4, 2)                                                \
    X("64>64+64>128", 64, 64, 64, 64, 128, 3, 1, 1, 5, 1)                                          \
    X("64>64>64", 64, 64, 64, 0, 64, 3, 1, 1, 6, 1)                                                \
    X("64>64>64", 64, 64, 64, 0, 64, 3, 1, 1, 5, 1)                                                \
    X("16>32+32>32", 16, 32, 32, 32, 32, 3, 1, 1, 4, 2)                                            \
    X("32>32+64>64", 32, 32, 32, 64, 64, 3, 1, 1, 3, 2)                                            \
    X("64>64+128>128", 64, 64, 64, 128, 128, 3, 1, 1, 3, 1)                                        \
    X("48>96>96", 48, 96, 96, 0, 96, 3, 2, 1, 3, 1)                                                \
    X("48>64+48>96", 48, 64, 64, 48, 96, 3, 1, 1, 4, 1)                                            \
    X("48>64>64", 48, 64, 64, 0, 64, 3, 1, 1, 6, 1)                                                \
    X("96>96:64>64", 96, 96, 64, 0, 64, 1, 1, 1, 4, 1)                                             \
    X("32>32>32", 32, 32, 32, 0, 32, 1, 1, 1, 4, 2)                                                \
    X("64>64:32>32", 64, 64, 32, 0, 32, 1, 1, 1, 3, 2)                                             \
    X("128>128:64>64", 128, 128, 64, 0, 64, 1, 1, 1, 4, 1)

/// The same with one more after them: channels of the second that it reads, in 32s, and output
/// channels, at most 64.
#define SAC__CONV_CHAIN_TRIPLES(X)                                                                 \
    X("16>32>32:32>32", 16, 32, 32, 0, 32, 3, 2, 1, 4, 2, 32, 32)                                  \
    X("32>64>64:32>32", 32, 64, 64, 0, 64, 3, 2, 1, 5, 1, 32, 32)

struct sac_chain_shape {
    struct sac_halo_shape first;
    int depth, beside, after;
    int then, last; ///< depth and columns of one more, or 0
};

const struct sac_chain_shape *sac__conv_chain_shape(const struct sac_conv_kernel *self);
int sac__conv_chain_shared(const struct sac_conv_kernel *self);
/// What is fetched of beside's channels; a tile of the first one's input where there are none.
struct sac_tile sac__conv_chain_beside(const struct sac_conv_kernel *self,
                                       const struct sac_conv *conv);
/// Returns the blocks.
int sac__conv_chain_walk(struct sac_conv_walk *walk, const struct sac_conv_kernel *self,
                         const struct sac_conv *conv);
int sac__conv_chain_launch(const struct sac_conv_kernel *self, const struct sac_conv *convs,
                           int count, const struct sac_conv_launch *how);

#ifdef __cplusplus
}
#endif

#endif
