// SPDX-License-Identifier: Apache-2.0
// conv_plain.cu on the host: it runs everything, so it comes last.
#include "conv_kernels.h"

static int usable(const struct sac_conv_kernel *self, const struct sac_conv *conv,
                  const struct sac_conv_device *device, int split)
{
    (void)self, (void)conv, (void)device;
    return split == 1;
}

static size_t workspace(const struct sac_conv_kernel *self, const struct sac_conv *conv, int split)
{
    (void)self, (void)conv, (void)split;
    return 0;
}

/// At a twentieth of the arithmetic that the chip has without its matrix units.
static double cost(const struct sac_conv_kernel *self, const struct sac_conv *conv,
                   const struct sac_conv_device *device, int split)
{
    (void)self, (void)device, (void)split;
    double pixels = (double)conv->n * conv->out_height * conv->out_width;
    double depth = (double)conv->kernel[0] * conv->kernel[1] * conv->channels;
    return 5 + 2 * pixels * depth * conv->out_channels / 3e6;
}

const struct sac_conv_kernel sac__conv_plain_kernels[] = {
    {"plain", SAC__CONV_PLAIN, 1, 8, 1, 0, 0, usable, workspace, cost, sac__conv_plain_launch},
    {.name = NULL}};
