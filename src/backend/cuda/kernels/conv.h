// SPDX-License-Identifier: Apache-2.0
// Convolutions on the GPU: one description, one table of kernels that can run it. Which one runs a
// layer is for the tuner to measure; cost.c gives an order for when nothing was measured.
//
// All kernels compute what reference_conv.c says:
//     out = act(conv(in) + bias + up2(coarse)) + residual
// with fp32 sums; fp16 results are rounded once, at the end. Kernels that are chains run a 1x1
// convolution over the results as well, while they are on the chip.
#ifndef SAC_CUDA_CONV_H
#define SAC_CUDA_CONV_H

#include <stddef.h>

#include <cuda_runtime_api.h>

#include "backend/cuda/graph/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    SAC__CONV_GROUP = 4,       ///< most convolutions in one launch
    SAC__CONV_SPLIT = 8,       ///< most blocks that share the depth of one tile
    SAC__CONV_STEP = 64,       ///< depth of a step of SAC__CONV_STEPS weights
    SAC__CONV_CANDIDATES = 192 ///< room that sac__conv_candidates never exceeds
};

/// Output channels that lie together.
struct sac_conv_part {
    void *data;   ///< first channel of the first pixel; 16-byte aligned
    int pitch;    ///< elements from pixel to pixel, a multiple of 8
    int channels; ///< multiple of 8: padding that is to be written is counted
};

/// A 1x1 convolution with stride 1 over what another one, the first, gives:
///     out = act(weights · (first[0 … depth), beside) + bias)
/// where first is rounded to half. No output may overlap what the first one reads, or another. It
/// may have such a convolution after it as well, which has none, and nothing beside.
struct sac_conv_after {
    int depth;          ///< first channels of the first one's output, a multiple of 8
    const void *beside; ///< (N,out_height,out_width,pitch): more input channels, or NULL
    int beside_pitch, beside_channels; ///< multiples of 8
    int beside_leads; ///< in the plan's weights beside's channels come first; for packing only
    int out_channels; ///< a multiple of 8: the sum over the parts
    enum sac__act act;
    float alpha;
    const void *weights; ///< as sac__conv_after_pack made them
    const float *bias;   ///< out_channels
    struct sac_conv_part part[SAC__PARTS];
    int part_count;
    const struct sac_conv_after *after; ///< in the host's memory; NULL: none
    int kept;                           ///< with `after`: whether the parts are written
};

/// One convolution. All data addresses are the device's; the input may not overlap an output.
struct sac_conv {
    int element_size; ///< bytes an activation and a weight: 2 (fp16) or 4 (fp32)
    const void *in;   ///< (N,H,W,pitch), at the view's first channel
    int n, height, width, in_pitch;
    int channels; ///< C a tap, a multiple of 8
    int out_height, out_width;
    int out_channels;                              ///< K, a multiple of 8: the sum over the parts
    int kernel[2], stride[2], dilation[2], pad[2]; ///< height, width; pad: top, left
    enum sac__act act;
    float alpha;          ///< LEAKY's slope
    const void *weights;  ///< as the kernel's pack() made them
    const float *bias;    ///< K
    const void *residual; ///< (N,out_height,out_width,pitch) or NULL
    int residual_pitch;
    const void *coarse; ///< (N,coarse_height,coarse_width,pitch) or NULL; pixel (y/2,x/2) is added
    int coarse_pitch, coarse_height, coarse_width;
    struct sac_conv_part part[SAC__PARTS];
    int part_count;
    const struct sac_conv_after *after; ///< in the host's memory; NULL: none
    int kept;                           ///< with `after`: whether the parts are written
    void *workspace; ///< kernel->workspace() bytes, zeroed once; one convolution at a time uses it
};

struct sac_conv_device {
    int capability; ///< 10·major + minor
    int processors; ///< SMs
    int shared;     ///< most dynamic shared bytes a block
};

/// How weights are packed; kernels of one packing share them.
enum sac_conv_packing {
    SAC__CONV_PLAIN, ///< (K,R,S,C) in fp32, as the plan has them
    /// fp16 (steps, K, 64): depth (r·S+s)·C+c in steps of 64, zeros after the last; of row k the
    /// 16-byte piece j (8 depths) lies at piece j ^ (k & 7), which is the 128-byte swizzle of
    /// ldmatrix, TMA and wgmma. So a block's weights of a step, channels n to n+BN (n a multiple of
    /// 8), are BN·128 bytes in one run, at ((step·K) + n)·128, ready for shared memory.
    SAC__CONV_STEPS,
    /// The same, but of every 32 channels row 8·i+2·t+e holds channel 8·t+2·i+e, so that a thread's
    /// sums of wgmma are 8 neighbouring channels of a pixel; K is rounded up to 32, with zeros.
    SAC__CONV_WGMMA,
    SAC__CONV_PACKINGS
};

