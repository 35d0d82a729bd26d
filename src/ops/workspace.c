// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "error.h"
#include "table.h"

enum { ALIGNMENT = 64, ROOM = 2 * SAC_MAX_CANDIDATES };

int sac__block_reserve(struct sac__block *block, size_t size)
{
    if (size <= block->size) return 0;
    const size_t rounded = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void *data = rounded >= size ? aligned_alloc(ALIGNMENT, rounded) : NULL;
    if (!data) return sac__fail(SAC_ENOMEM, "no memory for %zu bytes of scratch space", size);
    free(block->data);
    block->data = data;
    block->size = rounded;
    return 0;
}

int sac__workspace_open(sac_workspace **workspace_out)
{
    *workspace_out = calloc(1, sizeof **workspace_out);
    return *workspace_out ? 0 : sac__fail(SAC_ENOMEM, "no memory for scratch space");
}

int sac__workspace_reserve(sac_workspace *workspace)
{
    struct sac__candidates *candidates = &workspace->candidates;
    const size_t items = ROOM * sizeof *candidates->items, keys = ROOM * sizeof *candidates->keys;
    const size_t kept = (SAC_MAX_CANDIDATES + 16) * sizeof *workspace->kept;
    const size_t picked = SAC_MAX_CANDIDATES * sizeof *workspace->picked;
    const int error = sac__block_reserve(&workspace->boxes, items + 2 * keys + kept + picked);
    if (error) return error;
    uint8_t *data = workspace->boxes.data; // each size is a multiple of 64
    candidates->items = (struct sac__candidate *)(void *)data;
    candidates->keys = (uint64_t *)(void *)(data += items);
    candidates->swap = (uint64_t *)(void *)(data += keys);
    workspace->kept = (struct sac__shifted *)(void *)(data += keys);
    workspace->picked = (uint32_t *)(void *)(data + kept);
    return 0;
}

void sac__workspace_close(sac_workspace **workspace)
{
    if (!workspace || !*workspace) return;
    free((*workspace)->boxes.data);
    free((*workspace)->columns.data);
    free((*workspace)->lines.data);
    free((*workspace)->values.data);
    free((*workspace)->wanted.data);
    free(*workspace);
    *workspace = NULL;
}
