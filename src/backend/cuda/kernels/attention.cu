// SPDX-License-Identifier: Apache-2.0
// Self-attention over all places of a feature map, softmax in float. Half with keys of 32 and
// values of 32 or 64 channels runs on tensor cores; all else, and the fp32 mode, a block a query.
//
// The tensor-core kernel: a warp holds 16 queries and walks over 32 keys at a time, keeping the
// largest logit, the sum and the mixed values of each query (online softmax, Milakov and
// Gimelshein 2018; tiling as in FlashAttention, Dao 2022). Where there are few queries, the warps
// of a block share the same ones and each walks over its part of the keys; the first adds them up.
//
// Fragments come straight from memory, 16 bytes a thread. The order of channels in a product does
// not matter, so a thread's own 8 channels stand for the places that mma.m16n8k16 gives it: with
// g = lane / 4 and t = lane % 4, key places 2t, 2t+1, 2t+8, 2t+9 of step s are channels 8t+4s …
// 8t+4s+3, and column g of value tile j is channel g·TILES+j. So queries, keys, values and results
// all move in whole vectors.
#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

#include "layers.h"
#include "vector.cuh"

#include <math.h>

namespace
{

enum { KEY = 32, ROWS = 16, KEYS = 32, WARPS = 4, BLOCK = 32 * WARPS };

struct attention {
    sac_map in, out;
    int heads, key, value, places, tiles;
    int split; ///< warps that share the same queries
    float scale;
    int sequences; ///< runs of places, of all pictures
};

/// A warp's part of the work.
struct slice {
    const __half *queries, *keys, *values; ///< of the head, at the sequence's first place
    int64_t first;                         ///< place of the sequence in the map
    int head, row, part;                   ///< row: first query
    int g, t;
};

__device__ slice slice_of(const attention &a)
{
    int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
    int block = static_cast<int>(blockIdx.x);
    slice s;
    s.head = block % a.heads;
    s.row = (block / a.heads % a.tiles * (WARPS / a.split) + warp / a.split) * ROWS;
    s.first = static_cast<int64_t>(block / a.heads / a.tiles) * a.places;
    s.part = warp % a.split;
    s.g = lane / 4;
    s.t = lane % 4;
    s.queries = static_cast<const __half *>(a.in.data) + s.first * a.in.pitch + s.head * KEY;
    s.keys = s.queries + a.heads * KEY;
    s.values = static_cast<const __half *>(a.in.data) + s.first * a.in.pitch + 2 * a.heads * KEY +
               s.head * a.value;
    return s;
}

/// Channels 8t to 8t+7 of a query or key; places beyond the last one give the last one's.
__device__ uint4 fragment(const attention &a, const slice &s, const __half *from, int place)
{
    int inside = place < a.places ? place : a.places - 1;
    return *reinterpret_cast<const uint4 *>(from + static_cast<int64_t>(inside) * a.in.pitch +
                                            8 * s.t);
}

/// What a thread knows of rows g and g+8; logits are in powers of two.
template <int TILES> struct mixture {
    float most[2], sum[2];
    float mixed[TILES][4];
};

template <int TILES> __device__ void clear(mixture<TILES> &m)
{
    for (int r = 0; r < 2; r++) {
        m.most[r] = -INFINITY;
        m.sum[r] = 0;
    }
#pragma unroll
    for (int j = 0; j < TILES; j++)
        for (int i = 0; i < 4; i++)
            m.mixed[j][i] = 0;
}

/// Logits of 32 keys: tile j holds keys 8j to 8j+7, -inf beyond the last place.
__device__ void find_logits(float logits[KEYS / 8][4], const attention &a, const slice &s,
                            const uint4 query[2], int first)
{
    const unsigned q[2][4] = {{query[0].x, query[1].x, query[0].y, query[1].y},
                              {query[0].z, query[1].z, query[0].w, query[1].w}};
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++) {
        uint4 key = fragment(a, s, s.keys, first + 8 * j + s.g);
        const unsigned k[2][2] = {{key.x, key.y}, {key.z, key.w}};
        for (int i = 0; i < 4; i++)
            logits[j][i] = 0;
        sac__mma_f16(logits[j], q[0], k[0]);
        sac__mma_f16(logits[j], q[1], k[1]);
        for (int i = 0; i < 4; i++) {
            int place = first + 8 * j + 2 * s.t + i % 2;
            logits[j][i] = place < a.places ? logits[j][i] * a.scale : -INFINITY;
        }
    }
}

