// SPDX-License-Identifier: Apache-2.0
// Instructions on matrices; played in ../matrix.cpp and ../wgmma.cpp.
#ifndef EMULATOR_MATRIX_H
#define EMULATOR_MATRIX_H

#include "emulator/thread.h"

namespace emulator
{

float half_value(uint16_t half);
uint32_t cvt_tf32(float x);
void ldmatrix(uint32_t *d, int count, uint32_t row, bool transposed);
void mma_f16(float *d, const uint32_t *a, const uint32_t *b);
void mma_tf32(float *d, const uint32_t *a, const uint32_t *b);
void wgmma(const Product &product);
void wgmma_wait(size_t pending);

} // namespace emulator
#endif
