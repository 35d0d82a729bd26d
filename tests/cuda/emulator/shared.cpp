// SPDX-License-Identifier: Apache-2.0
// 32-bit addresses of shared memory. Dynamic memory starts at 1024 of each block's window, other
// blocks of the cluster are at (rank+1) << 24, and static variables, of which there is one for all,
// are relative to the first whose address was taken, with the top bit set.
#include "cuda_runtime.h"

namespace emulator
{

enum : uint32_t { DYNAMIC_START = 1024, WINDOW_BITS = 24, STATIC_BIT = 0x80000000u };
enum : uint32_t { STATIC_MIDDLE = 0x40000000u };

uint32_t shared_address(const void *shared)
{
    const unsigned char *at = static_cast<const unsigned char *>(shared);
    const Block &block = *self->block;
    if (at >= block.shared && at <= block.shared + block.shared_bytes)
        return DYNAMIC_START + static_cast<uint32_t>(at - block.shared);
    const uintptr_t place = reinterpret_cast<uintptr_t>(shared);
    if (!running->anchor) running->anchor = place & ~static_cast<uintptr_t>(1023);
    const uintptr_t offset = place - running->anchor + STATIC_MIDDLE;
    if (offset >= STATIC_BIT) fail("%p is not in shared memory", shared);
    return STATIC_BIT | static_cast<uint32_t>(offset);
}

void *shared_pointer(uint32_t address, size_t bytes, size_t alignment)
{
    if (address % alignment != 0)
        fail("shared address %#x: not aligned to %zu", address, alignment);
    if (address & STATIC_BIT)
        return reinterpret_cast<void *>(running->anchor + (address & ~STATIC_BIT) - STATIC_MIDDLE);
    const Block *block = self->block;
    if (const uint32_t rank = address >> WINDOW_BITS) {
        if (rank > running->cluster) fail("the cluster has no block %u", rank - 1);
        block =
            &block->cluster->blocks[block - block->rank + rank - 1 - &block->cluster->blocks[0]];
        if (block->alive == 0) fail("shared memory of block %u, which has ended", rank - 1);
    }
    const uint32_t offset = (address & ((1u << WINDOW_BITS) - 1)) - DYNAMIC_START;
    if (offset > block->shared_bytes || bytes > block->shared_bytes - offset)
        fail("shared memory: %zu bytes at %u of %zu", bytes, offset, block->shared_bytes);
    return block->shared + offset;
}

} // namespace emulator
