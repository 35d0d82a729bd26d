// SPDX-License-Identifier: Apache-2.0
// Plain loops over math/: the specification.
#ifndef SAC_SRC_OPS_C_H
#define SAC_SRC_OPS_C_H

#include "ops/table.h"

int sac__letterbox_c(sac_workspace *workspace, const struct sac__letterbox_job *job);
int sac__head_c(sac_workspace *workspace, struct sac__candidates *candidates,
                const struct sac__rows *rows);
/// Rows from `first` on: what fast sets leave over.
void sac__head_rest(struct sac__candidates *candidates, const struct sac__rows *rows,
                    int32_t first);

/// All cells of one level and anchor.
struct sac__map_run {
    const struct sac__map_level *level;
    int32_t anchor;
    int32_t first; ///< row of cell 0
    float limit;   ///< sac__maps_limit
    float *values; ///< room for a row
};
typedef void sac__maps_scan(struct sac__candidates *candidates, const struct sac__maps *maps,
                            const struct sac__map_run *run);

int sac__maps_c(sac_workspace *workspace, struct sac__candidates *candidates,
                const struct sac__maps *maps);
/// Calls scan for every level and anchor, by rising row.
int sac__maps_each(sac_workspace *workspace, struct sac__candidates *candidates,
                   const struct sac__maps *maps, sac__maps_scan *scan);
/// Cells from `from` to before `to`: what fast sets leave over, or stopped at.
void sac__maps_take(struct sac__candidates *candidates, const struct sac__maps *maps,
                    const struct sac__map_run *run, int32_t from, int32_t to);
size_t sac__nms_c(uint32_t *picked_out, const struct sac__suppression *job);

#endif
