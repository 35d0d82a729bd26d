// SPDX-License-Identifier: Apache-2.0
// CUDA's arithmetic on scalars. The approximate functions are exact here; a check that compares
// bits across them would pass here and fail on a GPU.
#ifndef EMULATOR_ARITHMETIC_H
#define EMULATOR_ARITHMETIC_H

#include <cfenv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

namespace emulator
{
template <class To, class From> To bits(From from)
{
    static_assert(sizeof(To) == sizeof(From), "");
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}
} // namespace emulator

// CUDA's min and max take two types of integers, as C's usual conversions do.
template <class A, class B> constexpr std::common_type_t<A, B> min(A a, B b)
{
    using T = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point<T>::value)
        return std::fmin((T)a, (T)b);
    else
        return (T)b < (T)a ? (T)b : (T)a;
}

template <class A, class B> constexpr std::common_type_t<A, B> max(A a, B b)
{
    using T = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point<T>::value)
        return std::fmax((T)a, (T)b);
    else
        return (T)a < (T)b ? (T)b : (T)a;
}

// --- Bits --------------------------------------------------------------------------------------

static inline unsigned __float_as_uint(float x)
{
    return emulator::bits<unsigned>(x);
}
static inline int __float_as_int(float x)
{
    return emulator::bits<int>(x);
}
static inline float __uint_as_float(unsigned x)
{
    return emulator::bits<float>(x);
}
static inline float __int_as_float(int x)
{
    return emulator::bits<float>(x);
}
static inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}
static inline int __popcll(unsigned long long x)
{
    return __builtin_popcountll(x);
}
static inline int __clz(int x)
{
    return x ? __builtin_clz((unsigned)x) : 32;
}
static inline int __clzll(long long x)
{
    return x ? __builtin_clzll((unsigned long long)x) : 64;
}
static inline int __ffs(int x)
{
    return __builtin_ffs(x);
}
static inline int __ffsll(long long x)
{
    return __builtin_ffsll(x);
}

static inline unsigned __brev(unsigned x)
{
    unsigned reversed = 0;
    for (int i = 0; i < 32; i++)
        reversed |= (x >> i & 1u) << (31 - i);
    return reversed;
}

/// Byte i of the result is byte s[i] of y:x; bit 3 of a selector counts for nothing, unlike prmt's.
static inline unsigned __byte_perm(unsigned x, unsigned y, unsigned s)
{
    const unsigned long long both = (unsigned long long)y << 32 | x;
    unsigned result = 0;
    for (int i = 0; i < 4; i++) {
        const unsigned byte = (unsigned)(both >> 8 * (s >> 4 * i & 7)) & 0xff;
        result |= byte << 8 * i;
    }
    return result;
}

static inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift)
{
    return (unsigned)(((unsigned long long)high << 32 | low) << (shift & 31) >> 32);
}

static inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift)
{
    return (unsigned)(((unsigned long long)high << 32 | low) >> (shift & 31));
}

// --- Integers ----------------------------------------------------------------------------------

static inline int __mul24(int a, int b)
{
    return (a << 8 >> 8) * (b << 8 >> 8);
}
static inline unsigned __umulhi(unsigned a, unsigned b)
{
    return (unsigned)((unsigned long long)a * b >> 32);
}
static inline int __mulhi(int a, int b)
{
    return (int)((long long)a * b >> 32);
}

template <class T, class U> T emulator_dot4(T a, U b, T sum)
{
    using ByteA = std::conditional_t<std::is_signed<T>::value, signed char, unsigned char>;
    for (int i = 0; i < 4; i++)
        sum += (T)(ByteA)((unsigned)a >> 8 * i) * (T)(ByteA)((unsigned)b >> 8 * i);
    return sum;
}
static inline int __dp4a(int a, int b, int sum)
{
    return emulator_dot4(a, b, sum);
}
static inline unsigned __dp4a(unsigned a, unsigned b, unsigned sum)
{
    return emulator_dot4(a, b, sum);
}

