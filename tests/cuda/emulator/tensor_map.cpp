// SPDX-License-Identifier: Apache-2.0
// Tensor maps over (N,H,W,C) halves, tiled and of im2col mode, as the PTX ISA's "tiled mode" and
// "im2col mode" and the driver's cuTensorMapEncodeTiled and cuTensorMapEncodeIm2col describe them.
#include "emulator/tensor_map.h"

#include <cstring>

#include <cuda.h>

#include "cuda_runtime.h"

namespace emulator
{

enum : uint32_t { MAGIC = 0x696d3263 };

/// What lies in a CUtensorMap here; axes from the innermost on: C, W, H, N.
struct Map {
    const unsigned char *data;
    uint64_t pitches[3]; ///< bytes: pixel, row, picture
    uint32_t extents[4];
    int lower[2], upper[2]; ///< W, H
    uint32_t channels, pixels, steps[2];
    uint32_t across, down; ///< pixels of a tiled map's box; 0: im2col
    uint32_t swizzle_bytes, magic;
};
static_assert(sizeof(Map) <= sizeof(CUtensorMap), "fits");

static bool valid(const Map &m)
{
    bool ok = reinterpret_cast<uintptr_t>(m.data) % 16 == 0 && m.channels <= 256 &&
              m.pixels <= 1024 && m.channels * 2 <= m.swizzle_bytes;
    for (int axis = 0; axis < 2; axis++) {
        ok = ok && m.lower[axis] >= -128 && m.lower[axis] <= 127 && m.upper[axis] >= -128 &&
             m.upper[axis] <= 127 && m.steps[axis] >= 1 && m.steps[axis] <= 8;
        ok = ok && m.lower[axis] <= static_cast<int>(m.extents[axis + 1]) - 1 + m.upper[axis];
    }
    for (uint64_t pitch : m.pitches)
        ok = ok && pitch % 16 == 0 && pitch < uint64_t{1} << 40;
    for (uint32_t extent : m.extents)
        ok = ok && extent > 0;
    return ok;
}

/// A pixel of the box; it goes over the box row by row, then on to the next picture.
struct Walk {
    int x, y, n;
    void next(const Map &m)
    {
        x += static_cast<int>(m.steps[0]);
        if (x <= static_cast<int>(m.extents[1]) - 1 + m.upper[0]) return;
        x = m.lower[0];
        y += static_cast<int>(m.steps[1]);
        if (y <= static_cast<int>(m.extents[2]) - 1 + m.upper[1]) return;
        y = m.lower[1];
        n++;
    }
};

static bool within(int at, uint32_t extent)
{
    return at >= 0 && static_cast<uint32_t>(at) < extent;
}

/// One 16-byte piece, or zeros.
static Copy copy_piece(const Map &m, const Walk &at, const int *window, int channel, uint32_t to)
{
    const int x = at.x + window[0], y = at.y + window[1];
    const bool inside = within(x, m.extents[1]) && within(y, m.extents[2]) &&
                        within(at.n, m.extents[3]) && within(channel, m.extents[0]);
    const unsigned left = inside ? m.extents[0] - static_cast<unsigned>(channel) : 0;
    const unsigned bytes = left < 8 ? left * 2 : 16;
    const unsigned char *from = m.data;
    if (inside)
        from += static_cast<uint64_t>(at.n) * m.pitches[2] +
                static_cast<uint64_t>(y) * m.pitches[1] + static_cast<uint64_t>(x) * m.pitches[0] +
                static_cast<uint64_t>(channel) * 2;
    return {shared_pointer(to, 16, 16), from, bytes, 16 - bytes};
}

/// The pixels of a load, in the order in which they come to lie.
static std::vector<Walk> pixels_of(const Map &m, const int *at)
{
    std::vector<Walk> pixels;
    Walk walk = {at[1], at[2], at[3]};
    for (uint32_t pixel = 0; pixel < m.pixels; pixel++, walk.next(m))
        pixels.push_back(walk);
    for (uint32_t y = 0; y < m.down; y++)
        for (uint32_t x = 0; x < m.across; x++)
            pixels.push_back({at[1] + static_cast<int>(x * m.steps[0]),
                              at[2] + static_cast<int>(y * m.steps[1]), at[3]});
    return pixels;
}

static void check_im2col(const Map &m, const int *at, const int *window)
{
    if (!window || m.across) fail("a load of im2col mode, and only that, takes an im2col map");
    for (int axis = 0; axis < 2; axis++) {
        if (window[axis] < 0 || window[axis] > 255) fail("im2col: offset %d", window[axis]);
        if (at[axis + 1] < m.lower[axis] ||
            at[axis + 1] > static_cast<int>(m.extents[axis + 1]) - 1 + m.upper[axis])
            fail("im2col: starts outside its box at %d", at[axis + 1]);
    }
}

void tma_load(uint32_t shared, const void *map, uint32_t barrier, int rank, const int *at,
              const int *window)
{
    const int nowhere[2] = {0, 0};
    Map m;
    std::memcpy(&m, map, sizeof m);
    if (rank != 4 || m.magic != MAGIC) fail("only maps of 4 axes are played");
    if (reinterpret_cast<uintptr_t>(map) % 64) fail("the map is not aligned to 64 bytes");
    if (shared % (m.swizzle_bytes * 8)) fail("a load: %#x does not begin a swizzle", shared);
    if (window || !m.across) check_im2col(m, at, window);
    std::vector<Copy> copies;
    uint32_t pixel = shared;
    for (const Walk &walk : pixels_of(m, at)) {
        for (uint32_t piece = 0; piece < m.channels / 8; piece++) {
            uint32_t to = pixel + piece * 16;
            to ^= (to >> 7 & (m.swizzle_bytes / 16 - 1)) << 4;
            copies.push_back(copy_piece(m, walk, window ? window : nowhere,
                                        at[0] + static_cast<int>(piece) * 8, to));
        }
        pixel += m.channels * 2;
    }
    self->block->cluster->bulk.push_back(
        {static_cast<uint64_t *>(shared_pointer(barrier, 8, 8)), std::move(copies), false});
}

} // namespace emulator

