// SPDX-License-Identifier: Apache-2.0
// The letterbox's rows with AVX2 and F16C.
#include <immintrin.h>

#include "x86.h"

enum { LANES = 8 };

// ---- across -------------------------------------------------------------------------------------

// Byte shuffles that bring both pixels' bytes of a channel side by side as 16-bit values, from two
// pixels a 64-bit element.
struct shuffles {
    __m256i both; ///< channel 0 to the lower 32 bits, channel 1 to the upper
    __m256i low;  ///< channel 2 to the lower 32 bits
    __m256i high; ///< channel 2 to the upper 32 bits
};

static struct shuffles shuffles_of(int32_t step, const int32_t *byte)
{
    uint8_t both[32], low[32], high[32];
    memset(both, 0x80, sizeof both);
    memset(low, 0x80, sizeof low);
    memset(high, 0x80, sizeof high);
    for (int i = 0; i < 32; i += 8) {
        for (int pixel = 0; pixel < 2; pixel++) {
            const int from = i % 16 + pixel * step, to = i + pixel * 2;
            both[to] = (uint8_t)(from + byte[0]);
            both[to + 4] = (uint8_t)(from + byte[1]);
            low[to] = high[to + 4] = (uint8_t)(from + byte[2]);
        }
    }
    return (struct shuffles){_mm256_loadu_si256((const __m256i *)both),
                             _mm256_loadu_si256((const __m256i *)low),
                             _mm256_loadu_si256((const __m256i *)high)};
}

SAC_INLINE __m128i load_two(const uint8_t *row, const int32_t *offset)
{
    const __m128i first = _mm_loadl_epi64((const __m128i *)(row + offset[0]));
    const double *second = (const double *)(const void *)(row + offset[1]);
    return _mm_castpd_si128(_mm_loadh_pd(_mm_castsi128_pd(first), second));
}

// Eight columns: 64-bit elements a = 0,1,4,5 and b = 2,3,6,7.
SAC_INLINE void resample_eight(int16_t *out, int32_t plane, const uint8_t *row,
                               const int32_t *offset, const int32_t *weights,
                               const struct shuffles *shuffles)
{
    const __m256i a = _mm256_set_m128i(load_two(row, offset + 4), load_two(row, offset));
    const __m256i b = _mm256_set_m128i(load_two(row, offset + 6), load_two(row, offset + 2));
    const __m256i w = _mm256_loadu_si256((const __m256i *)weights);
    const __m256i wa = _mm256_unpacklo_epi32(w, w), wb = _mm256_unpackhi_epi32(w, w);
    const __m256i a01 = _mm256_madd_epi16(_mm256_shuffle_epi8(a, shuffles->both), wa);
    const __m256i b01 = _mm256_madd_epi16(_mm256_shuffle_epi8(b, shuffles->both), wb);
    const __m256i ab2 =
        _mm256_madd_epi16(_mm256_or_si256(_mm256_shuffle_epi8(a, shuffles->low),
                                          _mm256_shuffle_epi8(b, shuffles->high)),
                          _mm256_blend_epi32(wa, wb, 0xaa));
    const __m256i order = _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15, //
                                           0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
    const __m256i packed =
        _mm256_packs_epi32(_mm256_srli_epi32(a01, 4), _mm256_srli_epi32(b01, 4));
    const __m256i c01 =
        _mm256_permute4x64_epi64(_mm256_shuffle_epi8(packed, order), _MM_SHUFFLE(3, 1, 2, 0));
    const __m256i order2 =
        _mm256_setr_epi8(0, 1, 8, 9, 4, 5, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1, //
                         0, 1, 8, 9, 4, 5, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m256i c2 = _mm256_permute4x64_epi64(
        _mm256_shuffle_epi8(_mm256_srli_epi32(ab2, 4), order2), _MM_SHUFFLE(3, 1, 2, 0));
    _mm_storeu_si128((__m128i *)out, _mm256_castsi256_si128(c01));
    _mm_storeu_si128((__m128i *)(out + plane), _mm256_extracti128_si256(c01, 1));
    _mm_storeu_si128((__m128i *)(out + 2 * (size_t)plane), _mm256_castsi256_si128(c2));
}

void sac__across_avx2(int16_t *lines, const struct sac__columns *columns, const uint8_t *row)
{
    const struct shuffles shuffles = shuffles_of(columns->step, columns->byte);
    const int32_t *offset = columns->offset, padded = columns->padded;
    int32_t x = 0;
    for (; x < padded && offset[x + LANES - 1] + 8 <= columns->row_bytes; x += LANES)
        resample_eight(lines + x, padded, row, offset + x, columns->weights + x, &shuffles);
    if (x == padded) return;
    // 8 bytes from here on may reach past the row: read from a copy that has room behind it.
    const int32_t start = offset[x];
    memcpy(columns->tail + start, row + start, (size_t)(columns->row_bytes - start));
    for (; x < padded; x += LANES)
        resample_eight(lines + x, padded, columns->tail, offset + x, columns->weights + x,
                       &shuffles);
}

// ---- out ----------------------------------------------------------------------------------------

// Eight values 0–255 as the network takes them.
SAC_INLINE void store_eight(void *dst, size_t at, sac_dtype dtype, __m256i values, __m256 scale)
{
    const __m256 floats = _mm256_mul_ps(_mm256_cvtepi32_ps(values), scale);
    if (dtype == SAC_F32) {
        _mm256_storeu_ps((float *)dst + at, floats);
    } else if (dtype == SAC_F16) {
        _mm_storeu_si128((__m128i *)((uint16_t *)dst + at),
                         _mm256_cvtps_ph(floats, _MM_FROUND_TO_NEAREST_INT));
    } else {
        const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(values),
                                              _mm256_extracti128_si256(values, 1));
        _mm_storel_epi64((__m128i *)((uint8_t *)dst + at), _mm_packus_epi16(words, words));
    }
}

