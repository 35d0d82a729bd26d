// SPDX-License-Identifier: Apache-2.0
#include "arena.h"

int sac__cuda_arena(void **arena_out, const struct cuda_engine *engine, cudaStream_t stream)
{
    const size_t bytes = sac__program_arena_bytes(engine->program);
    *arena_out = NULL;
    int error = sac__gpu_check(cudaMalloc(arena_out, bytes), "cudaMalloc for an arena", bytes);
    if (error) return error;
    // What no layer writes (padding between buffers) is never NaN.
    error = sac__gpu_check(cudaMemsetAsync(*arena_out, 0, bytes, stream), "cudaMemsetAsync", bytes);
    if (!error) error = sac__program_arena_init(engine->program, *arena_out, stream);
    if (!error) error = SAC__CUDA(cudaStreamSynchronize, stream);
    if (!error) return 0;
    cudaFree(*arena_out);
    *arena_out = NULL;
    return error;
}

static const struct sac_buffer *buffer_of(const struct cuda_engine *engine,
                                          const struct sac_view *view)
{
    return &engine->plan->buffers[view->buffer];
}

static size_t offset_of(const struct cuda_engine *engine, const struct sac_view *view)
{
    return buffer_of(engine, view)->offset + (size_t)view->channel * engine->plan->element_size;
}

static sac_dtype element_of(const struct cuda_engine *engine)
{
    return engine->plan->element_size == 2 ? SAC_F16 : SAC_F32;
}

struct sac__input sac__cuda_input(const struct cuda_engine *engine, void *arena)
{
    const struct sac_plan *plan = engine->plan;
    return (struct sac__input){
        .data = (char *)arena + offset_of(engine, &plan->input),
        .layout = plan->folded ? SAC__INPUT_FOLDED : SAC__INPUT_NHWC,
        .dtype = element_of(engine),
        .n = (int32_t)plan->input_shape[0],
        .height = (int32_t)plan->input_shape[2],
        .width = (int32_t)plan->input_shape[3],
    };
}

static struct sac__raw_map map_of(const struct cuda_engine *engine, const void *arena,
                                  const struct sac_view *view)
{
    if (view->buffer == SAC__NONE) return (struct sac__raw_map){0};
    const struct sac_buffer *buffer = buffer_of(engine, view);
    return (struct sac__raw_map){
        .data = (const char *)arena + offset_of(engine, view),
        .cell_step = buffer->pitch,
        .channel_step = 1,
        .picture_step = buffer->height * buffer->width * buffer->pitch,
    };
}

static void set_level(struct sac__map_level *level_out, const struct cuda_engine *engine,
                      const void *arena, const struct sac_head_level *level)
{
    const int is_v5 = engine->plan->head.family == SAC__HEAD_V5;
    const struct sac_view none = {.buffer = SAC__NONE};
    *level_out = (struct sac__map_level){
        .boxes = map_of(engine, arena, &level->raw),
        .scores = map_of(engine, arena, is_v5 ? &none : &level->scores),
        .width = (int32_t)level->width,
        .height = (int32_t)level->height,
        .anchor_count = is_v5 ? level->anchor_count : 1,
        .stride = level->stride,
    };
    for (int k = 0; k < level->anchor_count; k++) {
        level_out->anchors[k][0] = level->anchors[k][0];
        level_out->anchors[k][1] = level->anchors[k][1];
    }
}

struct sac__maps sac__cuda_maps(const struct cuda_engine *engine, const void *arena)
{
    const struct sac_head_plan *head = &engine->plan->head;
    struct sac__maps maps = {
        .head = {.family = head->family == SAC__HEAD_V5 ? SAC_HEAD_V5 : SAC_HEAD_V8,
                 .classes = (int32_t)head->classes},
        .half = engine->plan->element_size == 2,
        .bins = (int32_t)head->bins,
        .level_count = head->level_count,
    };
    for (int k = 0; k < head->level_count; k++)
        set_level(&maps.levels[k], engine, arena, &head->levels[k]);
    return maps;
}

size_t sac__cuda_best_scratch(const struct cuda_engine *engine)
{
    const struct sac_head_plan *head = &engine->plan->head;
    if (!head->best) return 0;
    return sac__best_scratch((int)engine->plan->input_shape[0], head->rows, (int)head->classes,
                             head->best);
}
