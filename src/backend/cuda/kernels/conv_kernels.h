// SPDX-License-Identifier: Apache-2.0
// What the convolution kernels share on the host: tiles, and a convolution with what its index
// arithmetic needs.
#ifndef SAC_CUDA_CONV_KERNELS_H
#define SAC_CUDA_CONV_KERNELS_H

#include "conv.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Tiles of conv_mma.cu: rows and columns, how many warps share rows, columns and depth, stages.
/// Warps that share the depth each make the whole tile for a part of every step and read shared
/// memory less often than warps that share the tile; it needs sums small enough for registers.
/// Many stages fetch more weights before the layer before has ended, but let fewer blocks in.
#define SAC__CONV_MMA_TILES(X)                                                                     \
    X(128, 128, 2, 4, 1, 3)                                                                        \
    X(128, 64, 4, 2, 1, 3)                                                                         \
    X(128, 32, 4, 1, 1, 3)                                                                         \
    X(128, 16, 4, 1, 1, 3)                                                                         \
    X(64, 64, 2, 2, 2, 4)                                                                          \
    X(64, 64, 2, 2, 2, 7)                                                                          \
    X(64, 32, 2, 1, 4, 5)                                                                          \
    X(32, 64, 1, 2, 4, 8)                                                                          \
    X(32, 32, 1, 1, 4, 6)                                                                          \
    X(16, 64, 1, 2, 4, 6)

/// conv_halo.cu: channels, output channels of a block, height and width of the window, stride, rows
/// of a tile, which is 16 pixels wide.
#define SAC__CONV_HALO_SHAPES(X)                                                                   \
    X(16, 32, 3, 1, 8)                                                                             \
    X(16, 32, 3, 2, 8)                                                                             \
    X(16, 64, 3, 1, 8)                                                                             \
    X(32, 32, 3, 1, 8)                                                                             \
    X(32, 32, 3, 1, 4)                                                                             \
    X(32, 64, 3, 2, 8)                                                                             \
    X(48, 64, 3, 1, 8)                                                                             \
    X(48, 64, 3, 2, 8)                                                                             \
    X(64, 64, 3, 1, 8)                                                                             \
    X(64, 64, 3, 1, 4)                                                                             \
    X(64, 64, 3, 2, 8)                                                                             \
    X(16, 32, 2, 1, 8)                                                                             \
    X(16, 64, 2, 1, 8)                                                                             \
    X(32, 32, 1, 1, 8)                                                                             \
    X(32, 64, 1, 1, 8)                                                                             \
    X(48, 64, 1, 1, 8)                                                                             \
    X(64, 64, 1, 1, 8)                                                                             \
    X(128, 64, 1, 1, 8)

/// Division by a number that is known at the launch: q = (n·mul/2³² + n) >> shift, 0 ≤ n < 2³¹.
struct sac_conv_divisor {
    uint32_t mul;
    int shift, value;
};

/// A convolution as a kernel's parameter.
struct sac_conv_problem {
    struct sac_conv conv;
    struct sac_conv_divisor by_width, by_height;    ///< of the output
    struct sac_conv_divisor by_channels, by_window; ///< of the input; the window's width
    struct sac_conv_divisor by_split, by_columns;
    int pixels;      ///< N·out_height·out_width
    int steps;       ///< of 64 depths
    int weight_rows; ///< of a step
    int columns;     ///< tiles beside each other
    int first;       ///< block of the launch
};

struct sac_conv_problems {
    int count, split, cluster; ///< cluster: split blocks sum through each other's shared memory
    struct sac_conv_problem at[SAC__CONV_GROUP];
};

/// How the blocks of conv_halo.cu and conv_halo_wgmma.cu walk over the output.
struct sac_conv_walk {
    struct sac_conv_divisor by_across, by_down; ///< tiles of a row of tiles, rows of a picture
    int tiles;
};

