// SPDX-License-Identifier: Apache-2.0
// Raw maps → the output that the file has, for those who ask for it. V5: a thread a value, since
// each depends on one logit alone. V8: the output is channel-major, so a thread has a cell and a
// few channels of it; the four distances are one piece of work, then scores by eights.
// Bound by memory: every logit read once, every value written once (102000×10 fp32: 4.1 MB).
#include <float.h>

#include "source.cuh"

namespace {

enum { THREADS = 128, SCORES = 8 };

SAC__DEVICE void put(float *to, float value)
{
    *to = value;
}
SAC__DEVICE void put(uint16_t *to, float value)
{
    *to = sac__float_half(value);
}

/// The level that cell or value `at` of a picture lies in; `at` becomes its place in the level,
/// first_out the level's first row. `width`: items a row.
SAC__DEVICE int find_level(const sac__maps &maps, int64_t &at, int width, int &first_out)
{
    first_out = 0;
    for (int k = 0;; k++) {
        const sac__map_level &level = maps.levels[k];
        const int rows = level.anchor_count * level.width * level.height;
        if (at < (int64_t)rows * width || k + 1 == maps.level_count) return k;
        at -= (int64_t)rows * width;
        first_out += rows;
    }
}

/// A map's data for picture n.
SAC__DEVICE sac__raw_map map_of(const sac__raw_map &map, int half, int n)
{
    sac__raw_map mine = map;
    mine.data = (const char *)map.data + n * map.picture_step * (half ? 2 : 4);
    return mine;
}

template <class T>
__global__ void __launch_bounds__(THREADS)
    rows_v5(T *out, const __grid_constant__ sac__maps maps, int64_t values)
{
    const int n = blockIdx.y, width = sac__maps_width(&maps);
    const int64_t item = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    sac__grid_wait();
    sac__grid_release();
    if (item >= values) return;
    int64_t at = item;
    int first;
    const sac__map_level &level = maps.levels[find_level(maps, at, width, first)];
    const int value = (int)(at % width), row = (int)(at / width);
    const int area = level.width * level.height, anchor = row / area, cell = row % area;
    const sac__raw_map map = map_of(level.boxes, maps.half, n);
    const float score =
        sac__logit_score(sac__maps_logit(&maps, &map, (int64_t)anchor * width + value, cell));
    float box[4] = {score, score, score, score};
    if (value < 4) sac__maps_box_v5(&level, anchor, cell, box);
    const float result = value == 0   ? box[0]
                         : value == 1 ? box[1]
                         : value == 2 ? box[2]
                         : value == 3 ? box[3]
                                      : score;
    put(out + n * values + item, result);
}

template <class T>
__global__ void __launch_bounds__(THREADS)
    rows_v8(T *out, const __grid_constant__ sac__maps maps, int rows)
{
    __shared__ sac__map_level levels[SAC__MAP_LEVELS];
    const int n = blockIdx.z, piece = blockIdx.y;
    if (threadIdx.x < (unsigned)maps.level_count) {
        sac__map_level &level = levels[threadIdx.x];
        level = maps.levels[threadIdx.x];
        level.boxes = map_of(level.boxes, maps.half, n);
        level.scores = map_of(level.scores, maps.half, n);
    }
    __syncthreads();
    const int64_t row = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    sac__grid_wait();
    sac__grid_release();
    if (row >= rows) return;
    int64_t at = row;
    int first;
    const sac__map_level &level = levels[find_level(maps, at, 1, first)];
    const int cell = (int)at;
    out += (int64_t)n * rows * (4 + maps.head.classes) + row;
    if (piece == 0) {
        float box[4];
        for (int side = 0; side < 4; side++)
            box[side] = sac__maps_distance(&maps, &level, side, cell);
        sac__maps_box_v8(&level, cell, box);
        for (int v = 0; v < 4; v++) put(out + (int64_t)v * rows, box[v]);
        return;
    }
    for (int c = (piece - 1) * SCORES; c < min(piece * SCORES, maps.head.classes); c++)
        put(out + (int64_t)(4 + c) * rows,
            sac__logit_score(sac__maps_logit(&maps, &level.scores, c, cell)));
}

template <class T>
int launch(T *out, const sac__maps &maps, int n, cudaStream_t stream, bool overlap)
{
    int64_t rows = 0;
    for (int k = 0; k < maps.level_count; k++)
        rows += (int64_t)maps.levels[k].anchor_count * maps.levels[k].width *
                maps.levels[k].height;
    const int64_t items = maps.head.family == SAC_HEAD_V5 ? rows * sac__maps_width(&maps) : rows;
    const unsigned blocks = (unsigned)((items + THREADS - 1) / THREADS);
    const unsigned pieces = 1 + (maps.head.classes + SCORES - 1) / SCORES;
    sac_launch how = {dim3(blocks, n), dim3(THREADS), stream, 0, 0, overlap};
    if (maps.head.family == SAC_HEAD_V5)
        return sac__launch("rows", how, rows_v5<T>, out, maps, items);
    how.grid = dim3(blocks, pieces, n);
    return sac__launch("rows", how, rows_v8<T>, out, maps, (int)rows);
}

} // namespace

extern "C" int sac__rows_cuda(void *rows_out, sac_dtype dtype, const struct sac__maps *maps, int n,
                              cudaStream_t stream, int overlap)
{
    if (dtype == SAC_F32) return launch((float *)rows_out, *maps, n, stream, overlap);
    if (dtype == SAC_F16) return launch((uint16_t *)rows_out, *maps, n, stream, overlap);
    return sac__fail(SAC_EUNSUPPORTED, "rows of type %d", (int)dtype);
}
