// SPDX-License-Identifier: Apache-2.0
#include "capture.h"

// Other threads may allocate and capture meanwhile: only this one's calls are watched.
static int record(cudaGraph_t *graph_out, const struct sac_gpu_work *work, cudaStream_t stream)
{
    *graph_out = NULL;
    int error = SAC__CUDA(cudaStreamBeginCapture, stream, cudaStreamCaptureModeThreadLocal);
    if (error) return error;
    error = work->enqueue(work->state, stream);
    // A capture must be ended, also one that failed; the first failure is the one to tell.
    const cudaError_t status = cudaStreamEndCapture(stream, graph_out);
    if (error) cudaGetLastError();
    return error ? error : sac__gpu_check(status, "cudaStreamEndCapture", 0);
}

int sac__gpu_capture(cudaGraphExec_t *exec_out, const struct sac_gpu_work *work,
                     cudaStream_t stream)
{
    cudaGraph_t graph = NULL;
    *exec_out = NULL;
    int error = work->enqueue(work->state, stream);
    if (!error) error = SAC__CUDA(cudaStreamSynchronize, stream);
    if (!error) error = record(&graph, work, stream);
    if (!error) error = SAC__CUDA(cudaGraphInstantiate, exec_out, graph, 0);
    if (graph) cudaGraphDestroy(graph);
    if (!error) error = SAC__CUDA(cudaGraphUpload, *exec_out, stream);
    return error ? error : SAC__CUDA(cudaStreamSynchronize, stream);
}
