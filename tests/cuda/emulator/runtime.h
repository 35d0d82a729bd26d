// SPDX-License-Identifier: Apache-2.0
// The played CUDA runtime: what its files share. Environment:
//   SACCADE_EMULATOR_GPU      compute capability ("9.0", the default; "8.0", …), "none" (no GPU) or
//                             "no-driver"
//   SACCADE_EMULATOR_GPUS     how many (1)
//   SACCADE_EMULATOR_MEMORY   bytes of device memory (4 GiB)
//   SACCADE_EMULATOR_FAIL     this allocation (1, 2, …; device or page-locked) and no other fails
//   SACCADE_EMULATOR_BREAK    a function of the runtime whose calls all fail: illegal address
//   SACCADE_EMULATOR_LATE     1: streams work only when somebody waits or asks
//   SACCADE_EMULATOR_OVERLAP  1: in graphs (and late streams) every second kernel that may start
//                             before the one before it ends does so
//   SACCADE_EMULATOR_ORDER    of threads: see scheduler.cpp
#ifndef EMULATOR_RUNTIME_H
#define EMULATOR_RUNTIME_H

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "cuda_runtime.h"

/// Something to do on a stream; `grid` where it is a kernel.
struct Work {
    std::function<void()> act;
    std::shared_ptr<emulator::Grid> grid;
    const CUstream_st *stream;
};

struct CUgraph_st {
    std::vector<Work> works; // in the order of capture, which respects every dependency
};

struct CUgraphExec_st {
    std::vector<Work> works;
};

struct CUstream_st {
    std::shared_ptr<CUgraph_st> capture; // while capturing
    bool origin = false;                 // here the capture began
    unsigned flags = 0;
    int device = 0;
    bool open = true;
};

struct CUevent_st {
    unsigned flags = 0;
    bool recorded = false, open = true;
    double seconds = 0;                // when it was reached
    unsigned long ticket = 0;          // of the work that reaches it
    std::weak_ptr<CUgraph_st> capture; // recorded in this capture
};

namespace emulator
{

/// Every call of the runtime holds it; kernels of all host threads run one after the other.
extern std::recursive_mutex mutex;

/// Remembers an error for cudaGetLastError and returns it.
cudaError_t note(cudaError_t error);

/// Whether calls of this function are to fail.
bool broken(const char *function);

/// cudaSuccess where there is a driver and a GPU.
cudaError_t available();
int current_device();
void set_current_device(int number);
int device_count();
bool hopper();

/// Does the work now, later (SACCADE_EMULATOR_LATE) or never (a capture notes it down).
cudaError_t enqueue(cudaStream_t stream, std::function<void()> act,
                    std::shared_ptr<emulator::Grid> grid = nullptr);
/// Does all that is enqueued.
void drain();
bool late_work_waits();

/// A call that is forbidden while a stream of this thread captures: allocation, synchronisation.
bool capturing();

size_t setting(const char *name, size_t otherwise);

} // namespace emulator

#define EMULATED_CALL()                                                                            \
    const std::lock_guard<std::recursive_mutex> emulated_lock(emulator::mutex);                    \
    if (const cudaError_t missing = emulator::available()) return emulator::note(missing);         \
    if (emulator::broken(__func__)) return emulator::note(cudaErrorIllegalAddress)
#endif
