// SPDX-License-Identifier: Apache-2.0
// What conv_wgmma.c, which chooses, and conv_wgmma.cu, which runs, both know.
#ifndef SAC_CUDA_CONV_WGMMA_H
#define SAC_CUDA_CONV_WGMMA_H

#include <string.h>

#include "conv_kernels.h"
#include "cuda/tensor_map.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Rows and columns of a block's tile, warpgroups that share its rows, stages, blocks a processor,
/// 2 where two blocks work as a pair, and columns that are made at once of a convolution after it,
/// 0: none may be there. Two blocks a processor: while one finishes a tile, the other keeps the
/// matrix units busy.
#define SAC__CONV_WGMMA_TILES(X)                                                                   \
    X(256, 128, 2, 4, 1, 2, 0)                                                                     \
    X(128, 256, 2, 4, 1, 2, 0)                                                                     \
    X(128, 128, 2, 3, 2, 2, 0)                                                                     \
    X(256, 128, 2, 4, 1, 1, 0)                                                                     \
    X(128, 256, 2, 4, 1, 1, 0)                                                                     \
    X(128, 192, 2, 5, 1, 1, 0)                                                                     \
    X(128, 128, 2, 3, 2, 1, 0)                                                                     \
    X(128, 96, 2, 4, 2, 1, 0)                                                                      \
    X(128, 64, 2, 4, 2, 1, 0)                                                                      \
    X(128, 32, 2, 5, 2, 1, 0)                                                                      \
    X(64, 128, 1, 4, 2, 1, 0)                                                                      \
    X(64, 64, 1, 6, 2, 1, 0)                                                                       \
    X(64, 32, 1, 8, 2, 1, 0)                                                                       \
    X(128, 64, 2, 4, 2, 1, 64)                                                                     \
    X(64, 128, 1, 4, 2, 1, 128)

enum {
    SAC__WGMMA_ROW = SAC__CONV_STEP * 2, ///< bytes of a row of a step
    SAC__WGMMA_BARRIERS = 1024,          ///< bytes of the barriers: stages are aligned
    SAC__WGMMA_PAD = 4 ///< floats between rows of sums in shared memory, against bank conflicts
};

/// Dynamic shared bytes of a block at most: two barriers a stage, then a ring of stages, which sums
/// of a split replace.
#define SAC__WGMMA_SHARED(rows, columns, stages)                                                   \
    (SAC__WGMMA_BARRIERS +                                                                         \
     ((stages) * ((rows) + (columns)) * SAC__WGMMA_ROW > (rows) * ((columns) + SAC__WGMMA_PAD) * 4 \
          ? (stages) * ((rows) + (columns)) * SAC__WGMMA_ROW                                       \
          : (rows) * ((columns) + SAC__WGMMA_PAD) * 4))

/// Channels of a load of the copy engine: 64, 32 or 16, the largest that a tap's channels are a
/// multiple of; 0: none.
static inline int sac__wgmma_box(const struct sac_conv *conv)
{
    for (int box = 64; box >= 16; box /= 2)
        if (conv->channels % box == 0) return box;
    return 0;
}

/// The input as the copy engine reads it, `rows` output pixels at once.
static inline struct sac_im2col sac__wgmma_im2col(const struct sac_conv *conv, int rows)
{
    struct sac_im2col im2col = {conv->in,
                                conv->n,
                                conv->height,
                                conv->width,
                                conv->channels,
                                conv->in_pitch,
                                conv->out_height,
                                conv->out_width,
                                {conv->stride[0], conv->stride[1]},
                                {conv->pad[0], conv->pad[1]},
                                sac__wgmma_box(conv),
                                rows};
    return im2col;
}

/// What comes after, as a convolution of its own over all the channels that it reads.
static inline struct sac_conv sac__wgmma_second(const struct sac_conv *conv)
{
    const struct sac_conv_after *after = conv->after;
    int beside = after->beside ? after->beside_channels : 0;
    struct sac_conv second = *conv;
    second.channels =
        SAC__CONV_STEP * (sac__conv_after_steps(after->depth) + sac__conv_after_steps(beside));
    second.out_channels = after->out_channels;
    for (int k = 0; k < 2; k++)
        second.kernel[k] = second.stride[k] = second.dilation[k] = 1;
    second.act = after->act;
    second.alpha = after->alpha;
    second.weights = after->weights;
    second.bias = after->bias;
    second.residual = second.coarse = NULL;
    memcpy(second.part, after->part, sizeof second.part);
    second.part_count = after->part_count;
    return second;
}

/// The channels beside the first one's results as the copy engine reads them: all pixels are a row.
static inline struct sac_tile sac__wgmma_beside(const struct sac_conv *conv, int rows)
{
    const struct sac_conv_after *after = conv->after;
    struct sac_tile tile = {after->beside,
                            1,
                            1,
                            conv->n * conv->out_height * conv->out_width,
                            after->beside_channels,
                            after->beside_pitch,
                            SAC__CONV_STEP,
                            rows,
                            1,
                            1};
    return tile;
}

int sac__conv_wgmma_launch(const struct sac_conv_kernel *self, const struct sac_conv *convs,
                           int count, const struct sac_conv_launch *how);

#ifdef __cplusplus
}
#endif

#endif
