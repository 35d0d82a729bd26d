// SPDX-License-Identifier: Apache-2.0
// The graph compiler over models that the generator wrote (named as arguments): memory, views, and
// refusals of damaged bytes. What layers compute is test_graph.py's concern.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "backend/cuda/graph/plan.h"

static const int64_t shape[4] = {2, 0, 96, 64};
static char **paths;
static int path_count;

static void *file_read(const char *path, size_t *size_out)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *size_out = (size_t)ftell(file);
    rewind(file);
    void *bytes = malloc(*size_out);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size_out, file), *size_out);
    fclose(file);
    return bytes;
}

static struct sac_plan *plan_open(const char *path, size_t element_size)
{
    size_t size;
    void *bytes = file_read(path, &size);
    struct sac_plan *plan;
    int error = sac__plan_open(&plan, bytes, size, shape, element_size);
    free(bytes);
    if (error) fail_msg("%s: %s", path, sac_error_message());
    return plan;
}

static int views_of(const struct sac_layer *layer, const struct sac_view *views[8])
{
    int count = 0;
    views[count++] = &layer->in;
    if (layer->residual.buffer >= 0) views[count++] = &layer->residual;
    if (layer->coarse.buffer >= 0) views[count++] = &layer->coarse;
    for (int k = 0; k < layer->out_count; k++)
        views[count++] = &layer->out[k];
    return count;
}

static void live_buffers_share_nothing(void **state)
{
    (void)state;
    for (int p = 0; p < path_count; p++) {
        struct sac_plan *plan = plan_open(paths[p], 2);
        size_t sum = 0;
        for (int a = 0; a < plan->buffer_count; a++) {
            const struct sac_buffer *x = &plan->buffers[a];
            assert_int_equal(x->offset % SAC__ALIGN, 0);
            assert_true(x->offset + x->bytes <= plan->arena_bytes);
            sum += x->bytes;
            for (int b = 0; b < a; b++) {
                const struct sac_buffer *y = &plan->buffers[b];
                int meet = x->first <= y->last && y->first <= x->last;
                int overlap = x->offset < y->offset + y->bytes && y->offset < x->offset + x->bytes;
                assert_false(meet && overlap);
            }
        }
        assert_true(plan->arena_bytes < sum / 2); // reuse is worth it
        sac__plan_close(&plan);
        assert_null(plan);
    }
}

static void lifetimes_cover_every_use(void **state)
{
    (void)state;
    for (int p = 0; p < path_count; p++) {
        struct sac_plan *plan = plan_open(paths[p], 4);
        for (int k = 0; k < plan->layer_count; k++) {
            const struct sac_view *views[8];
            int count = views_of(&plan->layers[k], views);
            for (int v = 0; v < count; v++) {
                const struct sac_buffer *b = &plan->buffers[views[v]->buffer];
                assert_true(b->first <= plan->layers[k].step && plan->layers[k].step <= b->last);
                assert_true(views[v]->channel >= 0 && views[v]->channels > 0);
                assert_true(views[v]->channel + views[v]->channels <= b->channels);
                assert_true(views[v]->channel + sac__view_width(plan, views[v]) <= b->pitch);
                assert_int_equal(views[v]->channel % SAC__GROUP, 0);
            }
        }
        for (int k = 0; k < plan->head.level_count; k++)
            assert_int_equal(plan->buffers[plan->head.levels[k].raw.buffer].last,
                             plan->layers[plan->layer_count - 1].step + 1);
        sac__plan_close(&plan);
    }
}

static int overlap(const struct sac_view *a, const struct sac_view *b)
{
    return a->buffer == b->buffer && a->channel < b->channel + b->channels &&
           b->channel < a->channel + a->channels;
}

static void layers_of_a_step_are_independent(void **state)
{
    (void)state;
    for (int p = 0; p < path_count; p++) {
        struct sac_plan *plan = plan_open(paths[p], 2);
        int shared = 0;
        for (int a = 0; a < plan->layer_count; a++)
            for (int b = 0; b < a; b++) {
                const struct sac_view *views[8];
                const struct sac_layer *x = &plan->layers[a], *y = &plan->layers[b];
                assert_true(x->step >= y->step);
                shared += x->step == y->step;
                for (int v = views_of(x, views) - 1; x->step == y->step && v >= 0; v--)
                    for (int k = 0; k < y->out_count; k++)
                        assert_false(overlap(views[v], &y->out[k]));
            }
        assert_true(shared >= 3); // the last layers of three levels
        sac__plan_close(&plan);
    }
}

