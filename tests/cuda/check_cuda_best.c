// SPDX-License-Identifier: Apache-2.0
// End-to-end outputs equal sac__head_best on the same rows, bit for bit, with many equal scores.
//   check_cuda_best [SEED [CASES]]
#include "graph/head.h"

#include "device.h"
#include "ops/cuda/ops.h"
#include "ops/math/half.h"

enum {
    CASES = CHECK_CASES(12, 300),
    SIDE = CHECK_CASES(9, 80),
    BEST = CHECK_CASES(60, SAC__MOST_BEST),
    LEVELS = 2,
    BINS = 4
};

static void *take(size_t bytes)
{
    void *device;
    cuda(cudaMalloc(&device, bytes));
    return device;
}

/// A map of logits in steps of a quarter, (N,cells,pitch) halves on the device.
static struct sac__raw_map make_map(int n, int64_t cells, int channels)
{
    const int64_t pitch = (channels + 7) / 8 * 8;
    const size_t count = (size_t)(n * cells * pitch);
    uint16_t *values = malloc(count * sizeof *values);
    CHECK(values, "out of memory");
    for (size_t k = 0; k < count; k++)
        values[k] = sac__float_half((float)check_int(-16, 16) / 4);
    struct sac__raw_map map = {take(count * 2), pitch, 1, cells * pitch};
    cuda(cudaMemcpy((void *)(uintptr_t)map.data, values, count * 2, cudaMemcpyHostToDevice));
    free(values);
    return map;
}

static void check_case(int number)
{
    const int n = check_int(1, 3), classes = check_int(1, 12);
    struct sac__maps maps = {.head = {.family = SAC_HEAD_V8, .classes = classes},
                             .half = 1,
                             .bins = BINS,
                             .level_count = LEVELS};
    struct sac_head_plan head = {
        .family = SAC__HEAD_V8, .classes = classes, .columns = 4 + classes};
    for (int k = 0; k < LEVELS; k++) {
        struct sac__map_level *level = &maps.levels[k];
        *level = (struct sac__map_level){.width = check_int(1, SIDE),
                                         .height = check_int(1, SIDE),
                                         .anchor_count = 1,
                                         .stride = (float)(8 << k)};
        const int64_t cells = (int64_t)level->width * level->height;
        level->boxes = make_map(n, cells, 4 * BINS);
        level->scores = make_map(n, cells, classes);
        head.rows += cells;
    }
    head.best = check_int(1, head.rows < BEST ? (int)head.rows : BEST);
    const size_t rows = (size_t)(head.rows * head.columns), best = (size_t)(6 * head.best);
    float *device = take((size_t)n * rows * 4), *found = take((size_t)n * best * 4);
    void *scratch = take(sac__best_scratch(n, head.rows, classes, head.best));
    int error = sac__rows_cuda(device, SAC_F32, &maps, n, NULL, 0);
    if (!error)
        error = sac__best_cuda(found, SAC_F32, &maps, n, head.best, scratch, NULL, number % 2);
    CHECK(!error, "%s", sac_error_message());
    float *host = malloc((size_t)n * (rows + best) * 4), *got = host + (size_t)n * rows;
    float *want = malloc(best * 4);
    CHECK(host && want, "out of memory");
    cuda(cudaMemcpy(host, device, (size_t)n * rows * 4, cudaMemcpyDeviceToHost));
    cuda(cudaMemcpy(got, found, (size_t)n * best * 4, cudaMemcpyDeviceToHost));
    for (int k = 0; k < n; k++) {
        CHECK(!sac__head_best(&head, host + (size_t)k * rows, want), "%s", sac_error_message());
        CHECK(!memcmp(got + (size_t)k * best, want, best * 4),
              "case %d, picture %d: the best %d of %d boxes of %d classes", number, k,
              (int)head.best, (int)head.rows, classes);
    }
    for (int k = 0; k < LEVELS; k++) {
        cuda(cudaFree((void *)(uintptr_t)maps.levels[k].boxes.data));
        cuda(cudaFree((void *)(uintptr_t)maps.levels[k].scores.data));
    }
    cuda(cudaFree(device));
    cuda(cudaFree(found));
    cuda(cudaFree(scratch));
    free(host);
    free(want);
}

int main(int argc, char **argv)
{
    check_seed(argc > 1 ? argv[1] : NULL);
    const int cases = argc > 2 ? atoi(argv[2]) : CASES;
    for (int k = 0; k < cases; k++)
        check_case(k);
    printf("%d end-to-end outputs\n", cases);
    return 0;
}
