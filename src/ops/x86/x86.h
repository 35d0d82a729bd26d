// SPDX-License-Identifier: Apache-2.0
// Kernels for processors with AVX2 and F16C.
#ifndef SAC_SRC_OPS_X86_H
#define SAC_SRC_OPS_X86_H

#include "ops/table.h"

int sac__letterbox_avx2(sac_workspace *workspace, const struct sac__letterbox_job *job);
int sac__head_avx2(sac_workspace *workspace, struct sac__candidates *candidates,
                   const struct sac__rows *rows);
size_t sac__nms_avx2(uint32_t *picked_out, const struct sac__suppression *job);

#endif