struct sac_conv_kernel;

/// How a launch goes.
struct sac_conv_launch {
    int split;   ///< blocks that share the depth of a tile, 1 to SAC__CONV_SPLIT
    int overlap; ///< programmatic dependent launch
    cudaStream_t stream;
};

struct sac_conv_kernel {
    const char *name; ///< "mma 64x64": for inspect and the plan cache, unique
    enum sac_conv_packing packing;
    int rows, columns; ///< of a tile: output pixels, output channels
    int group;         ///< most convolutions in one launch, 1 to SAC__CONV_GROUP
    int variant;       ///< for the launcher
    int chain;         ///< runs convolutions with so many after them, and only those
    /// Whether it can run this convolution so, which has as many after it as `chain` says.
    /// Addresses count by their alignment only. sac__conv_usable asks.
    int (*usable)(const struct sac_conv_kernel *self, const struct sac_conv *conv,
                  const struct sac_conv_device *device, int split);
    /// Bytes of workspace: 0 unless it splits over blocks through memory. The kernel leaves the
    /// counters in it zero again.
    size_t (*workspace)(const struct sac_conv_kernel *self, const struct sac_conv *conv, int split);
    /// µs expected, without the launch's own time.
    double (*cost)(const struct sac_conv_kernel *self, const struct sac_conv *conv,
                   const struct sac_conv_device *device, int split);
    /// Enqueues `count` independent convolutions (at most `group`) as one launch. 0 or SAC_E….
    int (*launch)(const struct sac_conv_kernel *self, const struct sac_conv *convs, int count,
                  const struct sac_conv_launch *how);
};

/// Kernel `index` of the table, NULL after the last one. Static.
const struct sac_conv_kernel *sac__conv_kernel_at(int index);

/// Whether the kernel can run this convolution so.
int sac__conv_usable(const struct sac_conv_kernel *kernel, const struct sac_conv *conv,
                     const struct sac_conv_device *device, int split);

/// One way to run a convolution.
struct sac_conv_choice {
    const struct sac_conv_kernel *kernel;
    int split;
    double expected; ///< µs
};

/// Every usable choice, the one expected fastest first; `choices` has room for
/// SAC__CONV_CANDIDATES. Returns how many: at least one for every layer that a plan can hold, maybe
/// none for one with `after`.
int sac__conv_candidates(const struct sac_conv *conv, const struct sac_conv_device *device,
                         struct sac_conv_choice *choices);

/// A CONV layer of a plan whose arena is at `arena`; weights, bias and workspace are left NULL.
void sac__conv_describe(struct sac_conv *conv_out, const struct sac_plan *plan,
                        const struct sac_layer *layer, void *arena);

/// The same of `count` layers that come after each other: of all but the first, `after_out` gets
/// one each, to which conv_out->after leads. `arena` is not NULL, as what lies beside may be at its
/// beginning.
void sac__conv_describe_chain(struct sac_conv *conv_out, struct sac_conv_after *after_out,
                              const struct sac_plan *plan, const struct sac_layer *const *layers,
                              int count, void *arena);

/// Bytes of packed weights, and packing of the plan's (K,R,S,C) floats on the host; `conv` needs
/// extents only.
size_t sac__conv_packed_bytes(const struct sac_conv *conv, enum sac_conv_packing packing);
void sac__conv_pack(void *packed, const struct sac_conv *conv, enum sac_conv_packing packing,
                    const float *weights);

/// The same for what comes after: of the plan's (K,1,1,C) floats. fp16 (steps, rows, 64), rows and
/// swizzle as in SAC__CONV_WGMMA. Depths: the first one's channels, dealt out of every 32 as the
/// rows are, so that a thread's sums are what it multiplies next; then beside's as they are; both
/// rounded up to 64 with zeros.
size_t sac__conv_after_bytes(const struct sac_conv_after *after);
void sac__conv_after_pack(void *packed, const struct sac_conv_after *after, const float *weights);

#ifdef __cplusplus
}
#endif

#endif
