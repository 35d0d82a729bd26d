// SPDX-License-Identifier: Apache-2.0
// The pixel and box kernels, chosen by where the memory lives and what the processor can do.
#ifndef SAC_SRC_OPS_H
#define SAC_SRC_OPS_H

#include "math/maps.h"
#include "saccade/ops.h"

/// Candidates kept a picture before NMS (contracts: top 30000 by score).
enum { SAC_MAX_CANDIDATES = 30000 };

/// Scratch memory of one picture at a time, taken once and used by all kernels.
typedef struct sac_workspace sac_workspace;

/// One set of kernels. Table "c" is the specification; the others must equal it bit for bit.
struct sac_ops;

/// The set by name: "c", "avx2", "avx512", or "auto"/NULL for the fastest that this processor runs.
/// NULL for an unknown name or one that this processor cannot run.
const struct sac_ops *sac__ops_find(const char *name);

/// The set's name ("c").
const char *sac__ops_name(const struct sac_ops *ops);

/// Takes scratch memory. It grows inside the calls below only when a picture or an output is larger
/// than any before. Errors: SAC_ENOMEM.
int sac__workspace_open(sac_workspace **workspace_out);
void sac__workspace_close(sac_workspace **workspace);

/// sac_letterbox_apply and sac_head_read with the set and scratch memory given.
int sac__ops_letterbox(const struct sac_ops *ops, sac_workspace *workspace, sac_tensor *input_out,
                       int64_t index, const sac_image *image, const sac_letterbox *letterbox,
                       const sac_pixels *pixels);
int sac__ops_boxes(const struct sac_ops *ops, sac_workspace *workspace,
                   sac_detections *detections_out, const sac_tensor *output, int64_t index,
                   const sac_head *head, const sac_letterbox *letterbox, const sac_nms *nms);
/// What these two check, whatever memory the tensors live in: for kernels elsewhere.
int sac__check_letterbox(const sac_tensor *input, int64_t index, const sac_image *image,
                         const sac_letterbox *letterbox, const sac_pixels *pixels);
int sac__check_image(const sac_image *image, const sac_letterbox *letterbox);
int sac__check_boxes(const sac_tensor *output, int64_t index, const sac_head *head,
                     const sac_letterbox *letterbox, const sac_nms *nms);
/// The same from EfficientNMS's four outputs (how many, boxes, scores, classes; host memory).
int sac__ops_four(const struct sac_ops *ops, sac_workspace *workspace,
                  sac_detections *detections_out, const sac_tensor *const four[4], int64_t index,
                  const sac_head *head, const sac_letterbox *letterbox, const sac_nms *nms);
/// The same from one picture's raw maps; `maps` is not checked: sac__cut_maps has.
int sac__ops_maps(const struct sac_ops *ops, sac_workspace *workspace,
                  sac_detections *detections_out, const struct sac__maps *maps,
                  const sac_letterbox *letterbox, const sac_nms *nms);

#endif
