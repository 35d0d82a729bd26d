// SPDX-License-Identifier: Apache-2.0
// Random rows, shapes and options: nothing may crash, what comes out must be within its promises,
// and every set of kernels must say the same.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ops/ops.h"

enum { MOST_ROWS = 600, MOST_CLASSES = 40 };

// Bytes of the input, one number after the other; zeros when there are no more.
struct bytes {
    const uint8_t *data;
    size_t left;
};

static uint32_t take(struct bytes *bytes, size_t count)
{
    uint32_t value = 0;
    for (size_t i = 0; i < count && bytes->left; i++, bytes->left--)
        value |= (uint32_t)*bytes->data++ << 8 * i;
    return value;
}

static float take_float(struct bytes *bytes)
{
    const uint32_t bits = take(bytes, 4);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void require(int promise)
{
    if (!promise) abort();
}

static sac_nms take_nms(struct bytes *bytes, int32_t classes[4])
{
    sac_nms nms = SAC_NMS_DEFAULT;
    const uint32_t flags = take(bytes, 1);
    nms.agnostic = flags & 1;
    nms.multi_label = flags >> 1 & 1;
    nms.compat = (sac_compat)(flags >> 2 & 3);
    if (flags & 16) nms.conf = take_float(bytes);
    if (flags & 32) nms.iou = take_float(bytes);
    if (flags & 64) nms.max_det = (int32_t)take(bytes, 2) - 1;
    for (int i = 0; i < 4; i++) classes[i] = (int32_t)take(bytes, 1) - 2;
    if (flags & 128) nms.classes = classes;
    nms.class_count = nms.classes ? 4 : 0;
    return nms;
}

// A plan of the library's own, or now and then one that makes no sense.
static sac_letterbox take_letterbox(struct bytes *bytes)
{
    sac_letterbox fit = {0};
    const uint32_t flags = take(bytes, 1);
    const sac_letterbox_options options = {(sac_fit)(flags & 3), flags >> 2 & 1,
                                           (int)take(bytes, 1)};
    const int width0 = (int)take(bytes, 2), height0 = (int)take(bytes, 2);
    sac_letterbox_fit(&fit, width0, height0, (int)take(bytes, 1) * 8, (int)take(bytes, 1) * 8,
                      &options);
    if ((flags & 0xf0) == 0xf0) memcpy(&fit, bytes->data, bytes->left < 40 ? 0 : sizeof fit);
    return fit;
}

static int take_head(struct bytes *bytes, sac_head *head_out, int64_t shape[3])
{
    const int64_t rows = take(bytes, 2) % MOST_ROWS;
    *head_out = (sac_head){.family = (sac_head_family)(take(bytes, 1) % 6),
                           .classes = (int32_t)take(bytes, 1) % MOST_CLASSES};
    for (int i = 0; i < 3; i++) head_out->strides[i] = (int32_t)(int8_t)take(bytes, 1);
    const int family = head_out->family;
    const int64_t values =
        family == SAC_HEAD_END2END ? 6 : head_out->classes + (family == SAC_HEAD_V8 ? 4 : 5);
    shape[0] = 1;
    shape[1] = family == SAC_HEAD_V8 ? values : rows;
    shape[2] = family == SAC_HEAD_V8 ? rows : values;
    return take(bytes, 1) & 1; // half
}

// Values near those of a network, or raw bits.
static void fill(sac_tensor *tensor, struct bytes *bytes)
{
    const int raw = take(bytes, 1) & 1;
    const struct bytes all = *bytes;
    const size_t count = tensor->data ? (size_t)sac_tensor_count(tensor) : 0;
    for (size_t i = 0; i < count; i++) {
        if (!bytes->left) *bytes = all; // over and over
        if (tensor->dtype == SAC_F16) {
            ((uint16_t *)tensor->data)[i] = (uint16_t)take(bytes, 2);
        } else if (raw) {
            ((float *)tensor->data)[i] = take_float(bytes);
        } else {
            ((float *)tensor->data)[i] = (float)take(bytes, 1) / 255.f * (i % 3 ? 1.f : 400.f);
        }
    }
}

static void check_promises(const sac_detections *found, const sac_head *head,
                           const sac_letterbox *fit, const sac_nms *nms, int64_t rows)
{
    require(found->count <= (size_t)nms->max_det && found->count <= found->candidates);
    require(found->overflow <= found->candidates && found->nonfinite <= (size_t)rows);
    require((found->items != NULL) == (found->count > 0));
    for (size_t i = 0; i < found->count; i++) {
        const sac_detection *item = &found->items[i];
        for (int k = 0; k < 4; k++)
            require(item->box[k] >= 0 &&
                    item->box[k] <= (float)(k % 2 ? fit->height0 : fit->width0));
        require(isfinite(item->score) && item->score > nms->conf);
        require(item->class_id >= 0 && item->class_id < head->classes);
        require(item->anchor >= 0 && item->anchor < rows);
        if (i == 0) continue;
        const sac_detection *before = item - 1;
        require(before->score > item->score ||
                (before->score == item->score &&
                 (before->anchor < item->anchor ||
                  (before->anchor == item->anchor && before->class_id < item->class_id))));
    }
}

static int same(const sac_detections *a, const sac_detections *b)
{
    return a->count == b->count && a->candidates == b->candidates &&
           a->nonfinite == b->nonfinite && a->overflow == b->overflow &&
           (!a->count || memcmp(a->items, b->items, a->count * sizeof *a->items) == 0);
}

static void read_with_all(const sac_tensor *output, const sac_head *head, const sac_letterbox *fit,
                          const sac_nms *nms)
{
    static const char *const sets[] = {"c", "avx2", "auto"};
    sac_detections found[3] = {{0}};
    int errors[3] = {0};
    const int64_t rows = output->shape[head->family == SAC_HEAD_V8 ? 2 : 1];
    for (int i = 0; i < 3; i++) {
        const struct sac_ops *ops = sac__ops_find(sets[i]);
        sac_workspace *workspace;
        if (!ops || sac__workspace_open(&workspace)) continue;
        errors[i] = sac__ops_boxes(ops, workspace, &found[i], output, 0, head, fit, nms);
        if (errors[i]) require(!found[i].items && !found[i].count);
        else check_promises(&found[i], head, fit, nms, rows);
        require(errors[i] == errors[0] && same(&found[i], &found[0]));
        sac__workspace_close(&workspace);
    }
    for (int i = 0; i < 3; i++) sac_detections_free(&found[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes bytes = {data, size};
    int32_t classes[4];
    int64_t shape[3];
    sac_head head;
    const sac_nms nms = take_nms(&bytes, classes);
    const sac_letterbox fit = take_letterbox(&bytes);
    const int half = take_head(&bytes, &head, shape);
    sac_tensor output;
    if (sac_tensor_alloc(&output, half ? SAC_F16 : SAC_F32, 3, shape)) return 0;
    fill(&output, &bytes);
    read_with_all(&output, &head, &fit, &nms);
    sac_tensor_free(&output);
    return 0;
}
