// SPDX-License-Identifier: Apache-2.0
// EfficientNMS's four outputs, as rows of an end-to-end head: x1, y1, x2, y2, score, class. Places
// beyond the number of boxes have a score of zero, which is above no threshold.
#include "error.h"
#include "math/half.h"
#include "table.h"

enum { COUNTS, BOXES, SCORES, CLASSES, ROW = 6 };

static int fail_shape(const sac_tensor *const four[4])
{
    return sac__fail(SAC_EINVAL,
                     "an efficient-nms head gives (B,1), (B,K,4), (B,K) and (B,K) in host "
                     "memory, not %d, %d, %d and %d extents of other sizes",
                     four[COUNTS]->ndim, four[BOXES]->ndim, four[SCORES]->ndim,
                     four[CLASSES]->ndim);
}

static int check_four(const sac_tensor *const four[4], int64_t index)
{
    for (int i = 0; i < 4; i++)
        if (!four[i]->data || four[i]->memory == SAC_CUDA || !sac_tensor_is_contiguous(four[i]) ||
            four[i]->ndim < 1 || index < 0 || index >= four[i]->shape[0])
            return fail_shape(four);
    const sac_tensor *boxes = four[BOXES], *scores = four[SCORES], *classes = four[CLASSES];
    const int fits = boxes->ndim == 3 && boxes->shape[2] == 4 && scores->ndim == 2 &&
                     classes->ndim == 2 && scores->shape[1] == boxes->shape[1] &&
                     classes->shape[1] == boxes->shape[1] && boxes->shape[1] <= INT32_MAX;
    const int types = four[COUNTS]->dtype == SAC_I32 && classes->dtype == SAC_I32 &&
                      (boxes->dtype == SAC_F32 || boxes->dtype == SAC_F16) &&
                      (scores->dtype == SAC_F32 || scores->dtype == SAC_F16);
    return fits && types ? 0 : fail_shape(four);
}

static float value_at(const sac_tensor *tensor, int64_t at)
{
    if (tensor->dtype == SAC_F16) return sac__half_float(((const uint16_t *)tensor->data)[at]);
    return ((const float *)tensor->data)[at];
}

static void fill_rows(float *rows, const sac_tensor *const four[4], int64_t index)
{
    const int64_t most = four[BOXES]->shape[1];
    const int64_t count = ((const int32_t *)four[COUNTS]->data)[index];
    for (int64_t i = 0; i < most; i++, rows += ROW) {
        const int64_t at = index * most + i;
        for (int v = 0; v < 4; v++)
            rows[v] = value_at(four[BOXES], 4 * at + v);
        rows[4] = i < count ? value_at(four[SCORES], at) : 0.f;
        rows[5] = (float)((const int32_t *)four[CLASSES]->data)[at];
    }
}

int sac__ops_four(const struct sac_ops *ops, sac_workspace *workspace,
                  sac_detections *detections_out, const sac_tensor *const four[4], int64_t index,
                  const sac_head *head, const sac_letterbox *letterbox, const sac_nms *nms)
{
    *detections_out = (sac_detections){0};
    int error = check_four(four, index);
    if (error) return error;
    const int64_t shape[] = {1, four[BOXES]->shape[1], ROW};
    const size_t bytes = (size_t)(shape[1] * ROW) * sizeof(float);
    error = sac__block_reserve(&workspace->values, bytes ? bytes : 1);
    if (error) return error;
    fill_rows(workspace->values.data, four, index);
    sac_tensor rows;
    const sac_head final = {.family = SAC_HEAD_END2END, .classes = head->classes};
    error = sac_tensor_wrap(&rows, workspace->values.data, SAC_F32, 3, shape);
    return error ? error
                 : sac__ops_boxes(ops, workspace, detections_out, &rows, 0, &final, letterbox, nms);
}
