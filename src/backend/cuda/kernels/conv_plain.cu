// SPDX-License-Identifier: Apache-2.0
// Convolution without matrix units: the checking mode in fp32, and windows in fp16 that conv_mma.cu
// does not take. A thread makes 8 channels of one pixel; each tap has a sum of its own first, as in
// reference_conv.c.
#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

#include "activation.cuh"
#include "conv_kernels.h"
#include "vector.cuh"

namespace {

enum { BLOCK = 128, OUTS = 8 };

/// Adds one tap of `channels` channels; weights of the 8 output channels lie `depth` apart.
template <typename T>
__device__ void add_tap(float *sums, const T *from, const float *weights, int channels, int depth)
{
    float part[OUTS] = {};
    for (int c = 0; c < channels; c += vector<T>::LANES) {
        vector<T> x = vector_load(from + c);
#pragma unroll
        for (int k = 0; k < OUTS; k++)
#pragma unroll
            for (int i = 0; i < vector<T>::LANES; i += 4) {
                float4 w = *reinterpret_cast<const float4 *>(weights + k * depth + c + i);
                part[k] += static_cast<float>(x.lane[i]) * w.x;
                part[k] += static_cast<float>(x.lane[i + 1]) * w.y;
                part[k] += static_cast<float>(x.lane[i + 2]) * w.z;
                part[k] += static_cast<float>(x.lane[i + 3]) * w.w;
            }
    }
#pragma unroll
    for (int k = 0; k < OUTS; k++)
        sums[k] += part[k];
}

template <typename T>
__device__ void add_taps(float *sums, const sac_conv &c, int n, int y, int x, int channel)
{
    int depth = c.kernel[0] * c.kernel[1] * c.channels;
    const float *weights =
        static_cast<const float *>(c.weights) + static_cast<int64_t>(channel) * depth;
    for (int t = 0; t < c.kernel[0] * c.kernel[1]; t++, weights += c.channels) {
        int row = y * c.stride[0] - c.pad[0] + t / c.kernel[1] * c.dilation[0];
        int column = x * c.stride[1] - c.pad[1] + t % c.kernel[1] * c.dilation[1];
        if (row < 0 || row >= c.height || column < 0 || column >= c.width) continue;
        int64_t pixel = (static_cast<int64_t>(n) * c.height + row) * c.width + column;
        add_tap(sums, static_cast<const T *>(c.in) + pixel * c.in_pitch, weights, c.channels,
                depth);
    }
}

template <typename T>
__device__ void finish(const sac_conv &c, const float *sums, int64_t pixel, int64_t coarse, int k)
{
    int first = k, part = 0;
    while (part + 1 < c.part_count && first >= c.part[part].channels)
        first -= c.part[part++].channels;
    T *out = static_cast<T *>(c.part[part].data) + pixel * c.part[part].pitch + first;
    const T *add = static_cast<const T *>(c.coarse) + coarse * c.coarse_pitch + k;
    const T *residual = static_cast<const T *>(c.residual) + pixel * c.residual_pitch + k;
#pragma unroll
    for (int i = 0; i < OUTS; i++) {
        float x = sums[i] + (c.coarse ? static_cast<float>(add[i]) : 0);
        x = sac__device_activate<true>(c.act, c.alpha, x);
        out[i] = static_cast<T>(x + (c.residual ? static_cast<float>(residual[i]) : 0));
    }
}

/// Neighbouring threads make neighbouring pixels, so that they read the same weights.
template <typename T>
__global__ void __launch_bounds__(BLOCK) conv_plain(const __grid_constant__ sac_conv c)
{
    int64_t index = static_cast<int64_t>(blockIdx.x) * BLOCK + threadIdx.x;
    int64_t pixels = static_cast<int64_t>(c.n) * c.out_height * c.out_width;
    int64_t pixel = index % pixels, row = pixel / c.out_width;
    int x = static_cast<int>(pixel % c.out_width), y = static_cast<int>(row % c.out_height);
    int k = static_cast<int>(index / pixels) * OUTS;
    int n = static_cast<int>(row / c.out_height);
    float sums[OUTS];
    sac__grid_release();
    sac__grid_wait();
    if (k >= c.out_channels) return;
#pragma unroll
    for (int i = 0; i < OUTS; i++)
        sums[i] = c.bias[k + i];
    add_taps<T>(sums, c, n, y, x, k);
    int64_t coarse = (static_cast<int64_t>(n) * c.coarse_height + y / 2) * c.coarse_width + x / 2;
    finish<T>(c, sums, pixel, coarse, k);
}

} // namespace

extern "C" int sac__conv_plain_launch(const struct sac_conv_kernel *self,
                                      const struct sac_conv *convs, int count,
                                      const struct sac_conv_launch *how)
{
    int64_t pixels = static_cast<int64_t>(convs->n) * convs->out_height * convs->out_width;
    int64_t threads = pixels * (convs->out_channels / OUTS);
    sac_launch launch = {};
    launch.grid = dim3(static_cast<unsigned>((threads + BLOCK - 1) / BLOCK));
    launch.block = dim3(BLOCK);
    launch.stream = how->stream;
    launch.overlap = how->overlap != 0;
    (void)count; // one: it is not in a hurry
    return sac__launch(self->name, launch,
                       convs->element_size == 2 ? conv_plain<__half> : conv_plain<float>, *convs);
}
