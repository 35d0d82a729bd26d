// SPDX-License-Identifier: Apache-2.0
// Layers that only move or change single values: nearest upsampling, addition, activation, copy. A
// thread moves 16 bytes; a copy between places that are not aligned to it, one value.
#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

#include "activation.cuh"
#include "layers.h"
#include "vector.cuh"

namespace
{

enum { BLOCK = 256 };

struct pixelwise {
    sac_map out, in, other; ///< other: what ADD adds
    int act, channels;      ///< of `out` that are not padding
    int groups, count;      ///< units a pixel, and in all
    float alpha;
};

/// Four outputs for each input vector.
template <typename T> __global__ void __launch_bounds__(BLOCK) upsample_kernel(const pixelwise w)
{
    constexpr int LANES = vector<T>::LANES;
    int index = static_cast<int>(blockIdx.x * BLOCK + threadIdx.x);
    sac__grid_release();
    sac__grid_wait();
    if (index >= w.count) return;
    int group = index % w.groups, pixel = index / w.groups;
    int x = pixel % w.in.width, row = pixel / w.in.width; // of all pictures: heights are even
    vector<T> v = vector_load(static_cast<const T *>(w.in.data) +
                              static_cast<int64_t>(pixel) * w.in.pitch + group * LANES);
    for (int k = 0; k < 4; k++) {
        int64_t to = (2 * static_cast<int64_t>(row) + k / 2) * w.out.width + 2 * x + k % 2;
        vector_store(static_cast<T *>(w.out.data) + to * w.out.pitch + group * LANES, v);
    }
}

/// out = act(in + other), zeros in the padding.
template <typename T> __global__ void __launch_bounds__(BLOCK) vector_kernel(const pixelwise w)
{
    constexpr int LANES = vector<T>::LANES;
    int index = static_cast<int>(blockIdx.x * BLOCK + threadIdx.x);
    sac__grid_release();
    sac__grid_wait();
    if (index >= w.count) return;
    int channel = index % w.groups * LANES;
    int64_t pixel = index / w.groups;
    vector<T> a = vector_load(static_cast<const T *>(w.in.data) + pixel * w.in.pitch + channel);
    vector<T> b = vector_fill<T>(0), result;
    if (w.other.data)
        b = vector_load(static_cast<const T *>(w.other.data) + pixel * w.other.pitch + channel);
#pragma unroll
    for (int i = 0; i < LANES; i++) {
        float x = static_cast<float>(a.lane[i]) + static_cast<float>(b.lane[i]);
        float y = sac__device_activate<vector<T>::EXACT>(w.act, w.alpha, x);
        result.lane[i] = static_cast<T>(channel + i < w.channels ? y : 0.0f);
    }
    vector_store(static_cast<T *>(w.out.data) + pixel * w.out.pitch + channel, result);
}

template <typename T> __global__ void __launch_bounds__(BLOCK) copy_kernel(const pixelwise w)
{
    int index = static_cast<int>(blockIdx.x * BLOCK + threadIdx.x);
    sac__grid_release();
    sac__grid_wait();
    if (index >= w.count) return;
    int channel = index % w.groups;
    int64_t pixel = index / w.groups;
    T x = static_cast<T>(0.0f);
    if (channel < w.channels) x = static_cast<const T *>(w.in.data)[pixel * w.in.pitch + channel];
    static_cast<T *>(w.out.data)[pixel * w.out.pitch + channel] = x;
}

/// Whether a view starts at 16 bytes and its pixels are as far apart; NULL is.
bool aligned(const sac_map &map, int lanes)
{
    return reinterpret_cast<uintptr_t>(map.data) % 16 == 0 && map.pitch % lanes == 0;
}

pixelwise describe(const sac_task *task, int unit)
{
    pixelwise w = {task->out[0], task->in, task->residual, task->act, task->channels, 0, 0,
                   task->alpha};
    const sac_map &each = task->kind == SAC__LAYER_UPSAMPLE ? w.in : w.out;
    w.groups = w.out.channels / unit;
    w.count = w.groups * each.n * each.height * each.width;
    return w;
}

sac_launch spread(const pixelwise &w, cudaStream_t stream)
{
    return {dim3((w.count + BLOCK - 1) / BLOCK), dim3(BLOCK), stream, 0, 0, true};
}

} // namespace

int sac__upsample_launch(const struct sac_task *task, cudaStream_t stream)
{
    pixelwise w = describe(task, task->half ? 8 : 4);
    return task->half ? sac__launch("upsample", spread(w, stream), upsample_kernel<__half>, w)
                      : sac__launch("upsample", spread(w, stream), upsample_kernel<float>, w);
}

int sac__pixelwise_launch(const struct sac_task *task, cudaStream_t stream)
{
    int lanes = task->half ? 8 : 4;
    bool whole = aligned(task->in, lanes) && aligned(task->out[0], lanes) &&
                 aligned(task->residual, lanes) && task->out[0].channels % lanes == 0;
    pixelwise w = describe(task, whole ? lanes : 1);
    if (whole)
        return task->half ? sac__launch("pixelwise", spread(w, stream), vector_kernel<__half>, w)
                          : sac__launch("pixelwise", spread(w, stream), vector_kernel<float>, w);
    return task->half ? sac__launch("copy", spread(w, stream), copy_kernel<__half>, w)
                      : sac__launch("copy", spread(w, stream), copy_kernel<float>, w);
}
