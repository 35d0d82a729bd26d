// SPDX-License-Identifier: Apache-2.0
// Stacks that one can leave in the middle and come back to.
#ifndef EMULATOR_FIBER_H
#define EMULATOR_FIBER_H

#include <cstddef>

namespace emulator
{

struct Fiber {
    void *pointer = nullptr; ///< of the stack, while nobody is on it
    void *stack = nullptr;
    size_t bytes = 0;
    void *fake = nullptr; ///< the address sanitizer's
    void (*entry)() = nullptr;
};

/// A fiber that will call `entry`, which must not return; null when there is no memory.
Fiber *fiber_open(void (*entry)());
void fiber_close(Fiber *fiber);

/// Leaves `from` (any Fiber where the caller is the program's own stack) for `to`.
void fiber_switch(Fiber *from, Fiber *to);

} // namespace emulator
#endif
