// SPDX-License-Identifier: Apache-2.0
// Suppression for AVX2: a box against eight kept ones at a time. The division waits until some
// pair has an area in common; without one the overlap cannot be above a threshold.
#include <float.h>
#include <immintrin.h>

#include "x86.h"

enum { LANES = 8 };

struct eight {
    float x1[LANES], y1[LANES], x2[LANES], y2[LANES], area[LANES];
};

// Boxes that meet nothing, so that unused lanes need no care.
static const struct sac__shifted nowhere = {FLT_MAX, FLT_MAX, -FLT_MAX, -FLT_MAX, 0.f};

static void put(struct eight *eight, size_t lane, const struct sac__shifted *box)
{
    eight->x1[lane] = box->x1;
    eight->y1[lane] = box->y1;
    eight->x2[lane] = box->x2;
    eight->y2[lane] = box->y2;
    eight->area[lane] = box->area;
}

static int is_suppressed(const struct sac__shifted *box, const struct eight *kept, size_t blocks,
                         float iou)
{
    const __m256 x1 = _mm256_set1_ps(box->x1), y1 = _mm256_set1_ps(box->y1);
    const __m256 x2 = _mm256_set1_ps(box->x2), y2 = _mm256_set1_ps(box->y2);
    const __m256 area = _mm256_set1_ps(box->area), zero = _mm256_setzero_ps();
    const __m256 threshold = _mm256_set1_ps(iou);
    for (const struct eight *k = kept; k < kept + blocks; k++) {
        const __m256 width = _mm256_sub_ps(_mm256_min_ps(x2, _mm256_loadu_ps(k->x2)),
                                           _mm256_max_ps(x1, _mm256_loadu_ps(k->x1)));
        const __m256 height = _mm256_sub_ps(_mm256_min_ps(y2, _mm256_loadu_ps(k->y2)),
                                            _mm256_max_ps(y1, _mm256_loadu_ps(k->y1)));
        const __m256 common = _mm256_mul_ps(_mm256_max_ps(width, zero),
                                            _mm256_max_ps(height, zero));
        const __m256 meet = _mm256_cmp_ps(common, zero, _CMP_GT_OQ);
        if (_mm256_testz_ps(meet, meet)) continue;
        const __m256 all =
            _mm256_sub_ps(_mm256_add_ps(area, _mm256_loadu_ps(k->area)), common);
        const __m256 above = _mm256_cmp_ps(_mm256_div_ps(common, all), threshold, _CMP_GT_OQ);
        if (!_mm256_testz_ps(above, above)) return 1;
    }
    return 0;
}

size_t sac__nms_avx2(uint32_t *picked_out, const struct sac__suppression *job)
{
    struct eight *blocks = (struct eight *)(void *)job->kept;
    size_t kept = 0;
    for (size_t rank = 0; rank < job->count && kept < job->most; rank++) {
        const struct sac__candidate *item = &job->items[(uint32_t)job->order[rank]];
        const struct sac__shifted box =
            sac__box_shifted(item->box, item->class_id, job->agnostic);
        if (is_suppressed(&box, blocks, (kept + LANES - 1) / LANES, job->iou)) continue;
        struct eight *last = &blocks[kept / LANES];
        for (size_t lane = kept % LANES; lane < LANES; lane++) put(last, lane, &nowhere);
        put(last, kept % LANES, &box);
        picked_out[kept++] = (uint32_t)rank;
    }
    return kept;
}