SAC_INLINE void copy_values(void *dst, size_t at, sac_dtype dtype, const void *values, size_t count)
{
    const size_t bytes = dtype == SAC_F32 ? 4 : dtype == SAC_F16 ? 2 : 1;
    memcpy((uint8_t *)dst + at * bytes, values, count * bytes);
}

// Values before dst reaches a boundary of as many as a step writes, 1 to `step`, at most count.
SAC_INLINE int32_t first_values(const void *dst, sac_dtype dtype, int32_t step, int32_t count)
{
    const uintptr_t bytes = dtype == SAC_F32 ? 4 : dtype == SAC_F16 ? 2 : 1;
    const int32_t first = step - (int32_t)((uintptr_t)dst / bytes % (uintptr_t)step);
    return first < count ? first : count;
}

// Two lines and their weights, blended.
struct blend {
    const int16_t *upper, *lower;
    __m256i weight0, weight1;
    __m256 scale;
};

// Columns x to x+15 → dst[at] on.
SAC_INLINE void blend_sixteen(void *dst, size_t at, sac_dtype dtype, const struct blend *blend,
                              int32_t x)
{
    const __m256i u = _mm256_loadu_si256((const __m256i *)(blend->upper + x));
    const __m256i l = _mm256_loadu_si256((const __m256i *)(blend->lower + x));
    const __m256i sum = _mm256_add_epi16(_mm256_mulhi_epi16(u, blend->weight0),
                                         _mm256_mulhi_epi16(l, blend->weight1));
    const __m256i bytes = _mm256_srli_epi16(_mm256_add_epi16(sum, _mm256_set1_epi16(2)), 2);
    store_eight(dst, at, dtype, _mm256_cvtepu16_epi32(_mm256_castsi256_si128(bytes)),
                blend->scale);
    store_eight(dst, at + LANES, dtype, _mm256_cvtepu16_epi32(_mm256_extracti128_si256(bytes, 1)),
                blend->scale);
}

// Fewer than sixteen.
SAC_INLINE void blend_some(void *dst, sac_dtype dtype, const struct blend *blend, int32_t x,
                           int32_t count)
{
    float values[2 * LANES] = {0};
    blend_sixteen(values, 0, dtype, blend, x);
    copy_values(dst, x, dtype, values, (size_t)count);
}

