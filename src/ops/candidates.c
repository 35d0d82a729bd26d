// SPDX-License-Identifier: Apache-2.0
// The candidates of a picture: taken in, kept to the best, sorted.
#include "table.h"

enum { ROOM = 2 * SAC_MAX_CANDIDATES, DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

// Sorts count keys by their upper half, 11 bits at a time; equal ones stay in their order, which
// is that of (anchor, class). Returns where they are: keys or swap.
static uint64_t *sort_keys(uint64_t *keys, uint64_t *swap, size_t count)
{
    for (int shift = 32; shift < 64; shift += DIGIT_BITS) {
        uint32_t start[DIGITS] = {0};
        for (size_t i = 0; i < count; i++) start[keys[i] >> shift & (DIGITS - 1)]++;
        if (start[keys[0] >> shift & (DIGITS - 1)] == count) continue;
        uint32_t sum = 0;
        for (int d = 0; d < DIGITS; d++) {
            const uint32_t these = start[d];
            start[d] = sum;
            sum += these;
        }
        for (size_t i = 0; i < count; i++)
            swap[start[keys[i] >> shift & (DIGITS - 1)]++] = keys[i];
        uint64_t *other = keys;
        keys = swap;
        swap = other;
    }
    return keys;
}

size_t sac__candidates_sort(struct sac__candidates *candidates)
{
    const size_t count = candidates->count;
    if (!count) return 0;
    // Scores are above a threshold ≥ 0: their bits order as they do.
    for (size_t i = 0; i < count; i++)
        candidates->keys[i] = (uint64_t)~sac__float_bits(candidates->items[i].score) << 32 | i;
    if (sort_keys(candidates->keys, candidates->swap, count) != candidates->keys) {
        uint64_t *keys = candidates->keys;
        candidates->keys = candidates->swap;
        candidates->swap = keys;
    }
    return count < SAC_MAX_CANDIDATES ? count : SAC_MAX_CANDIDATES;
}

// Makes room: only the best SAC_MAX_CANDIDATES stay, in the order in which they came.
static void keep_best(struct sac__candidates *candidates)
{
    const size_t most = sac__candidates_sort(candidates);
    const uint64_t last = candidates->keys[most - 1];
    candidates->floor = candidates->items[(uint32_t)last].score;
    size_t kept = 0;
    for (size_t i = 0; i < candidates->count; i++) {
        const uint64_t score = ~sac__float_bits(candidates->items[i].score);
        if ((score << 32 | i) <= last) candidates->items[kept++] = candidates->items[i];
    }
    candidates->count = kept;
}

static void push(struct sac__candidates *candidates, const struct sac__candidate *candidate)
{
    if (candidates->wanted && !candidates->wanted[candidate->class_id]) return;
    candidates->passed++;
    if (!(candidate->score > candidates->floor)) return; // later anchors lose a tie
    candidates->items[candidates->count++] = *candidate;
    if (candidates->count == ROOM) keep_best(candidates);
}

void sac__candidates_add(struct sac__candidates *candidates, const struct sac__rows *rows,
                         int32_t row, float score, int32_t class_id)
{
    struct sac__candidate candidate = {
        .score = score, .class_id = class_id, .anchor = rows->first + row};
    if (!sac__row_box(rows, row, candidate.box)) {
        candidates->nonfinite++;
        return;
    }
    if (!candidates->multi_label || rows->head.family == SAC_HEAD_END2END) {
        push(candidates, &candidate);
        return;
    }
    for (int32_t c = 0; c < rows->head.classes; c++) {
        candidate.score = sac__row_score(rows, row, c);
        candidate.class_id = c;
        if (candidate.score > candidates->conf) push(candidates, &candidate);
    }
}
