// SPDX-License-Identifier: Apache-2.0
// What stands behind a network's last convolutions, run in plain C on the processor: for tails that
// no kernel knows.
#ifndef SAC_GRAPH_TAIL_H
#define SAC_GRAPH_TAIL_H

#include "head.h"

struct sac_tail;

/// A raw map of all pictures in host memory: the logit of picture n, pixel p, channel c is element
/// n·picture_step + p·pixel_step + c·channel_step.
struct sac_tail_map {
    const void *data;
    int half; ///< binary16, else float
    int64_t picture_step, pixel_step, channel_step;
};

/// Opens the tail of ONNX bytes at one input shape. *tail_out is NULL, without an error, where the
/// network has none that can run so. Errors: as sac__graph_import and sac__graph_fold.
int sac__tail_open(struct sac_tail **tail_out, const void *onnx, size_t size,
                   const int64_t shape[4]);
void sac__tail_close(struct sac_tail **tail);

/// How many raw maps it reads (at most 2 · SAC__LEVELS); their tensors in the graph of these bytes.
int sac__tail_inputs(const struct sac_tail *tail, const int **tensors_out);

/// Shape of the first output; returns its rank.
int sac__tail_shape(const struct sac_tail *tail, int64_t shape_out[SAC__RANK]);

/// Computes the first output, floats. One run at a time; others wait. Errors: SAC_ENOMEM,
/// SAC_EMODEL.
int sac__tail_run(struct sac_tail *tail, const struct sac_tail_map *maps, float *output);

#endif
