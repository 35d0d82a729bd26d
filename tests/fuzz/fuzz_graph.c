// SPDX-License-Identifier: Apache-2.0
// ONNX bytes through the graph compiler at 32×32, and, where the plan is small, through its
// reference.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cuda/graph/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count(const int64_t *shape, int ndim)
{
    int64_t product = 1;
    for (int k = 0; k < ndim; k++)
        product *= shape[k];
    return (size_t)product;
}

static void run(const struct sac_plan *plan)
{
    if (plan->arena_bytes > 1 << 20 || plan->flop > 2e7) return;
    float *picture = calloc(count(plan->input_shape, 4), sizeof *picture);
    float *rows = malloc(count(plan->output_shape, plan->output_ndim) * sizeof *rows + 1);
    void *arena = malloc(plan->arena_bytes + 1);
    if (picture && rows && arena) {
        memset(arena, 0, plan->arena_bytes);
        sac__plan_run(plan, picture, arena, rows);
    }
    free(picture);
    free(rows);
    free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int64_t shape[4] = {1, 3, 32, 32};
    struct sac_plan *plan;
    int error = sac__plan_open(&plan, data, size, shape, 4);
    if ((error == 0) != (plan != NULL)) abort();
    if (!plan) return 0;
    run(plan);
    sac__plan_close(&plan);
    return 0;
}
