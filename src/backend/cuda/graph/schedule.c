// SPDX-License-Identifier: Apache-2.0
// Puts layers into steps: those of one step do not depend on each other, so small ones can share a
// launch. A layer runs as late as its readers allow: then the towers of a head, which the file has
// level after level, meet in the same steps.
#include "plan.h"

#include <stdlib.h>
#include <string.h>

int sac__layer_writes(const struct sac_layer *layer, const struct sac_view *view)
{
    for (int k = 0; k < layer->out_count; k++) {
        const struct sac_view *out = &layer->out[k];
        if (out->buffer == view->buffer && out->channel < view->channel + view->channels &&
            view->channel < out->channel + out->channels)
            return 1;
    }
    return 0;
}

int sac__layer_reads(const struct sac_layer *reader, const struct sac_layer *writer)
{
    return sac__layer_writes(writer, &reader->in) ||
           (reader->residual.buffer >= 0 && sac__layer_writes(writer, &reader->residual)) ||
           (reader->coarse.buffer >= 0 && sac__layer_writes(writer, &reader->coarse));
}

/// For each layer, how many others at least must run one after the other behind it.
static int find_depths(const struct sac_plan *plan, int *depths)
{
    int deepest = 0;
    for (int i = plan->layer_count - 1; i >= 0; i--) {
        depths[i] = 0;
        for (int j = i + 1; j < plan->layer_count; j++)
            if (depths[j] >= depths[i] && sac__layer_reads(&plan->layers[j], &plan->layers[i]))
                depths[i] = depths[j] + 1;
        if (depths[i] > deepest) deepest = depths[i];
    }
    return deepest;
}

int sac__pass_schedule(struct sac_plan *plan)
{
    size_t count = (size_t)plan->layer_count;
    int *depths = calloc(count + 1, sizeof *depths);
    struct sac_layer *ordered = calloc(count + 1, sizeof *ordered);
    int error = depths && ordered ? 0 : sac__fail(SAC_ENOMEM, "out of memory for a plan");
    int deepest = error ? -1 : find_depths(plan, depths), at = 0;
    for (int depth = deepest; depth >= 0; depth--)
        for (int k = 0; k < plan->layer_count; k++) {
            if (depths[k] != depth) continue;
            ordered[at] = plan->layers[k];
            ordered[at++].step = deepest - depth;
        }
    if (!error) memcpy(plan->layers, ordered, count * sizeof *ordered);
    free(depths);
    free(ordered);
    return error;
}