/// What maps of both modes have.
static emulator::Map common(void *data, const cuuint64_t *extents, const cuuint64_t *pitches,
                            const cuuint32_t *steps, CUtensorMapSwizzle swizzle)
{
    emulator::Map m = {};
    m.data = static_cast<const unsigned char *>(data);
    for (int axis = 0; axis < 4; axis++)
        m.extents[axis] = static_cast<uint32_t>(extents[axis]);
    std::memcpy(m.pitches, pitches, sizeof m.pitches);
    std::memcpy(m.steps, steps + 1, sizeof m.steps);
    m.swizzle_bytes = 16u << swizzle;
    m.magic = emulator::MAGIC;
    return m;
}

static CUresult finish(CUtensorMap *map, const emulator::Map &m)
{
    if (!emulator::valid(m)) return CUDA_ERROR_INVALID_VALUE;
    std::memset(map, 0, sizeof *map);
    std::memcpy(map, &m, sizeof m);
    return CUDA_SUCCESS;
}

extern "C" CUresult emulated_encode_tiled(CUtensorMap *map, CUtensorMapDataType type,
                                          cuuint32_t rank, void *data, const cuuint64_t *extents,
                                          const cuuint64_t *pitches, const cuuint32_t *box,
                                          const cuuint32_t *steps, CUtensorMapInterleave interleave,
                                          CUtensorMapSwizzle swizzle, CUtensorMapL2promotion,
                                          CUtensorMapFloatOOBfill fill)
{
    if (type != CU_TENSOR_MAP_DATA_TYPE_FLOAT16 || rank != 4 || interleave || fill || !swizzle ||
        box[1] > 256 || box[2] > 256 || box[3] != 1 || steps[0] != 1 || steps[3] != 1)
        return CUDA_ERROR_INVALID_VALUE;
    emulator::Map m = common(data, extents, pitches, steps, swizzle);
    m.channels = box[0];
    if (!m.steps[0] || !m.steps[1]) return CUDA_ERROR_INVALID_VALUE;
    m.across = (box[1] + m.steps[0] - 1) / m.steps[0];
    m.down = (box[2] + m.steps[1] - 1) / m.steps[1];
    return finish(map, m);
}

extern "C" CUresult emulated_encode_im2col(CUtensorMap *map, CUtensorMapDataType type,
                                           cuuint32_t rank, void *data, const cuuint64_t *extents,
                                           const cuuint64_t *pitches, const int *lower,
                                           const int *upper, cuuint32_t channels, cuuint32_t pixels,
                                           const cuuint32_t *steps,
                                           CUtensorMapInterleave interleave,
                                           CUtensorMapSwizzle swizzle, CUtensorMapL2promotion,
                                           CUtensorMapFloatOOBfill fill)
{
    if (type != CU_TENSOR_MAP_DATA_TYPE_FLOAT16 || rank != 4 || interleave || fill || !swizzle)
        return CUDA_ERROR_INVALID_VALUE;
    emulator::Map m = common(data, extents, pitches, steps, swizzle);
    std::memcpy(m.lower, lower, sizeof m.lower);
    std::memcpy(m.upper, upper, sizeof m.upper);
    m.channels = channels;
    m.pixels = pixels;
    return finish(map, m);
}
