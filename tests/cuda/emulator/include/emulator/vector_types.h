// SPDX-License-Identifier: Apache-2.0
// CUDA's small vectors, for C and C++.
#ifndef EMULATOR_VECTOR_TYPES_H
#define EMULATOR_VECTOR_TYPES_H

#ifdef __cplusplus
#define EMULATOR_ALIGN(bytes) alignas(bytes)
#else
#define EMULATOR_ALIGN(bytes) _Alignas(bytes)
#endif

#define EMULATOR_VECTORS(X)                                                                        \
    X(char, signed char, 1)                                                                        \
    X(uchar, unsigned char, 1)                                                                     \
    X(short, short, 2)                                                                             \
    X(ushort, unsigned short, 2)                                                                   \
    X(int, int, 4)                                                                                 \
    X(uint, unsigned, 4)                                                                           \
    X(longlong, long long, 8)                                                                      \
    X(ulonglong, unsigned long long, 8)                                                            \
    X(float, float, 4)                                                                             \
    X(double, double, 8)

#define EMULATOR_VECTOR(name, type, size)                                                          \
    typedef struct name##1                                                                         \
    {                                                                                              \
        type x;                                                                                    \
    }                                                                                              \
    name##1;                                                                                       \
    typedef struct name##2                                                                         \
    {                                                                                              \
        EMULATOR_ALIGN(2 * size) type x;                                                           \
        type y;                                                                                    \
    }                                                                                              \
    name##2;                                                                                       \
    typedef struct name##3                                                                         \
    {                                                                                              \
        type x, y, z;                                                                              \
    }                                                                                              \
    name##3;                                                                                       \
    typedef struct name##4                                                                         \
    {                                                                                              \
        EMULATOR_ALIGN(size == 8 ? 16 : 4 * size) type x;                                          \
        type y, z, w;                                                                              \
    }                                                                                              \
    name##4;
EMULATOR_VECTORS(EMULATOR_VECTOR)
#undef EMULATOR_VECTOR

typedef struct dim3 {
    unsigned x, y, z;
#ifdef __cplusplus
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
#endif
} dim3;

#ifdef __cplusplus
#define EMULATOR_VECTOR(name, type, size)                                                          \
    static inline name##1 make_##name##1(type x)                                                   \
    {                                                                                              \
        return {x};                                                                                \
    }                                                                                              \
    static inline name##2 make_##name##2(type x, type y)                                           \
    {                                                                                              \
        return {x, y};                                                                             \
    }                                                                                              \
    static inline name##3 make_##name##3(type x, type y, type z)                                   \
    {                                                                                              \
        return {x, y, z};                                                                          \
    }                                                                                              \
    static inline name##4 make_##name##4(type x, type y, type z, type w)                           \
    {                                                                                              \
        return {x, y, z, w};                                                                       \
    }
EMULATOR_VECTORS(EMULATOR_VECTOR)
#undef EMULATOR_VECTOR
#endif
#endif
