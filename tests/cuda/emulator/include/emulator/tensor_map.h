// SPDX-License-Identifier: Apache-2.0
// Tensor maps (TMA); played in ../tensor_map.cpp.
#ifndef EMULATOR_TENSOR_MAP_H
#define EMULATOR_TENSOR_MAP_H

#include "emulator/thread.h"

namespace emulator {

/// window (may be null): the offsets of an im2col map.
void tma_load(uint32_t shared, const void *map, uint32_t barrier, int rank, const int *at,
              const int *window);

} // namespace emulator
#endif
