// SPDX-License-Identifier: Apache-2.0
// Head and NMS on a device, as the checks run them: a batch with thresholds of its own, and memory
// behind the boxes that must stay as it is.
#ifndef SAC_TESTS_CUDA_BOXES_RUN_H
#define SAC_TESTS_CUDA_BOXES_RUN_H

#include "device.h"
#include "ops/cuda/ops.h"

struct boxes_run {
    struct sac__boxes boxes;
    struct sac__batch *batch; ///< host
    size_t batch_bytes, item_bytes;
    void *device_batch;
    int count; ///< pictures in use
};

/// Room for n pictures; the thresholds are set, pictures are to be added.
static inline struct boxes_run boxes_run_open(int n, int64_t rows, int classes,
                                              sac_head_family family, const sac_nms *nms)
{
    struct boxes_run run = {.batch_bytes = sac__batch_bytes(n, classes)};
    const size_t bytes = sac__boxes_workspace(n, rows, classes, nms->multi_label);
    CHECK(bytes, "%lld rows of %d classes", (long long)rows, classes);
    run.batch = room(run.batch_bytes);
    sac__batch_start(run.batch, n, classes);
    CHECK(!sac__batch_nms(run.batch, nms, family), "%s", sac_error_message());
    run.device_batch = device_filled(0, run.batch_bytes);
    const int capacity = nms->max_det < SAC_MAX_CANDIDATES ? nms->max_det : SAC_MAX_CANDIDATES;
    run.item_bytes = (size_t)n * (size_t)capacity * sizeof(sac_detection);
    run.boxes = (struct sac__boxes){
        .items = device_filled(0xa5, run.item_bytes),
        .found = device_filled(0xa5, (size_t)n * sizeof(struct sac__found)),
        .capacity = capacity,
        .workspace = device_filled(0, bytes),
        .n = n,
        .multi_label = nms->multi_label,
        .batch = run.device_batch,
    };
    return run;
}

static inline void boxes_run_add(struct boxes_run *run, const sac_letterbox *fit)
{
    CHECK(!sac__batch_picture(run->batch, run->count++, NULL, fit, NULL), "%s",
          sac_error_message());
}

/// Before a run.
static inline void boxes_run_send(struct boxes_run *run)
{
    cuda(cudaMemcpy(run->device_batch, run->batch, run->batch_bytes, cudaMemcpyHostToDevice));
    cuda(cudaMemset(run->boxes.items, 0xa5, run->item_bytes));
}

static inline void boxes_run_picture(const struct boxes_run *run, int k,
                                     const struct sac__found *found, const sac_detection *items,
                                     const sac_detections *want)
{
    const size_t capacity = (size_t)run->boxes.capacity, size = sizeof *items;
    CHECK(found->count == (int64_t)want->count && found->passed == (int64_t)want->candidates &&
              found->nonfinite == (int64_t)want->nonfinite &&
              found->overflow == (int64_t)want->overflow,
          "picture %d: %lld boxes of %lld, %lld nonfinite, %lld over; c: %zu of %zu, %zu, %zu", k,
          (long long)found->count, (long long)found->passed, (long long)found->nonfinite,
          (long long)found->overflow, want->count, want->candidates, want->nonfinite,
          want->overflow);
    for (size_t i = 0; i < want->count; i++)
        CHECK(memcmp(&items[i], &want->items[i], size) == 0,
              "picture %d, box %zu: score %g row %d class %d; c: %g %d %d", k, i,
              (double)items[i].score, items[i].anchor, items[i].class_id,
              (double)want->items[i].score, want->items[i].anchor, want->items[i].class_id);
    const uint8_t *rest = (const uint8_t *)(items + want->count);
    for (size_t i = 0; i < (capacity - want->count) * size; i++)
        CHECK(rest[i] == 0xa5, "picture %d: written behind the boxes", k);
}

/// Compares what a run left; `want`: one each picture in use. The others must have none.
static inline void boxes_run_check(const struct boxes_run *run, const sac_detections *want)
{
    const int n = run->boxes.n;
    struct sac__found *found = device_read(run->boxes.found, (size_t)n * sizeof *found);
    sac_detection *items = device_read(run->boxes.items, run->item_bytes);
    const sac_detections none = {0};
    for (int k = 0; k < n; k++)
        boxes_run_picture(run, k, &found[k], items + (size_t)k * (size_t)run->boxes.capacity,
                          k < run->count ? &want[k] : &none);
    free(found);
    free(items);
}

static inline void boxes_run_close(struct boxes_run *run)
{
    cuda(cudaFree(run->boxes.items));
    cuda(cudaFree(run->boxes.found));
    cuda(cudaFree(run->boxes.workspace));
    cuda(cudaFree(run->device_batch));
    free(run->batch);
}

#endif
