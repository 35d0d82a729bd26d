// SPDX-License-Identifier: Apache-2.0
// Raw output to boxes: checks what came in, then threshold, selection, suppression, source pixels.
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "error.h"
#include "table.h"

// ---- what came in -------------------------------------------------------------------------------

// How many rows an undecoded YOLOX output has; 0 when the strides make no sense.
static int64_t grid_rows(const sac_head *head, const sac_letterbox *fit)
{
    int64_t rows = 0;
    for (int level = 0; level < 8 && head->strides[level] != 0; level++) {
        const int32_t stride = head->strides[level];
        if (stride < 1) return 0;
        rows += (int64_t)(fit->width / stride) * (fit->height / stride);
    }
    return rows;
}

static int check_tensor(const sac_tensor *output, int64_t index)
{
    if (!output->data && sac_tensor_count(output) > 0)
        return sac__fail(SAC_EINVAL, "the output tensor has no data");
    if (output->dtype != SAC_F32 && output->dtype != SAC_F16)
        return sac__fail(SAC_EUNSUPPORTED, "an output of type %s cannot be read",
                         sac_dtype_name(output->dtype));
    if (output->ndim != 3)
        return sac__fail(SAC_EINVAL, "the output has %d dimensions instead of 3", output->ndim);
    if (!sac_tensor_is_contiguous(output))
        return sac__fail(SAC_EINVAL, "the output tensor is not contiguous");
    if (index < 0 || index >= output->shape[0])
        return sac__fail(SAC_EINVAL, "picture %lld of an output for %lld", (long long)index,
                         (long long)output->shape[0]);
    return 0;
}

// Values of a row, as the family has it.
static int64_t row_values(const sac_head *head)
{
    if (head->family == SAC_HEAD_END2END) return 6;
    return (int64_t)head->classes + 4 + sac__has_objectness(head->family);
}

static int check_shape(const sac_tensor *output, const sac_head *head, const sac_letterbox *fit)
{
    if ((unsigned)head->family >= SAC_HEAD_COUNT)
        return sac__fail(SAC_EINVAL, "unknown head family %d", (int)head->family);
    if (head->family == SAC_HEAD_EFFICIENT_NMS)
        return sac__fail(SAC_EUNSUPPORTED, "an efficient-nms head has four outputs: read it with "
                                           "sac_detector_boxes");
    if (head->classes < 1)
        return sac__fail(SAC_EINVAL, "a head of %d classes", (int)head->classes);
    const int across = head->family == SAC_HEAD_V8;
    const int64_t rows = output->shape[across ? 2 : 1], values = output->shape[across ? 1 : 2];
    if (values != row_values(head) || rows > INT32_MAX)
        return sac__fail(SAC_EINVAL,
                         "an output of shape (%lld,%lld,%lld) is not a %s head's with %d classes",
                         (long long)output->shape[0], (long long)output->shape[1],
                         (long long)output->shape[2], sac_head_name(head->family),
                         (int)head->classes);
    if (head->family == SAC_HEAD_YOLOX && rows != grid_rows(head, fit))
        return sac__fail(SAC_EINVAL,
                         "a yolox head's strides give %lld rows for an input of %d x %d, not %lld",
                         (long long)grid_rows(head, fit), fit->width, fit->height,
                         (long long)rows);
    return 0;
}

static struct sac__rows rows_of(const sac_tensor *output, int64_t index, const sac_head *head,
                                const sac_letterbox *fit)
{
    const int across = head->family == SAC_HEAD_V8;
    const int64_t picture = output->shape[1] * output->shape[2];
    return (struct sac__rows){
        .data = (const char *)output->data +
                (size_t)(index * picture) * sac_dtype_bytes(output->dtype),
        .half = output->dtype == SAC_F16,
        .count = (int32_t)output->shape[across ? 2 : 1],
        .row_step = across ? 1 : output->shape[2],
        .value_step = across ? output->shape[2] : 1,
        .head = *head,
        .width = fit->width,
        .height = fit->height,
    };
}

// ---- from rows to boxes -------------------------------------------------------------------------

// The class filter as a byte a class; ids that the model does not have are ignored.
static int set_wanted(sac_workspace *workspace, const sac_nms *nms, int32_t classes)
{
    workspace->candidates.wanted = NULL;
    if (!nms->classes) return 0;
    const int error = sac__block_reserve(&workspace->wanted, (size_t)classes);
    if (error) return error;
    uint8_t *wanted = workspace->wanted.data;
    memset(wanted, 0, (size_t)classes);
    for (size_t i = 0; i < nms->class_count; i++)
        if (nms->classes[i] >= 0 && nms->classes[i] < classes) wanted[nms->classes[i]] = 1;
    workspace->candidates.wanted = wanted;
    return 0;
}

