// SPDX-License-Identifier: Apache-2.0
// What head and NMS share: the candidates of a picture in the workspace.
#ifndef SAC_OPS_CUDA_BOXES_CUH
#define SAC_OPS_CUDA_BOXES_CUH

#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"
#include "ops/cuda/ops.h"
#include "ops/math/nms.h"

enum {
    SAC__CHUNK = 512,          ///< candidates that NMS sorts at a time
    SAC__BINS = 4 * SAC__CHUNK ///< of histograms over keys
};

/// Counters of a picture. All zero before the head; NMS leaves them so.
struct sac__boxes_state {
    uint32_t count;     ///< keys
    uint32_t nonfinite; ///< rows dropped
    uint32_t most;      ///< bits of the best score, at least
    uint32_t gathered;  ///< keys taken into windows
};

/// Where a picture's candidates are.
///
/// A key is a candidate: score, turned around, in the upper half; row · classes + class in the
/// lower. So the order of keys is the order of candidates, and no two are equal.
struct sac__boxes_memory {
    sac__boxes_state *state;
    uint64_t *keys;  ///< in no order
    float4 *boxes;   ///< by row, in input pixels; only of candidates
    uint32_t *bins;   ///< SAC__BINS: how many keys, by sac__scale; zero before the head
    uint64_t *window; ///< at most SAC_MAX_CANDIDATES that are looked at together
    uint64_t *kept;   ///< at most SAC_MAX_CANDIDATES whose boxes stay
    int multi_label;
};

/// How the workspace is laid out: a part a picture.
struct sac__boxes_layout {
    uint8_t *base;
    size_t keys, boxes, bins, window, kept, bytes; ///< offsets in a part; its size
    int multi_label;                  ///< whether there is room for a key a class

    static __host__ sac__boxes_layout of(void *base, int64_t rows, int classes, int multi_label)
    {
        const auto up = [](size_t size) { return (size + 255) / 256 * 256; };
        sac__boxes_layout layout = {};
        layout.base = (uint8_t *)base;
        layout.multi_label = multi_label;
        layout.keys = 256;
        const size_t most = (size_t)rows * (multi_label ? classes : 1);
        const size_t limit = SAC_MAX_CANDIDATES, list = up((most < limit ? most : limit) * 8);
        layout.boxes = layout.keys + up(most * 8);
        layout.bins = layout.boxes + up((size_t)rows * sizeof(float4));
        layout.window = layout.bins + SAC__BINS * 4;
        layout.kept = layout.window + list;
        layout.bytes = layout.kept + list;
        return layout;
    }

    __device__ __forceinline__ sac__boxes_memory part(int picture) const
    {
        uint8_t *start = base + picture * bytes;
        return {(sac__boxes_state *)start, (uint64_t *)(start + keys), (float4 *)(start + boxes),
                (uint32_t *)(start + bins), (uint64_t *)(start + window),
                (uint64_t *)(start + kept), multi_label};
    }
};

SAC__DEVICE uint64_t sac__boxes_key(float score, uint32_t id)
{
    return (uint64_t)~sac__float_bits(score) << 32 | id;
}

SAC__DEVICE float sac__boxes_score(uint64_t key)
{
    return sac__bits_float(~(uint32_t)(key >> 32));
}

/// How many bits to leave out so that keys of [low,high) fall into SAC__BINS bins.
SAC__DEVICE int sac__bin_shift(uint64_t low, uint64_t high)
{
    const int bits = 64 - __clzll((long long)(high - 1 - low)); // 0 where low + 1 = high
    return max(bits - 11, 0);
}

/// The bins of the head's histogram: scores from 1 down to conf; above 1 the first bin.
struct sac__scale {
    uint64_t low, high;
    int shift;

    static __device__ __forceinline__ sac__scale of(float conf)
    {
        sac__scale scale;
        scale.high = (uint64_t)~sac__float_bits(conf) << 32;
        scale.low = conf < 1.f ? (uint64_t)~sac__float_bits(1.f) << 32 : scale.high - 1;
        scale.shift = sac__bin_shift(scale.low, scale.high);
        return scale;
    }
    __device__ __forceinline__ uint32_t bin(uint64_t key) const
    {
        return key <= low ? 0 : (uint32_t)((key - low) >> shift);
    }
    /// The least key of a bin, of the one behind the last too.
    __device__ __forceinline__ uint64_t start(uint32_t bin) const
    {
        const uint64_t before = (uint64_t)bin << shift;
        return bin == 0 ? 0 : before < high - low ? low + before : high;
    }
};

SAC__DEVICE const uint8_t *sac__batch_wanted(const sac__batch *batch)
{
    return (const uint8_t *)((const sac__picture *)(batch + 1) + batch->capacity);
}

/// The second kernel: from candidates to boxes in source pixels. `classes`: of the head.
int sac__nms_cuda(const sac__boxes &boxes, const sac__boxes_layout &layout,
                  const sac_head &head, cudaStream_t stream);

#endif
