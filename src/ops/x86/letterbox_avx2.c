// SPDX-License-Identifier: Apache-2.0
// Letterbox for AVX2: each source row that is needed is resampled across once, into three planes of
// 16-bit values; two such lines are blended into a row of the input, converted and stored.
#include <immintrin.h>

#include "x86.h"

enum { GROUP = 16 }; // columns are handled by sixteen; tables and lines are padded to that

// Where the columns come from: byte offset of the left pixel, and both weights in one word.
struct columns {
    int32_t *offset;
    int32_t *weights;
    int32_t padded; ///< columns with padding
    int32_t safe;   ///< columns before which 8 bytes may be read at each offset
};

// Two resampled source rows.
struct lines {
    int16_t *plane[2]; ///< 3 planes of `padded` values each
    int32_t row[2];    ///< source row in it, -1: none
    uint8_t *tail;     ///< the end of a source row, with room to read past it
};

static int open_columns(struct columns *columns, sac_workspace *workspace,
                        const struct sac__letterbox_job *job)
{
    const int32_t count = job->fit.new_width, width0 = job->fit.width0, step = job->src.step;
    columns->padded = (count + GROUP - 1) / GROUP * GROUP;
    const int error =
        sac__block_reserve(&workspace->columns, (size_t)columns->padded * 2 * sizeof(int32_t));
    if (error) return error;
    columns->offset = workspace->columns.data;
    columns->weights = columns->offset + columns->padded;
    columns->safe = 0;
    for (int32_t x = 0; x < columns->padded; x++) {
        const struct sac__tap tap = sac__resize_column(x < count ? x : count - 1, count, width0);
        columns->offset[x] = tap.first * step;
        columns->weights[x] = tap.weight0 | tap.weight1 << 16;
        if (columns->offset[x] + 8 <= width0 * step && x % 8 == 7) columns->safe = x + 1;
    }
    return 0;
}

static int open_lines(struct lines *lines, sac_workspace *workspace, const struct columns *columns,
                      const struct sac__letterbox_job *job)
{
    const size_t plane = (size_t)columns->padded * 3 * sizeof(int16_t);
    const size_t tail = (size_t)job->fit.width0 * job->src.step + 8;
    const int error = sac__block_reserve(&workspace->lines, 2 * plane + tail);
    if (error) return error;
    lines->plane[0] = workspace->lines.data;
    lines->plane[1] = lines->plane[0] + columns->padded * 3;
    lines->tail = (uint8_t *)(lines->plane[1] + columns->padded * 3);
    lines->row[0] = lines->row[1] = -1;
    memset(lines->tail, 0, tail);
    return 0;
}

// ---- across -------------------------------------------------------------------------------------

// Byte shuffles that bring both pixels' bytes of a channel side by side as 16-bit values, from two
// pixels a 64-bit element.
struct shuffles {
    __m256i both; ///< channel 0 to the lower 32 bits, channel 1 to the upper
    __m256i low;  ///< channel 2 to the lower 32 bits
    __m256i high; ///< channel 2 to the upper 32 bits
};

static struct shuffles shuffles_of(const struct sac__pixels *src)
{
    uint8_t both[32], low[32], high[32];
    memset(low, 0x80, sizeof low);
    memset(high, 0x80, sizeof high);
    memset(both, 0x80, sizeof both);
    for (int i = 0; i < 32; i += 8) {
        for (int pixel = 0; pixel < 2; pixel++) {
            const int from = i % 16 + pixel * src->step, to = i + pixel * 2;
            both[to] = (uint8_t)(from + src->byte[0]);
            both[to + 4] = (uint8_t)(from + src->byte[1]);
            low[to] = high[to + 4] = (uint8_t)(from + src->byte[2]);
        }
    }
    return (struct shuffles){_mm256_loadu_si256((const __m256i *)both),
                             _mm256_loadu_si256((const __m256i *)low),
                             _mm256_loadu_si256((const __m256i *)high)};
}

static inline __m128i load_two(const uint8_t *row, const int32_t *offset)
{
    const __m128i first = _mm_loadl_epi64((const __m128i *)(row + offset[0]));
    const double *second = (const double *)(const void *)(row + offset[1]);
    return _mm_castpd_si128(_mm_loadh_pd(_mm_castsi128_pd(first), second));
}

