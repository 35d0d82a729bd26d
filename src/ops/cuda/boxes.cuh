// SPDX-License-Identifier: Apache-2.0
// What head and NMS share: the candidates of a picture in the workspace.
#ifndef SAC_OPS_CUDA_BOXES_CUH
#define SAC_OPS_CUDA_BOXES_CUH

#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"
#include "ops/cuda/ops.h"
#include "ops/math/nms.h"

enum { SAC__CHUNK = 512 }; ///< candidates that NMS sorts at a time

/// Counters of a picture. All zero before the head; NMS leaves them so.
struct sac__boxes_state {
    uint32_t count;     ///< keys
    uint32_t nonfinite; ///< rows dropped
    uint32_t most;      ///< bits of the best score, at least
    uint32_t gathered;  ///< keys taken into chunks
};

/// Where a picture's candidates are.
///
/// A key is a candidate: score, turned around, in the upper half; row · classes + class in the
/// lower. So the order of keys is the order of candidates, and no two are equal.
struct sac__boxes_memory {
    sac__boxes_state *state;
    uint64_t *keys;  ///< in no order
    float4 *boxes;   ///< by row, in input pixels; only of candidates
    uint64_t *chunk; ///< SAC__CHUNK
    int multi_label;
};

/// How the workspace is laid out: a part a picture.
struct sac__boxes_layout {
    uint8_t *base;
    size_t keys, boxes, chunk, bytes; ///< offsets in a part; its size
    int multi_label;                  ///< whether there is room for a key a class

    static __host__ sac__boxes_layout of(void *base, int64_t rows, int classes, int multi_label)
    {
        const auto up = [](size_t size) { return (size + 255) / 256 * 256; };
        sac__boxes_layout layout = {};
        layout.base = (uint8_t *)base;
        layout.multi_label = multi_label;
        layout.keys = 256;
        layout.boxes = layout.keys + up((size_t)rows * (multi_label ? classes : 1) * 8);
        layout.chunk = layout.boxes + up((size_t)rows * sizeof(float4));
        layout.bytes = layout.chunk + SAC__CHUNK * 8;
        return layout;
    }

    __device__ __forceinline__ sac__boxes_memory part(int picture) const
    {
        uint8_t *start = base + picture * bytes;
        return {(sac__boxes_state *)start, (uint64_t *)(start + keys), (float4 *)(start + boxes),
                (uint64_t *)(start + chunk), multi_label};
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

SAC__DEVICE const uint8_t *sac__batch_wanted(const sac__batch *batch)
{
    return (const uint8_t *)((const sac__picture *)(batch + 1) + batch->capacity);
}

/// The second kernel: from candidates to boxes in source pixels. `classes`: of the head.
int sac__nms_cuda(const sac__boxes &boxes, const sac__boxes_layout &layout,
                  const sac_head &head, cudaStream_t stream);

#endif
