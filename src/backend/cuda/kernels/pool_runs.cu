// SPDX-License-Identifier: Apache-2.0
// Max pooling of the windows that YOLO networks have: 5, 9 and 13 at once (SPPF), or one of them
// (SPP), stride 1. A block reads a tile of one picture and 16 bytes of channels once into shared
// memory, takes the largest along rows for all windows, then along columns. All extents are known
// to the compiler, and a thread does several outputs in a row from values in registers; places
// beyond the picture are read as its edge, which every such window holds too.
#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

#include "layers.h"
#include "vector.cuh"

namespace
{

enum { BLOCK = 256, WARPS = BLOCK / 32 };

/// Outputs of a block a side, and of a thread in a row.
template <int TILE_, int RUN_, int PARTS_, int RADIUS_> struct shape {
    static constexpr int TILE = TILE_, RUN = RUN_, PARTS = PARTS_, RADIUS = RADIUS_;
    static constexpr int REACH = PARTS * RADIUS, SIDE = TILE + 2 * REACH, RUNS = TILE / RUN;
    static constexpr int PITCH = SIDE | 1, LINE = TILE | 1; ///< odd: columns meet no bank twice
    static_assert(SIDE <= 32, "a lane a column");
};

struct pyramid {
    sac_map out[SAC__PARTS];
    sac_map in;
    int tiles[2]; ///< rows, columns
    int rows;     ///< most that a block reads
    int groups;   ///< vectors a pixel
};

/// A block's place: top left output, picture, vector; and what it reads, up to but without the end.
struct corner {
    int y, x, n, group, top, left, bottom, right;
};

template <class S> __device__ corner corner_of(const pyramid &p)
{
    int block = static_cast<int>(blockIdx.x);
    corner c;
    c.group = block % p.groups;
    c.x = block / p.groups % p.tiles[1] * S::TILE;
    c.y = block / p.groups / p.tiles[1] % p.tiles[0] * S::TILE;
    c.n = block / p.groups / p.tiles[1] / p.tiles[0];
    c.top = max(c.y - S::REACH, 0);
    c.left = max(c.x - S::REACH, 0);
    c.bottom = min(c.y + S::TILE + S::REACH, p.in.height);
    c.right = min(c.x + S::TILE + S::REACH, p.in.width);
    return c;
}

template <class S, typename T>
__device__ void read_tile(vector<T> *tile, const pyramid &p, const corner &c)
{
    constexpr int TURNS = (S::SIDE + WARPS - 1) / WARPS;
    int warp = static_cast<int>(threadIdx.x) / 32, x = c.left + static_cast<int>(threadIdx.x) % 32;
    vector<T> values[TURNS];
    const T *from = static_cast<const T *>(p.in.data) + c.group * vector<T>::LANES;
#pragma unroll
    for (int k = 0; k < TURNS; k++) {
        int y = c.top + warp + k * WARPS;
        int64_t pixel = (static_cast<int64_t>(c.n) * p.in.height + y) * p.in.width + x;
        if (y < c.bottom && x < c.right) values[k] = vector_load(from + pixel * p.in.pitch);
    }
#pragma unroll
    for (int k = 0; k < TURNS; k++) {
        int y = warp + k * WARPS;
        if (c.top + y < c.bottom && x < c.right) tile[y * S::PITCH + x - c.left] = values[k];
    }
}

/// What RUN windows beside each other reach to: from `first` on, in steps of `step`, indices beyond
/// 0 to count-1 being the nearest.
template <int COUNT, typename T>
__device__ void read_run(vector<T> (&run)[COUNT], const vector<T> *from, int first, int step,
                         int count)
{
#pragma unroll
    for (int k = 0; k < COUNT; k++)
        run[k] = from[min(max(first + k, 0), count - 1) * step];
}

/// Largest of those at -reach to reach but not nearer than `inner`, and of `most`.
template <int INNER, int REACH, typename T>
__device__ vector<T> widen(vector<T> most, const vector<T> *centre)
{
#pragma unroll
    for (int k = INNER; k <= REACH; k++)
        most = vector_largest(vector_largest(most, centre[k]), centre[-k]);
    return most;
}

/// Part `PART` and those after it of one output along a row, `most` being the part's before.
template <class S, int PART, typename T>
__device__ void widen_parts(vector<T> *to, int pitch, vector<T> most, const vector<T> *centre)
{
    if constexpr (PART < S::PARTS) {
        most = widen<PART * S::RADIUS + 1, (PART + 1) * S::RADIUS>(most, centre);
        to[PART * pitch] = most;
        widen_parts<S, PART + 1>(to, pitch, most, centre);
    }
}

/// For each window the largest along a row: (part, rows, TILE). A lane has a row.
template <class S, typename T>
__device__ void along_rows(vector<T> *lines, const vector<T> *tile, const pyramid &p,
                           const corner &c)
{
    int row = static_cast<int>(threadIdx.x) % 32, rows = c.bottom - c.top;
    if (row >= rows) return;
    for (int k = static_cast<int>(threadIdx.x) / 32; k < S::RUNS; k += WARPS) {
        vector<T> run[S::RUN + 2 * S::REACH];
        int column = k * S::RUN;
        read_run(run, tile + row * S::PITCH, c.x + column - S::REACH - c.left, 1, c.right - c.left);
#pragma unroll
        for (int i = 0; i < S::RUN; i++)
            widen_parts<S, 0>(lines + row * S::LINE + column + i, p.rows * S::LINE,
                              run[S::REACH + i], run + S::REACH + i);
    }
}

/// RUN outputs of one part below each other.
template <class S, int PART, typename T>
__device__ void finish_run(const vector<T> *lines, const pyramid &p, const corner &c, int row,
                           int column)
{
    constexpr int REACH = (PART + 1) * S::RADIUS;
    const sac_map &out = p.out[PART];
    int y = c.y + row, x = c.x + column;
    if (x >= out.width || c.group * vector<T>::LANES >= out.channels) return;
    vector<T> run[S::RUN + 2 * REACH];
    read_run(run, lines + PART * p.rows * S::LINE + column, y - REACH - c.top, S::LINE,
             c.bottom - c.top);
    int64_t pixel = (static_cast<int64_t>(c.n) * out.height + y) * out.width + x;
    T *to = static_cast<T *>(out.data) + pixel * out.pitch + c.group * vector<T>::LANES;
#pragma unroll
    for (int i = 0; i < S::RUN; i++)
        if (y + i < out.height)
            vector_store(to + static_cast<int64_t>(i) * out.width * out.pitch,
                         widen<1, REACH>(run[REACH + i], run + REACH + i));
}

template <class S, int PART, typename T>
__device__ void finish_part(int part, const vector<T> *lines, const pyramid &p, const corner &c,
                            int row, int column)
{
    if (part == PART)
        finish_run<S, PART>(lines, p, c, row, column);
    else if constexpr (PART + 1 < S::PARTS)
        finish_part<S, PART + 1>(part, lines, p, c, row, column);
}

/// All lanes of a warp have the same part, so that all run the same code.
template <class S, typename T>
__device__ void along_columns(const vector<T> *lines, const pyramid &p, const corner &c)
{
    constexpr int ITEMS = S::RUNS * S::TILE, SHARE = (ITEMS + 31) / 32;
    int lane = static_cast<int>(threadIdx.x) % 32;
    for (int k = static_cast<int>(threadIdx.x) / 32; k < S::PARTS * SHARE; k += WARPS) {
        int item = k % SHARE * 32 + lane;
        if (item < ITEMS)
            finish_part<S, 0>(k / SHARE, lines, p, c, item / S::TILE * S::RUN, item % S::TILE);
    }
}

template <class S, typename T>
__global__ void __launch_bounds__(BLOCK, 2) pyramid_kernel(const __grid_constant__ pyramid p)
{
    SAC__SHARED(vector<T>, tile);
    sac__grid_release();
    vector<T> *lines = tile + p.rows * S::PITCH;
    corner c = corner_of<S>(p);
    sac__grid_wait();
    read_tile<S>(tile, p, c);
    __syncthreads();
    along_rows<S>(lines, tile, p, c);
    __syncthreads();
    along_columns<S>(lines, p, c);
}

template <class S, typename T> int launch_pyramid(pyramid p, cudaStream_t stream)
{
    p.tiles[0] = (p.in.height + S::TILE - 1) / S::TILE;
    p.tiles[1] = (p.in.width + S::TILE - 1) / S::TILE;
    p.rows = min(S::SIDE, p.in.height);
    int blocks = p.groups * p.tiles[0] * p.tiles[1] * p.in.n;
    size_t shared = static_cast<size_t>(p.rows * (S::PITCH + S::PARTS * S::LINE)) * 16;
    sac_launch how = {dim3(blocks), dim3(BLOCK), stream, shared, 0, true};
    return sac__launch("maxpools", how, pyramid_kernel<S, T>, p);
}

/// Small tiles where large ones would leave processors idle.
template <int PARTS, int RADIUS, typename T>
int launch_tiles(const pyramid &p, int processors, cudaStream_t stream)
{
    int64_t vectors = static_cast<int64_t>(p.in.height) * p.in.width * p.in.n * p.groups;
    return vectors < static_cast<int64_t>(20 * 20) * processors
               ? launch_pyramid<shape<10, 2, PARTS, RADIUS>, T>(p, stream)
               : launch_pyramid<shape<20, 4, PARTS, RADIUS>, T>(p, stream);
}

/// The pyramids that there are kernels for: SPPF's, and each of SPP's windows.
enum { NO_PYRAMID, SPPF, SPP5, SPP9, SPP13 };

template <typename T>
int launch_kind(int kind, const pyramid &p, int processors, cudaStream_t stream)
{
    switch (kind) {
    case SPPF:
        return launch_tiles<3, 2, T>(p, processors, stream);
    case SPP5:
        return launch_tiles<1, 2, T>(p, processors, stream);
    case SPP9:
        return launch_tiles<1, 4, T>(p, processors, stream);
    default:
        return launch_tiles<1, 6, T>(p, processors, stream);
    }
}

int kind_of(const sac_task *task)
{
    const sac_window &w = task->window;
    for (int a = 0; a < 2; a++)
        if (w.stride[a] != 1 || w.dilation[a] != 1 || w.kernel[a] != w.kernel[0] ||
            w.pad[a] != w.kernel[0] / 2)
            return NO_PYRAMID;
    if (task->out[0].height != task->in.height || task->out[0].width != task->in.width)
        return NO_PYRAMID;
    if (task->out_count == 3) return w.kernel[0] == 5 ? SPPF : NO_PYRAMID;
    if (task->out_count != 1) return NO_PYRAMID;
    return w.kernel[0] == 5    ? SPP5
           : w.kernel[0] == 9  ? SPP9
           : w.kernel[0] == 13 ? SPP13
                               : NO_PYRAMID;
}

} // namespace

bool sac__pool_runs(const struct sac_task *task)
{
    return kind_of(task) != NO_PYRAMID;
}

int sac__pool_runs_launch(const struct sac_task *task, cudaStream_t stream)
{
    pyramid p = {};
    int kind = kind_of(task);
    p.in = task->in;
    for (int k = 0; k < task->out_count; k++) { // only the last may end its buffer, and so be wider
        p.out[k] = task->out[k];
        p.groups = max(p.groups, task->out[k].channels / (task->half ? 8 : 4));
    }
    return task->half ? launch_kind<__half>(kind, p, task->processors, stream)
                      : launch_kind<float>(kind, p, task->processors, stream);
}
