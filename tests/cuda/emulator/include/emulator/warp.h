// SPDX-License-Identifier: Apache-2.0
// Lanes of a warp speak with each other. A lane that has returned counts as arrived; what a shuffle
// reads from it is undefined on a GPU, and 0xff bytes here.
#ifndef EMULATOR_WARP_H
#define EMULATOR_WARP_H

#include <cstring>
#include <type_traits>

#include "emulator/thread.h"

namespace emulator
{

/// Every lane gives a value and sees those of the others: slots()[lane].
template <class T> struct Exchange {
    static_assert(std::is_trivially_copyable<T>::value && sizeof(T) <= sizeof(Warp::Slot), "");
    Warp::Slot *slots;
    Exchange(uint32_t mask, const char *what, const T &mine, Warp::Finish finish = nullptr)
        : slots(self->warp->meet(mask, what, &mine, sizeof mine, finish))
    {
    }
    T operator[](unsigned lane) const
    {
        T value;
        std::memcpy(&value, slots[lane].bytes, sizeof value);
        return value;
    }
};

/// A lane of the shuffle's segment, or the own one where that is outside.
template <class T> T shuffle(uint32_t mask, const char *what, T value, int lane, bool inside)
{
    const Exchange<T> all(mask, what, value);
    return inside ? all[(unsigned)lane] : value;
}

/// Lanes that say yes; those that have returned say nothing.
static inline unsigned vote(uint32_t mask, const char *what, int predicate)
{
    const Exchange<int> all(mask, what, predicate != 0);
    unsigned lanes = 0;
    for (unsigned lane = 0; lane < 32; lane++)
        if (mask & 1u << lane && all[lane] == 1) lanes |= 1u << lane;
    return lanes;
}

template <class T, class F> T reduce(uint32_t mask, const char *what, T value, F join)
{
    const Exchange<T> all(mask, what, value);
    bool first = true;
    T total{};
    for (unsigned lane = 0; lane < 32; lane++) {
        if (!(mask & 1u << lane)) continue;
        total = first ? all[lane] : join(total, all[lane]);
        first = false;
    }
    return total;
}

} // namespace emulator

static inline void __syncwarp(unsigned mask = 0xffffffffu)
{
    emulator::Exchange<int>(mask, "__syncwarp", 0);
}

/// Lanes that have not returned: as if none had gone another way.
static inline unsigned __activemask()
{
    return emulator::self->warp->alive;
}

template <class T> T __shfl_sync(unsigned mask, T value, int lane, int width = 32)
{
    const int first = (int)emulator::self->lane & ~(width - 1);
    return emulator::shuffle(mask, "__shfl_sync", value, first + (lane & (width - 1)), true);
}

template <class T> T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32)
{
    const int lane = (int)emulator::self->lane, other = lane ^ bits;
    // A lane of an earlier segment may be read, one of a later may not (PTX ISA, shfl.bfly).
    return emulator::shuffle(mask, "__shfl_xor_sync", value, other,
                             other <= (lane & ~(width - 1)) + width - 1);
}

template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32)
{
    const int lane = (int)emulator::self->lane, other = lane + (int)delta;
    return emulator::shuffle(mask, "__shfl_down_sync", value, other,
                             other <= (lane & ~(width - 1)) + width - 1);
}

template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32)
{
    const int lane = (int)emulator::self->lane, other = lane - (int)delta;
    return emulator::shuffle(mask, "__shfl_up_sync", value, other, other >= (lane & ~(width - 1)));
}

static inline unsigned __ballot_sync(unsigned mask, int predicate)
{
    return emulator::vote(mask, "__ballot_sync", predicate);
}

static inline int __any_sync(unsigned mask, int predicate)
{
    return emulator::vote(mask, "__any_sync", predicate) != 0;
}

static inline int __all_sync(unsigned mask, int predicate)
{
    return emulator::vote(mask, "__all_sync", !predicate) == 0;
}

template <class T> unsigned __match_any_sync(unsigned mask, T value)
{
    const emulator::Exchange<T> all(mask, "__match_any_sync", value);
    unsigned same = 0;
    for (unsigned lane = 0; lane < 32; lane++)
        if (mask & 1u << lane && all[lane] == value) same |= 1u << lane;
    return same;
}

template <class T> unsigned __match_all_sync(unsigned mask, T value, int *all_equal)
{
    *all_equal = __match_any_sync(mask, value) == mask;
    return *all_equal ? mask : 0;
}

#define EMULATOR_REDUCE(name, expression)                                                          \
    template <class T> T __reduce_##name##_sync(unsigned mask, T value)                            \
    {                                                                                              \
        return emulator::reduce(mask, "__reduce_" #name "_sync", value,                            \
                                [](T a, T b) -> T { return expression; });                         \
    }
EMULATOR_REDUCE(add, a + b)
EMULATOR_REDUCE(min, a < b ? a : b)
EMULATOR_REDUCE(max, a > b ? a : b)
EMULATOR_REDUCE(and, a &b)
EMULATOR_REDUCE(or, a | b)
EMULATOR_REDUCE(xor, a ^ b)
#undef EMULATOR_REDUCE

#endif
