// SPDX-License-Identifier: Apache-2.0
// What every set of kernels refuses, in C or on a device. All return 0, SAC_EINVAL or
// SAC_EUNSUPPORTED after sac__fail; no other file of the library is needed.
#ifndef SAC_SRC_OPS_CHECK_H
#define SAC_SRC_OPS_CHECK_H

#include "math/letterbox.h"
#include "ops.h"

int sac__check_sizes(int width0, int height0, int width, int height);

/// A letterbox that pixels are to be written by.
int sac__check_fit(const sac_letterbox *fit);

/// A letterbox that boxes are to be mapped by.
int sac__check_map(const sac_letterbox *fit);

int sac__check_nms(const sac_nms *nms);

#endif