// Writes the ranks of the candidates that stay; returns how many.
static size_t pick(const struct sac_ops *ops, sac_workspace *workspace, int final,
                   const sac_nms *nms)
{
    struct sac__candidates *candidates = &workspace->candidates;
    const size_t count = sac__candidates_sort(candidates);
    const size_t most = (size_t)nms->max_det < count ? (size_t)nms->max_det : count;
    if (!final) {
        const struct sac__suppression job = {
            .items = candidates->items,
            .order = candidates->keys,
            .count = count,
            .iou = nms->iou,
            .agnostic = nms->agnostic,
            .most = most,
            .kept = workspace->kept,
        };
        return ops->nms(workspace->picked, &job);
    }
    for (size_t i = 0; i < most; i++) workspace->picked[i] = (uint32_t)i;
    return most;
}

static int write_detections(sac_detections *detections_out, const sac_workspace *workspace,
                            size_t count, const struct sac__map *map)
{
    const struct sac__candidates *candidates = &workspace->candidates;
    sac_detections out = {
        .count = count,
        .candidates = candidates->passed,
        .nonfinite = candidates->nonfinite,
        .overflow = candidates->passed > SAC_MAX_CANDIDATES
                        ? candidates->passed - SAC_MAX_CANDIDATES
                        : 0,
    };
    if (count) out.items = malloc(count * sizeof *out.items);
    if (count && !out.items) return sac__fail(SAC_ENOMEM, "no memory for %zu boxes", count);
    for (size_t i = 0; i < count; i++) {
        const uint32_t at = (uint32_t)candidates->keys[workspace->picked[i]];
        const struct sac__candidate *candidate = &candidates->items[at];
        sac_detection *item = &out.items[i];
        memcpy(item->box, candidate->box, sizeof item->box);
        sac__map_box(map, item->box);
        item->score = candidate->score;
        item->class_id = candidate->class_id;
        item->anchor = candidate->anchor;
    }
    *detections_out = out;
    return 0;
}

static void reset(struct sac__candidates *candidates, const sac_nms *nms)
{
    candidates->count = candidates->passed = candidates->nonfinite = 0;
    candidates->floor = 0.f;
    candidates->multi_label = nms->multi_label;
    candidates->conf = nms->conf + 0.f; // -0 becomes 0
}

// Thresholds and letterbox checked, memory taken, counters at zero.
static int start(sac_workspace *workspace, const sac_letterbox *letterbox, const sac_nms *nms,
                 int32_t classes)
{
    int error = sac__check_nms(nms);
    if (!error) error = sac__check_map(letterbox);
    if (!error) error = sac__workspace_reserve(workspace);
    if (!error) error = set_wanted(workspace, nms, classes);
    if (!error) reset(&workspace->candidates, nms);
    return error;
}

// From candidates to detections.
static int finish(const struct sac_ops *ops, sac_workspace *workspace,
                  sac_detections *detections_out, sac_head_family family,
                  const sac_letterbox *letterbox, const sac_nms *nms)
{
    const size_t count = pick(ops, workspace, family == SAC_HEAD_END2END, nms);
    const int yolox = family == SAC_HEAD_YOLOX || family == SAC_HEAD_YOLOX_DECODED;
    const int whole = yolox && letterbox->left == 0 && letterbox->top == 0;
    const struct sac__map map = sac__map_make(letterbox, nms->compat, whole);
    return write_detections(detections_out, workspace, count, &map);
}

int sac__check_boxes(const sac_tensor *output, int64_t index, const sac_head *head,
                     const sac_letterbox *letterbox, const sac_nms *nms)
{
    if (!output || !head || !letterbox || !nms)
        return sac__fail(SAC_EINVAL, "output, head, letterbox or nms is NULL");
    int error = check_tensor(output, index);
    if (!error) error = check_shape(output, head, letterbox);
    if (!error) error = sac__check_nms(nms);
    return error ? error : sac__check_map(letterbox);
}

int sac__ops_boxes(const struct sac_ops *ops, sac_workspace *workspace,
                   sac_detections *detections_out, const sac_tensor *output, int64_t index,
                   const sac_head *head, const sac_letterbox *letterbox, const sac_nms *nms)
{
    if (!detections_out) return sac__fail(SAC_EINVAL, "detections_out is NULL");
    *detections_out = (sac_detections){0};
    int error = sac__check_boxes(output, index, head, letterbox, nms);
    if (!error && output->memory == SAC_CUDA)
        error = sac__fail(SAC_EUNSUPPORTED, "the output tensor is in device memory");
    if (!error) error = start(workspace, letterbox, nms, head->classes);
    if (error) return error;
    const struct sac__rows rows = rows_of(output, index, head, letterbox);
    error = ops->head(workspace, &workspace->candidates, &rows);
    if (error) return error;
    return finish(ops, workspace, detections_out, head->family, letterbox, nms);
}

int sac__ops_maps(const struct sac_ops *ops, sac_workspace *workspace,
                  sac_detections *detections_out, const struct sac__maps *maps,
                  const sac_letterbox *letterbox, const sac_nms *nms)
{
    *detections_out = (sac_detections){0};
    int error = start(workspace, letterbox, nms, maps->head.classes);
    if (!error) error = ops->maps(workspace, &workspace->candidates, maps);
    if (error) return error;
    return finish(ops, workspace, detections_out, maps->head.family, letterbox, nms);
}
