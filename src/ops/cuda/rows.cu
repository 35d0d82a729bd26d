// SPDX-License-Identifier: Apache-2.0
// Raw maps → the output that the file has, for those who ask for it. V5: a thread has values, since
// each depends on one logit alone, and boxes afterwards. V8: the output is channel-major, so tiles
// of cells are turned over in shared memory.
// Bound by memory (every logit read once, every value written once; 102000×10 fp32: 4.1 MB), and
// nearly as much by the 40 instructions of a sigmoid.
#include "source.cuh"

namespace {

enum {
    THREADS = 256,
    EACH = 8, ///< values of a thread that are under way at once
    PIECE = EACH * THREADS,
    CELLS = THREADS / 4,
    SCORES = 32, ///< channels of a tile
    BINS = 16    ///< of a tile's sides that there is room for
};

SAC__DEVICE void put(float *to, float value)
{
    *to = value;
}
SAC__DEVICE void put(uint16_t *to, float value)
{
    *to = sac__float_half(value);
}

/// One of a box's sides, which stay in registers.
template <class Out> SAC__DEVICE void put_side(Out *to, const float (&box)[4], int side)
{
    put(to, side == 0 ? box[0] : side == 1 ? box[1] : side == 2 ? box[2] : box[3]);
}

/// A map's data for picture n.
SAC__DEVICE sac__raw_map map_of(const sac__raw_map &map, int half, int n)
{
    sac__raw_map mine = map;
    mine.data = (const char *)map.data + n * map.picture_step * (half ? 2 : 4);
    return mine;
}

/// Values of one anchor of a level lie together in the output, as [cell][value].
struct Piece {
    const sac__map_level *level;
    int anchor, first, count; ///< values of the anchor: first, first + 1, …; how many there are
    int64_t out;              ///< where the anchor's begin in a picture's output
};

/// Pieces of PIECE values, level by level, anchor by anchor.
SAC__DEVICE Piece find_piece(const sac__maps &maps, int width, int at)
{
    Piece piece = {};
    for (int k = 0;; k++) {
        const sac__map_level &level = maps.levels[k];
        piece.level = &level;
        piece.count = level.width * level.height * width;
        const int pieces = (piece.count + PIECE - 1) / PIECE;
        if (at < pieces * level.anchor_count) {
            piece.anchor = at / pieces;
            piece.first = at % pieces * PIECE;
            piece.out += (int64_t)piece.anchor * piece.count;
            return piece;
        }
        at -= pieces * level.anchor_count;
        piece.out += (int64_t)level.anchor_count * piece.count;
    }
}

/// All values of a piece but the boxes.
template <class In, class Out>
SAC__DEVICE void put_scores(Out *out, const sac__raw_map &map, const Piece &piece, int width)
{
    const In *data = sac__logits<In>::of(map, piece.anchor * width, 0).first;
    const int across = (int)map.channel_step, down = (int)map.cell_step; // a map has 2^31 at most
    const int first = piece.first + (int)threadIdx.x, rest = THREADS % width;
    int value = first % width, at = first / width * down + value * across;
    In logits[EACH];
    float scores[EACH];
    uint32_t wanted = 0;
#pragma unroll
    for (int k = 0; k < EACH; k++) {
        const bool score = value >= 4 && first + k * THREADS < piece.count;
        wanted |= (uint32_t)score << k;
        logits[k] = score ? data[at] : In(0);
        value += rest;
        at += THREADS / width * down + rest * across;
        if (value >= width) {
            value -= width;
            at += down - width * across;
        }
    }
#pragma unroll
    for (int k = 0; k < EACH; k++) scores[k] = sac__value_of(logits[k]);
    sac__logit_scores<EACH>(scores);
    out += first;
#pragma unroll
    for (int k = 0; k < EACH; k++)
        if (wanted >> k & 1) put(out + k * THREADS, scores[k]);
}

/// A piece's values of boxes, a thread one.
template <class In, class Out>
SAC__DEVICE void put_boxes(Out *out, const sac__raw_map &map, const Piece &piece, int width)
{
    const int end = min(piece.first + PIECE, piece.count);
    for (int at = piece.first / width * 4 + (int)threadIdx.x; at / 4 * width < end; at += THREADS) {
        const int cell = at / 4, value = at % 4;
        if (cell * width + value < piece.first || cell * width + value >= end) continue;
        const auto values = sac__logits<In>::of(map, piece.anchor * width, cell);
        const float score = sac__logit_score(values[value]);
        float box[4] = {score, score, score, score};
        sac__maps_box_v5(piece.level, piece.anchor, cell, box);
        put_side(out + (int64_t)cell * width + value, box, value);
    }
}

template <class In, class Out>
__global__ void __launch_bounds__(THREADS)
    rows_v5(Out *out, const __grid_constant__ sac__maps maps, int64_t values)
{
    const int width = sac__maps_width(&maps);
    const Piece piece = find_piece(maps, width, (int)blockIdx.x);
    const sac__raw_map map = map_of(piece.level->boxes, maps.half, (int)blockIdx.y);
    sac__grid_wait();
    sac__grid_release();
    out += blockIdx.y * values + piece.out;
    put_scores<In>(out, map, piece, width);
    put_boxes<In>(out, map, piece, width);
}

/// Cells of one level that a block has, and their place among the picture's rows.
struct Tile {
    const sac__map_level *level;
    int first, count, row;
};

SAC__DEVICE Tile find_tile(const sac__maps &maps, int at)
{
    Tile tile = {};
    for (int k = 0;; k++) {
        tile.level = &maps.levels[k];
        const int cells = tile.level->width * tile.level->height;
        const int tiles = (cells + CELLS - 1) / CELLS;
        if (at < tiles) {
            tile.first = at * CELLS;
            tile.count = min(cells - tile.first, (int)CELLS);
            tile.row += tile.first;
            return tile;
        }
        at -= tiles;
        tile.row += cells;
    }
}

/// The logits of channels first, first + 1, … of a tile, neighbours in memory by neighbours:
/// take(logits, channels, cells), cells -1 where there is none.
template <class In, class Take>
SAC__DEVICE void each_logit(const sac__raw_map &map, const Tile &tile, int first, int channels,
                            Take take)
{
    const bool along = map.channel_step == 1;
    const In *data = sac__logits<In>::of(map, first, tile.first).first;
    const int across = (int)map.channel_step, down = (int)map.cell_step; // a map has 2^31 at most
    for (int start = (int)threadIdx.x; start < channels * CELLS; start += EACH * THREADS) {
        In logits[EACH];
        int channel[EACH], cell[EACH];
#pragma unroll
        for (int k = 0; k < EACH; k++) {
            const int at = start + k * THREADS;
            channel[k] = along ? at % channels : at / CELLS;
            cell[k] = along ? at / channels : at % CELLS;
            if (cell[k] >= tile.count || at >= channels * CELLS) cell[k] = -1;
            logits[k] = cell[k] >= 0 ? data[channel[k] * across + cell[k] * down] : In(0);
        }
        take(logits, channel, cell);
    }
}

/// Scores of channels first, first + 1, … of a tile: turned over in shared memory.
template <class In, class Out>
SAC__DEVICE void put_tile(Out *out, int64_t rows, const sac__raw_map &map, const Tile &tile,
                          int first, int channels)
{
    __shared__ float scores[SCORES][CELLS + 1];
    each_logit<In>(map, tile, first, channels, [&](const In *logits, const int *channel,
                                                   const int *cell) {
        float values[EACH];
#pragma unroll
        for (int k = 0; k < EACH; k++) values[k] = sac__value_of(logits[k]);
        sac__logit_scores<EACH>(values);
#pragma unroll
        for (int k = 0; k < EACH; k++)
            if (cell[k] >= 0) scores[channel[k]][cell[k]] = values[k];
    });
    __syncthreads();
    for (int at = (int)threadIdx.x; at < channels * CELLS; at += THREADS) {
        const int channel = at / CELLS, cell = at % CELLS;
        if (cell < tile.count)
            put(out + (4 + first + channel) * rows + cell, scores[channel][cell]);
    }
}

/// Boxes of a tile; the logits are turned over too, if there is room.
template <class In, class Out>
SAC__DEVICE void put_distances(Out *out, int64_t rows, const sac__maps &maps,
                               const sac__raw_map &map, const Tile &tile)
{
    __shared__ uint32_t logits[4 * BINS * (CELLS + 1)];
    __shared__ float sides[4][CELLS];
    __shared__ sac__map_level level;
    const bool staged = maps.bins <= BINS;
    const int pitch = CELLS + 4 / sizeof(In);
    if (threadIdx.x == 0) {
        level = *tile.level;
        level.boxes = map;
        if (staged) level.boxes = {logits, 1, pitch, 0};
    }
    if (staged)
        each_logit<In>(map, tile, 0, 4 * maps.bins, [&](const In *values, const int *channel,
                                                        const int *cell) {
#pragma unroll
            for (int k = 0; k < EACH; k++)
                if (cell[k] >= 0) ((In *)logits)[channel[k] * pitch + cell[k]] = values[k];
        });
    __syncthreads();
    const int cell = threadIdx.x % CELLS, side = threadIdx.x / CELLS;
    const int from = staged ? cell : tile.first + cell;
    sides[side][cell] = cell < tile.count ? sac__maps_distance(&maps, &level, side, from) : 0.f;
    __syncthreads();
    float box[4] = {sides[0][cell], sides[1][cell], sides[2][cell], sides[3][cell]};
    sac__maps_box_v8(&level, tile.first + cell, box);
    if (cell < tile.count) put_side(out + side * rows + cell, box, side);
}

template <class In, class Out>
__global__ void __launch_bounds__(THREADS)
    rows_v8(Out *out, const __grid_constant__ sac__maps maps, int64_t rows)
{
    const int n = blockIdx.z, piece = blockIdx.y;
    const Tile tile = find_tile(maps, (int)blockIdx.x);
    sac__grid_wait();
    sac__grid_release();
    out += n * rows * sac__maps_width(&maps) + tile.row;
    if (piece == 0) {
        put_distances<In>(out, rows, maps, map_of(tile.level->boxes, maps.half, n), tile);
        return;
    }
    const int first = (piece - 1) * SCORES, channels = min(maps.head.classes - first, (int)SCORES);
    put_tile<In>(out, rows, map_of(tile.level->scores, maps.half, n), tile, first, channels);
}

template <class In, class Out>
int launch(Out *out, const sac__maps &maps, int n, cudaStream_t stream, bool overlap)
{
    const int width = sac__maps_width(&maps);
    const bool v5 = maps.head.family == SAC_HEAD_V5;
    int64_t rows = 0, pieces = 0, tiles = 0;
    for (int k = 0; k < maps.level_count; k++) {
        const sac__map_level &level = maps.levels[k];
        const int64_t cells = (int64_t)level.width * level.height;
        rows += level.anchor_count * cells;
        tiles += (cells + CELLS - 1) / CELLS;
        pieces += level.anchor_count * ((cells * width + PIECE - 1) / PIECE);
    }
    sac_launch how = {dim3((unsigned)pieces, n), dim3(THREADS), stream, 0, 0, overlap};
    if (v5) return sac__launch("rows", how, rows_v5<In, Out>, out, maps, rows * width);
    how.grid = dim3((unsigned)tiles, 1 + (maps.head.classes + SCORES - 1) / SCORES, n);
    return sac__launch("rows", how, rows_v8<In, Out>, out, maps, rows);
}

} // namespace

extern "C" int sac__rows_cuda(void *rows_out, sac_dtype dtype, const struct sac__maps *maps, int n,
                              cudaStream_t stream, int overlap)
{
    const bool half = maps->half != 0;
    float *const floats = (float *)rows_out;
    uint16_t *const halves = (uint16_t *)rows_out;
    if (dtype == SAC_F32)
        return half ? launch<uint16_t>(floats, *maps, n, stream, overlap)
                    : launch<float>(floats, *maps, n, stream, overlap);
    if (dtype == SAC_F16)
        return half ? launch<uint16_t>(halves, *maps, n, stream, overlap)
                    : launch<float>(halves, *maps, n, stream, overlap);
    return sac__fail(SAC_EUNSUPPORTED, "rows of type %d", (int)dtype);
}