/// Each channel of each buffer is written before it is read, and by one layer only.
static void channels_are_written_once_then_read(void **state)
{
    (void)state;
    for (int p = 0; p < path_count; p++) {
        struct sac_plan *plan = plan_open(paths[p], 4);
        char *written = calloc((size_t)plan->buffer_count, 4096);
        assert_non_null(written);
        memset(written + (size_t)plan->input.buffer * 4096, 1, 4096);
        for (int k = 0; k < plan->layer_count; k++) {
            const struct sac_view *views[8];
            int count = views_of(&plan->layers[k], views);
            for (int v = 0; v < count; v++) {
                int writes = v >= count - plan->layers[k].out_count;
                assert_true(views[v]->channel + views[v]->channels <= 4096);
                char *from = written + (size_t)views[v]->buffer * 4096 + views[v]->channel;
                for (int64_t c = 0; c < views[v]->channels; c++) {
                    assert_int_equal(from[c], !writes);
                    from[c] = 1;
                }
            }
        }
        free(written);
        sac__plan_close(&plan);
    }
}

static void pictures_of_a_batch_do_not_mix(void **state)
{
    (void)state;
    struct sac_plan *plan = plan_open(paths[0], 4);
    size_t one = 3 * 96 * 64, rows = (size_t)(plan->head.rows * plan->head.columns);
    float *picture = malloc(2 * one * sizeof *picture), *out = malloc(4 * rows * sizeof *out);
    void *arena = malloc(plan->arena_bytes);
    assert_true(picture && out && arena);
    for (size_t i = 0; i < 2 * one; i++)
        picture[i] = (float)(i * 2654435761u % 1000) / 1000;
    assert_int_equal(sac__plan_run(plan, picture, arena, out), 0);
    for (size_t i = 0; i < one; i++)
        picture[i] = 0.5f;
    assert_int_equal(sac__plan_run(plan, picture, arena, out + 2 * rows), 0);
    assert_memory_not_equal(out, out + 2 * rows, rows * sizeof *out);
    assert_memory_equal(out + rows, out + 3 * rows, rows * sizeof *out);
    free(picture);
    free(out);
    free(arena);
    sac__plan_close(&plan);
}

static void damaged_bytes_are_refused(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = file_read(paths[0], &size);
    struct sac_plan *plan;
    for (size_t part = 0; part < size; part += size / 37 + 1) {
        assert_int_equal(sac__plan_open(&plan, bytes, part, shape, 4), SAC_EMODEL);
        assert_null(plan);
    }
    uint32_t random = 7;
    for (int turn = 0; turn < 40;
         turn++) { // flips in the nodes, which follow the names at the front
        uint8_t old[8];
        size_t at[8];
        for (int k = 0; k < 8; k++) {
            random = random * 1664525u + 1013904223u;
            at[k] = random % (size < 30000 ? size : 30000);
            old[k] = bytes[at[k]];
            bytes[at[k]] ^= (uint8_t)(1u << (random >> 29));
        }
        int error = sac__plan_open(&plan, bytes, size, shape, 4);
        assert_true(error <= 0 && (error != 0) == (plan == NULL));
        sac__plan_close(&plan);
        for (int k = 7; k >= 0; k--)
            bytes[at[k]] = old[k];
    }
    assert_int_equal(sac__plan_open(&plan, bytes, size, shape, 3), SAC_EINVAL);
    free(bytes);
}

static void printing_names_every_layer(void **state)
{
    (void)state;
    struct sac_plan *plan = plan_open(paths[0], 2);
    char *text = NULL;
    size_t size = 0, lines = 0;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    sac__plan_print(plan, file);
    fclose(file);
    for (const char *p = text; *p; p++)
        lines += *p == '\n';
    assert_int_equal(lines, (size_t)(plan->layer_count + plan->head.level_count + 4));
    free(text);
    sac__plan_close(&plan);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_buffers_share_nothing),
        cmocka_unit_test(lifetimes_cover_every_use),
        cmocka_unit_test(layers_of_a_step_are_independent),
        cmocka_unit_test(channels_are_written_once_then_read),
        cmocka_unit_test(pictures_of_a_batch_do_not_mix),
        cmocka_unit_test(damaged_bytes_are_refused),
        cmocka_unit_test(printing_names_every_layer),
    };
    if (argc < 2) return 2;
    paths = argv + 1;
    path_count = argc - 1;
    return cmocka_run_group_tests_name("graph", tests, NULL, NULL);
}
