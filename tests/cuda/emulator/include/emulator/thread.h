// SPDX-License-Identifier: Apache-2.0
// What the emulator knows of a running kernel. Each thread of a block is a fiber: a stack of its
// own, left and entered only where it waits. Blocks run one after the other, those of a cluster (or
// of a cooperative launch) together. Everything runs on the caller's thread, one launch at a time.
#ifndef EMULATOR_THREAD_H
#define EMULATOR_THREAD_H

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "emulator/vector_types.h"

namespace emulator
{

struct Block;
struct Thread;

/// Ends the program with a message that names block, thread and launch.
[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// Bytes that will be copied later, and zeros after them.
struct Copy {
    void *to;
    const void *from;
    unsigned bytes, zeros;
    void run() const;
};

/// wgmma: what one thread has issued.
struct Product {
    float *d;
    int n;
    bool add, in_registers; ///< in_registers: a is `fragment`, not a descriptor
    uint64_t a, b;
    uint32_t fragment[4];
};

/// Asynchronous work of one thread in committed groups; done in order, and only when it is waited
/// for, so that a missing wait shows.
template <class Work> struct Groups {
    std::vector<Work> open;
    std::deque<std::vector<Work>> closed;
    void commit()
    {
        closed.push_back(std::move(open));
        open.clear();
    }
    template <class Do> void wait(size_t pending, Do act)
    {
        for (; closed.size() > pending; closed.pop_front())
            for (const Work &work : closed.front())
                act(work);
    }
};

/// A place where threads wait until somebody wakes all of them.
struct Waiting {
    std::vector<Thread *> threads;
    void park(const char *what); ///< the running thread waits here
    void wake();
};

/// 32 threads. Lanes meet to exchange values; each mask has a meeting of its own.
struct Warp {
    struct alignas(16) Slot {
        unsigned char bytes[112];
    };
    using Finish = void (*)(Slot *slots, uint32_t mask);
    struct Meeting {
        uint32_t mask = 0, arrived = 0;
        unsigned turn = 0; ///< even and odd ones use different slots
        const char *what = nullptr;
        Finish finish = nullptr;
        Waiting waiting;
        Slot slots[2][32];
    };
    uint32_t alive = 0; ///< lanes that exist and have not returned
    std::deque<Meeting> meetings;

    /// Leaves `mine` for the others and returns the 32 slots when all lanes of the mask have come;
    /// `finish` (may be null) runs once, before anybody goes on.
    Slot *meet(uint32_t mask, const char *what, const void *mine, size_t bytes, Finish finish);
    void settle(Meeting &meeting);
};

/// bar.sync and its kin.
struct Barrier {
    unsigned arrived = 0, expected = 0; ///< expected 0: all threads of the block
    long sum = 0, all = 0;
    Waiting waiting;
};

struct Cluster;

struct Block {
    uint3 index{};
    unsigned rank = 0, alive = 0, size = 0;
    Cluster *cluster = nullptr;
    std::vector<Thread *> threads;
    std::vector<Warp> warps;
    std::vector<Barrier> warpgroups;
    Barrier barriers[16];
    unsigned char *shared = nullptr; ///< dynamic shared memory
    size_t shared_bytes = 0;

    /// Arrives, and waits unless `go_on`; returns the sum of all values (`all_out`: of how many).
    long arrive(int id, unsigned expected, long value, bool go_on, long *all_out = nullptr);
    void settle(Barrier &barrier);
};

/// Blocks that run together.
struct Cluster {
    std::vector<Block> blocks;
    unsigned arrived = 0, alive = 0, generation = 0;
    Waiting waiting;
    /// Copies that an mbarrier waits for, with the barrier that they will tell.
    struct Bulk {
        uint64_t *barrier;
        std::vector<Copy> copies;
        bool arrive; ///< arrives when done (cp.async.mbarrier.arrive); else tells of the bytes
    };
    std::deque<Bulk> bulk;
    void settle();
};

/// One launch.
struct Grid {
    dim3 grid, block;
    unsigned cluster = 1;
    bool together = false;  ///< all blocks at once (cooperative)
    bool overlap = false;   ///< programmatic dependent launch
    bool waited = false;    ///< some thread has said sac__grid_wait
    Grid *before = nullptr; ///< has not run yet: this grid started early
    Waiting for_before;
    const void *function = nullptr;
    size_t shared = 0;
    std::function<void()> kernel;
    uintptr_t anchor = 0; ///< a static shared variable; others are addressed relative to it
};

struct Fiber; // fiber.cpp

struct Thread {
    uint3 index{};
    unsigned number = 0, lane = 0; ///< in the block (x fastest) and in the warp
    Block *block = nullptr;
    Warp *warp = nullptr;
    const char *waits_for = nullptr;
    long result = 0, result_all = 0; ///< of the barrier that it left last
    unsigned cluster_generation = 0; ///< at which it arrived
    Groups<Copy> copies, stores;     ///< cp.async, bulk stores
    Groups<Product> products;
    Fiber *fiber = nullptr;
};

extern Thread *self; ///< whose turn it is
extern Grid *running;

/// Lets the others go first; for loops that wait for memory to change.
void yield();
/// Somebody got further: spinning threads are not in vain.
void progress();
/// Runs a grid. With `before`, that one runs only when the threads of the first block (or cluster)
/// wait for it (sac__grid_wait) or have returned.
void run(Grid &grid, Grid *before = nullptr);
void grid_wait();

/// Shared memory as PTX names it: an offset, plus (rank+1) << 24 in another block of the cluster.
uint32_t shared_address(const void *shared);
void *shared_pointer(uint32_t address, size_t bytes, size_t alignment);

} // namespace emulator
#endif
