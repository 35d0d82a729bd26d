// SPDX-License-Identifier: Apache-2.0
#ifndef SAC_TESTS_CUDA_CONV_SHAPES_H
#define SAC_TESTS_CUDA_CONV_SHAPES_H

#include "conv_case.h"

/// Shape `index` of the list, its map `shrink` times smaller: 1, 0 where there is none at this
/// index, -1 after the last one.
int conv_shape_yolov5(int index, int batch, int shrink, struct conv_shape *shape_out);

#endif