/// Logits become weights; what was mixed before is scaled to the new largest logit.
template <int TILES> __device__ void rescale(mixture<TILES> &m, float logits[KEYS / 8][4])
{
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float most = m.most[r];
        for (int j = 0; j < KEYS / 8; j++)
            most = fmaxf(most, fmaxf(logits[j][2 * r], logits[j][2 * r + 1]));
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
        float shrink = exp2f(m.most[r] - most);
        m.most[r] = most;
        m.sum[r] *= shrink;
        for (int j = 0; j < KEYS / 8; j++)
            for (int i = 2 * r; i < 2 * r + 2; i++)
                m.sum[r] += logits[j][i] = exp2f(logits[j][i] - most);
        for (int j = 0; j < TILES; j++)
            for (int i = 2 * r; i < 2 * r + 2; i++)
                m.mixed[j][i] *= shrink;
    }
}

__device__ unsigned pack(float low, float high)
{
    __half2 pair = __floats2half2_rn(low, high);
    return *reinterpret_cast<unsigned *>(&pair);
}

/// TILES halves as words: channels g·TILES to g·TILES+TILES-1 of a value.
template <int TILES>
__device__ void read_value(unsigned (&words)[TILES / 2], const attention &a, const slice &s,
                           int place)
{
    int inside = place < a.places ? place : a.places - 1;
    const __half *from = s.values + static_cast<int64_t>(inside) * a.in.pitch + s.g * TILES;
    if constexpr (TILES == 8) {
        uint4 v = *reinterpret_cast<const uint4 *>(from);
        words[0] = v.x, words[1] = v.y, words[2] = v.z, words[3] = v.w;
    } else {
        uint2 v = *reinterpret_cast<const uint2 *>(from);
        words[0] = v.x, words[1] = v.y;
    }
}

/// Half `odd` of words a and b, side by side.
__device__ unsigned beside(unsigned a, unsigned b, int odd)
{
    return odd ? (a >> 16) | (b & 0xffff0000u) : (a & 0xffffu) | (b << 16);
}

/// mixed += weights·values for 16 keys, whose weights are in tiles `first` and first+1.
template <int TILES>
__device__ void mix(mixture<TILES> &m, const attention &a, const slice &s,
                    const float weights[2][4], int first)
{
    const unsigned left[4] = {
        pack(weights[0][0], weights[0][1]), pack(weights[0][2], weights[0][3]),
        pack(weights[1][0], weights[1][1]), pack(weights[1][2], weights[1][3])};
    unsigned v[4][TILES / 2];
#pragma unroll
    for (int k = 0; k < 4; k++)
        read_value<TILES>(v[k], a, s, first + 2 * s.t + k % 2 + k / 2 * 8);
#pragma unroll
    for (int j = 0; j < TILES; j++) {
        const unsigned right[2] = {beside(v[0][j / 2], v[1][j / 2], j % 2),
                                   beside(v[2][j / 2], v[3][j / 2], j % 2)};
        sac__mma_f16(m.mixed[j], left, right);
    }
}

