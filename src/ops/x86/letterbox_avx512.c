// SPDX-License-Identifier: Apache-2.0
// The letterbox's rows with AVX-512: byte permutations pick the pixels, masks take care of ends.
#include <immintrin.h>

#include "x86.h"

enum { LANES = 16 };

SAC_INLINE uint64_t first_bits(int64_t count)
{
    return count <= 0 ? 0 : count >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1;
}

// The bytes from `at` on, zeros behind the row's end.
SAC_INLINE __m512i load_bytes(const uint8_t *row, int64_t at, int64_t row_bytes)
{
    return _mm512_maskz_loadu_epi8(first_bits(row_bytes - at), row + at);
}

// Sixteen columns of all three lines from the 128 bytes that begin at their first pixel.
SAC_INLINE void resample_sixteen(int16_t *lines, const struct sac__columns *columns, int32_t x,
                                 __m512i low, __m512i high)
{
    const __mmask64 even = UINT64_C(0x5555555555555555);
    const __m512i taps = _mm512_loadu_si512(columns->taps[x / LANES]);
    const __m512i weights = _mm512_loadu_si512(columns->weights + x);
    for (int channel = 0; channel < 3; channel++) {
        const __m512i byte = _mm512_set1_epi8((char)columns->byte[channel]);
        const __m512i pairs = _mm512_maskz_permutex2var_epi8(
            even, low, _mm512_add_epi8(taps, byte), high);
        const __m512i sums = _mm512_srli_epi32(_mm512_madd_epi16(pairs, weights), 4);
        _mm256_storeu_si256((__m256i *)(lines + channel * (size_t)columns->padded + x),
                            _mm512_cvtepi32_epi16(sums));
    }
}

static void across(int16_t *lines, const struct sac__columns *columns, const uint8_t *row)
{
    const int32_t bytes = columns->row_bytes, *offset = columns->offset;
    if (!columns->taps) {
        sac__across_avx2(lines, columns, row);
        return;
    }
    int32_t x = 0;
    for (; x < columns->padded && offset[x] + 128 <= bytes; x += LANES)
        resample_sixteen(lines, columns, x, _mm512_loadu_si512(row + offset[x]),
                         _mm512_loadu_si512(row + offset[x] + 64));
    for (; x < columns->padded; x += LANES)
        resample_sixteen(lines, columns, x, load_bytes(row, offset[x], bytes),
                         load_bytes(row, offset[x] + 64, bytes));
}

// Up to sixteen values 0–255 as the network takes them.
SAC_INLINE void store_sixteen(void *dst, size_t at, sac_dtype dtype, __mmask16 mask, __m512i values,
                              __m512 scale)
{
    const __m512 floats = _mm512_mul_ps(_mm512_cvtepi32_ps(values), scale);
    if (dtype == SAC_F32)
        _mm512_mask_storeu_ps((float *)dst + at, mask, floats);
    else if (dtype == SAC_F16)
        _mm256_mask_storeu_epi16((uint16_t *)dst + at, mask,
                                 _mm512_cvtps_ph(floats, _MM_FROUND_TO_NEAREST_INT));
    else
        _mm_mask_storeu_epi8((uint8_t *)dst + at, mask, _mm512_cvtepi32_epi8(values));
}

// Values before dst reaches a cache line, 1 to 16: stores across two lines are slow.
SAC_INLINE int32_t first_values(const void *dst, sac_dtype dtype, int32_t count)
{
    const uintptr_t bytes = dtype == SAC_F32 ? 4 : dtype == SAC_F16 ? 2 : 1;
    const int32_t first = LANES - (int32_t)((uintptr_t)dst / bytes % LANES);
    return first < count ? first : count;
}

// Two lines and their weights, blended into `count` values from dst[x] on.
struct blend {
    const int16_t *upper, *lower;
    __m256i weight0, weight1;
    __m512 scale;
};

