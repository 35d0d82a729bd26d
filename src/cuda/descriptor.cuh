// SPDX-License-Identifier: Apache-2.0
// How wgmma is told where its tiles lie; the same code on the GPU and in the emulator.
#ifndef SAC_CUDA_DESCRIPTOR_CUH
#define SAC_CUDA_DESCRIPTOR_CUH

#include <cuda_runtime.h>

#include <stdint.h>

/// How a tile's rows lie in shared memory; the values are the descriptor's.
enum { SAC__SWIZZLE_NONE = 0, SAC__SWIZZLE_128 = 1, SAC__SWIZZLE_64 = 2, SAC__SWIZZLE_32 = 3 };

/// Descriptor of a K-major tile. Swizzled: rows of 128, 64 or 32 bytes, `stride` bytes from one
/// group of eight rows to the next (8 rows packed: 1024, 512, 256), `leading` unused. The pattern
/// is a function of the address: tiles start at multiples of 1024 (512, 256), a step of 16 along K
/// adds 32 bytes. Not swizzled: 8x8 core matrices of 128 contiguous bytes, `leading` bytes from
/// one to the next along K, `stride` along the rows.
static inline __device__ uint64_t sac__wgmma_descriptor(uint32_t shared, uint32_t leading,
                                                        uint32_t stride, int swizzle)
{
    return static_cast<uint64_t>((shared & 0x3ffffu) >> 4) |
           static_cast<uint64_t>((leading & 0x3ffffu) >> 4) << 16 |
           static_cast<uint64_t>((stride & 0x3ffffu) >> 4) << 32 |
           static_cast<uint64_t>(swizzle) << 62;
}

#endif