// Eight columns: 64-bit elements a = 0,1,4,5 and b = 2,3,6,7.
static inline void resample_eight(int16_t *out, int32_t plane, const uint8_t *row,
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
    const __m256i order2 = _mm256_setr_epi8(0, 1, 8, 9, 4, 5, 12, 13, -1, -1, -1, -1, -1, -1, -1,
                                            -1, 0, 1, 8, 9, 4, 5, 12, 13, -1, -1, -1, -1, -1, -1,
                                            -1, -1);
    const __m256i c2 = _mm256_permute4x64_epi64(
        _mm256_shuffle_epi8(_mm256_srli_epi32(ab2, 4), order2), _MM_SHUFFLE(3, 1, 2, 0));
    _mm_storeu_si128((__m128i *)out, _mm256_castsi256_si128(c01));
    _mm_storeu_si128((__m128i *)(out + plane), _mm256_extracti128_si256(c01, 1));
    _mm_storeu_si128((__m128i *)(out + 2 * (size_t)plane), _mm256_castsi256_si128(c2));
}

static void resample(int16_t *out, const struct lines *lines, const struct columns *columns,
                     const struct sac__letterbox_job *job, int32_t source_row,
                     const struct shuffles *shuffles)
{
    const uint8_t *row = job->src.data + source_row * job->src.stride;
    int32_t x = 0;
    for (; x < columns->safe; x += 8)
        resample_eight(out + x, columns->padded, row, columns->offset + x, columns->weights + x,
                       shuffles);
    if (x == columns->padded) return;
    const int32_t start = columns->offset[x];
    memcpy(lines->tail + start, row + start,
           (size_t)(job->fit.width0 * job->src.step - start));
    for (; x < columns->padded; x += 8)
        resample_eight(out + x, columns->padded, lines->tail, columns->offset + x,
                       columns->weights + x, shuffles);
}

// The line of a source row: the one at hand, or made in the slot that is not `other`.
static int line_of(struct lines *lines, int32_t source_row, int other,
                   const struct columns *columns, const struct sac__letterbox_job *job,
                   const struct shuffles *shuffles)
{
    for (int slot = 0; slot < 2; slot++)
        if (lines->row[slot] == source_row) return slot;
    const int slot = other == 0;
    resample(lines->plane[slot], lines, columns, job, source_row, shuffles);
    lines->row[slot] = source_row;
    return slot;
}

// ---- down, and out ------------------------------------------------------------------------------

struct blend {
    const int16_t *upper, *lower;
    __m256i weight0, weight1;
    __m256 scale;
};

static inline __m256i blend_sixteen(const struct blend *blend, int32_t x)
{
    const __m256i upper = _mm256_load_si256((const __m256i *)(blend->upper + x));
    const __m256i lower = _mm256_load_si256((const __m256i *)(blend->lower + x));
    const __m256i sum = _mm256_add_epi16(_mm256_mulhi_epi16(upper, blend->weight0),
                                         _mm256_mulhi_epi16(lower, blend->weight1));
    return _mm256_srli_epi16(_mm256_add_epi16(sum, _mm256_set1_epi16(2)), 2);
}

static inline __m256 to_float(const struct blend *blend, __m128i eight)
{
    return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(eight)), blend->scale);
}

static inline void store_f32(float *out, const struct blend *blend, int32_t x)
{
    const __m256i values = blend_sixteen(blend, x);
    _mm256_storeu_ps(out, to_float(blend, _mm256_castsi256_si128(values)));
    _mm256_storeu_ps(out + 8, to_float(blend, _mm256_extracti128_si256(values, 1)));
}

