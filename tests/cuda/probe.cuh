// SPDX-License-Identifier: Apache-2.0
// What the files of probe_wgmma share: readings, values on both sides, waits that end.
#ifndef SAC_TESTS_PROBE_CUH
#define SAC_TESTS_PROBE_CUH

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/launch.cuh"
#include "cuda/ptx.cuh"

/// One assumption. `run` says "" where it holds, else what would explain what was seen; throws when
/// CUDA refuses.
struct probe_reading {
    std::string what;
    std::function<std::string()> run;
};

void probe_im2col_add(std::vector<probe_reading> &readings);
void probe_products_add(std::vector<probe_reading> &readings);
void probe_halo_add(std::vector<probe_reading> &readings);

inline void probe_cuda(cudaError_t status, const char *what)
{
    if (status) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
}

inline void probe_must(int error)
{
    if (error) throw std::runtime_error(sac_error_message());
}

/// An array on the device, of bytes 0xff where nothing else is said.
template <class T> struct probe_array {
    T *data = nullptr;
    size_t count;
    explicit probe_array(size_t n) : count(n)
    {
        probe_cuda(cudaMalloc(&data, n * sizeof(T)), "cudaMalloc");
        probe_cuda(cudaMemset(data, 0xff, n * sizeof(T)), "cudaMemset");
    }
    explicit probe_array(const std::vector<T> &from) : probe_array(from.size())
    {
        write(from);
    }
    probe_array(const probe_array &) = delete;
    ~probe_array()
    {
        (void)cudaFree(data);
    }
    void write(const std::vector<T> &from)
    {
        probe_cuda(cudaMemcpy(data, from.data(), count * sizeof(T), cudaMemcpyHostToDevice),
                   "upload");
    }
    std::vector<T> read() const
    {
        std::vector<T> to(count);
        probe_cuda(cudaDeviceSynchronize(), "kernel");
        probe_cuda(cudaMemcpy(to.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost),
                   "download");
        return to;
    }
};

/// Waits for a phase, but not for ever: false where the barrier is not told, as with a wrong count
/// of bytes or arrivals. By the clock and by looks: the clock goes on while another process has the
/// processor, and tools that watch every access hold threads up.
__device__ inline bool probe_told(uint32_t barrier, uint32_t parity)
{
    const long long start = clock64();
    for (int looks = 1; !sac__mbarrier_try_wait(barrier, parity); looks++)
        if (looks > 2000 && clock64() - start > 8000000000) return false; // 4 s
    return true;
}

#endif