/// Adds the other warps' parts to the first's: item by item through shared memory, (warp, item,
/// lane).
template <int TILES>
__device__ void join(mixture<TILES> &m, float *shared, const attention &a, const slice &s)
{
    enum { ITEMS = 4 + 4 * TILES };
    int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
    float *own = shared + warp * ITEMS * 32 + lane;
    for (int r = 0; r < 2; r++) {
        own[32 * r] = m.most[r];
        own[32 * (2 + r)] = m.sum[r];
    }
#pragma unroll
    for (int k = 0; k < 4 * TILES; k++)
        own[32 * (4 + k)] = m.mixed[k / 4][k % 4];
    __syncthreads();
    for (int other = 1; s.part == 0 && other < a.split; other++) {
        const float *from = own + other * ITEMS * 32;
        float grow[2], shrink[2];
        for (int r = 0; r < 2; r++) {
            float most = fmaxf(m.most[r], from[32 * r]);
            shrink[r] = exp2f(m.most[r] - most);
            grow[r] = exp2f(from[32 * r] - most);
            m.most[r] = most;
            m.sum[r] = m.sum[r] * shrink[r] + from[32 * (2 + r)] * grow[r];
        }
#pragma unroll
        for (int k = 0; k < 4 * TILES; k++)
            m.mixed[k / 4][k % 4] =
                m.mixed[k / 4][k % 4] * shrink[k % 4 / 2] + from[32 * (4 + k)] * grow[k % 4 / 2];
    }
}

/// A thread has channels 2t·TILES to 2t·TILES + 2·TILES-1 of rows g and g+8.
template <int TILES>
__device__ void write(const attention &a, const slice &s, const mixture<TILES> &m)
{
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float sum = m.sum[r];
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        int place = s.row + s.g + 8 * r;
        if (place >= a.places) continue;
        __half *to = static_cast<__half *>(a.out.data) + (s.first + place) * a.out.pitch +
                     s.head * a.value + 2 * s.t * TILES;
#pragma unroll
        for (int k = 0; k < 2 * TILES; k += 8) {
            vector<__half> v;
#pragma unroll
            for (int i = 0; i < 8; i++)
                v.lane[i] =
                    __float2half_rn(m.mixed[(k + i) % TILES][2 * r + (k + i) / TILES] / sum);
            vector_store(to + k, v);
        }
    }
}

/// VALUE = 8·TILES channels.
template <int TILES> __global__ void __launch_bounds__(BLOCK) tensor_kernel(const attention a)
{
    SAC__SHARED(float, shared);
    slice s = slice_of(a);
    mixture<TILES> m;
    clear(m);
    sac__grid_release();
    sac__grid_wait();
    const uint4 query[2] = {fragment(a, s, s.queries, s.row + s.g),
                            fragment(a, s, s.queries, s.row + s.g + 8)};
    for (int first = s.part * KEYS; first < a.places; first += a.split * KEYS) {
        float logits[KEYS / 8][4];
        find_logits(logits, a, s, query, first);
        rescale(m, logits);
        mix(m, a, s, logits, first);
        mix(m, a, s, logits + 2, first + 16);
    }
    if (a.split > 1) join(m, shared, a, s);
    if (s.part == 0) write(a, s, m);
}

/// Any type and sizes: a block a query, BLOCK keys at a time. Shared: the query, the mixed values,
/// and the logits of one turn.
template <typename T> struct query {
    const T *in, *values;
    int64_t pitch;
    float *own, *mixed, *logits;
};

template <typename T>
__device__ float logit(const attention &a, const query<T> &q, int head, int place)
{
    if (place >= a.places) return -INFINITY;
    const T *key = q.in + place * q.pitch + (a.heads + head) * a.key;
    float sums[4] = {}; // short sums keep more digits, and are under way at once
    for (int c = 0; c < a.key; c += 4)
#pragma unroll
        for (int i = 0; i < 4; i++)
            if (c + i < a.key) sums[i] += q.own[c + i] * static_cast<float>(key[c + i]);
    return (sums[0] + sums[1] + (sums[2] + sums[3])) * a.scale;
}