static inline void store_f16(uint16_t *out, const struct blend *blend, int32_t x)
{
    const __m256i values = blend_sixteen(blend, x);
    const __m256 low = to_float(blend, _mm256_castsi256_si128(values));
    const __m256 high = to_float(blend, _mm256_extracti128_si256(values, 1));
    _mm_storeu_si128((__m128i *)out, _mm256_cvtps_ph(low, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128((__m128i *)(out + 8), _mm256_cvtps_ph(high, _MM_FROUND_TO_NEAREST_INT));
}

static inline void store_u8(uint8_t *out, const struct blend *blend, int32_t x)
{
    const __m256i values = blend_sixteen(blend, x);
    _mm_storeu_si128((__m128i *)out, _mm_packus_epi16(_mm256_castsi256_si128(values),
                                                      _mm256_extracti128_si256(values, 1)));
}

// A row of `count` values; the last ones, fewer than sixteen, go by way of `rest`.
#define DEFINE_ROW(type, store)                                                                    \
    static void row_##store(void *dst, size_t at, int32_t count, const struct blend *blend)        \
    {                                                                                              \
        const struct blend local = *blend;                                                         \
        type *out = (type *)dst + at, rest[GROUP];                                                 \
        int32_t x = 0;                                                                             \
        for (; x + GROUP <= count; x += GROUP) store(out + x, &local, x);                          \
        if (x == count) return;                                                                    \
        store(rest, &local, x);                                                                    \
        memcpy(out + x, rest, (size_t)(count - x) * sizeof(type));                                 \
    }
DEFINE_ROW(float, store_f32)
DEFINE_ROW(uint16_t, store_f16)
DEFINE_ROW(uint8_t, store_u8)
#undef DEFINE_ROW

static void pad(const struct sac__letterbox_job *job, size_t at, size_t count)
{
    const float value = sac__input_value((uint8_t)job->pad, job->scaled);
    if (job->dtype == SAC_F32) {
        float *out = (float *)job->dst + at;
        for (size_t i = 0; i < count; i++) out[i] = value;
    } else if (job->dtype == SAC_F16) {
        uint16_t *out = (uint16_t *)job->dst + at;
        const uint16_t half = sac__float_half(value);
        for (size_t i = 0; i < count; i++) out[i] = half;
    } else {
        memset((uint8_t *)job->dst + at, job->pad, count);
    }
}

// One row of one channel of the input, with the padding at its sides.
static void write_row(const struct sac__letterbox_job *job, int channel, int32_t y,
                      const struct blend *blend)
{
    const sac_letterbox *fit = &job->fit;
    const size_t at = ((size_t)channel * fit->height + fit->top + y) * fit->width;
    const size_t right = (size_t)fit->left + fit->new_width;
    pad(job, at, fit->left);
    if (job->dtype == SAC_F32) row_store_f32(job->dst, at + fit->left, fit->new_width, blend);
    else if (job->dtype == SAC_F16) row_store_f16(job->dst, at + fit->left, fit->new_width, blend);
    else row_store_u8(job->dst, at + fit->left, fit->new_width, blend);
    pad(job, at + right, fit->width - right);
}

static void pad_above_and_below(const struct sac__letterbox_job *job)
{
    const sac_letterbox *fit = &job->fit;
    const size_t width = fit->width, below = (size_t)fit->top + fit->new_height;
    for (size_t channel = 0; channel < 3; channel++) {
        const size_t start = channel * fit->height * width;
        pad(job, start, fit->top * width);
        pad(job, start + below * width, (fit->height - below) * width);
    }
}

int sac__letterbox_avx2(sac_workspace *workspace, const struct sac__letterbox_job *job)
{
    const struct shuffles shuffles = shuffles_of(&job->src);
    struct columns columns;
    struct lines lines;
    int error = open_columns(&columns, workspace, job);
    if (!error) error = open_lines(&lines, workspace, &columns, job);
    if (error) return error;
    pad_above_and_below(job);
    struct blend blend = {.scale = _mm256_set1_ps(job->scaled ? 1 / 255.f : 1.f)};
    for (int32_t y = 0; y < job->fit.new_height; y++) {
        const struct sac__tap row = sac__resize_row(y, job->fit.new_height, job->fit.height0);
        const int upper = line_of(&lines, row.first, lines.row[0] != row.second, &columns, job,
                                  &shuffles);
        const int lower = line_of(&lines, row.second, upper, &columns, job, &shuffles);
        blend.weight0 = _mm256_set1_epi16(row.weight0);
        blend.weight1 = _mm256_set1_epi16(row.weight1);
        for (int channel = 0; channel < 3; channel++) {
            blend.upper = lines.plane[upper] + channel * (size_t)columns.padded;
            blend.lower = lines.plane[lower] + channel * (size_t)columns.padded;
            write_row(job, channel, y, &blend);
        }
    }
    return 0;
}
