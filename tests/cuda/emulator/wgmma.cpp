// SPDX-License-Identifier: Apache-2.0
// wgmma m64nNk16. All 128 threads of a warpgroup issue the same product; it is computed when all of
// them wait for it, from what is in shared memory then.
#include "cuda/descriptor.cuh"
#include "emulator/matrix.h"
#include "ops/math/half.h"

namespace emulator
{

enum { ROWS = 64, DEPTH = 16, GROUP = 128 };

// Where element (row,k) of a K-major tile lies; the layouts are those of the PTX ISA's "matrix
// descriptor format" and "shared memory matrix layout".
static float tile_value(uint64_t descriptor, unsigned row, unsigned k)
{
    const uint32_t start = static_cast<uint32_t>(descriptor & 0x3fff) << 4;
    const uint32_t leading = static_cast<uint32_t>(descriptor >> 16 & 0x3fff) << 4;
    const uint32_t stride = static_cast<uint32_t>(descriptor >> 32 & 0x3fff) << 4;
    const unsigned swizzle = static_cast<unsigned>(descriptor >> 62);
    if (descriptor >> 49 & 7) fail("wgmma: a descriptor with a base offset is not played");
    uint32_t at = start + row / 8 * stride;
    if (swizzle == SAC__SWIZZLE_NONE) {
        at += k / 8 * leading + row % 8 * 16 + k % 8 * 2;
    } else {
        const uint32_t row_bytes = 256u >> swizzle; // 128, 64, 32
        at += row % 8 * row_bytes + k * 2;
        at ^= (at >> 7 & (row_bytes / 16 - 1)) << 4; // 16-byte pieces change places
    }
    uint16_t half;
    std::memcpy(&half, shared_pointer(at, 2, 2), 2);
    return half_value(half);
}

static void load_a(float a[ROWS][DEPTH], const std::vector<const Product *> &parts)
{
    if (!parts[0]->in_registers) {
        for (unsigned row = 0; row < ROWS; row++)
            for (unsigned k = 0; k < DEPTH; k++)
                a[row][k] = tile_value(parts[0]->a, row, k);
        return;
    }
    for (unsigned thread = 0; thread < GROUP; thread++) // each warp 16 rows, as mma has them
        for (unsigned i = 0; i < 8; i++) {
            const unsigned row = thread / 32 * 16 + thread % 32 / 4 + (i / 2 % 2 ? 8 : 0);
            const unsigned k = thread % 4 * 2 + i % 2 + (i >= 4 ? 8 : 0);
            a[row][k] = half_value((uint16_t)(parts[thread]->fragment[i / 2] >> 16 * (i % 2)));
        }
}

static void compute(const std::vector<const Product *> &parts)
{
    const Product &first = *parts[0];
    for (const Product *part : parts)
        if (part->n != first.n || part->b != first.b || part->add != first.add ||
            part->a != first.a || part->in_registers != first.in_registers)
            fail("wgmma: the threads of a warpgroup do not agree");
    float a[ROWS][DEPTH];
    load_a(a, parts);
    for (unsigned column = 0; column < static_cast<unsigned>(first.n); column++) {
        float b[DEPTH];
        for (unsigned k = 0; k < DEPTH; k++)
            b[k] = tile_value(first.b, column, k);
        for (unsigned row = 0; row < ROWS; row++) {
            const unsigned thread = row / 16 * 32 + row % 8 * 4 + column % 8 / 2;
            float &d = parts[thread]->d[column / 8 * 4 + row / 8 % 2 * 2 + column % 2];
            float sum = first.add ? d : 0.f;
            for (unsigned k = 0; k < DEPTH; k++)
                sum += a[row][k] * b[k];
            d = sum;
        }
    }
}

void wgmma(const Product &product)
{
    const Block &block = *self->block;
    if (self->number / GROUP * GROUP + GROUP > block.size)
        fail("wgmma: warpgroup %u is not whole", self->number / GROUP);
    self->products.open.push_back(product);
}

// The oldest group of every thread.
static void compute_group(Thread *const *threads)
{
    for (unsigned i = 0; i < threads[0]->products.closed.front().size(); i++) {
        std::vector<const Product *> parts;
        for (unsigned t = 0; t < GROUP; t++) {
            const std::vector<Product> &group = threads[t]->products.closed.front();
            if (i >= group.size()) fail("wgmma: the threads of a warpgroup do not agree");
            parts.push_back(&group[i]);
        }
        compute(parts);
    }
    for (unsigned t = 0; t < GROUP; t++)
        threads[t]->products.closed.pop_front();
}

void wgmma_wait(size_t pending)
{
    Block &block = *self->block;
    const unsigned group = self->number / GROUP;
    if (group * GROUP + GROUP > block.size) fail("wgmma: warpgroup %u is not whole", group);
    Barrier &barrier = block.warpgroups[group];
    if (++barrier.arrived < GROUP) return barrier.waiting.park("wgmma.wait_group");
    barrier.arrived = 0;
    Thread *const *threads = &block.threads[group * GROUP];
    const size_t count = threads[0]->products.closed.size();
    for (unsigned t = 1; t < GROUP; t++)
        if (threads[t]->products.closed.size() != count)
            fail("wgmma: the threads of a warpgroup committed different numbers of groups");
    while (threads[0]->products.closed.size() > pending)
        compute_group(threads);
    barrier.waiting.wake();
}

} // namespace emulator
