// SPDX-License-Identifier: Apache-2.0
// How long a launch takes in a chain of launches: repeated in a CUDA graph, so that the processor's
// own time per launch does not count, timed by events.
#include "internal.h"

#include <time.h>

double sac__timing_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct recorded {
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    cudaEvent_t start, stop;
};

static void forget(struct recorded *r)
{
    if (r->stop) cudaEventDestroy(r->stop);
    if (r->start) cudaEventDestroy(r->start);
    if (r->exec) cudaGraphExecDestroy(r->exec);
    if (r->graph) cudaGraphDestroy(r->graph);
}

static int record(struct recorded *r, const struct timing *timing)
{
    int launched = 0;
    // Thread-local: other threads may allocate meanwhile.
    int error = SAC__CUDA(cudaStreamBeginCapture, timing->stream, cudaStreamCaptureModeThreadLocal);
    if (error) return error;
    for (int k = 0; !launched && k < timing->repeat; k++)
        launched = timing->launch(timing->user, k, timing->stream);
    cudaError_t status = cudaStreamEndCapture(timing->stream, &r->graph);
    if (launched) {
        cudaGetLastError(); // the failed launch has spoilt the capture, too
        return launched;
    }
    error = sac__gpu_check(status, "cudaStreamEndCapture", 0);
    if (!error) error = SAC__CUDA(cudaGraphInstantiate, &r->exec, r->graph, 0);
    if (!error) error = SAC__CUDA(cudaEventCreate, &r->start);
    return error ? error : SAC__CUDA(cudaEventCreate, &r->stop);
}

static int play(const struct recorded *r, const struct timing *timing, double *us_out)
{
    float ms = 0;
    int error = SAC__CUDA(cudaEventRecord, r->start, timing->stream);
    if (!error) error = SAC__CUDA(cudaGraphLaunch, r->exec, timing->stream);
    if (!error) error = SAC__CUDA(cudaEventRecord, r->stop, timing->stream);
    if (!error) error = SAC__CUDA(cudaEventSynchronize, r->stop);
    if (!error) error = SAC__CUDA(cudaEventElapsedTime, &ms, r->start, r->stop);
    *us_out = 1000.0 * (double)ms / timing->repeat;
    return error;
}

/// Once by itself: the driver loads a kernel when it is first launched, which a capture may forbid,
/// and a kernel that fails is known before anything else is under way.
static int try_once(const struct timing *timing)
{
    int error = timing->launch(timing->user, 0, timing->stream);
    return error ? error : SAC__CUDA(cudaStreamSynchronize, timing->stream);
}

int sac__timing_run(const struct timing *timing, double *us_out)
{
    struct recorded r = {0};
    double us = 0;
    int error = try_once(timing);
    *us_out = 0;
    if (!error) error = record(&r, timing);
    for (int k = 0; !error && k <= timing->runs; k++) {
        error = play(&r, timing, &us);
        // The first run warms up, unless it is hopeless.
        if (k == 0 && !(timing->give_up > 0 && us > 4 * timing->give_up)) continue;
        if (*us_out <= 0 || us < *us_out) *us_out = us;
        if (timing->give_up > 0 && us > timing->give_up) break;
    }
    forget(&r);
    return error;
}