SAC_INLINE void down(void *dst, sac_dtype dtype, int32_t count, const int16_t *upper,
                     const int16_t *lower, struct sac__tap row, float scale)
{
    const struct blend blend = {upper, lower, _mm256_set1_epi16(row.weight0),
                                _mm256_set1_epi16(row.weight1), _mm256_set1_ps(scale)};
    int32_t x = first_values(dst, dtype, 2 * LANES, count);
    blend_some(dst, dtype, &blend, 0, x);
    for (; x + 2 * LANES <= count; x += 2 * LANES) blend_sixteen(dst, x, dtype, &blend, x);
    blend_some(dst, dtype, &blend, x, count - x);
}

static void down_any(void *dst, sac_dtype dtype, int32_t count, const int16_t *upper,
                     const int16_t *lower, struct sac__tap row, float scale)
{
    SAC_BY_DTYPE(down, dst, dtype, count, upper, lower, row, scale);
}

// Eight bytes, `step` apart, from two times four pixels.
SAC_INLINE __m256i take_eight(const uint8_t *pixels, int32_t step, __m256i shuffle)
{
    const __m128i low = _mm_loadu_si128((const __m128i *)pixels);
    const __m128i high = _mm_loadu_si128((const __m128i *)(pixels + 4 * step));
    return _mm256_shuffle_epi8(_mm256_set_m128i(high, low), shuffle);
}

// The bytes of one channel of a row of pixels.
struct channel {
    const uint8_t *row;
    int32_t step;
    __m256i shuffle;
    __m256 scale;
};

// Fewer than eight, or so near the end that reading eight would go too far.
SAC_INLINE void copy_some(void *dst, sac_dtype dtype, const struct channel *channel, int32_t x,
                          int32_t count)
{
    uint8_t pixels[4 * LANES + 16] = {0};
    float values[LANES] = {0};
    memcpy(pixels, channel->row + x * (size_t)channel->step, (size_t)count * channel->step);
    store_eight(values, 0, dtype, take_eight(pixels, channel->step, channel->shuffle),
                channel->scale);
    copy_values(dst, x, dtype, values, (size_t)count);
}

SAC_INLINE void same(void *dst, sac_dtype dtype, int32_t count, const uint8_t *row, int32_t step,
                     int32_t byte, float scale)
{
    int8_t from[32];
    memset(from, -1, sizeof from);
    for (int i = 0; i < LANES; i++) from[4 * i] = (int8_t)(i % 4 * step + byte);
    const struct channel channel = {row, step, _mm256_loadu_si256((const __m256i *)from),
                                    _mm256_set1_ps(scale)};
    const int32_t reach = (4 * step + 16 + step - 1) / step; // pixels that loading eight touches
    int32_t x = first_values(dst, dtype, LANES, count);
    copy_some(dst, dtype, &channel, 0, x);
    for (; x + reach <= count; x += LANES)
        store_eight(dst, x, dtype, take_eight(row + x * (size_t)step, step, channel.shuffle),
                    channel.scale);
    for (; x < count; x += LANES)
        copy_some(dst, dtype, &channel, x, count - x < LANES ? count - x : LANES);
}

static void same_any(void *dst, sac_dtype dtype, int32_t count, const uint8_t *row, int32_t step,
                     int32_t byte, float scale)
{
    SAC_BY_DTYPE(same, dst, dtype, count, row, step, byte, scale);
}

static void fill(void *dst, size_t bytes, uint32_t pattern)
{
    const __m256i value = _mm256_set1_epi32((int32_t)pattern);
    uint8_t *out = dst, *end = out + bytes, rest[32];
    if (bytes >= 32) { // the pattern's period divides the step that aligns
        _mm256_storeu_si256((__m256i *)out, value);
        out += (32 - (uintptr_t)out % 32) & ~(uintptr_t)3;
    }
    for (; end - out >= 32; out += 32) _mm256_storeu_si256((__m256i *)out, value);
    _mm256_storeu_si256((__m256i *)rest, value);
    memcpy(out, rest, (size_t)(end - out));
}

int sac__letterbox_avx2(sac_workspace *workspace, const struct sac__letterbox_job *job)
{
    static const struct sac__row_kernels kernels = {sac__across_avx2, down_any, same_any, fill};
    return sac__letterbox_x86(&kernels, workspace, job);
}