SAC_INLINE void blend_sixteen(void *dst, sac_dtype dtype, const struct blend *blend, int32_t x,
                              int32_t count)
{
    const __m256i u = _mm256_loadu_si256((const __m256i *)(blend->upper + x));
    const __m256i l = _mm256_loadu_si256((const __m256i *)(blend->lower + x));
    const __m256i sum = _mm256_add_epi16(_mm256_mulhi_epi16(u, blend->weight0),
                                         _mm256_mulhi_epi16(l, blend->weight1));
    const __m256i bytes = _mm256_srli_epi16(_mm256_add_epi16(sum, _mm256_set1_epi16(2)), 2);
    store_sixteen(dst, x, dtype, (__mmask16)first_bits(count), _mm512_cvtepu16_epi32(bytes),
                  blend->scale);
}

SAC_INLINE void down(void *dst, sac_dtype dtype, int32_t count, const int16_t *upper,
                     const int16_t *lower, struct sac__tap row, float scale)
{
    const struct blend blend = {upper, lower, _mm256_set1_epi16(row.weight0),
                                _mm256_set1_epi16(row.weight1), _mm512_set1_ps(scale)};
    int32_t x = first_values(dst, dtype, count);
    blend_sixteen(dst, dtype, &blend, 0, x);
    for (; x + LANES <= count; x += LANES) blend_sixteen(dst, dtype, &blend, x, LANES);
    blend_sixteen(dst, dtype, &blend, x, count - x);
}

static void down_any(void *dst, sac_dtype dtype, int32_t count, const int16_t *upper,
                     const int16_t *lower, struct sac__tap row, float scale)
{
    SAC_BY_DTYPE(down, dst, dtype, count, upper, lower, row, scale);
}

// The bytes of one channel of a row of pixels.
struct channel {
    const uint8_t *row;
    int64_t step, bytes;
    __m512i from; ///< which of 64 bytes go to which of sixteen values
    __m512 scale;
};

SAC_INLINE void copy_sixteen(void *dst, sac_dtype dtype, const struct channel *channel, int32_t x,
                             int32_t count)
{
    const __mmask64 fourth = UINT64_C(0x1111111111111111);
    const __m512i pixels = load_bytes(channel->row, x * channel->step, channel->bytes);
    store_sixteen(dst, x, dtype, (__mmask16)first_bits(count),
                  _mm512_maskz_permutexvar_epi8(fourth, channel->from, pixels), channel->scale);
}

SAC_INLINE void same(void *dst, sac_dtype dtype, int32_t count, const uint8_t *row, int32_t step,
                     int32_t byte, float scale)
{
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const struct channel channel = {
        row, step, (int64_t)count * step,
        _mm512_add_epi32(_mm512_mullo_epi32(lanes, _mm512_set1_epi32(step)),
                         _mm512_set1_epi32(byte)),
        _mm512_set1_ps(scale)};
    int32_t x = first_values(dst, dtype, count);
    copy_sixteen(dst, dtype, &channel, 0, x);
    for (; x + LANES <= count; x += LANES) copy_sixteen(dst, dtype, &channel, x, LANES);
    copy_sixteen(dst, dtype, &channel, x, count - x);
}

static void same_any(void *dst, sac_dtype dtype, int32_t count, const uint8_t *row, int32_t step,
                     int32_t byte, float scale)
{
    SAC_BY_DTYPE(same, dst, dtype, count, row, step, byte, scale);
}

static void fill(void *dst, size_t bytes, uint32_t pattern)
{
    const __m512i value = _mm512_set1_epi32((int32_t)pattern);
    uint8_t *out = dst, *end = out + bytes;
    if (bytes >= 64) { // the pattern's period divides the step that aligns
        _mm512_storeu_si512(out, value);
        out += (64 - (uintptr_t)out % 64) & ~(uintptr_t)3;
    }
    for (; end - out >= 64; out += 64) _mm512_storeu_si512(out, value);
    _mm512_mask_storeu_epi8(out, first_bits(end - out), value);
}

int sac__letterbox_avx512(sac_workspace *workspace, const struct sac__letterbox_job *job)
{
    static const struct sac__row_kernels kernels = {across, down_any, same_any, fill};
    return sac__letterbox_x86(&kernels, workspace, job);
}
