// SPDX-License-Identifier: Apache-2.0
#include "plan.h"

static const char *const kind_names[] = {
#define NAME(kind, text) text,
    SAC__LAYERS(NAME)
#undef NAME
};
static const char *const act_names[] = {"", "silu", "relu", "leaky", "sigmoid"};

static void print_view(const struct sac_plan *plan, const struct sac_view *view, FILE *file)
{
    const struct sac_buffer *b = &plan->buffers[view->buffer];
    fprintf(file, "%lldx%lldx%lld", (long long)b->height, (long long)b->width,
            (long long)view->channels);
    if (view->channels != b->channels)
        fprintf(file, "@%d+%lld", view->buffer, (long long)view->channel);
    else
        fprintf(file, "@%d", view->buffer);
}

static void print_kernel(const struct sac_layer *layer, FILE *file)
{
    char window[64] = "";
    const struct sac_window *w = &layer->window;
    if (w->kernel[0])
        snprintf(window, sizeof window, "%lldx%lld/%lld", (long long)w->kernel[0],
                 (long long)w->kernel[1], (long long)w->stride[0]);
    fprintf(file, "%-10s %-7s %-7s", kind_names[layer->kind], window, act_names[layer->act]);
}

static void print_layer(const struct sac_plan *plan, int index, FILE *file)
{
    const struct sac_layer *layer = &plan->layers[index];
    fprintf(file, "%3d %3d  ", layer->step, index);
    print_kernel(layer, file);
    fprintf(file, "  %9.2f  %9.3f  ", layer->flop / 1e6, layer->bytes / 1e6);
    print_view(plan, &layer->in, file);
    if (layer->coarse.buffer >= 0) {
        fprintf(file, " + up ");
        print_view(plan, &layer->coarse, file);
    }
    if (layer->residual.buffer >= 0) {
        fprintf(file, " + ");
        print_view(plan, &layer->residual, file);
    }
    for (int k = 0; k < layer->out_count; k++) {
        fprintf(file, k ? ", " : " -> ");
        print_view(plan, &layer->out[k], file);
    }
    if (layer->after >= 0) fprintf(file, ", then %d%s", layer->after, layer->kept ? "" : " only");
    fprintf(file, "  %s\n", layer->name);
}

static void print_head(const struct sac_head_plan *head, const struct sac_plan *plan, FILE *file)
{
    if (head->family == SAC__HEAD_OTHER)
        fprintf(file, "head other, on the processor\n");
    else
        fprintf(file, "head %s  %lld classes, %lld boxes%s\n",
                head->family == SAC__HEAD_V5 ? "v5" : "v8", (long long)head->classes,
                (long long)head->rows, head->best ? ", the best of them end to end" : "");
    for (int k = 0; k < head->level_count; k++) {
        const struct sac_head_level *level = &head->levels[k];
        fprintf(file, "  stride %g  ", level->stride);
        print_view(plan, &level->raw, file);
        if (level->scores.buffer >= 0) {
            fprintf(file, ", ");
            print_view(plan, &level->scores, file);
        }
        for (int a = 0; a < level->anchor_count; a++)
            fprintf(file, "  %gx%g", level->anchors[a][0], level->anchors[a][1]);
        fputc('\n', file);
    }
}

void sac__plan_print(const struct sac_plan *plan, FILE *file)
{
    const int64_t *in = plan->input_shape;
    fprintf(file,
            "input (%lld,%lld,%lld,%lld)%s, %d layers, %d buffers in %.2f MB, weights %.2f MB\n",
            (long long)in[0], (long long)in[1], (long long)in[2], (long long)in[3],
            plan->folded ? " as 2x2 space to depth" : "", plan->layer_count, plan->buffer_count,
            (double)plan->arena_bytes / 1e6,
            (double)plan->weight_count * (double)plan->element_size / 1e6);
    fprintf(file, "%.3f GFLOP, %.3f as the file has it\n", plan->flop / 1e9,
            plan->network_flop / 1e9);
    fprintf(file, "step  #  layer      window  act          MFLOP         MB  in -> out "
                  "(HxWxC@buffer+channel)\n");
    for (int k = 0; k < plan->layer_count; k++)
        print_layer(plan, k, file);
    print_head(&plan->head, plan, file);
}
