// SPDX-License-Identifier: Apache-2.0
// Streams, events, capture and graphs. There is one queue for all streams: its order is an order
// that CUDA might have chosen. A handle that was closed is kept, so that its use is an error.
#include <chrono>

#include "runtime.h"

namespace emulator
{

static std::deque<Work> queue;
static unsigned long enqueued, done;
static CUstream_st null_stream;
static std::vector<std::unique_ptr<CUstream_st>> streams;
static std::vector<std::unique_ptr<CUevent_st>> events;
static thread_local unsigned captures; // that this thread began

static CUstream_st *resolve(cudaStream_t stream)
{
    if (stream == nullptr || stream == cudaStreamLegacy || stream == cudaStreamPerThread)
        return &null_stream;
    return stream;
}

bool capturing()
{
    return captures > 0;
}

bool late_work_waits()
{
    return !queue.empty();
}

// Does the first of these; with SACCADE_EMULATOR_OVERLAP also the second, if that is a kernel which
// may start before the first, another kernel, has ended. (Two of one kernel share static
// variables.) Returns how many are done.
static size_t execute(const Work *works, size_t count)
{
    const bool early = count > 1 && works[0].grid && works[1].grid && works[1].grid->overlap &&
                       works[0].stream == works[1].stream &&
                       works[0].grid->function != works[1].grid->function &&
                       setting("SACCADE_EMULATOR_OVERLAP", 0);
    if (early)
        run(*works[1].grid, works[0].grid.get());
    else
        works[0].act();
    return early ? 2 : 1;
}

// At every second time the pairs are others.
static void execute_all(const std::vector<Work> &works)
{
    static size_t times;
    size_t at = 0;
    if (times++ % 2 && !works.empty()) at = execute(works.data(), 1);
    while (at < works.size())
        at += execute(&works[at], works.size() - at);
}

void drain()
{
    while (!queue.empty()) {
        const std::vector<Work> works(queue.begin(), queue.end());
        queue.clear();
        execute_all(works);
        done += works.size();
    }
}

cudaError_t enqueue(cudaStream_t stream, std::function<void()> act, std::shared_ptr<Grid> grid)
{
    CUstream_st *at = resolve(stream);
    if (!at->open) return note(cudaErrorInvalidResourceHandle);
    Work work = {std::move(act), std::move(grid), at};
    if (at->capture) {
        at->capture->works.push_back(std::move(work));
        return cudaSuccess;
    }
    if (at == &null_stream && capturing()) return note(cudaErrorStreamCaptureUnsupported);
    enqueued++;
    queue.push_back(std::move(work));
    if (!setting("SACCADE_EMULATOR_LATE", 0)) drain();
    return cudaSuccess;
}

static double seconds()
{
    using namespace std::chrono;
    return duration<double>(steady_clock::now().time_since_epoch()).count();
}

} // namespace emulator

using namespace emulator;

// --- Streams -----------------------------------------------------------------------------------

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    EMULATED_CALL();
    streams.push_back(std::make_unique<CUstream_st>());
    *stream = streams.back().get();
    (*stream)->flags = flags;
    (*stream)->device = current_device();
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *stream)
{
    return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int)
{
    return cudaStreamCreateWithFlags(stream, flags);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest)
{
    EMULATED_CALL();
    *least = 0;
    *greatest = -5;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    EMULATED_CALL();
    if (!stream || !stream->open) return note(cudaErrorInvalidResourceHandle);
    stream->open = false;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    EMULATED_CALL();
    CUstream_st *at = resolve(stream);
    if (!at->open) return note(cudaErrorInvalidResourceHandle);
    if (at->capture) return note(cudaErrorStreamCaptureUnsupported);
    drain();
    return cudaSuccess;
}

// Not ready once, so that loops around it are tried.
cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    EMULATED_CALL();
    CUstream_st *at = resolve(stream);
    if (!at->open) return note(cudaErrorInvalidResourceHandle);
    if (at->capture) return note(cudaErrorStreamCaptureUnsupported);
    if (!late_work_waits()) return cudaSuccess;
    drain();
    return cudaErrorNotReady;
}

