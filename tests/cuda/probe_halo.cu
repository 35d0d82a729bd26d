// SPDX-License-Identifier: Apache-2.0
// What conv_halo_wgmma.cu takes for granted: the copy engine's tiled mode with element strides and
// zeros outside, and that the tile of a product may begin at any pixel of what it brought, its
// groups of eight rows any number of pixels apart. A product with a matrix of ones on its diagonal
// gives the 64 pixels that wgmma sees.
#include <cstdio>

#include <cuda_fp16.h>

#include "cuda/tensor_map.h"
#include "ops/math/half.h"
#include "probe.cuh"

namespace
{

enum { N = 2, HEIGHT = 21, WIDTH = 19, SIDE = 8, DEPTH = 16, ROOM = 65536 };

struct map_parameter {
    sac_tensor_map map;
};

/// A load, and the tile of a product in it.
struct view {
    int channel, x, y, n;
    uint32_t bytes, begin, apart, swizzle; ///< bytes: of the load; the product's tile in it
};

/// to: 8 sums of each thread, which stay as they were where the barrier is not told.
__global__ void __launch_bounds__(128)
    halo_kernel(const __grid_constant__ map_parameter a, float *to, view v)
{
    SAC__SHARED(__half, memory);
    const uint32_t at = sac__shared_address(memory), ones = at + ROOM, barrier = ones + 2048;
    for (unsigned i = threadIdx.x; i < 16 * DEPTH; i += 128) { // cores of 8 rows, 8 deep
        const unsigned row = i / DEPTH, k = i % DEPTH;
        memory[ROOM / 2 + row / 8 * 128 + k / 8 * 64 + row % 8 * 8 + k % 8] =
            __float2half(row == k ? 1.0f : 0.0f);
    }
    if (threadIdx.x == 0) {
        sac__mbarrier_init(barrier, 1);
        sac__fence_mbarrier_init();
    }
    sac__fence_proxy_async();
    __syncthreads();
    if (threadIdx.x == 0) {
        sac__mbarrier_expect_tx(barrier, v.bytes);
        sac__tma_load_4d(at, &a.map, barrier, v.channel, v.x, v.y, v.n);
    }
    if (!probe_told(barrier, 0)) return;
    float d[8] = {};
    sac__wgmma_fence();
    sac__wgmma_f16<16>(
        d, sac__wgmma_descriptor(at + v.begin, 16, v.apart, static_cast<int>(v.swizzle)),
        sac__wgmma_descriptor(ones, 128, 256, SAC__SWIZZLE_NONE), 0);
    sac__wgmma_commit();
    sac__wgmma_wait<0>();
    for (int i = 0; i < 8; i++) {
        sac__wgmma_pin(d[i]);
        to[threadIdx.x * 8 + static_cast<unsigned>(i)] = d[i];
    }
}

/// A value of the picture, exact as a half; 0 outside.
float value_at(int channels, int n, int y, int x, int c)
{
    if (y < 0 || y >= HEIGHT || x < 0 || x >= WIDTH) return 0;
    return static_cast<float>((((n * HEIGHT + y) * WIDTH + x) * channels + c) % 2039 + 1);
}

std::vector<uint16_t> picture(int channels)
{
    std::vector<uint16_t> bits;
    for (int i = 0; i < N * HEIGHT * WIDTH; i++)
        for (int c = 0; c < channels; c++)
            bits.push_back(sac__float_half(
                value_at(channels, i / WIDTH / HEIGHT, i / WIDTH % HEIGHT, i % WIDTH, c)));
    return bits;
}

struct halo {
    sac_tile tile;
    int x, y; ///< of the load's first pixel
};

/// "" or the first place that is wrong. (r,s): the pixel of the load at which the tile begins; its
/// rows are the load's, `step` apart.
std::string check_tap(const halo &h, const map_parameter &map, int r, int s, int depth)
{
    const int box = h.tile.box, channel = h.tile.channels - box;
    const probe_array<float> to(128 * 8);
    sac_launch launch = {};
    launch.grid = dim3(1), launch.block = dim3(128), launch.shared = ROOM + 2048 + 8;
    view v = {channel, h.x, h.y, 1, 0, 0, 0, 0};
    const uint32_t pixel = static_cast<uint32_t>(box) * 2;
    const uint32_t row = static_cast<uint32_t>(h.tile.across) * pixel;
    v.bytes = row * static_cast<uint32_t>(h.tile.down);
    v.begin = static_cast<uint32_t>(r) * row + static_cast<uint32_t>(s) * pixel +
              static_cast<uint32_t>(depth) * 32;
    v.apart = row * static_cast<uint32_t>(h.tile.step);
    v.swizzle = box == 64 ? SAC__SWIZZLE_128 : box == 32 ? SAC__SWIZZLE_64 : SAC__SWIZZLE_32;
    probe_must(sac__launch("halo", launch, halo_kernel, map, to.data, v));
    const std::vector<float> seen = to.read();
    for (int i = 0; i < 64 * DEPTH; i++) {
        const int m = i / DEPTH, k = i % DEPTH;
        const int thread = m / 16 * 32 + m % 8 * 4 + k % 8 / 2;
        const float found =
            seen[static_cast<size_t>(thread * 8 + k / 8 * 4 + m / 8 % 2 * 2 + k % 2)];
        const float wanted = value_at(h.tile.channels, 1, h.y + r + m / SIDE * h.tile.step,
                                      h.x + (s + m % SIDE) * h.tile.step, channel + depth * 16 + k);
        if (found == wanted) continue;
        char text[160];
        std::snprintf(text, sizeof text,
                      "tile from row %d, pixel %d, depth %d: pixel %d, channel %d is %g, not %g", r,
                      s, depth, m, k, static_cast<double>(found), static_cast<double>(wanted));
        return text;
    }
    return "";
}

std::string check(int box, int channels, int step)
{
    const probe_array<uint16_t> data(picture(channels));
    halo h = {};
    h.tile = {data.data, N, HEIGHT, WIDTH, channels, channels, box, SIDE + 2, (SIDE - 1) * step + 3,
              step};
    for (int at = -2; at < 4; at++) { // the picture's rim, and what lies beyond it
        h.x = 3 * at, h.y = at;
        map_parameter map;
        probe_must(sac__tile_map(&map.map, &h.tile));
        for (int tap = 0; tap < 9; tap++)
            for (int depth = 0; depth < box / 16; depth++) {
                const std::string wrong = check_tap(h, map, tap / 3, tap % 3, depth);
                if (!wrong.empty()) return wrong;
            }
    }
    return "";
}

} // namespace

void probe_halo_add(std::vector<probe_reading> &readings)
{
    for (int box = 64; box >= 16; box /= 2)
        for (int step = 1; step <= 2; step++)
            for (int channels = box; channels <= 2 * box; channels += box) {
                char what[96];
                std::snprintf(what, sizeof what, "wgmma anywhere in a tile, %d of %d channels, /%d",
                              box, channels, step);
                readings.push_back(
                    {what, [box, channels, step] { return check(box, channels, step); }});
            }
}
