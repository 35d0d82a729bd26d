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

/// A line of SAC__CONV_HALO_WGMMA_SHAPES.
struct sac_halo_shape {
    int channels, columns, window, stride, wide, workers, blocks;
};

enum { SAC__HALO_TILE = 8 }; ///< rows of a tile, and columns of one product

/// What a tile asks of a processor: bytes fetched and written, FLOP, bytes of shared memory read.
struct sac_halo_work {
    double fetched, written, flop, shared;
};

/// Shared bytes of all weights, and of the input under a tile.
int sac__halo_weight_bytes(const struct sac_halo_shape *shape);
int sac__halo_bytes(const struct sac_halo_shape *shape);
/// What the copy engine fetches of the convolution's input.
struct sac_tile sac__halo_tile(const struct sac_halo_shape *shape, const struct sac_conv *conv);
struct sac_halo_work sac__halo_work(const struct sac_halo_shape *shape);
/// µs of tiles on that many processors.
double sac__halo_cost(const struct sac_halo_work *tile, int64_t tiles, int processors);

/// A kernel's shape, and shared bytes of a block.
const struct sac_halo_shape *sac__conv_halo_wgmma_shape(const struct sac_conv_kernel *self);
int sac__conv_halo_wgmma_shared(const struct sac_conv_kernel *self);
/// Returns the blocks beside each other.
int sac__conv_halo_wgmma_walk(struct sac_conv_walk *walk, const struct sac_conv_kernel *self,
                              const struct sac_conv *conv);
int sac__conv_halo_wgmma_launch(const struct sac_conv_kernel *self, const struct sac_conv *convs,
                                int count, const struct sac_conv_launch *how);

#ifdef __cplusplus
}
#endif

#endif
