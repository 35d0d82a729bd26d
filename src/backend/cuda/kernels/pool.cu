// SPDX-License-Identifier: Apache-2.0
// Max pooling. What pool_runs.cu has is left to it. Other windows of odd size with stride 1: a
// block reads a tile of one picture and 16 bytes of channels once into shared memory, takes the
// largest along rows for all windows, then along columns. Any other window: a thread an output,
// which reads its whole window.
#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

#include "layers.h"
#include "vector.cuh"

#include <math.h>

namespace
{

enum { BLOCK = 256, TILE = 20, SMALL_TILE = 10, MOST_SHARED = 48 << 10 };

struct pyramid {
    sac_map out[SAC__PARTS];
    sac_map in;
    int parts, radius;     ///< of the first window; each part adds as much
    int tile[2], tiles[2]; ///< outputs of a block, and blocks: rows, columns
    int groups;            ///< vectors a pixel
};

/// A block's place: top left output, picture, vector.
struct corner {
    int y, x, n, group;
};

__device__ corner corner_of(const pyramid &p)
{
    int block = static_cast<int>(blockIdx.x);
    corner c;
    c.group = block % p.groups;
    c.x = block / p.groups % p.tiles[1] * p.tile[1];
    c.y = block / p.groups / p.tiles[1] % p.tiles[0] * p.tile[0];
    c.n = block / p.groups / p.tiles[1] / p.tiles[0];
    return c;
}

/// The tile and what its windows reach around it, (rows, columns); -inf outside the picture.
template <typename T>
__device__ void read_tile(vector<T> *tile, const pyramid &p, const corner &c, int rows, int columns)
{
    int reach = p.parts * p.radius;
    const T *from = static_cast<const T *>(p.in.data) + c.group * vector<T>::LANES;
    for (int k = static_cast<int>(threadIdx.x); k < rows * columns; k += BLOCK) {
        int y = c.y - reach + k / columns, x = c.x - reach + k % columns;
        bool inside = y >= 0 && y < p.in.height && x >= 0 && x < p.in.width;
        int64_t pixel = (static_cast<int64_t>(c.n) * p.in.height + y) * p.in.width + x;
        tile[k] = inside ? vector_load(from + pixel * p.in.pitch) : vector_fill<T>(-INFINITY);
    }
}

/// Largest of `from` at -reach … reach steps, but not nearer than `inner`, and of `most`.
template <typename T>
__device__ vector<T> widen(vector<T> most, const vector<T> *from, int step, int inner, int reach)
{
    for (int k = inner; k <= reach; k++) {
        most = vector_largest(most, from[k * step]);
        most = vector_largest(most, from[-k * step]);
    }
    return most;
}

/// For each window the largest along a row: (part, rows, tile columns).
template <typename T>
__device__ void along_rows(vector<T> *lines, const vector<T> *tile, const pyramid &p, int rows,
                           int columns)
{
    int count = rows * p.tile[1];
    for (int k = static_cast<int>(threadIdx.x); k < count; k += BLOCK) {
        const vector<T> *centre =
            tile + k / p.tile[1] * columns + k % p.tile[1] + p.parts * p.radius;
        vector<T> most = *centre;
        for (int part = 0; part < p.parts; part++) {
            most = widen(most, centre, 1, part * p.radius + 1, (part + 1) * p.radius);
            lines[part * count + k] = most;
        }
    }
}

template <typename T>
__device__ void along_columns(const vector<T> *lines, const pyramid &p, const corner &c, int rows)
{
    int area = p.tile[0] * p.tile[1];
    for (int k = static_cast<int>(threadIdx.x); k < area * p.parts; k += BLOCK) {
        int part = k / area, row = k % area / p.tile[1], column = k % p.tile[1];
        int y = c.y + row, x = c.x + column;
        const sac_map &out = p.out[part];
        const vector<T> *centre =
            lines + (part * rows + row + p.parts * p.radius) * p.tile[1] + column;
        if (y >= out.height || x >= out.width || c.group * vector<T>::LANES >= out.channels)
            continue;
        int64_t pixel = (static_cast<int64_t>(c.n) * out.height + y) * out.width + x;
        vector_store(static_cast<T *>(out.data) + pixel * out.pitch + c.group * vector<T>::LANES,
                     widen(*centre, centre, p.tile[1], 1, (part + 1) * p.radius));
    }
}

template <typename T> __global__ void __launch_bounds__(BLOCK) pyramid_kernel(const pyramid p)
{
    SAC__SHARED(vector<T>, tile);
    int rows = p.tile[0] + 2 * p.parts * p.radius, columns = p.tile[1] + 2 * p.parts * p.radius;
    vector<T> *lines = tile + rows * columns;
    corner c = corner_of(p);
    sac__grid_release();
    sac__grid_wait();
    read_tile(tile, p, c, rows, columns);
    __syncthreads();
    along_rows(lines, tile, p, rows, columns);
    __syncthreads();
    along_columns(lines, p, c, rows);
}

struct window {
    sac_map out, in;
    int kernel[2], stride[2], dilation[2], pad[2];
    int groups, count;
};

template <typename T> __device__ vector<T> largest(const window &w, int group, int x, int y, int n)
{
    vector<T> most = vector_fill<T>(-INFINITY);
    const T *from = static_cast<const T *>(w.in.data) + group * vector<T>::LANES;
    for (int r = 0; r < w.kernel[0]; r++)
        for (int s = 0; s < w.kernel[1]; s++) {
            int row = y * w.stride[0] - w.pad[0] + r * w.dilation[0];
            int column = x * w.stride[1] - w.pad[1] + s * w.dilation[1];
            if (row < 0 || row >= w.in.height || column < 0 || column >= w.in.width) continue;
            int64_t pixel = (static_cast<int64_t>(n) * w.in.height + row) * w.in.width + column;
            most = vector_largest(most, vector_load(from + pixel * w.in.pitch));
        }
    return most;
}

template <typename T> __global__ void __launch_bounds__(BLOCK) window_kernel(const window w)
{
    int index = static_cast<int>(blockIdx.x * BLOCK + threadIdx.x);
    int group = index % w.groups, x = index / w.groups % w.out.width;
    int row = index / w.groups / w.out.width;
    sac__grid_release();
    sac__grid_wait();
    if (index >= w.count) return;
    int64_t pixel = static_cast<int64_t>(row) * w.out.width + x;
    vector_store(static_cast<T *>(w.out.data) + pixel * w.out.pitch + group * vector<T>::LANES,
                 largest<T>(w, group, x, row % w.out.height, row / w.out.height));
}

/// Blocks of at most `most` outputs a side, as even as can be.
void set_tile(pyramid *p, const sac_map &out, int most)
{
    const int extent[2] = {out.height, out.width};
    for (int a = 0; a < 2; a++) {
        p->tiles[a] = (extent[a] + most - 1) / most;
        p->tile[a] = (extent[a] + p->tiles[a] - 1) / p->tiles[a];
    }
}

size_t shared_bytes(const pyramid &p)
{
    size_t reach = static_cast<size_t>(2 * p.parts * p.radius), rows = p.tile[0] + reach;
    return 16 * rows * (p.tile[1] + reach + static_cast<size_t>(p.parts * p.tile[1]));
}

int count_blocks(const pyramid &p)
{
    return p.groups * p.tiles[0] * p.tiles[1] * p.in.n;
}

/// Whether the pyramid kernel can run it; `p` then says how. Small tiles where large ones would
/// leave processors idle.
bool fits_pyramid(pyramid *p, const sac_task *task)
{
    const sac_window &w = task->window;
    for (int a = 0; a < 2; a++)
        if (w.stride[a] != 1 || w.dilation[a] != 1 || w.kernel[a] != w.kernel[0] ||
            w.kernel[a] % 2 == 0 || w.kernel[a] < 5 || w.kernel[a] > 31 ||
            w.pad[a] != w.kernel[a] / 2)
            return false;
    for (int k = 0; k < task->out_count; k++)
        p->out[k] = task->out[k];
    p->in = task->in;
    p->parts = task->out_count;
    p->radius = static_cast<int>(w.kernel[0] / 2);
    p->groups = task->out[0].channels / (task->half ? 8 : 4);
    if (p->out[0].height != p->in.height || p->out[0].width != p->in.width) return false;
    for (int k = 1; k < p->parts; k++) // only the last may end its buffer, and so be wider
        p->groups = max(p->groups, task->out[k].channels / (task->half ? 8 : 4));
    set_tile(p, p->out[0], TILE);
    if (count_blocks(*p) < task->processors) set_tile(p, p->out[0], SMALL_TILE);
    for (int most = SMALL_TILE; shared_bytes(*p) > MOST_SHARED && most > 1; most /= 2)
        set_tile(p, p->out[0], most);
    return shared_bytes(*p) <= MOST_SHARED;
}

/// Windows of one part after the other: of part k the window of k+1 chained pools.
int launch_windows(const sac_task *task, cudaStream_t stream)
{
    const sac_window &from = task->window;
    int error = 0, lanes = task->half ? 8 : 4;
    for (int part = 0; !error && part < task->out_count; part++) {
        int grow = static_cast<int>(part * (from.kernel[0] - 1) / 2);
        window w = {task->out[part], task->in, {}, {}, {}, {}, 0, 0};
        for (int a = 0; a < 2; a++) {
            w.kernel[a] = static_cast<int>(from.kernel[a]) + 2 * grow;
            w.stride[a] = static_cast<int>(from.stride[a]);
            w.dilation[a] = static_cast<int>(from.dilation[a]);
            w.pad[a] = static_cast<int>(from.pad[a]) + grow;
        }
        w.groups = w.out.channels / lanes;
        w.count = w.groups * w.out.width * w.out.height * w.out.n;
        sac_launch how = {dim3((w.count + BLOCK - 1) / BLOCK), dim3(BLOCK), stream, 0, 0, true};
        error = task->half ? sac__launch("maxpool", how, window_kernel<__half>, w)
                           : sac__launch("maxpool", how, window_kernel<float>, w);
    }
    return error;
}

} // namespace

int sac__pool_launch(const struct sac_task *task, cudaStream_t stream)
{
    pyramid p = {};
    if (sac__pool_runs(task)) return sac__pool_runs_launch(task, stream);
    if (!fits_pyramid(&p, task)) return launch_windows(task, stream);
    sac_launch how = {dim3(count_blocks(p)), dim3(BLOCK), stream, shared_bytes(p), 0, true};
    return task->half ? sac__launch("maxpools", how, pyramid_kernel<__half>, p)
                      : sac__launch("maxpools", how, pyramid_kernel<float>, p);
}