cudaError_t cudaStreamGetDevice(cudaStream_t stream, int *device)
{
    EMULATED_CALL();
    *device = resolve(stream)->device;
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned)
{
    EMULATED_CALL();
    if (!event || !event->open) return note(cudaErrorInvalidResourceHandle);
    CUstream_st *at = resolve(stream);
    if (const std::shared_ptr<CUgraph_st> capture = event->capture.lock()) {
        if (at->capture && at->capture != capture) return note(cudaErrorStreamCaptureInvalidated);
        at->capture = capture; // joins the capture, or comes back to it
    }
    return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *data)
{
    EMULATED_CALL();
    return enqueue(stream, [=] { function(data); });
}

// --- Events ------------------------------------------------------------------------------------

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    EMULATED_CALL();
    events.push_back(std::make_unique<CUevent_st>());
    *event = events.back().get();
    (*event)->flags = flags;
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    EMULATED_CALL();
    if (!event || !event->open) return note(cudaErrorInvalidResourceHandle);
    event->open = false;
    return cudaSuccess;
}

cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags)
{
    EMULATED_CALL();
    if (!event || !event->open) return note(cudaErrorInvalidResourceHandle);
    CUstream_st *at = resolve(stream);
    if (!at->open) return note(cudaErrorInvalidResourceHandle);
    const auto work = [event] {
        event->seconds = seconds();
        event->recorded = true;
    };
    if (at->capture && !(flags & cudaEventRecordExternal)) { // an order within the graph, no time
        event->capture = at->capture;
        return cudaSuccess;
    }
    event->capture.reset();
    if (at->capture) return enqueue(stream, work);
    event->recorded = true; // the wait drains the queue
    event->ticket = enqueued + 1;
    return enqueue(stream, work);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    EMULATED_CALL();
    return cudaEventRecordWithFlags(event, stream, cudaEventRecordDefault);
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    EMULATED_CALL();
    if (!event || !event->open) return note(cudaErrorInvalidResourceHandle);
    if (event->ticket <= done) return cudaSuccess;
    drain();
    return cudaErrorNotReady;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    EMULATED_CALL();
    if (!event || !event->open) return note(cudaErrorInvalidResourceHandle);
    if (event->capture.lock()) return note(cudaErrorStreamCaptureUnsupported);
    drain();
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end)
{
    EMULATED_CALL();
    for (const cudaEvent_t event : {start, end})
        if (!event || !event->open || !event->recorded || event->flags & cudaEventDisableTiming)
            return note(cudaErrorInvalidResourceHandle);
    if (start->ticket > done || end->ticket > done) return note(cudaErrorNotReady);
    *ms = static_cast<float>((end->seconds - start->seconds) * 1e3);
    return cudaSuccess;
}

// --- Graphs ------------------------------------------------------------------------------------

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode)
{
    EMULATED_CALL();
    CUstream_st *at = resolve(stream);
    if (at == &null_stream) return note(cudaErrorStreamCaptureUnsupported);
    if (!at->open || at->capture) return note(cudaErrorInvalidValue);
    at->capture = std::make_shared<CUgraph_st>();
    at->origin = true;
    captures++;
    return cudaSuccess;
}

// Streams that joined leave with the one where it began. (CUDA wants them joined back by an event;
// that is not checked.)
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    EMULATED_CALL();
    CUstream_st *at = resolve(stream);
    *graph = nullptr;
    if (!at->capture || !at->origin) return note(cudaErrorInvalidValue);
    const std::shared_ptr<CUgraph_st> capture = at->capture;
    for (const auto &other : streams)
        if (other->capture == capture) other->capture.reset();
    at->origin = false;
    captures--;
    *graph = new CUgraph_st(*capture);
    return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status)
{
    EMULATED_CALL();
    *status =
        resolve(stream)->capture ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    return cudaSuccess;
}

cudaError_t cudaThreadExchangeStreamCaptureMode(enum cudaStreamCaptureMode *)
{
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long)
{
    EMULATED_CALL();
    if (!graph) return note(cudaErrorInvalidValue);
    *exec = new CUgraphExec_st{graph->works};
    return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t)
{
    EMULATED_CALL();
    return exec ? cudaSuccess : note(cudaErrorInvalidValue);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    EMULATED_CALL();
    if (!exec) return note(cudaErrorInvalidValue);
    return enqueue(stream, [exec] { execute_all(exec->works); });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    EMULATED_CALL();
    drain();
    delete exec;
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    EMULATED_CALL();
    delete graph;
    return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count)
{
    EMULATED_CALL();
    if (nodes) return note(cudaErrorNotSupported);
    *count = graph->works.size();
    return cudaSuccess;
}
