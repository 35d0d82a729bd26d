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
size_t sac__nms_c(uint32_t *picked_out, const struct sac__suppression *job);

#endif
