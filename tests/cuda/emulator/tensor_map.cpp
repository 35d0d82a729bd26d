// SPDX-License-Identifier: Apache-2.0
#include "emulator/tensor_map.h"

#include "cuda_runtime.h"

namespace emulator {

void tma_load(uint32_t, const void *, uint32_t, int, const int *, const int *)
{
    fail("tensor maps are not played");
}

} // namespace emulator
