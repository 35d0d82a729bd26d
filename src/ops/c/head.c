// SPDX-License-Identifier: Apache-2.0
#include "c.h"

void sac__head_rest(struct sac__candidates *candidates, const struct sac__rows *rows,
                    int32_t first)
{
    const int final = rows->head.family == SAC_HEAD_END2END;
    for (int32_t row = first; row < rows->count; row++) {
        float score;
        int32_t class_id = 0;
        const enum sac__verdict verdict =
            final ? sac__row_final(rows, row, candidates->conf, &score, &class_id)
                  : sac__row_best(rows, row, candidates->conf, &score, &class_id);
        if (verdict == SAC__NONFINITE) candidates->nonfinite++;
        if (verdict == SAC__ABOVE) sac__candidates_add(candidates, rows, row, score, class_id);
    }
}

int sac__head_c(sac_workspace *workspace, struct sac__candidates *candidates,
                const struct sac__rows *rows)
{
    (void)workspace;
    sac__head_rest(candidates, rows, 0);
    return 0;
}
