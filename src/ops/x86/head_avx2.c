// SPDX-License-Identifier: Apache-2.0
// The threshold pass for AVX2. Thresholds are not negative, so floats above them order as their
// bits do, as signed integers; NaN and the infinities have the largest bits without the sign.
#include <float.h>
#include <immintrin.h>

#include "ops/c/c.h"
#include "x86.h"

enum { LANES = 8, BLOCK = 1024, NONFINITE_BITS = 0x7f800000 };

SAC_INLINE __m256 load_eight(const void *data, int64_t at, int half)
{
    if (!half) return _mm256_loadu_ps((const float *)data + at);
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)((const uint16_t *)data + at)));
}

SAC_INLINE __m256i magnitude(__m256i bits)
{
    return _mm256_and_si256(bits, _mm256_set1_epi32(0x7fffffff));
}

static float largest(__m256 values)
{
    __m128 most = _mm_max_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps(values, 1));
    most = _mm_max_ps(most, _mm_movehl_ps(most, most));
    return _mm_cvtss_f32(_mm_max_ss(most, _mm_movehdup_ps(most)));
}

// ---- a row's values side by side: v5, YOLOX -----------------------------------------------------

// Class scores of a row by eights; zeros behind the last.
struct scores {
    const void *data;
    int32_t classes;
    __m256i rest; ///< mask of the values in the last eight
};

static struct scores scores_of(const struct sac__rows *rows)
{
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const int32_t rest = (rows->head.classes - 1) % LANES + 1;
    return (struct scores){rows->data, rows->head.classes,
                           _mm256_cmpgt_epi32(_mm256_set1_epi32(rest), lanes)};
}

SAC_INLINE __m256 load_scores(const struct scores *scores, int64_t at, int32_t c, int half)
{
    if (c + LANES <= scores->classes) return load_eight(scores->data, at + c, half);
    if (!half) return _mm256_maskload_ps((const float *)scores->data + at + c, scores->rest);
    uint16_t last[LANES] = {0};
    memcpy(last, (const uint16_t *)scores->data + at + c,
           (size_t)(scores->classes - c) * sizeof *last);
    return load_eight(last, 0, half);
}

// As sac__row_best for a row whose objectness is above conf and finite; its class scores begin at
// `at`.
SAC_INLINE enum sac__verdict best_of(const struct scores *scores, int64_t at, float objectness,
                                     float conf, float *score_out, int32_t *class_out, int half)
{
    const __m256 factor = _mm256_set1_ps(objectness);
    __m256 most = _mm256_setzero_ps();
    __m256i bits = _mm256_setzero_si256();
    for (int32_t c = 0; c < scores->classes; c += LANES) {
        const __m256 values = load_scores(scores, at, c, half);
        bits = _mm256_max_epi32(bits, magnitude(_mm256_castps_si256(values)));
        most = _mm256_max_ps(_mm256_mul_ps(values, factor), most);
    }
    const __m256i bad = _mm256_cmpgt_epi32(bits, _mm256_set1_epi32(NONFINITE_BITS - 1));
    if (!_mm256_testz_si256(bad, bad)) return SAC__NONFINITE;
    const float best = largest(most);
    if (!(best > conf)) return SAC__BELOW;
    if (!sac__finite(best)) return SAC__NONFINITE;
    *score_out = best;
    int32_t c = 0;
    for (int equal = 0; !equal; c += LANES) { // best is one of the products
        const __m256 product = _mm256_mul_ps(load_scores(scores, at, c, half), factor);
        equal = _mm256_movemask_ps(_mm256_cmp_ps(product, _mm256_set1_ps(best), _CMP_EQ_OQ));
        if (equal) *class_out = c + __builtin_ctz((unsigned)equal);
    }
    return SAC__ABOVE;
}

SAC_INLINE void read_rows(struct sac__candidates *candidates, const struct sac__rows *rows,
                          int half)
{
    const struct scores scores = scores_of(rows);
    const float conf = candidates->conf;
    int64_t at = 4;
    for (int32_t row = 0; row < rows->count; row++, at += rows->row_step) {
        const float objectness = half ? _cvtsh_ss(((const uint16_t *)rows->data)[at])
                                      : ((const float *)rows->data)[at];
        if (objectness <= conf && objectness >= -FLT_MAX) continue;
        float score;
        int32_t class_id = 0;
        enum sac__verdict verdict = SAC__NONFINITE;
        if (sac__finite(objectness))
            verdict = best_of(&scores, at + 1, objectness, conf, &score, &class_id, half);
        if (verdict == SAC__NONFINITE) candidates->nonfinite++;
        if (verdict == SAC__ABOVE) sac__candidates_add(candidates, rows, row, score, class_id);
    }
}

