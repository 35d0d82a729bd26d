// SPDX-License-Identifier: Apache-2.0
// Switching stacks: six registers and the stack pointer on x86-64; ucontext elsewhere.
#include "fiber.h"

#include <cstdlib>
#include <new>

#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define EMULATOR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMULATOR_ASAN 1
#endif
#endif

#ifdef EMULATOR_ASAN
#include <sanitizer/common_interface_defs.h>
enum { STACK_BYTES = 256 * 1024 };
#else
enum { STACK_BYTES = 64 * 1024 };
#endif
enum { GUARD_BYTES = 4096 }; // below the stack: too deep a call faults

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emulator
{

static Fiber *left, *entered; // by the last switch

#ifdef EMULATOR_ASAN
static void before_switch(Fiber *from, Fiber *to)
{
    __sanitizer_start_switch_fiber(&from->fake, to->stack, to->bytes);
}

static void after_switch()
{
    const void *stack;
    size_t bytes;
    __sanitizer_finish_switch_fiber(entered->fake, &stack, &bytes);
    left->stack = const_cast<void *>(stack);
    left->bytes = bytes;
}
#else
static void before_switch(Fiber *, Fiber *)
{
}
static void after_switch()
{
}
#endif

static void start()
{
    after_switch();
    entered->entry();
    std::abort();
}

#if defined(__x86_64__)

extern "C" void emulator_switch(void **from, void *to);
__asm__(".text\n"
        ".p2align 4\n"
        ".type emulator_switch, @function\n"
        "emulator_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size emulator_switch, .-emulator_switch\n");

static void prepare(Fiber *fiber)
{
    void **top = reinterpret_cast<void **>(static_cast<char *>(fiber->stack) + fiber->bytes);
    *--top = nullptr; // aligns the stack as after a call
    *--top = reinterpret_cast<void *>(start);
    for (int i = 0; i < 6; i++)
        *--top = nullptr;
    fiber->pointer = top;
}

static void release(Fiber *)
{
}

static void change(Fiber *from, Fiber *to)
{
    emulator_switch(&from->pointer, to->pointer);
}

#else

static void prepare(Fiber *fiber)
{
    ucontext_t *context = new ucontext_t;
    getcontext(context);
    context->uc_stack.ss_sp = fiber->stack;
    context->uc_stack.ss_size = fiber->bytes;
    context->uc_link = nullptr;
    makecontext(context, start, 0);
    fiber->pointer = context;
}

static void release(Fiber *fiber)
{
    delete static_cast<ucontext_t *>(fiber->pointer);
}

static void change(Fiber *from, Fiber *to)
{
    if (!from->pointer) from->pointer = new ucontext_t;
    swapcontext(static_cast<ucontext_t *>(from->pointer), static_cast<ucontext_t *>(to->pointer));
}

#endif

Fiber *fiber_open(void (*entry)())
{
    void *memory = mmap(nullptr, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    mprotect(memory, GUARD_BYTES, PROT_NONE);
    Fiber *fiber = new Fiber;
    fiber->stack = static_cast<char *>(memory) + GUARD_BYTES;
    fiber->bytes = STACK_BYTES;
    fiber->entry = entry;
    prepare(fiber);
    return fiber;
}

void fiber_close(Fiber *fiber)
{
    release(fiber);
    munmap(static_cast<char *>(fiber->stack) - GUARD_BYTES, GUARD_BYTES + STACK_BYTES);
    delete fiber;
}

void fiber_switch(Fiber *from, Fiber *to)
{
    left = from;
    entered = to;
    before_switch(from, to);
    change(from, to);
    after_switch();
}

} // namespace emulator
