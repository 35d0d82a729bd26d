// SPDX-License-Identifier: Apache-2.0
// The tiles of conv_mma.cu on the host: what each needs, when it can be used, what it should cost.
#include "conv_kernels.h"

enum {
    MAX_TAPS = 16,
    STEP_BYTES = SAC__CONV_STEP * 2,
    STAGING_PAD = 8,
    PROCESSOR_BYTES = 227 * 1024,
    PROCESSOR_THREADS = 512 ///< that the registers are enough for
};

struct tile {
    int rows, columns, warps_m, warps_n, warps_k, stages;
};

static const struct tile tiles[] = {
#define TILE(rows, columns, m, n, k, stages) {rows, columns, m, n, k, stages},
    SAC__CONV_MMA_TILES(TILE)
#undef TILE
};

static int is_cluster(const struct sac_conv_kernel *self)
{
    return self->variant & 1;
}

int sac__conv_mma_threads(const struct sac_conv_kernel *self)
{
    const struct tile *t = &tiles[self->variant / 2];
    return t->warps_m * t->warps_n * t->warps_k * 32;
}

int sac__conv_mma_shared(const struct sac_conv_kernel *self)
{
    const struct tile *t = &tiles[self->variant / 2];
    int stages = t->stages * (t->rows + t->columns) * STEP_BYTES;
    int sums = t->warps_k * t->rows * (t->columns + STAGING_PAD) * (int)sizeof(float);
    return (stages > sums ? stages : sums) + t->columns * (int)sizeof(float); // the biases
}

static int usable(const struct sac_conv_kernel *self, const struct sac_conv *conv,
                  const struct sac_conv_device *device, int split)
{
    int narrow = self->columns <= 32 || self->columns < 2 * conv->out_channels;
    if (conv->kernel[0] > MAX_TAPS || conv->kernel[1] > MAX_TAPS) return 0;
    if (split > sac__conv_steps(conv) || (split > 1 && split % 2)) return 0;
    if (is_cluster(self) && (split == 1 || split == 6 || device->capability < 90)) return 0;
    return narrow && device->capability >= 80 && sac__conv_mma_shared(self) <= device->shared &&
           sac__conv_addressable(conv);
}

static size_t workspace(const struct sac_conv_kernel *self, const struct sac_conv *conv, int split)
{
    if (split == 1 || is_cluster(self)) return 0;
    size_t tile_count = (size_t)sac__conv_tiles(self, conv);
    size_t counters = (tile_count * sizeof(unsigned) + SAC__ALIGN - 1) / SAC__ALIGN * SAC__ALIGN;
    return counters + tile_count * (size_t)(split * self->rows * self->columns) * sizeof(float);
}

/// A block's µs: what its steps need of the matrix units, of shared memory or of fetching,
/// whichever is slowest; blocks that share a processor share these. Weights of the first stages are
/// fetched while the layer before still runs. On top, per round of blocks, what cannot overlap. The
/// constants are an H200's at 1.7 GHz; only their ratios matter for the order.
static double cost(const struct sac_conv_kernel *self, const struct sac_conv *conv,
                   const struct sac_conv_device *device, int split)
{
    const double flop_us = 4.0e6, fetch_us = 55e3, shared_us = 200e3, latency = 1.3;
    const double out_us = 30e3, cluster_us = 0.6, memory_us = 2.0;
    const struct tile *t = &tiles[self->variant / 2];
    double area = (double)t->rows * t->columns, edge = t->rows + t->columns;
    double reads = (double)t->rows * t->warps_n + (double)t->columns * t->warps_m;
    int64_t blocks = sac__conv_tiles(self, conv) * split;
    int64_t most = (blocks + device->processors - 1) / device->processors;
    int resident = PROCESSOR_BYTES / (sac__conv_mma_shared(self) + 1024);
    if (resident > PROCESSOR_THREADS / sac__conv_mma_threads(self))
        resident = PROCESSOR_THREADS / sac__conv_mma_threads(self);
    int64_t rounds = (most + resident - 1) / resident;
    int steps = (sac__conv_steps(conv) + split - 1) / split;
    int early = rounds > 1 ? 0 : steps < t->stages ? steps : t->stages - 1;
    double flop = 2 * area * SAC__CONV_STEP * steps / flop_us;
    double fetch = (edge * steps - t->columns * early) * STEP_BYTES / fetch_us;
    double shared = (edge + reads) * STEP_BYTES * steps / shared_us;
    double work = flop > fetch ? flop : fetch;
    if (shared > work) work = shared;
    double finish = area * 2 / out_us / (is_cluster(self) ? split : 1);
    double extra = split == 1 ? 0 : is_cluster(self) ? cluster_us : memory_us + area * split / 2e5;
    return (double)rounds * latency + (double)most * (work + finish) + extra;
}

#define KERNEL(rows, columns, stages, cluster, text)                                               \
    {"mma " #rows "x" #columns "x" #stages text,                                                   \
     SAC__CONV_STEPS,                                                                              \
     rows,                                                                                         \
     columns,                                                                                      \
     SAC__CONV_GROUP,                                                                              \
     2 * TILE_##rows##x##columns##x##stages + cluster,                                             \
     0,                                                                                            \
     usable,                                                                                       \
     workspace,                                                                                    \
     cost,                                                                                         \
     sac__conv_mma_launch},

enum {
#define INDEX(rows, columns, m, n, k, stages) TILE_##rows##x##columns##x##stages,
    SAC__CONV_MMA_TILES(INDEX)
#undef INDEX
};

const struct sac_conv_kernel sac__conv_mma_kernels[] = {
#define PAIR(rows, columns, m, n, k, stages)                                                       \
    KERNEL(rows, columns, stages, 0, "") KERNEL(rows, columns, stages, 1, " cluster")
    SAC__CONV_MMA_TILES(PAIR)
#undef PAIR
        {.name = NULL}};