/// Fills in all but the split's kind; returns the blocks of the launch.
int sac__conv_problems_fill(struct sac_conv_problems *problems,
                            const struct sac_conv_kernel *kernel, const struct sac_conv *convs,
                            int count, int split);

/// Dynamic shared bytes and threads of a tile of conv_mma.cu.
int sac__conv_mma_shared(const struct sac_conv_kernel *self);
int sac__conv_mma_threads(const struct sac_conv_kernel *self);

int sac__conv_mma_launch(const struct sac_conv_kernel *self, const struct sac_conv *convs,
                         int count, const struct sac_conv_launch *how);
/// A walk over tiles of down x across pixels; `blocks`: that a processor has room for. Returns how
/// many there are for each of the tiles beside each other.
int sac__conv_walk_fill(struct sac_conv_walk *walk, const struct sac_conv_kernel *self,
                        const struct sac_conv *conv, int down, int across, int blocks);
/// Returns the blocks beside each other.
int sac__conv_halo_walk(struct sac_conv_walk *walk, const struct sac_conv_kernel *self,
                        const struct sac_conv *conv);
int sac__conv_halo_shared(const struct sac_conv_kernel *self, const struct sac_conv *conv);
int sac__conv_halo_launch(const struct sac_conv_kernel *self, const struct sac_conv *convs,
                          int count, const struct sac_conv_launch *how);
int sac__conv_plain_launch(const struct sac_conv_kernel *self, const struct sac_conv *convs,
                           int count, const struct sac_conv_launch *how);

/// Tables of kernels, each with `name` NULL at its end.
extern const struct sac_conv_kernel sac__conv_mma_kernels[];
extern const struct sac_conv_kernel sac__conv_halo_kernels[];
extern const struct sac_conv_kernel sac__conv_wgmma_kernels[];
extern const struct sac_conv_kernel sac__conv_halo_wgmma_kernels[];
extern const struct sac_conv_kernel sac__conv_chain_kernels[];
extern const struct sac_conv_kernel sac__conv_plain_kernels[];

struct sac_conv_divisor sac__conv_divisor(int value);

/// fp16, addresses and pitches in groups of 8 channels, offsets that fit 31 bits; of what comes
/// after too.
int sac__conv_addressable(const struct sac_conv *conv);

static inline int sac__conv_steps(const struct sac_conv *conv)
{
    return (conv->kernel[0] * conv->kernel[1] * conv->channels + SAC__CONV_STEP - 1) /
           SAC__CONV_STEP;
}

/// Rows of a step of packed weights.
static inline int sac__conv_rows(const struct sac_conv *conv, enum sac_conv_packing packing)
{
    return packing == SAC__CONV_WGMMA ? (conv->out_channels + 31) / 32 * 32 : conv->out_channels;
}

/// Channel of a row of SAC__CONV_WGMMA.
static inline int sac__conv_channel(int row)
{
    return (row & ~31) + (row >> 1 & 3) * 8 + (row >> 3 & 3) * 2 + (row & 1);
}

/// Steps of 64 depths that channels take.
static inline int sac__conv_after_steps(int channels)
{
    return (channels + SAC__CONV_STEP - 1) / SAC__CONV_STEP;
}

/// Whether a kernel for squares of one size, stride and number of channels is for this one.
static inline int sac__conv_is_square(const struct sac_conv *conv, int channels, int window,
                                      int stride)
{
    return conv->channels == channels && conv->kernel[0] == window && conv->kernel[1] == window &&
           conv->stride[0] == stride && conv->stride[1] == stride && conv->dilation[0] == 1 &&
           conv->dilation[1] == 1;
}

/// Tiles of the output, rows times columns.
static inline int64_t sac__conv_tiles(const struct sac_conv_kernel *kernel,
                                      const struct sac_conv *conv)
{
    int64_t pixels = (int64_t)conv->n * conv->out_height * conv->out_width;
    return (pixels + kernel->rows - 1) / kernel->rows *
           ((conv->out_channels + kernel->columns - 1) / kernel->columns);
}

#ifdef __cplusplus
}
#endif

#endif
