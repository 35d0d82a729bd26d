// SPDX-License-Identifier: Apache-2.0
// Rows as the head reads them, one struct a kind of raw output. A block reads rows of one picture
// and level; item i of it is any row, ordered so that neighbours lie together in memory.
//
//   slices              threads that share in deciding whether a row is quiet
//   quiet(i, slice)     whether the row can be passed over, as far as this slice sees
//   row(i)              its number among all of the picture's
//   logits              whether raw() is a logit
//   objectness(i)       where has_objectness
//   raw(i, c), raw(i)[c] what the class score is made from,
//   score(raw)          the class score, without objectness
//   side(i, lane)       one of four values that box() starts from
//   box(i, values)      centre and size or corners → corners, in place
#ifndef SAC_OPS_CUDA_SOURCE_CUH
#define SAC_OPS_CUDA_SOURCE_CUH

#include "boxes.cuh"

SAC__DEVICE float sac__value_of(float x)
{
    return x;
}
SAC__DEVICE float sac__value_of(uint16_t half)
{
    return sac__half_float(half);
}

/// sac__logit_score of several, in place. What mostly comes is worked out without branches, so that
/// one hides the other's latency: the reciprocal is the one that 1.f / x makes of numbers whose
/// reciprocal is normal.
template <int N> SAC__DEVICE void sac__logit_scores(float *values)
{
    float scores[N];
    bool odd = false;
#pragma unroll
    for (int k = 0; k < N; k++) {
        const float whole = 1.f + sac__sigmoid_power(values[k]), guess = sac__rcp(whole);
        scores[k] = __fmaf_rn(guess, -__fmaf_rn(whole, guess, -1.f), guess);
        odd = odd || !(fabsf(values[k]) < 87.f);
    }
#pragma unroll
    for (int k = 0; k < N; k++) values[k] = odd ? sac__logit_score(values[k]) : scores[k];
}

/// Logits of a cell by channel; T: float, or a half's bits.
template <class T> struct sac__logits {
    const T *first;
    int64_t step;

    static __device__ __forceinline__ sac__logits of(const sac__raw_map &map, int channel, int cell)
    {
        return {(const T *)map.data + channel * map.channel_step + cell * map.cell_step,
                map.channel_step};
    }
    __device__ __forceinline__ float operator[](int channel) const
    {
        return sac__value_of(first[channel * step]);
    }
};

template <class T> struct sac__source_v5 {
    static constexpr int slices = 1;
    static constexpr bool has_objectness = true, logits = true, final = false;
    const sac__maps *maps;
    const sac__map_level *level;
    int32_t first; ///< row of the level's first cell
    float conf, limit;

    __device__ __forceinline__ int count() const
    {
        return level->anchor_count * level->width * level->height;
    }
    __device__ __forceinline__ int anchor(int i) const
    {
        return i % level->anchor_count;
    }
    __device__ __forceinline__ int cell(int i) const
    {
        return i / level->anchor_count;
    }
    __device__ __forceinline__ sac__logits<T> values(int i, int first) const
    {
        return sac__logits<T>::of(level->boxes, anchor(i) * sac__maps_width(maps) + first, cell(i));
    }
    __device__ __forceinline__ sac__logits<T> raw(int i) const
    {
        return values(i, 5);
    }
    __device__ __forceinline__ bool quiet(int i, int) const
    {
        const float x = values(i, 4)[0];
        return sac__finite(x) && x <= limit;
    }
    __device__ __forceinline__ int row(int i) const
    {
        return first + anchor(i) * level->width * level->height + cell(i);
    }
    __device__ __forceinline__ float objectness(int i) const
    {
        return sac__logit_score(values(i, 4)[0]);
    }
    __device__ __forceinline__ float raw(int i, int c) const
    {
        return raw(i)[c];
    }
    __device__ __forceinline__ float score(float raw) const
    {
        return sac__maps_score(raw, limit);
    }
    __device__ __forceinline__ float side(int i, int lane) const
    {
        return sac__logit_score(values(i, 0)[lane]);
    }
    __device__ __forceinline__ void box(int i, float *values) const
    {
        sac__maps_box_v5(level, anchor(i), cell(i), values);
        sac__box_corners(values);
    }
};

template <class T> struct sac__source_v8 {
    static constexpr int slices = 4;
    static constexpr bool has_objectness = false, logits = true, final = false;
    const sac__maps *maps;
    const sac__map_level *level;
    int32_t first;
    float conf, limit;

    __device__ __forceinline__ int count() const
    {
        return level->width * level->height;
    }
    __device__ __forceinline__ sac__logits<T> raw(int i) const
    {
        return sac__logits<T>::of(level->scores, 0, i);
    }
    __device__ __forceinline__ bool quiet(int i, int slice) const
    {
        const sac__logits<T> logits = raw(i);
        bool quiet = true;
#pragma unroll 10
        for (int c = slice; c < maps->head.classes; c += slices) {
            const float x = logits[c];
            quiet = quiet & (sac__finite(x) & (x <= limit));
        }
        return quiet;
    }
    __device__ __forceinline__ int row(int i) const
    {
        return first + i;
    }
    __device__ __forceinline__ float objectness(int) const
    {
        return 1.f;
    }
    __device__ __forceinline__ float raw(int i, int c) const
    {
        return raw(i)[c];
    }
    __device__ __forceinline__ float score(float raw) const
    {
        return sac__maps_score(raw, limit);
    }
    __device__ __forceinline__ float side(int i, int lane) const
    {
        return sac__maps_distance(maps, level, lane, i);
    }
    __device__ __forceinline__ void box(int i, float *values) const
    {
        sac__maps_box_v8(level, i, values);
        sac__box_corners(values);
    }
};

enum sac__rows_kind { SAC__ROWS_OBJECTNESS, SAC__ROWS_PLAIN, SAC__ROWS_FINAL };

template <int KIND> struct sac__source_rows {
    static constexpr int slices = KIND == SAC__ROWS_PLAIN ? 4 : 1;
    static constexpr bool has_objectness = KIND == SAC__ROWS_OBJECTNESS;
    static constexpr bool logits = false;
    static constexpr bool final = KIND == SAC__ROWS_FINAL;
    const sac__rows *rows;
    float conf;

    __device__ __forceinline__ int count() const
    {
        return rows->count;
    }
    __device__ __forceinline__ bool quiet_value(float x) const
    {
        return sac__finite(x) && !(x > conf);
    }
    __device__ __forceinline__ bool quiet(int i, int slice) const
    {
        if constexpr (KIND != SAC__ROWS_PLAIN) return quiet_value(sac__row_value(rows, i, 4));
        bool quiet = true;
#pragma unroll 8
        for (int c = slice; c < rows->head.classes; c += slices)
            quiet = quiet && quiet_value(sac__row_value(rows, i, 4 + c));
        return quiet;
    }
    __device__ __forceinline__ int row(int i) const
    {
        return i;
    }
    __device__ __forceinline__ float objectness(int i) const
    {
        return sac__row_value(rows, i, 4);
    }
    __device__ __forceinline__ float raw(int i, int c) const
    {
        return sac__row_value(rows, i, 4 + has_objectness + c);
    }
    __device__ __forceinline__ float score(float raw) const
    {
        return raw;
    }
    __device__ __forceinline__ float side(int i, int lane) const
    {
        return sac__row_value(rows, i, lane);
    }
    __device__ __forceinline__ void box(int i, float *values) const
    {
        if (rows->head.family == SAC_HEAD_YOLOX) sac__yolox_decode(rows, i, values);
        if (!final) sac__box_corners(values);
    }
};

#endif
