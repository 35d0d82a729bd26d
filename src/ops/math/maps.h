// SPDX-License-Identifier: Apache-2.0
// Raw maps: what the last convolutions write, before the decode tail. A row is decoded by itself,
// and only where it may be above the threshold; head.h then says what becomes of it, as of any row.
//
// A logit that is NaN or infinite makes a value that is not finite, also where the tail's sigmoid
// would have hidden an infinity.
#ifndef SAC_OPS_MATH_MAPS_H
#define SAC_OPS_MATH_MAPS_H

#include "head.h"

enum { SAC__MAP_LEVELS = 8, SAC__MAP_ANCHORS = 8 };

/// A map: the logit of a cell in a channel is data[cell · cell_step + channel · channel_step].
struct sac__raw_map {
    const void *data;
    int64_t cell_step, channel_step;
    int64_t picture_step;            ///< elements from a picture's map to the next one's
};

/// One level of one picture.
struct sac__map_level {
    struct sac__raw_map boxes;  ///< V5: the only map, C = anchor_count·(5+nc); V8: 4·bins
    struct sac__raw_map scores; ///< V8: C = nc
    int32_t width, height;              ///< cells
    int32_t anchor_count;               ///< V8: 1
    float stride;                       ///< input pixels a cell
    float anchors[SAC__MAP_ANCHORS][2]; ///< V5: width, height in input pixels
};

/// The raw maps of one picture. Rows: level, anchor, y, x.
struct sac__maps {
    sac_head head; ///< family: SAC_HEAD_V5 or SAC_HEAD_V8
    int32_t half;  ///< nonzero: binary16 values, else float
    int32_t bins;  ///< V8: logits a distance; 1: the distance itself
    int32_t level_count;
    struct sac__map_level levels[SAC__MAP_LEVELS];
};

/// One picture's map of (C,height,width), contiguous: what the host's sets read.
SAC_HD struct sac__raw_map sac__raw_map_planes(const void *data, int64_t cells)
{
    struct sac__raw_map map = {data, 1, cells, 0};
    return map;
}

/// Values of a decoded row.
SAC_HD int32_t sac__maps_width(const struct sac__maps *maps)
{
    return maps->head.classes + 4 + sac__has_objectness(maps->head.family);
}

/// Logit of a cell in a channel of one of a level's maps.
SAC_HD float sac__maps_logit(const struct sac__maps *maps, const struct sac__raw_map *map,
                             int64_t channel, int64_t cell)
{
    const int64_t at = channel * map->channel_step + cell * map->cell_step;
    if (maps->half) return sac__half_float(((const uint16_t *)map->data)[at]);
    return ((const float *)map->data)[at];
}

SAC_HD float sac__logit_score(float logit)
{
    return sac__finite(logit) ? sac__sigmoidf(logit) : logit;
}

/// A logit such that no score from it, or from any below it, is above conf. Lower than need be by
/// more than sigmoid's rounding, so it decides nothing: it only says where to look.
SAC_HD float sac__maps_limit(float conf)
{
    if (conf < 1e-30f) return -3.402823466e38f;
    if (conf >= 1.f) return 10.f;
    const double rest = 1. - (double)conf;
    return (float)(log((double)conf / rest) - 1e-3 - 1e-6 / rest);
}

/// Whether a row can be passed over: all logits that deciding on it takes are finite, and too low.
SAC_HD int sac__maps_quiet(const struct sac__maps *maps, const struct sac__map_level *level,
                           int32_t anchor, int32_t cell, float limit)
{
    if (maps->head.family == SAC_HEAD_V5) {
        const int64_t channel = (int64_t)anchor * sac__maps_width(maps) + 4;
        const float x = sac__maps_logit(maps, &level->boxes, channel, cell);
        return sac__finite(x) && x <= limit;
    }
    for (int32_t c = 0; c < maps->head.classes; c++) {
        const float x = sac__maps_logit(maps, &level->scores, c, cell);
        if (!sac__finite(x) || x > limit) return 0;
    }
    return 1;
}

