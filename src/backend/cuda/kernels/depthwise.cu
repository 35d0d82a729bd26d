// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution: out = act(conv(in) + bias) + residual, every channel by itself. A thread
// makes 16 bytes of channels of PIXELS neighbours in a row, so that they share what they read; the
// rest of the reuse is the first-level cache's. Bound by memory, not by arithmetic.
#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

#include "activation.cuh"
#include "layers.h"
#include "vector.cuh"

namespace
{

enum { PIXELS = 2, BLOCK = 128 };

template <typename T> struct depthwise {
    sac_map out[SAC__PARTS];
    sac_map in, residual;
    const T *weights;
    const float *bias;
    int kernel[2], stride[2], dilation[2], pad[2];
    int parts, act, groups, strips, count; ///< groups: vectors a pixel; count: threads that work
    float alpha;
};

/// What one thread makes: vector `group` of output pixels x to x+PIXELS-1 of row y of picture n.
struct place {
    int group, x, y, n;
};

template <typename T> __device__ place place_of(const depthwise<T> &d, int index)
{
    place p;
    p.group = index % d.groups;
    p.x = index / d.groups % d.strips * PIXELS;
    int row = index / d.groups / d.strips;
    p.y = row % d.out[0].height;
    p.n = row / d.out[0].height;
    return p;
}

/// The input vector at row y and column x, zeros outside the picture.
template <typename T>
__device__ vector<T> input(const depthwise<T> &d, const place &p, int y, int x)
{
    if (y < 0 || y >= d.in.height || x < 0 || x >= d.in.width) return vector_fill<T>(0);
    const T *from = static_cast<const T *>(d.in.data);
    int64_t pixel = (static_cast<int64_t>(p.n) * d.in.height + y) * d.in.width + x;
    return vector_load(from + pixel * d.in.pitch + p.group * vector<T>::LANES);
}

template <typename T>
__device__ void multiply(float *sum, const vector<T> &x, const vector<T> &weight)
{
#pragma unroll
    for (int i = 0; i < vector<T>::LANES; i++)
        sum[i] += static_cast<float>(x.lane[i]) * static_cast<float>(weight.lane[i]);
}

/// One row of a window of known size: neighbours' windows overlap, so each vector is read once.
template <typename T, int K, int STRIDE>
__device__ void row_known(const depthwise<T> &d, const place &p, int r, const vector<T> *weights,
                          float (*sums)[vector<T>::LANES])
{
    enum { SPAN = (PIXELS - 1) * STRIDE + K };
    int y = p.y * STRIDE - d.pad[0] + r, x = p.x * STRIDE - d.pad[1];
    vector<T> line[SPAN];
#pragma unroll
    for (int k = 0; k < SPAN; k++)
        line[k] = input(d, p, y, x + k);
#pragma unroll
    for (int i = 0; i < PIXELS; i++)
#pragma unroll
        for (int s = 0; s < K; s++)
            multiply(sums[i], line[i * STRIDE + s], weights[s]);
}

template <typename T>
__device__ vector<T> weights_of(const depthwise<T> &d, const place &p, int tap)
{
    return vector_load(d.weights + (tap * d.groups + p.group) * vector<T>::LANES);
}

template <typename T>
__device__ void row_any(const depthwise<T> &d, const place &p, int r,
                        float (*sums)[vector<T>::LANES])
{
    int y = p.y * d.stride[0] - d.pad[0] + r * d.dilation[0];
    for (int s = 0; s < d.kernel[1]; s++) {
        vector<T> weight = weights_of(d, p, r * d.kernel[1] + s);
#pragma unroll
        for (int i = 0; i < PIXELS; i++) {
            int x = (p.x + i) * d.stride[1] - d.pad[1] + s * d.dilation[1];
            multiply(sums[i], input(d, p, y, x), weight);
        }
    }
}

/// Activation, residual, store.
template <typename T>
__device__ void finish(const depthwise<T> &d, const place &p, int x, const float *sum)
{
    constexpr int LANES = vector<T>::LANES;
    int channel = p.group * LANES, part = 0;
    int64_t pixel = (static_cast<int64_t>(p.n) * d.out[0].height + p.y) * d.out[0].width + x;
    vector<T> beside = vector_fill<T>(0), result;
    if (d.residual.data)
        beside = vector_load(static_cast<const T *>(d.residual.data) + pixel * d.residual.pitch +
                             channel);
#pragma unroll
    for (int i = 0; i < LANES; i++)
        result.lane[i] =
            static_cast<T>(sac__device_activate<vector<T>::EXACT>(d.act, d.alpha, sum[i]) +
                           static_cast<float>(beside.lane[i]));
    while (part + 1 < d.parts && channel >= d.out[part].channels)
        channel -= d.out[part++].channels;
    vector_store(static_cast<T *>(d.out[part].data) + pixel * d.out[part].pitch + channel, result);
}

/// All rows of the window; `kept` holds its weights where K is 3.
template <typename T, int K, int STRIDE>
__device__ void rows(const depthwise<T> &d, const place &p, const vector<T> *kept,
                     float (*sums)[vector<T>::LANES])
{
    if constexpr (K == 0) {
        for (int r = 0; r < d.kernel[0]; r++)
            row_any(d, p, r, sums);
    } else if constexpr (K == 3) {
#pragma unroll
        for (int r = 0; r < K; r++)
            row_known<T, K, STRIDE>(d, p, r, kept + r * K, sums);
    } else {
        for (int r = 0; r < K; r++) {
            vector<T> weights[K];
#pragma unroll
            for (int s = 0; s < K; s++)
                weights[s] = weights_of(d, p, r * K + s);
            row_known<T, K, STRIDE>(d, p, r, weights, sums);
        }
    }
}

/// K 0: a window of any form.
template <typename T, int K, int STRIDE>
__global__ void __launch_bounds__(BLOCK) depthwise_kernel(const depthwise<T> d)
{
    constexpr int KEPT = K == 3 ? K * K : 1, LANES = vector<T>::LANES;
    int index = static_cast<int>(blockIdx.x * BLOCK + threadIdx.x);
    place p = place_of(d, index < d.count ? index : 0);
    vector<T> kept[KEPT];
    float sums[PIXELS][LANES];
#pragma unroll
    for (int k = 0; k < KEPT; k++)
        kept[k] = weights_of(d, p, k);
#pragma unroll
    for (int i = 0; i < PIXELS; i++)
#pragma unroll
        for (int k = 0; k < LANES; k++)
            sums[i][k] = d.bias[p.group * LANES + k];
    sac__grid_release();
    sac__grid_wait();
    if (index >= d.count) return;
    rows<T, K, STRIDE>(d, p, kept, sums);
#pragma unroll
    for (int i = 0; i < PIXELS; i++)
        if (p.x + i < d.out[0].width) finish(d, p, p.x + i, sums[i]);
}

template <typename T> int start(const depthwise<T> &d, cudaStream_t stream)
{
    sac_launch how = {dim3((d.count + BLOCK - 1) / BLOCK), dim3(BLOCK), stream, 0, 0, true};
    bool square = d.kernel[0] == d.kernel[1] && d.stride[0] == d.stride[1] && d.dilation[0] == 1 &&
                  d.dilation[1] == 1;
    int form = square ? 10 * d.kernel[0] + d.stride[0] : 0;
    switch (form) {
    case 31:
        return sac__launch("depthwise", how, depthwise_kernel<T, 3, 1>, d);
    case 32:
        return sac__launch("depthwise", how, depthwise_kernel<T, 3, 2>, d);
    case 51:
        return sac__launch("depthwise", how, depthwise_kernel<T, 5, 1>, d);
    case 71:
        return sac__launch("depthwise", how, depthwise_kernel<T, 7, 1>, d);
    default:
        return sac__launch("depthwise", how, depthwise_kernel<T, 0, 1>, d);
    }
}

template <typename T> int launch(const sac_task *task, cudaStream_t stream)
{
    depthwise<T> d = {};
    const sac_window &w = task->window;
    int64_t channels = 0;
    for (int k = 0; k < task->out_count; k++) {
        d.out[k] = task->out[k];
        channels += task->out[k].channels;
    }
    d.in = task->in;
    d.residual = task->residual;
    d.weights = static_cast<const T *>(task->weights);
    d.bias = task->bias;
    for (int a = 0; a < 2; a++) {
        d.kernel[a] = static_cast<int>(w.kernel[a]);
        d.stride[a] = static_cast<int>(w.stride[a]);
        d.dilation[a] = static_cast<int>(w.dilation[a]);
        d.pad[a] = static_cast<int>(w.pad[a]);
    }
    d.parts = task->out_count;
    d.act = task->act;
    d.alpha = task->alpha;
    d.groups = static_cast<int>(channels / vector<T>::LANES);
    d.strips = (task->out[0].width + PIXELS - 1) / PIXELS;
    d.count = d.groups * d.strips * task->out[0].height * task->out[0].n;
    return start(d, stream);
}

} // namespace

int sac__depthwise_launch(const struct sac_task *task, cudaStream_t stream)
{
    return task->half ? launch<__half>(task, stream) : launch<float>(task, stream);
}
