// SPDX-License-Identifier: Apache-2.0
// The threshold pass over raw maps for AVX2: a plane of objectness logits at a time (v5), or a
// block of cells through all class planes (v8). Cells that are not quiet go to the reference.
#include <float.h>
#include <immintrin.h>

#include "ops/c/c.h"
#include "x86.h"

enum { LANES = 8, BLOCK = 1024 };

SAC_INLINE __m256 load_eight(const void *data, int64_t at, int half)
{
    if (!half) return _mm256_loadu_ps((const float *)data + at);
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)((const uint16_t *)data + at)));
}

// Lanes above the limit, NaN or infinite.
SAC_INLINE __m256 loud(__m256 x, __m256 limit)
{
    const __m256 above = _mm256_cmp_ps(x, limit, _CMP_NLE_UQ);
    return _mm256_or_ps(above, _mm256_cmp_ps(x, _mm256_set1_ps(-FLT_MAX), _CMP_LT_OQ));
}

static void take_lanes(struct sac__candidates *candidates, const struct sac__maps *maps,
                       const struct sac__map_run *run, int32_t cell, __m256 lanes)
{
    const int bits = _mm256_movemask_ps(lanes);
    for (int32_t k = 0; bits >> k; k++)
        if (bits >> k & 1) sac__maps_take(candidates, maps, run, cell + k, cell + k + 1);
}

SAC_INLINE void scan_plane(struct sac__candidates *candidates, const struct sac__maps *maps,
                           const struct sac__map_run *run, int32_t whole, int half)
{
    const int64_t area = (int64_t)run->level->width * run->level->height;
    const int64_t plane = ((int64_t)run->anchor * sac__maps_width(maps) + 4) * area;
    const __m256 limit = _mm256_set1_ps(run->limit);
    for (int32_t cell = 0; cell < whole; cell += LANES) {
        const __m256 hits = loud(load_eight(run->level->boxes.data, plane + cell, half), limit);
        if (!_mm256_testz_ps(hits, hits)) take_lanes(candidates, maps, run, cell, hits);
    }
}

// One pass a class plane, so that memory is read in order.
SAC_INLINE void scan_block(struct sac__candidates *candidates, const struct sac__maps *maps,
                           const struct sac__map_run *run, int32_t start, int32_t count, int half)
{
    const int64_t area = (int64_t)run->level->width * run->level->height;
    const __m256 limit = _mm256_set1_ps(run->limit);
    float marks[BLOCK];
    memset(marks, 0, (size_t)count * sizeof *marks);
    for (int32_t c = 0; c < maps->head.classes; c++)
        for (int32_t i = 0; i < count; i += LANES) {
            const __m256 x = load_eight(run->level->scores.data, c * area + start + i, half);
            _mm256_storeu_ps(marks + i, _mm256_or_ps(_mm256_loadu_ps(marks + i), loud(x, limit)));
        }
    for (int32_t i = 0; i < count; i += LANES) {
        const __m256 hits = _mm256_loadu_ps(marks + i);
        if (!_mm256_testz_ps(hits, hits)) take_lanes(candidates, maps, run, start + i, hits);
    }
}

static void scan_blocks(struct sac__candidates *candidates, const struct sac__maps *maps,
                        const struct sac__map_run *run, int32_t whole)
{
    for (int32_t start = 0; start < whole; start += BLOCK) {
        const int32_t count = whole - start < BLOCK ? whole - start : BLOCK;
        if (maps->half)
            scan_block(candidates, maps, run, start, count, 1);
        else
            scan_block(candidates, maps, run, start, count, 0);
    }
}

static void scan(struct sac__candidates *candidates, const struct sac__maps *maps,
                 const struct sac__map_run *run)
{
    const int32_t area = run->level->width * run->level->height, whole = area / LANES * LANES;
    if (maps->head.family == SAC_HEAD_V8)
        scan_blocks(candidates, maps, run, whole);
    else if (maps->half)
        scan_plane(candidates, maps, run, whole, 1);
    else
        scan_plane(candidates, maps, run, whole, 0);
    sac__maps_take(candidates, maps, run, whole, area);
}

int sac__maps_avx2(sac_workspace *workspace, struct sac__candidates *candidates,
                   const struct sac__maps *maps)
{
    return sac__maps_each(workspace, candidates, maps, scan);
}
