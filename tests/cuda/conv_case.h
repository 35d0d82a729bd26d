// SPDX-License-Identifier: Apache-2.0
// One convolution layer with data, as a plan would hold it, and its twin on the device.
#ifndef SAC_TESTS_CUDA_CONV_CASE_H
#define SAC_TESTS_CUDA_CONV_CASE_H

#include "backend/cuda/kernels/conv.h"

enum { CASE_AFTERS = 2, CASE_BUFFERS = 3 + (1 + CASE_AFTERS) * SAC__PARTS };

/// A 1x1 convolution over what the one before it gives.
struct conv_after_shape {
    int depth; ///< how many channels of the first part of that it reads; 0: there is none
    int kept;  ///< whether others read that, too
    int outs[SAC__PARTS], parts;
    enum sac__act act;
};

/// What a layer is; the rest of a case is made from it and from random numbers.
struct conv_shape {
    int n, height, width, channels;
    int out_height, out_width, outs[SAC__PARTS], parts;
    int kernel[2], stride[2], dilation[2], pad[2];
    enum sac__act act;
    int residual, coarse;
    int loose; ///< views in wider buffers, shared buffers, channels that end in the midst of 8
    struct conv_after_shape after[CASE_AFTERS];
    int beside, leads; ///< channels that after[0] reads, too; whether they lie before the layer's
};

struct conv_case {
    struct sac_plan plan; ///< of floats; its arena holds `elements`
    struct sac_layer layer, after[CASE_AFTERS];
    int afters;
    struct sac_buffer buffers[CASE_BUFFERS];
    size_t elements;
    float *arena;     ///< before the layers ran; values are halves' values
    float *reference; ///< after they ran
    uint8_t *role;    ///< of an element: 0 must stay, 1 result, 2 padding: anything finite
};

/// A twin on the device, in fp16 (element_size 2) or fp32.
struct conv_twin {
    struct sac_conv conv;
    struct sac_conv_after after[CASE_AFTERS]; ///< conv.after and conv.after->after
    void *arena, *weights[SAC__CONV_PACKINGS], *bias, *workspace;
    void *after_weights[CASE_AFTERS], *after_plain[CASE_AFTERS], *after_bias[CASE_AFTERS];
    size_t workspace_bytes;
    const struct conv_case *of;
    int element_size;
};

/// Of the numbers that cases are made from.
void conv_case_seed(uint64_t seed);

/// Any layer that a plan can hold, of about `scale` output pixels and channels.
struct conv_shape conv_shape_random(int scale, int depth);

/// One with one or two after it, as can be run at once in YOLOs.
struct conv_shape conv_shape_random_chain(int scale);

/// What a case is to have. Without data it can be described only.
enum conv_case_data { CASE_PLAN, CASE_DATA, CASE_REFERENCE };

/// Makes data; runs the reference where that is asked for. Ends the program without memory.
void conv_case_open(struct conv_case *c, const struct conv_shape *shape, enum conv_case_data data);
void conv_case_close(struct conv_case *c);

void conv_twin_open(struct conv_twin *t, const struct conv_case *c, int element_size);

/// The layer as kernels see it, with an arena that is not there; `after` has room for CASE_AFTERS.
void conv_case_describe(const struct conv_case *c, int element_size, struct sac_conv *conv_out,
                        struct sac_conv_after *after);

void conv_twin_close(struct conv_twin *t);

/// What comes after the layer as a convolution of its own, with weights for the plain kernel.
struct sac_conv conv_twin_after(struct conv_twin *t, int index);

/// Sets the arena back, results poisoned with NaN.
void conv_twin_reset(const struct conv_twin *t);

/// That, and weights and workspace for a kernel.
void conv_twin_ready(struct conv_twin *t, const struct sac_conv_choice *choice);

/// The arena as floats; free() it.
float *conv_twin_read(const struct conv_twin *t);

/// Whether the results are off: normalised mean square error against `expected` above `allowed`, an
/// element changed that must stay, or one not finite. `why` says which.
int conv_case_error(const struct conv_case *c, const float *expected, const float *found,
                    double allowed, char *why, size_t size);

/// "20x20x512 3x3/1 -> 20x20x256" into a static buffer.
const char *conv_shape_text(const struct conv_shape *shape);

/// The device; SAC_EMULATED: one that can do everything.
struct sac_conv_device conv_device(void);

#endif
