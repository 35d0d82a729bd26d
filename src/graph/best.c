// SPDX-License-Identifier: Apache-2.0
// End-to-end tails (v10, 26): of the v8 head's rows the best anchors, and of their scores the best
// pairs of anchor and class.
#include "head.h"

#include <stdlib.h>

struct ranked {
    float score;
    int64_t index;
};

/// Larger first; of equal ones the first, as TopK has it.
static int better(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static void rank_anchors(const struct sac_head_plan *head, const float *rows,
                         struct ranked *anchors)
{
    for (int64_t a = 0; a < head->rows; a++) {
        anchors[a] = (struct ranked){rows[4 * head->rows + a], a};
        for (int64_t c = 1; c < head->classes; c++) {
            float score = rows[(4 + c) * head->rows + a];
            if (score > anchors[a].score) anchors[a].score = score;
        }
    }
    qsort(anchors, (size_t)head->rows, sizeof *anchors, better);
}

static void write_row(const struct sac_head_plan *head, const float *rows, int64_t anchor,
                      int64_t class_id, float *best)
{
    const float *box = rows + anchor;
    float x = box[0], y = box[head->rows], w = box[2 * head->rows], h = box[3 * head->rows];
    best[0] = x - w / 2;
    best[1] = y - h / 2;
    best[2] = x + w / 2;
    best[3] = y + h / 2;
    best[4] = box[(4 + class_id) * head->rows];
    best[5] = (float)class_id;
}

int sac__head_best(const struct sac_head_plan *head, const float *rows, float *best)
{
    int64_t kept = head->best < head->rows ? head->best : head->rows, count = kept * head->classes;
    struct ranked *anchors = malloc((size_t)head->rows * sizeof *anchors);
    struct ranked *pairs = malloc((size_t)count * sizeof *pairs);
    int error = anchors && pairs ? 0 : sac__fail(SAC_ENOMEM, "out of memory for the best boxes");
    if (!error) rank_anchors(head, rows, anchors);
    for (int64_t k = 0; !error && k < count; k++)
        pairs[k] = (struct ranked){
            rows[(4 + k % head->classes) * head->rows + anchors[k / head->classes].index], k};
    if (!error) qsort(pairs, (size_t)count, sizeof *pairs, better);
    for (int64_t k = 0; !error && k < head->best; k++)
        write_row(head, rows, anchors[pairs[k].index / head->classes].index,
                  pairs[k].index % head->classes, best + 6 * k);
    free(anchors);
    free(pairs);
    return error;
}
