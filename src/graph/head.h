// SPDX-License-Identifier: Apache-2.0
// The decode tail of a detection network: found, and described well enough to do without it.
#ifndef SAC_GRAPH_HEAD_H
#define SAC_GRAPH_HEAD_H

#include "graph.h"

enum {
    SAC__LEVELS = 8, ///< most levels of a head
    SAC__ANCHORS = 8 ///< most anchors a level
};

enum sac_tail_family {
    SAC__HEAD_V5,   ///< v5, v7: rows (R,5+nc), anchors; one raw map a level
    SAC__HEAD_V8,   ///< v8, v9, 11: (4+nc,A), distances, each the mean of `bins`; two raw maps a
                    ///< level
    SAC__HEAD_OTHER ///< any other: raw maps 2k and 2k+1 in level k, tail.h runs the rest
};

/// Channels of a buffer of the CUDA engine; it alone sets and reads these.
struct sac_view {
    int buffer;      ///< SAC__NONE: no view
    int64_t channel; ///< first
    int64_t channels;
};

/// One level of the head, all extents in cells.
struct sac_head_level {
    int64_t height, width;
    float stride; ///< input pixels a cell
    int anchor_count;
    float anchors[SAC__ANCHORS][2]; ///< V5: width, height in input pixels
    struct sac_view raw;            ///< V5: anchors·(5+nc) logits; V8: 4·bins logits of distances
    struct sac_view scores;         ///< V8: nc logits
};

/// The decode tail, taken off the network: what a head kernel needs to read raw logits.
struct sac_head_plan {
    enum sac_tail_family family;
    int level_count;
    struct sac_head_level levels[SAC__LEVELS];
    int64_t classes, bins;
    int64_t rows, columns; ///< boxes, and numbers a box, of the output that it replaces
    /// V8, end to end (v10, 26): the output is the best so many pairs of box and class, (best,6) of
    /// x1,y1,x2,y2,score,class; rows and columns are those before that. 0: it is the rows.
    int64_t best;
};

/// A raw map as the head reads it: logit of pixel p, channel c of one picture.
struct sac_raw {
    const float *data;
    int64_t pixel_step, channel_step;
};

/// Rows of one picture from raw maps, two a level (the second for V8's scores).
void sac__head_rows(const struct sac_head_plan *head, const struct sac_raw *raw, float *rows);

/// The rows of one picture, (4+nc,rows), to head->best of them, (best,6). Errors: SAC_ENOMEM.
int sac__head_best(const struct sac_head_plan *head, const float *rows, float *best);

/// The raw maps of each level: tensors, the second SAC__NONE for V5.
typedef int sac__raw_maps[2 * SAC__LEVELS][2];

/// Looks for the tail behind the graph's first output, after sac__graph_fold. *found_out is zero
/// where there is none that is known; the graph is as before in either case.
/// Errors: SAC_ENOMEM, SAC_EUNSUPPORTED, SAC_ELIMIT.
int sac__head_find(struct sac_graph *graph, struct sac_head_plan *head, sac__raw_maps raw,
                   int *found_out);

/// The last convolutions before the first output (tensors, finest level first) and the nodes behind
/// them, by node, owned by the graph. *count_out is zero where there are none such, or where
/// sac__node_eval does not know all of those nodes. Errors: SAC_ENOMEM.
int sac__head_raw(struct sac_graph *graph, int raw_out[2 * SAC__LEVELS], int *count_out,
                  char **tail_out);

/// Runs the tail's nodes (marked) on values of the raw maps; keeps only `output`'s values.
int sac__tail_eval(struct sac_graph *graph, const char *tail, int output);

/// Whether the tail computes what the head would; fills strides and anchors from it.
/// Writes 1 or 0. Errors: SAC_ENOMEM, SAC_EUNSUPPORTED.
int sac__head_probe(struct sac_graph *graph, const char *tail, const int raw[][2], int output,
                    struct sac_head_plan *head, int *equal_out);

#endif
