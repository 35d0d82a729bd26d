// SPDX-License-Identifier: Apache-2.0
// A run in flight on a GPU: pictures up, letterbox, network, head and NMS, boxes down. The network
// is whatever the backend says.
#ifndef SAC_GPU_FRAME_H
#define SAC_GPU_FRAME_H

#include "gpu.h"
#include "ops/cuda/ops.h"

/// What a frame runs between letterbox and head, for it alone.
struct sac_gpu_network {
    void *run; ///< handed to the functions below
    /// Enqueues from `input` to maps or rows; may be captured, and waits for the stream's earlier
    /// work before it reads or writes. `device` is current.
    int (*enqueue)(void *run, cudaStream_t stream);
    void (*close)(void *run);
    struct sac__input input; ///< pad and scaled are set by the frame
    /// Where its answer lies: raw maps, or, where maps.level_count is 0, rows.
    struct sac__maps maps;
    struct sac__rows rows;
    int64_t rows_step; ///< elements from the rows of one picture to the next
    int64_t row_count; ///< rows a picture, in either form
    int overlap;       ///< nonzero: the head may be launched over its end (ops.h)
};

/// The functions of struct sac_backend. sac__frame_open takes network->run over, whatever happens.
/// A wait spins in SAC_MODE_LATENCY: waking a sleeping thread takes 10 to 50 µs, as much as head
/// and NMS do. In SAC_MODE_THROUGHPUT it sleeps.
int sac__frame_open(void **frame_out, int device, sac_mode mode,
                    const struct sac_frame_settings *settings,
                    const struct sac_gpu_network *network);
void sac__frame_close(void *frame);
int sac__frame_enqueue(void *frame, const struct sac_frame_input *input);
int sac__frame_done(void *frame);
int sac__frame_wait(void *frame, struct sac_frame_found *found_out, struct sac_frame_ms *ms_out);

#endif