/// Two products of 16-bit halves of a with the low (high) bytes of b.
static inline unsigned __dp2a_lo(unsigned a, unsigned b, unsigned sum)
{
    return sum + (a & 0xffff) * (b & 0xff) + (a >> 16) * (b >> 8 & 0xff);
}
static inline unsigned __dp2a_hi(unsigned a, unsigned b, unsigned sum)
{
    return __dp2a_lo(a, b >> 16, sum);
}

// --- Floats ------------------------------------------------------------------------------------

#define EMULATOR_BINARY(name, expression)                                                          \
    static inline float name(float a, float b)                                                     \
    {                                                                                              \
        return expression;                                                                         \
    }
EMULATOR_BINARY(__fadd_rn, a + b)
EMULATOR_BINARY(__fsub_rn, a - b)
EMULATOR_BINARY(__fmul_rn, a *b)
EMULATOR_BINARY(__fdiv_rn, a / b)
EMULATOR_BINARY(__fdividef, a / b)
#undef EMULATOR_BINARY
// glibc declares functions of these names.
#define __expf(x) std::exp(static_cast<float>(x))
#define __logf(x) std::log(static_cast<float>(x))
#define __log2f(x) std::log2(static_cast<float>(x))
#define __sinf(x) std::sin(static_cast<float>(x))
#define __cosf(x) std::cos(static_cast<float>(x))
#define __powf(x, y) std::pow(static_cast<float>(x), static_cast<float>(y))
static inline float __fmaf_rz(float a, float b, float c)
{
    const int mode = std::fegetround();
    std::fesetround(FE_TOWARDZERO);
    volatile float x = a, y = b, z = c; // computed between the two, and not before
    volatile float result = std::fma(x, y, z);
    std::fesetround(mode);
    return result;
}

static inline float __fmaf_rn(float a, float b, float c)
{
    return std::fma(a, b, c);
}
#define EMULATOR_UNARY(name, expression)                                                           \
    static inline float name(float x)                                                              \
    {                                                                                              \
        return expression;                                                                         \
    }
EMULATOR_UNARY(__frcp_rn, 1.f / x)
EMULATOR_UNARY(__fsqrt_rn, std::sqrt(x))
EMULATOR_UNARY(__frsqrt_rn, 1.f / std::sqrt(x))
EMULATOR_UNARY(rsqrtf, 1.f / std::sqrt(x))
EMULATOR_UNARY(__saturatef, x > 0.f ? x < 1.f ? x : 1.f : 0.f) // NaN is 0
#undef EMULATOR_UNARY

// Out of range saturates, NaN is 0, as cvt does.
template <class T> T emulator_convert(double x)
{
    if (x != x) return 0;
    if (x >= 18446744073709551615.0 || x >= (double)std::numeric_limits<T>::max())
        return std::numeric_limits<T>::max();
    if (x <= (double)std::numeric_limits<T>::min()) return std::numeric_limits<T>::min();
    return (T)x;
}
static inline int __float2int_rn(float x)
{
    return emulator_convert<int>(std::nearbyint(x));
}
static inline int __float2int_rz(float x)
{
    return emulator_convert<int>(std::trunc(x));
}
static inline int __float2int_rd(float x)
{
    return emulator_convert<int>(std::floor(x));
}
static inline int __float2int_ru(float x)
{
    return emulator_convert<int>(std::ceil(x));
}
static inline unsigned __float2uint_rn(float x)
{
    return emulator_convert<unsigned>(std::nearbyint(x));
}
static inline unsigned __float2uint_rz(float x)
{
    return emulator_convert<unsigned>(std::trunc(x));
}
static inline float __int2float_rn(int x)
{
    return (float)x;
}
static inline float __uint2float_rn(unsigned x)
{
    return (float)x;
}
static inline int __double2int_rn(double x)
{
    return emulator_convert<int>(std::nearbyint(x));
}

#endif