static void read_v5(struct sac__candidates *candidates, const struct sac__rows *rows)
{
    if (rows->half) read_rows(candidates, rows, 1);
    else read_rows(candidates, rows, 0);
}

// ---- a channel's values side by side: v8 --------------------------------------------------------

// What the class scores of a block of rows come to.
struct block {
    int32_t best[BLOCK]; ///< bits of the best score, at least those of conf
    int32_t most[BLOCK]; ///< largest bits without the sign
};

SAC_INLINE void take_channel(struct block *block, const void *data, int64_t at, int32_t count,
                             int half)
{
    for (int32_t i = 0; i < count; i += LANES) {
        const __m256i bits = _mm256_castps_si256(load_eight(data, at + i, half));
        __m256i *best = (__m256i *)(block->best + i), *most = (__m256i *)(block->most + i);
        _mm256_storeu_si256(best, _mm256_max_epi32(_mm256_loadu_si256(best), bits));
        _mm256_storeu_si256(most, _mm256_max_epi32(_mm256_loadu_si256(most), magnitude(bits)));
    }
}

static void add_row(struct sac__candidates *candidates, const struct sac__rows *rows, int32_t row,
                    float score)
{
    int32_t class_id = 0;
    while (sac__row_score(rows, row, class_id) != score) class_id++;
    sac__candidates_add(candidates, rows, row, score, class_id);
}

static void finish_block(const struct block *block, struct sac__candidates *candidates,
                         const struct sac__rows *rows, int32_t start, int32_t count)
{
    const int32_t conf_bits = (int32_t)sac__float_bits(candidates->conf);
    const __m256i conf = _mm256_set1_epi32(conf_bits);
    const __m256i finite = _mm256_set1_epi32(NONFINITE_BITS - 1);
    for (int32_t i = 0; i < count; i += LANES) {
        const __m256i best = _mm256_loadu_si256((const __m256i *)(block->best + i));
        const __m256i most = _mm256_loadu_si256((const __m256i *)(block->most + i));
        const __m256i hits =
            _mm256_or_si256(_mm256_cmpgt_epi32(best, conf), _mm256_cmpgt_epi32(most, finite));
        if (_mm256_testz_si256(hits, hits)) continue;
        for (int32_t k = i; k < i + LANES; k++) {
            if (block->most[k] >= NONFINITE_BITS) candidates->nonfinite++;
            else if (block->best[k] > conf_bits)
                add_row(candidates, rows, start + k, sac__bits_float((uint32_t)block->best[k]));
        }
    }
}

SAC_INLINE void read_block(struct sac__candidates *candidates, const struct sac__rows *rows,
                       int32_t start, int32_t count, int half)
{
    struct block block;
    for (int32_t i = 0; i < count; i++) {
        block.best[i] = (int32_t)sac__float_bits(candidates->conf);
        block.most[i] = 0;
    }
    for (int32_t c = 0; c < rows->head.classes; c++)
        take_channel(&block, rows->data, (4 + c) * rows->value_step + start, count, half);
    finish_block(&block, candidates, rows, start, count);
}

static void read_v8(struct sac__candidates *candidates, const struct sac__rows *rows)
{
    const int32_t whole = rows->count / LANES * LANES;
    for (int32_t start = 0; start < whole; start += BLOCK) {
        const int32_t count = whole - start < BLOCK ? whole - start : BLOCK;
        if (rows->half) read_block(candidates, rows, start, count, 1);
        else read_block(candidates, rows, start, count, 0);
    }
    sac__head_rest(candidates, rows, whole);
}

int sac__head_avx2(sac_workspace *workspace, struct sac__candidates *candidates,
                   const struct sac__rows *rows)
{
    if (rows->head.family == SAC_HEAD_END2END)
        return sac__head_c(workspace, candidates, rows);
    if (rows->head.family == SAC_HEAD_V8) read_v8(candidates, rows);
    else read_v5(candidates, rows);
    return 0;
}
