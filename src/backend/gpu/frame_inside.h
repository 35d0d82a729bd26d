// SPDX-License-Identifier: Apache-2.0
// What a frame holds: opened and captured by frame_open.c, run by frame.c.
#ifndef SAC_GPU_FRAME_INSIDE_H
#define SAC_GPU_FRAME_INSIDE_H

#include "boxes.h"
#include "frame.h"
#include "upload.h"

/// Stages behind the upload, in order. Where they are timed, each has a graph of its own, since an
/// event between two kernels of one graph would keep the second from starting early.
enum { SAC__STAGES = 4 }; // letterbox, network, boxes, download

struct frame {
    int device;
    struct sac_frame_settings settings;
    struct sac_gpu_network network;
    cudaStream_t own;    ///< non-blocking
    cudaStream_t stream; ///< of the run in flight
    cudaEvent_t done;
    cudaEvent_t marks[SAC__STAGES + 2]; ///< before the upload, then after each stage; NULL: untimed
    cudaGraphExec_t graphs[SAC__STAGES];
    int graph_count;

    struct sac_gpu_boxes boxes; ///< the graph copies its batch block up and its result block down
    struct sac_gpu_picture *pictures; ///< settings.batch
    void *upload;                     ///< pictures that are copied; grows for larger ones
    size_t upload_bytes;

    size_t count; ///< pictures of the run in flight, or of the last one
    int in_flight;
};

#endif
