// SPDX-License-Identifier: Apache-2.0
#include "c.h"

void sac__maps_take(struct sac__candidates *candidates, const struct sac__maps *maps,
                    const struct sac__map_run *run, int32_t from, int32_t to)
{
    const struct sac__map_level *level = run->level;
    struct sac__rows row = {.data = run->values, .count = 1, .value_step = 1, .head = maps->head};
    for (int32_t cell = from; cell < to; cell++) {
        if (sac__maps_quiet(maps, level, run->anchor, cell, run->limit)) continue;
        if (maps->head.family == SAC_HEAD_V5)
            sac__maps_row_v5(maps, level, run->anchor, cell, run->limit, run->values);
        else
            sac__maps_row_v8(maps, level, cell, run->limit, run->values);
        row.first = run->first + cell;
        sac__head_rest(candidates, &row, 0);
    }
}

int sac__maps_each(sac_workspace *workspace, struct sac__candidates *candidates,
                   const struct sac__maps *maps, sac__maps_scan *scan)
{
    const size_t values = (size_t)sac__maps_width(maps);
    const int error = sac__block_reserve(&workspace->values, values * sizeof(float));
    if (error) return error;
    struct sac__map_run run = {.values = workspace->values.data,
                               .limit = sac__maps_limit(candidates->conf)};
    for (int32_t k = 0; k < maps->level_count; k++) {
        run.level = &maps->levels[k];
        for (run.anchor = 0; run.anchor < run.level->anchor_count; run.anchor++) {
            scan(candidates, maps, &run);
            run.first += run.level->width * run.level->height;
        }
    }
    return 0;
}

static void scan_all(struct sac__candidates *candidates, const struct sac__maps *maps,
                     const struct sac__map_run *run)
{
    sac__maps_take(candidates, maps, run, 0, run->level->width * run->level->height);
}

int sac__maps_c(sac_workspace *workspace, struct sac__candidates *candidates,
                const struct sac__maps *maps)
{
    return sac__maps_each(workspace, candidates, maps, scan_all);
}
