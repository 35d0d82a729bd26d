// SPDX-License-Identifier: Apache-2.0
// Asynchronous copies, mbarriers, clusters; played in ../async.cpp.
#ifndef EMULATOR_ASYNC_H
#define EMULATOR_ASYNC_H

#include "emulator/thread.h"

namespace emulator
{

void cp_async(unsigned size, uint32_t shared, const void *global, int bytes);
void cp_async_mbarrier_arrive(uint32_t barrier);
void mbarrier_init(uint32_t barrier, uint32_t arrivals);
void mbarrier_arrive(uint32_t barrier, uint32_t expected_bytes);
bool mbarrier_try_wait(uint32_t barrier, uint32_t parity);
void bulk_load(uint32_t shared, const void *global, uint32_t bytes, uint32_t barrier);
void bulk_store(void *global, uint32_t shared, uint32_t bytes);
uint32_t mapa(uint32_t shared, uint32_t rank);
void cluster_arrive();
void cluster_wait();

} // namespace emulator
#endif
