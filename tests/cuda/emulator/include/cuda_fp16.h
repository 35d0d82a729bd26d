// SPDX-License-Identifier: Apache-2.0
// CUDA's half precision. Sums, products and quotients of halves are computed in float and rounded:
// exact, since float has more than twice as many bits (and two more).
#ifndef EMULATOR_CUDA_FP16_H
#define EMULATOR_CUDA_FP16_H

#include "cuda_runtime.h"

#include "ops/math/half.h"

struct __half_raw {
    unsigned short x;
};

struct __half {
    unsigned short bits;
    __half() = default;
    __half(__half_raw raw) : bits(raw.x)
    {
    }
    __half(float x) : bits(sac__float_half(x))
    {
    }
    __half(double x) : bits(sac__float_half((float)x))
    {
    }
    __half(int x) : bits(sac__float_half((float)x))
    {
    }
    __half(unsigned x) : bits(sac__float_half((float)x))
    {
    }
    operator float() const
    {
        return sac__half_float(bits);
    }
    operator __half_raw() const
    {
        return {bits};
    }
};

struct alignas(4) __half2 {
    __half x, y;
    __half2() = default;
    __half2(__half a, __half b) : x(a), y(b)
    {
    }
};

typedef __half half;
typedef __half2 half2;

static inline float __half2float(__half h)
{
    return sac__half_float(h.bits);
}
static inline __half __float2half(float x)
{
    return __half(x);
}
static inline __half __float2half_rn(float x)
{
    return __half(x);
}
static inline __half __ushort_as_half(unsigned short bits)
{
    return __half(__half_raw{bits});
}
static inline unsigned short __half_as_ushort(__half h)
{
    return h.bits;
}
static inline short __half_as_short(__half h)
{
    return (short)h.bits;
}
static inline __half __int2half_rn(int x)
{
    return __half(x);
}
static inline __half __uint2half_rn(unsigned x)
{
    return __half(x);
}
static inline __half __short2half_rn(short x)
{
    return __half((float)x);
}
static inline __half __ushort2half_rn(unsigned short x)
{
    return __half((float)x);
}
static inline int __half2int_rn(__half h)
{
    return __float2int_rn(__half2float(h));
}

static inline __half2 __halves2half2(__half a, __half b)
{
    return {a, b};
}
static inline __half2 make_half2(__half a, __half b)
{
    return {a, b};
}
static inline __half2 __half2half2(__half a)
{
    return {a, a};
}
static inline __half2 __float2half2_rn(float a)
{
    return {__half(a), __half(a)};
}
static inline __half2 __floats2half2_rn(float a, float b)
{
    return {__half(a), __half(b)};
}
static inline __half2 __float22half2_rn(float2 a)
{
    return {__half(a.x), __half(a.y)};
}
static inline float2 __half22float2(__half2 a)
{
    return {__half2float(a.x), __half2float(a.y)};
}
static inline __half __low2half(__half2 a)
{
    return a.x;
}
static inline __half __high2half(__half2 a)
{
    return a.y;
}
static inline float __low2float(__half2 a)
{
    return __half2float(a.x);
}
static inline float __high2float(__half2 a)
{
    return __half2float(a.y);
}

static inline bool __hisnan(__half a)
{
    return (a.bits & 0x7fff) > 0x7c00;
}
static inline __half __hneg(__half a)
{
    return __ushort_as_half(a.bits ^ 0x8000);
}
static inline __half __habs(__half a)
{
    return __ushort_as_half(a.bits & 0x7fff);
}

/// Rounded once: the error of the double sum decides ties of the second rounding.
static inline __half __hfma(__half a, __half b, __half c)
{
    const double product = (double)__half2float(a) * (double)__half2float(b); // exact
    const double addend = (double)__half2float(c), sum = product + addend;
    const double back = sum - product, error = (product - (sum - back)) + (addend - back);
    float rounded = (float)sum; // to odd: inexact results get their last bit set
    if ((double)rounded != sum || error != 0) {
        const double rest = (sum - (double)rounded) + error;
        if ((rest < 0) != std::signbit(sum) && rest != 0 && sac__finite(rounded))
            rounded = std::nextafterf(rounded, 0.f);
        if (rest != 0 && sac__finite(rounded))
            rounded = sac__bits_float(sac__float_bits(rounded) | 1u);
    }
    return __half(rounded);
}