/// Adds the keys of one turn, `count` of them, whose logits are in shared memory.
template <typename T>
__device__ void add_turn(const attention &a, const query<T> &q, int first, int count, float *most,
                         float *sum)
{
    float now = *most, part = 0;
    for (int j = 0; j < count; j++)
        now = fmaxf(now, q.logits[j]);
    float shrink = expf(*most - now);
    for (int j = 0; j < count; j++)
        part += expf(q.logits[j] - now);
    for (int c = static_cast<int>(threadIdx.x); c < a.value; c += BLOCK) {
        float mixed = 0; // of this turn by itself: short sums keep more digits
        for (int j = 0; j < count; j++)
            mixed +=
                expf(q.logits[j] - now) * static_cast<float>(q.values[(first + j) * q.pitch + c]);
        q.mixed[c] = q.mixed[c] * shrink + mixed;
    }
    *most = now;
    *sum = *sum * shrink + part;
}

template <typename T> __global__ void __launch_bounds__(BLOCK) query_kernel(const attention a)
{
    SAC__SHARED(float, shared);
    int block = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
    int head = block % a.heads, place = block / a.heads % a.places;
    int64_t start = static_cast<int64_t>(block / a.heads / a.places) * a.places;
    query<T> q = {static_cast<const T *>(a.in.data) + start * a.in.pitch,
                  nullptr,
                  a.in.pitch,
                  shared,
                  shared + a.key,
                  shared + a.key + a.value};
    q.values = q.in + 2 * a.heads * a.key + head * a.value;
    float most = -INFINITY, sum = 0;
    sac__grid_release();
    sac__grid_wait();
    for (int c = thread; c < a.key; c += BLOCK)
        q.own[c] = static_cast<float>(q.in[place * q.pitch + head * a.key + c]);
    for (int c = thread; c < a.value; c += BLOCK)
        q.mixed[c] = 0;
    for (int first = 0; first < a.places; first += BLOCK) {
        __syncthreads();
        q.logits[thread] = logit(a, q, head, first + thread);
        __syncthreads();
        add_turn(a, q, first, min(BLOCK, a.places - first), &most, &sum);
    }
    T *to = static_cast<T *>(a.out.data) + (start + place) * a.out.pitch + head * a.value;
    for (int c = thread; c < a.value; c += BLOCK)
        to[c] = static_cast<T>(q.mixed[c] / sum);
}

attention describe(const sac_task *task)
{
    attention a = {
        task->in, task->out[0], task->heads, task->key, task->value, 0, 0, 1, task->scale, 0};
    a.places = task->in.height * task->in.width / task->areas;
    a.sequences = task->in.n * task->areas;
    return a;
}

bool on_tensor_cores(const sac_task *task)
{
    return task->half && task->key == KEY && (task->value == 32 || task->value == 64);
}

template <typename T> int launch_queries(const sac_task *task, cudaStream_t stream)
{
    attention a = describe(task);
    size_t shared = (static_cast<size_t>(a.key + a.value) + BLOCK) * sizeof(float);
    sac_launch how = {dim3(a.heads * a.places * a.sequences), dim3(BLOCK), stream, shared, 0, true};
    return sac__launch("attention", how, query_kernel<T>, a);
}

template <int TILES> int launch_tensor(const sac_task *task, cudaStream_t stream)
{
    attention a = describe(task);
    a.scale *= 1.44269504f; // log2(e): weights are powers of two
    int blocks = 0;
    for (a.split = 1; a.split <= WARPS; a.split *= 2) {
        int rows = ROWS * WARPS / a.split;
        a.tiles = (a.places + rows - 1) / rows;
        blocks = a.tiles * a.heads * a.sequences;
        if (blocks >= 2 * task->processors || a.split == WARPS) break;
    }
    size_t shared = a.split > 1 ? (4 + 4 * TILES) * BLOCK * sizeof(float) : 0;
    sac_launch how = {dim3(blocks), dim3(BLOCK), stream, shared, 0, true};
    return sac__launch("attention", how, tensor_kernel<TILES>, a);
}

} // namespace

int sac__attention_launch(const struct sac_task *task, cudaStream_t stream)
{
    if (on_tensor_cores(task))
        return task->value == 64 ? launch_tensor<8>(task, stream) : launch_tensor<4>(task, stream);
    return task->half ? launch_queries<__half>(task, stream) : launch_queries<float>(task, stream);
}
