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
    *workspace_out = NULL;
    sac_workspace *workspace = calloc(1, sizeof *workspace);
    if (!workspace) return sac__fail(SAC_ENOMEM, "no memory for scratch space");
    struct sac__candidates *candidates = &workspace->candidates;
    candidates->items = malloc(ROOM * sizeof *candidates->items);
    candidates->keys = malloc(ROOM * sizeof *candidates->keys);
    candidates->swap = malloc(ROOM * sizeof *candidates->swap);
    workspace->picked = malloc(SAC_MAX_CANDIDATES * sizeof *workspace->picked);
    workspace->kept = aligned_alloc(
        ALIGNMENT, (SAC_MAX_CANDIDATES + 16) * sizeof *workspace->kept / ALIGNMENT * ALIGNMENT);
    if (candidates->items && candidates->keys && candidates->swap && workspace->picked &&
        workspace->kept) {
        *workspace_out = workspace;
        return 0;
    }
    sac__workspace_close(&workspace);
    return sac__fail(SAC_ENOMEM, "no memory for scratch space");
}

void sac__workspace_close(sac_workspace **workspace)
{
    if (!workspace || !*workspace) return;
    sac_workspace *w = *workspace;
    free(w->candidates.items);
    free(w->candidates.keys);
    free(w->candidates.swap);
    free(w->picked);
    free(w->kept);
    free(w->columns.data);
    free(w->lines.data);
    free(w->values.data);
    free(w->wanted.data);
    free(w);
    *workspace = NULL;
}
