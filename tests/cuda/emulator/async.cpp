// SPDX-License-Identifier: Apache-2.0
// Copies that happen later, and what tells of them. Everything is as late as the rules allow: a
// cp.async is copied when its group is waited for, a bulk copy when its mbarrier is.
#include "emulator/async.h"

#include <cstring>

#include "cuda_runtime.h"

namespace emulator
{

void Copy::run() const
{
    if (bytes) std::memcpy(to, from, bytes);
    std::memset(static_cast<char *>(to) + bytes, 0, zeros);
}

void cp_async(unsigned size, uint32_t shared, const void *global, int bytes)
{
    if (bytes < 0 || static_cast<unsigned>(bytes) > size)
        fail("cp.async: %d bytes of %u", bytes, size);
    if (bytes && reinterpret_cast<uintptr_t>(global) % size)
        fail("cp.async: source %p is not aligned to %u", global, size);
    const unsigned count = static_cast<unsigned>(bytes);
    self->copies.open.push_back({shared_pointer(shared, size, size), global, count, size - count});
}

// --- mbarrier ----------------------------------------------------------------------------------

// Its 64 bits: magic 10 · phase 1 · arrivals of a phase 15 · still to come 15 · bytes to come 23.
struct Mbarrier {
    uint64_t *bits;
    unsigned phase;
    int arrivals, missing, bytes;
};

enum : uint64_t { MAGIC = 0x2b5 };

static Mbarrier open_barrier(uint64_t *bits)
{
    const uint64_t value = *bits;
    if (value >> 54 != MAGIC) fail("mbarrier %p was not initialised", static_cast<void *>(bits));
    return {bits, static_cast<unsigned>(value >> 53 & 1), static_cast<int>(value >> 38 & 0x7fff),
            static_cast<int>(value >> 23 & 0x7fff),
            static_cast<int>(static_cast<unsigned>(value & 0x7fffff) << 9) >> 9};
}

static void put(Mbarrier barrier)
{
    if (barrier.missing < 0) fail("mbarrier: more than its %d arrivals", barrier.arrivals);
    if (barrier.bytes < -(1 << 20) || barrier.bytes >= 1 << 20) fail("mbarrier: too many bytes");
    if (barrier.missing == 0 && barrier.bytes == 0) {
        barrier.phase ^= 1;
        barrier.missing = barrier.arrivals;
        progress();
    }
    *barrier.bits = MAGIC << 54 | static_cast<uint64_t>(barrier.phase) << 53 |
                    static_cast<uint64_t>(barrier.arrivals) << 38 |
                    static_cast<uint64_t>(barrier.missing) << 23 |
                    (static_cast<unsigned>(barrier.bytes) & 0x7fffff);
}

static uint64_t *bits_at(uint32_t barrier)
{
    return static_cast<uint64_t *>(shared_pointer(barrier, 8, 8));
}

void mbarrier_init(uint32_t barrier, uint32_t arrivals)
{
    if (arrivals < 1 || arrivals > 0x7fff) fail("mbarrier.init: %u arrivals", arrivals);
    const int count = static_cast<int>(arrivals);
    put({bits_at(barrier), 0, count, count, 0});
}

void mbarrier_arrive(uint32_t barrier, uint32_t expected_bytes)
{
    Mbarrier at = open_barrier(bits_at(barrier));
    at.bytes += static_cast<int>(expected_bytes);
    at.missing--;
    put(at);
}

// Copies that this barrier is to hear of arrive now.
static void deliver(uint64_t *barrier)
{
    std::deque<Cluster::Bulk> &bulk = self->block->cluster->bulk;
    for (size_t i = 0; i < bulk.size();) {
        if (bulk[i].barrier != barrier) {
            i++;
            continue;
        }
        const Cluster::Bulk done = bulk[i];
        bulk.erase(bulk.begin() + static_cast<std::ptrdiff_t>(i));
        Mbarrier at = open_barrier(barrier);
        if (done.arrive) at.missing--;
        for (const Copy &copy : done.copies) {
            copy.run();
            if (!done.arrive) at.bytes -= static_cast<int>(copy.bytes + copy.zeros);
        }
        put(at);
    }
}

bool mbarrier_try_wait(uint32_t barrier, uint32_t parity)
{
    uint64_t *bits = bits_at(barrier);
    if (open_barrier(bits).phase != (parity & 1)) return true;
    deliver(bits);
    if (open_barrier(bits).phase != (parity & 1)) return true;
    yield();
    return false;
}

void cp_async_mbarrier_arrive(uint32_t barrier)
{
    std::vector<Copy> copies;
    self->copies.commit();
    self->copies.wait(0, [&](const Copy &copy) { copies.push_back(copy); });
    self->block->cluster->bulk.push_back({bits_at(barrier), std::move(copies), true});
}

// --- Bulk copies -------------------------------------------------------------------------------

static void check_bulk(const void *global, uint32_t shared, uint32_t bytes)
{
    if (bytes % 16 || shared % 16 || reinterpret_cast<uintptr_t>(global) % 16)
        fail("cp.async.bulk: %u bytes, %p and %#x are not multiples of 16", bytes, global, shared);
}

void bulk_load(uint32_t shared, const void *global, uint32_t bytes, uint32_t barrier)
{
    check_bulk(global, shared, bytes);
    self->block->cluster->bulk.push_back(
        {bits_at(barrier), {{shared_pointer(shared, bytes, 16), global, bytes, 0}}, false});
}

void bulk_store(void *global, uint32_t shared, uint32_t bytes)
{
    check_bulk(global, shared, bytes);
    self->stores.open.push_back({global, shared_pointer(shared, bytes, 16), bytes, 0});
}

// --- Clusters ----------------------------------------------------------------------------------

uint32_t mapa(uint32_t shared, uint32_t rank)
{
    if (rank >= running->cluster) fail("mapa: block %u of a cluster of %u", rank, running->cluster);
    if (shared >> 24) fail("mapa: %#x is not this block's dynamic shared memory", shared);
    return shared | (rank + 1) << 24;
}

void cluster_arrive()
{
    Cluster &cluster = *self->block->cluster;
    self->cluster_generation = cluster.generation;
    cluster.arrived++;
    cluster.settle();
}

void cluster_wait()
{
    Cluster &cluster = *self->block->cluster;
    if (cluster.generation == self->cluster_generation) cluster.waiting.park("barrier.cluster");
}

} // namespace emulator
