// SPDX-License-Identifier: Apache-2.0
// Runs grids: which thread is next, who waits where, and what to say when nobody can go on.
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "cuda_runtime.h"
#include "fiber.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulator
{

Thread *self;
Grid *running;

static Fiber scheduler;
static std::deque<Thread *> ready;
static std::vector<std::unique_ptr<Thread>> pool; // their stacks are used again and again
static unsigned long spins;                       // yields since somebody got further
static unsigned long launches, random_state;
static size_t pool_used; // by grids that stand still while another runs

enum { SPINS_ARE_VAIN = 20000000 };

void fail(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    std::fflush(stdout);
    std::fprintf(stderr, "emulator: ");
    std::vfprintf(stderr, format, values);
    va_end(values);
    if (self)
        std::fprintf(stderr, "; block (%u,%u,%u) thread (%u,%u,%u)", self->block->index.x,
                     self->block->index.y, self->block->index.z, self->index.x, self->index.y,
                     self->index.z);
    if (running)
        std::fprintf(stderr, " of grid (%u,%u,%u) x (%u,%u,%u)", running->grid.x, running->grid.y,
                     running->grid.z, running->block.x, running->block.y, running->block.z);
    std::fprintf(stderr, "\n");
    std::abort();
}

void progress()
{
    spins = 0;
}

// Back to the scheduler until it is this thread's turn again.
static void leave()
{
    fiber_switch(self->fiber, &scheduler);
}

void yield()
{
    if (++spins > SPINS_ARE_VAIN) fail("threads spin, and nobody changes what they wait for");
    ready.push_back(self);
    leave();
}

void Waiting::park(const char *what)
{
    self->waits_for = what;
    threads.push_back(self);
    leave();
}

void Waiting::wake()
{
    for (Thread *thread : threads) {
        thread->waits_for = nullptr;
        ready.push_back(thread);
    }
    threads.clear();
    progress();
}

// --- Barriers ----------------------------------------------------------------------------------

void Block::settle(Barrier &barrier)
{
    const unsigned expected = barrier.expected ? barrier.expected : alive;
    if (barrier.arrived == 0 || barrier.arrived < expected) return;
    for (Thread *thread : barrier.waiting.threads) {
        thread->result = barrier.sum;
        thread->result_all = barrier.arrived;
    }
    barrier.arrived = 0;
    barrier.sum = 0;
    barrier.waiting.wake();
}

long Block::arrive(int id, unsigned expected, long value, bool go_on, long *all_out)
{
    if (id < 0 || id > 15) fail("barrier %d: there are 16", id);
    Barrier &barrier = barriers[id];
    if (barrier.arrived && barrier.expected != expected)
        fail("barrier %d: some expect %u threads, some %u", id, barrier.expected, expected);
    barrier.expected = expected;
    barrier.arrived++;
    barrier.sum += value;
    if (!go_on) barrier.waiting.threads.push_back(self);
    if (!go_on) self->waits_for = id ? "bar.sync" : "__syncthreads";
    settle(barrier);
    if (!go_on) leave();
    if (all_out) *all_out = self->result_all;
    return self->result;
}

void Cluster::settle()
{
    if (arrived == 0 || arrived < alive) return;
    arrived = 0;
    generation++;
    waiting.wake();
}

// --- Warps -------------------------------------------------------------------------------------

void Warp::settle(Meeting &meeting)
{
    if (!meeting.arrived || (meeting.mask & alive & ~meeting.arrived)) return;
    Slot *slots = meeting.slots[meeting.turn & 1];
    for (unsigned lane = 0; lane < 32; lane++) // lanes that are gone
        if (!(meeting.arrived & 1u << lane)) std::memset(&slots[lane], 0xff, sizeof slots[lane]);
    if (meeting.finish) meeting.finish(slots, meeting.arrived);
    meeting.arrived = 0;
    meeting.turn++;
    meeting.waiting.wake();
}

static Warp::Meeting &find_meeting(Warp &warp, uint32_t mask)
{
    for (Warp::Meeting &meeting : warp.meetings)
        if (meeting.mask == mask) return meeting;
    warp.meetings.emplace_back();
    warp.meetings.back().mask = mask;
    return warp.meetings.back();
}

Warp::Slot *Warp::meet(uint32_t mask, const char *what, const void *mine, size_t bytes,
                       Finish finish)
{
    if (!(mask & 1u << self->lane)) fail("%s: lane %u is not in mask %08x", what, self->lane, mask);
    Meeting &meeting = find_meeting(*this, mask);
    if (meeting.arrived && std::strcmp(meeting.what, what) != 0)
        fail("lanes of one warp meet at %s and at %s", meeting.what, what);
    Slot *slots = meeting.slots[meeting.turn & 1];
    meeting.what = what;
    meeting.finish = finish;
    meeting.arrived |= 1u << self->lane;
    std::memcpy(slots[self->lane].bytes, mine, bytes);
    const unsigned turn = meeting.turn;
    settle(meeting);
    if (meeting.turn == turn) meeting.waiting.park(what);
    return slots;
}

// --- Threads and blocks ------------------------------------------------------------------------

// The thread has returned: nobody need wait for it.
static void finish_thread()
{
    Thread *thread = self;
    if (!thread->stores.open.empty() || !thread->stores.closed.empty())
        fail("a thread returned with bulk stores that nobody waited for");
    if (!thread->products.open.empty() || !thread->products.closed.empty())
        fail("a thread returned with wgmma products that nobody waited for");
    thread->copies = {};
    Block &block = *thread->block;
    thread->warp->alive &= ~(1u << thread->lane);
    block.alive--;
    block.cluster->alive--;
    for (Barrier &barrier : block.barriers)
        if (barrier.expected == 0) block.settle(barrier);
    for (Warp::Meeting &meeting : thread->warp->meetings)
        thread->warp->settle(meeting);
    block.cluster->settle();
    progress();
}

static void enter_thread()
{
    for (;;) {
        running->kernel();
        finish_thread();
        leave();
    }
}

static Thread *take_thread(size_t number)
{
    number += pool_used;
    while (pool.size() <= number) {
        pool.push_back(std::make_unique<Thread>());
        pool.back()->fiber = fiber_open(enter_thread);
        if (!pool.back()->fiber) fail("no memory for the stack of thread %zu", number);
    }
    return pool[number].get();
}

static void fill_block(Grid &grid, Block &block, size_t first_thread)
{
    block.size = block.alive = grid.block.x * grid.block.y * grid.block.z;
    block.warps.resize((block.size + 31) / 32);
    block.warpgroups.resize((block.size + 127) / 128);
    for (unsigned number = 0; number < block.size; number++) {
        Thread *thread = take_thread(first_thread + number);
        thread->block = &block;
        thread->warp = &block.warps[number / 32];
        thread->warp->alive |= 1u << number % 32;
        thread->number = number;
        thread->lane = number % 32;
        thread->index = {number % grid.block.x, number / grid.block.x % grid.block.y,
                         number / grid.block.x / grid.block.y};
        thread->waits_for = nullptr;
        block.threads.push_back(thread);
    }
    if (posix_memalign(reinterpret_cast<void **>(&block.shared), 1024,
                       grid.shared ? grid.shared : 1) != 0)
        fail("no memory for %zu bytes of shared memory", grid.shared);
    block.shared_bytes = grid.shared;
    std::memset(block.shared, 0xff, grid.shared); // NaN, whoever reads before writing
}

// SACCADE_EMULATOR_ORDER: forward, backward or a number that seeds a random order; else launches go
// forward and backward in turn. What a kernel computes must not depend on it.
static void queue_threads(Cluster &cluster)
{
    const char *order = std::getenv("SACCADE_EMULATOR_ORDER");
    bool backward = launches % 2;
    random_state = 0;
    if (order && std::strcmp(order, "forward") == 0)
        backward = false;
    else if (order && std::strcmp(order, "backward") == 0)
        backward = true;
    else if (order)
        random_state = 2 * std::strtoul(order, nullptr, 0) + 1;
    for (Block &block : cluster.blocks)
        for (Thread *thread : block.threads)
            if (backward)
                ready.push_front(thread);
            else
                ready.push_back(thread);
}

[[noreturn]] static void deadlock(const Cluster &cluster)
{
    std::map<std::string, unsigned> waits;
    for (const Block &block : cluster.blocks)
        for (const Thread *thread : block.threads)
            if (thread->waits_for) waits[thread->waits_for]++;
    std::string text;
    for (const auto &wait : waits)
        text += " " + std::to_string(wait.second) + " in " + wait.first + ",";
    fail("deadlock: threads wait:%s none goes on", text.c_str());
}

static Thread *next_thread()
{
    if (random_state) { // xorshift (G. Marsaglia)
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        std::swap(ready.front(), ready[random_state % ready.size()]);
    }
    Thread *thread = ready.front();
    ready.pop_front();
    return thread;
}

// The grid before this one, whose threads (so many) stand still meanwhile.
static void run_before(Grid &grid, size_t threads)
{
    Grid *const before = std::exchange(grid.before, nullptr);
    std::deque<Thread *> others;
    others.swap(ready);
    pool_used += threads;
    run(*before);
    pool_used -= threads;
    ready.swap(others);
    grid.for_before.wake();
}

static void run_cluster(Grid &grid, const std::vector<uint3> &indices)
{
    Cluster cluster;
    cluster.blocks.resize(indices.size());
    for (size_t rank = 0; rank < indices.size(); rank++) {
        Block &block = cluster.blocks[rank];
        block.index = indices[rank];
        block.rank = static_cast<unsigned>(rank % grid.cluster);
        block.cluster = &cluster;
        fill_block(grid, block, rank * grid.block.x * grid.block.y * grid.block.z);
        cluster.alive += block.alive;
    }
    const unsigned threads = cluster.alive;
    spins = 0;
    queue_threads(cluster);
    while (cluster.alive > 0) {
        if (grid.before && (ready.empty() || spins > 16ul * threads)) run_before(grid, threads);
        if (ready.empty()) deadlock(cluster);
        self = next_thread();
        threadIdx = self->index;
        blockIdx = self->block->index;
        fiber_switch(&scheduler, self->fiber);
        self = nullptr;
    }
    if (!cluster.bulk.empty()) fail("a block ended with bulk copies that nobody waited for");
    for (Block &block : cluster.blocks)
        std::free(block.shared);
    if (grid.before) run_before(grid, 0);
}

void run(Grid &grid, Grid *before)
{
    Grid *const outer = running;
    const auto enter = [](Grid *now) {
        running = now;
        gridDim = now ? now->grid : dim3();
        blockDim = now ? now->block : dim3();
    };
    enter(&grid);
    grid.before = before;
    grid.waited = false;
    std::vector<uint3> indices;
    const size_t count = static_cast<size_t>(grid.grid.x) * grid.grid.y * grid.grid.z;
    const size_t batch = grid.together ? count : grid.cluster;
    for (size_t i = 0; i < count; i++) {
        indices.push_back({static_cast<unsigned>(i % grid.grid.x),
                           static_cast<unsigned>(i / grid.grid.x % grid.grid.y),
                           static_cast<unsigned>(i / grid.grid.x / grid.grid.y)});
        if (indices.size() < batch) continue;
        run_cluster(grid, indices);
        indices.clear();
    }
    if (grid.overlap && !grid.waited)
        fail("a kernel that may start early never waits (sac__grid_wait)");
    launches++;
    enter(outer);
}

void grid_wait()
{
    running->waited = true;
    if (running->before) running->for_before.park("sac__grid_wait");
}

} // namespace emulator