/// A class score from its logit; zero where it cannot be above conf.
SAC_HD float sac__maps_score(float logit, float limit)
{
    return sac__finite(logit) && logit <= limit ? 0.f : sac__logit_score(logit);
}

/// Class scores of a row: `map` from channel `first` on.
SAC_HD void sac__maps_scores(const struct sac__maps *maps, const struct sac__raw_map *map,
                             int64_t first, int32_t cell, float limit, float *scores)
{
    for (int32_t c = 0; c < maps->head.classes; c++)
        scores[c] = sac__maps_score(sac__maps_logit(maps, map, first + c, cell), limit);
}

/// Four sigmoids → centre and size, in place.
SAC_HD void sac__maps_box_v5(const struct sac__map_level *level, int32_t anchor, int32_t cell,
                             float *box)
{
    const float w = 2.f * box[2], h = 2.f * box[3];
    box[0] = (2.f * box[0] + ((float)(cell % level->width) - 0.5f)) * level->stride;
    box[1] = (2.f * box[1] + ((float)(cell / level->width) - 0.5f)) * level->stride;
    box[2] = w * w * level->anchors[anchor][0];
    box[3] = h * h * level->anchors[anchor][1];
}

SAC_HD void sac__maps_row_v5(const struct sac__maps *maps, const struct sac__map_level *level,
                             int32_t anchor, int32_t cell, float limit, float *values)
{
    const int64_t first = (int64_t)anchor * sac__maps_width(maps);
    for (int32_t v = 0; v < 5; v++)
        values[v] = sac__logit_score(sac__maps_logit(maps, &level->boxes, first + v, cell));
    sac__maps_box_v5(level, anchor, cell, values);
    sac__maps_scores(maps, &level->boxes, first + 5, cell, limit, values + 5);
}

/// Mean of the softmax over the bins of one side (left, top, right, bottom), in cells.
SAC_HD float sac__maps_distance(const struct sac__maps *maps, const struct sac__map_level *level,
                                int32_t side, int32_t cell)
{
    const int64_t first = (int64_t)side * maps->bins;
    float most = sac__maps_logit(maps, &level->boxes, first, cell), sum = 0.f, mean = 0.f;
    float bad = 0.f; // an infinity or NaN among the logits is the answer
    if (maps->bins == 1) return most;
    SAC_UNROLL
    for (int32_t k = 0; k < maps->bins; k++) {
        const float x = sac__maps_logit(maps, &level->boxes, first + k, cell);
        bad = sac__finite(x) ? bad : x;
        most = x > most ? x : most;
    }
    if (!sac__finite(bad)) return bad;
    SAC_UNROLL
    for (int32_t k = 0; k < maps->bins; k++) {
        const float x = sac__maps_logit(maps, &level->boxes, first + k, cell);
        const float weight = sac__expf(x - most);
        sum += weight;
        mean += weight * (float)k;
    }
    return mean / sum;
}

/// Distances left, top, right, bottom → centre and size, in place.
SAC_HD void sac__maps_box_v8(const struct sac__map_level *level, int32_t cell, float *box)
{
    const float x = (float)(cell % level->width) + 0.5f, y = (float)(cell / level->width) + 0.5f;
    const float left = box[0], top = box[1], right = box[2], bottom = box[3];
    box[0] = (x + (right - left) / 2.f) * level->stride;
    box[1] = (y + (bottom - top) / 2.f) * level->stride;
    box[2] = (left + right) * level->stride;
    box[3] = (top + bottom) * level->stride;
}

SAC_HD void sac__maps_row_v8(const struct sac__maps *maps, const struct sac__map_level *level,
                             int32_t cell, float limit, float *values)
{
    for (int32_t side = 0; side < 4; side++)
        values[side] = sac__maps_distance(maps, level, side, cell);
    sac__maps_box_v8(level, cell, values);
    sac__maps_scores(maps, &level->scores, 0, cell, limit, values + 4);
}

#endif