#define EMULATOR_HALF(name, expression)                                                            \
    static inline __half __h##name(__half p, __half q)                                             \
    {                                                                                              \
        const float a = __half2float(p), b = __half2float(q);                                      \
        return __half(expression);                                                                 \
    }                                                                                              \
    static inline __half2 __h##name##2(__half2 p, __half2 q)                                       \
    {                                                                                              \
        return {__h##name(p.x, q.x), __h##name(p.y, q.y)};                                         \
    }
EMULATOR_HALF(add, a + b)
EMULATOR_HALF(sub, a - b)
EMULATOR_HALF(mul, a *b)
EMULATOR_HALF(max, std::fmax(a, b))
EMULATOR_HALF(min, std::fmin(a, b))
#undef EMULATOR_HALF
static inline __half __hdiv(__half a, __half b)
{
    return __half(__half2float(a) / __half2float(b));
}
static inline __half2 __h2div(__half2 a, __half2 b)
{
    return {__hdiv(a.x, b.x), __hdiv(a.y, b.y)};
}
static inline __half __hmax_nan(__half a, __half b)
{
    return __hisnan(a) || __hisnan(b) ? __ushort_as_half(0x7fff) : __hmax(a, b);
}
static inline __half2 __hmax2_nan(__half2 a, __half2 b)
{
    return {__hmax_nan(a.x, b.x), __hmax_nan(a.y, b.y)};
}
static inline __half2 __hneg2(__half2 a)
{
    return {__hneg(a.x), __hneg(a.y)};
}
static inline __half2 __habs2(__half2 a)
{
    return {__habs(a.x), __habs(a.y)};
}
static inline __half2 __hfma2(__half2 a, __half2 b, __half2 c)
{
    return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)};
}

#define EMULATOR_HALF(name, operation)                                                             \
    static inline bool __h##name(__half a, __half b)                                               \
    {                                                                                              \
        return __half2float(a) operation __half2float(b);                                          \
    }
EMULATOR_HALF(eq, ==)
EMULATOR_HALF(ne, !=)
EMULATOR_HALF(lt, <)
EMULATOR_HALF(le, <=)
EMULATOR_HALF(gt, >)
EMULATOR_HALF(ge, >=)
#undef EMULATOR_HALF

#define EMULATOR_HALF(operation, name)                                                             \
    static inline __half operator operation(__half a, __half b)                                    \
    {                                                                                              \
        return __h##name(a, b);                                                                    \
    }                                                                                              \
    static inline __half &operator operation##=(__half &a, __half b)                               \
    {                                                                                              \
        return a = __h##name(a, b);                                                                \
    }
EMULATOR_HALF(+, add)
EMULATOR_HALF(-, sub)
EMULATOR_HALF(*, mul)
EMULATOR_HALF(/, div)
#undef EMULATOR_HALF
static inline __half operator-(__half a)
{
    return __hneg(a);
}
static inline __half2 operator+(__half2 a, __half2 b)
{
    return __hadd2(a, b);
}
static inline __half2 operator-(__half2 a, __half2 b)
{
    return __hsub2(a, b);
}
static inline __half2 operator*(__half2 a, __half2 b)
{
    return __hmul2(a, b);
}

static inline __half hexp(__half a)
{
    return __half(std::exp(__half2float(a)));
}
static inline __half hrcp(__half a)
{
    return __half(1.f / __half2float(a));
}
static inline __half2 h2exp(__half2 a)
{
    return {hexp(a.x), hexp(a.y)};
}
static inline __half2 h2rcp(__half2 a)
{
    return {hrcp(a.x), hrcp(a.y)};
}

#endif
