// SPDX-License-Identifier: Apache-2.0
// One thread runs at a time: a read-modify-write is atomic as it stands.
#ifndef EMULATOR_ATOMICS_H
#define EMULATOR_ATOMICS_H

#include <cstring>

namespace emulator
{
template <class T> struct Same {
    using type = T;
};
template <class T> using same_t = typename Same<T>::type; ///< takes no part in deduction
} // namespace emulator

#define EMULATOR_ATOMIC(name, expression)                                                          \
    template <class T> T name(T *address, emulator::same_t<T> value)                               \
    {                                                                                              \
        const T old = *address;                                                                    \
        *address = (T)(expression);                                                                \
        return old;                                                                                \
    }                                                                                              \
    template <class T> T name##_block(T *address, emulator::same_t<T> value)                       \
    {                                                                                              \
        return name(address, value);                                                               \
    }
EMULATOR_ATOMIC(atomicAdd, old + value)
EMULATOR_ATOMIC(atomicSub, old - value)
EMULATOR_ATOMIC(atomicExch, value)
EMULATOR_ATOMIC(atomicMin, value < old ? value : old)
EMULATOR_ATOMIC(atomicMax, value > old ? value : old)
EMULATOR_ATOMIC(atomicAnd, old &value)
EMULATOR_ATOMIC(atomicOr, old | value)
EMULATOR_ATOMIC(atomicXor, old ^ value)
EMULATOR_ATOMIC(atomicInc, old >= value ? 0 : old + 1)
EMULATOR_ATOMIC(atomicDec, old == 0 || old > value ? value : old - 1)
#undef EMULATOR_ATOMIC

template <class T> T atomicCAS(T *address, emulator::same_t<T> compare, emulator::same_t<T> value)
{
    const T old = *address;
    if (old == compare) *address = value;
    return old;
}

// Loads and stores with a word about caches.
#define EMULATOR_LOAD(name)                                                                        \
    template <class T> T name(const T *address)                                                    \
    {                                                                                              \
        return *address;                                                                           \
    }
EMULATOR_LOAD(__ldg)
EMULATOR_LOAD(__ldca)
EMULATOR_LOAD(__ldcg)
EMULATOR_LOAD(__ldcs)
EMULATOR_LOAD(__ldcv)
#undef EMULATOR_LOAD
#define EMULATOR_STORE(name)                                                                       \
    template <class T> void name(T *address, emulator::same_t<T> value)                            \
    {                                                                                              \
        *address = value;                                                                          \
    }
EMULATOR_STORE(__stcg)
EMULATOR_STORE(__stcs)
EMULATOR_STORE(__stwb)
EMULATOR_STORE(__stwt)
#undef EMULATOR_STORE

#endif
