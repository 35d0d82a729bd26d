// SPDX-License-Identifier: Apache-2.0
// What conv_halo_wgmma.c, which chooses, and conv_halo_wgmma.cu, which runs, both know.
#ifndef SAC_CUDA_CONV_HALO_WGMMA_H
#define SAC_CUDA_CONV_HALO_WGMMA_H

#include "conv_kernels.h"
#include "cuda/tensor_map.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Channels, output channels of a block, height and width of the window, stride, 8x8 pixels beside
/// each other in a tile, warpgroups of a block, blocks a processor. Six warpgroups of a processor
/// were faster than eight, which have fewer registers.
#define SAC__CONV_HALO_WGMMA_SHAPES(X)                                                             \
    X(16, 32, 3, 1, 2, 4, 2)                                                                       \
    X(16, 32, 3, 1, 1, 4, 2)                                                                       \
    X(16, 32, 3, 2, 2, 4, 2)                                                                       \
    X(32, 32, 3, 1, 2, 4, 2)                                                                       \
    X(32, 32, 3, 1, 1, 4, 2)                                                                       \
    X(32, 64, 3, 2, 1, 6, 1)                                                                       \
    X(48, 64, 3, 1, 1, 6, 1)                                                                       \
    X(64, 64, 3, 1, 1, 6, 1)                                                                       \
    X(64, 64, 3, 2, 1, 3, 1)                                                                       \
    X(64, 128, 3, 2, 1, 2, 1)                                                                      \
    X(128, 64, 3, 1, 1, 2, 1)                                                                      \
    X(192, 32, 3, 1, 1, 1, 1)                                                                      \
    X(256, 32, 3, 1, 1, 1, 1)                                                                      \
    X(128, 64, 3, 2, 1, 1, 1)                                                                      \
    X(32, 32, 1, 1, 2, 4, 2)                                                                       \
    X(32, 64, 1, 1, 1, 3, 2)                                                                       \
    X(64, 64, 1, 1, 1, 3, 2)                                                                       \
    X(128, 64, 1, 1, 1, 3, 2)                                                                      \
    X(128, 128, 1, 1, 1, 4, 1)                                                                     \
    X(256, 128, 1, 1, 1, 4, 1)

/// Channels of a load of the copy engine.
#define SAC__HALO_BOX(channels) ((channels) % 64 == 0 ? 64 : (channels) % 32 == 0 ? 32 : 16)
/// Pixels of a load: with stride 2 every other one of a row.
#define SAC__HALO_ACROSS(tile, window, stride)                                                     \
    ((((tile)-1) * (stride) + (window) + (stride)-1) / (stride))
#define SAC__HALO_DOWN(tile, window, stride) (((tile)-1) * (stride) + (window))
/// Loads begin where a swizzle does.
#define SAC__HALO_ROOM(bytes) (((bytes) + 1023) / 1024 * 1024)

int sac__conv_halo_wgmma_threads(const struct sac_conv_kernel *self);
int sac__conv_halo_wgmma_shared(const struct sac_conv_kernel *self);
struct sac_tile sac__conv_halo_wgmma_tile(const struct sac_conv_kernel *self,
                                          const struct sac_conv *conv);
/// Returns the blocks beside each other.
int sac__conv_halo_wgmma_walk(struct sac_conv_walk *walk, const struct sac_conv_kernel *self,
                              const struct sac_conv *conv);
int sac__conv_halo_wgmma_launch(const struct sac_conv_kernel *self, const struct sac_conv *convs,
                                int count, const struct sac_conv_launch *how);

#ifdef __cplusplus
}
#endif

#endif
