// SPDX-License-Identifier: Apache-2.0
// What a set of kernels is made of, and the scratch memory they share.
#ifndef SAC_SRC_OPS_TABLE_H
#define SAC_SRC_OPS_TABLE_H

#include "math/letterbox.h"
#include "math/maps.h"
#include "math/nms.h"
#include "ops.h"

/// One letterbox: everything checked.
struct sac__letterbox_job {
    struct sac__pixels src;
    sac_letterbox fit;
    void *dst; ///< (3,height,width) of the input, contiguous
    sac_dtype dtype;
    int scaled; ///< values 0–1 instead of 0–255
    int pad;
};

/// Candidates of one picture in rising order of (anchor, class); at most SAC_MAX_CANDIDATES of the
/// best stay. items has twice that room, so that sorting out is rare.
struct sac__candidates {
    struct sac__candidate *items;
    uint64_t *keys, *swap; ///< sorting: falling score in the upper half, index in the lower
    size_t count;          ///< items in use
    size_t passed;         ///< all that came above the threshold
    size_t nonfinite;      ///< rows dropped
    float floor;           ///< scores up to this one can no longer be among the best
    const uint8_t *wanted; ///< a byte a class, or NULL: all are
    int multi_label;
    float conf;
};

/// Takes in one row that is above the threshold: one candidate, or one for each class.
void sac__candidates_add(struct sac__candidates *candidates, const struct sac__rows *rows,
                         int32_t row, float score, int32_t class_id);

/// Sorts: the best min(count, SAC_MAX_CANDIDATES) are items[(uint32_t)keys[0, 1, …]]. Returns how
/// many.
size_t sac__candidates_sort(struct sac__candidates *candidates);

/// What suppression needs to know.
struct sac__suppression {
    const struct sac__candidate *items;
    const uint64_t *order; ///< item of rank r: items[(uint32_t)order[r]]
    size_t count;
    float iou;
    int agnostic;
    size_t most; ///< boxes to keep
    struct sac__shifted *kept; ///< scratch, SAC_MAX_CANDIDATES + 16
};

/// A block of scratch memory that only grows.
struct sac__block {
    void *data; ///< 64-byte aligned
    size_t size;
};

struct sac_workspace {
    struct sac__candidates candidates;
    struct sac__block boxes; ///< memory of candidates, picked and kept
    uint32_t *picked;          ///< SAC_MAX_CANDIDATES ranks
    struct sac__shifted *kept; ///< see sac__suppression
    struct sac__block columns; ///< letterbox: where columns come from
    struct sac__block lines;   ///< letterbox: rows under way
    struct sac__block values;  ///< raw maps: a decoded row
    struct sac__block wanted;  ///< head: a byte a class
};

/// Makes the block at least `size` bytes; its contents are lost when it grows.
int sac__block_reserve(struct sac__block *block, size_t size);

/// Takes the memory for candidates, on the first call.
int sac__workspace_reserve(sac_workspace *workspace);

struct sac_ops {
    const char *name;
    int (*usable)(void); ///< whether this processor runs it
    int (*letterbox)(sac_workspace *workspace, const struct sac__letterbox_job *job);
    /// Finds the rows above the threshold; gives each to sac__candidates_add, by rising row.
    int (*head)(sac_workspace *workspace, struct sac__candidates *candidates,
                const struct sac__rows *rows);
    /// The same for raw maps.
    int (*maps)(sac_workspace *workspace, struct sac__candidates *candidates,
                const struct sac__maps *maps);
    /// Greedy suppression. Writes the ranks that stay, at most `most`; returns how many.
    size_t (*nms)(uint32_t *picked_out, const struct sac__suppression *job);
};

#endif
