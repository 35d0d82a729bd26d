// SPDX-License-Identifier: Apache-2.0
// Memory: the host's own, one malloc each, so that the address sanitizer sees the ends. New device
// memory is 0xff (NaN) throughout. Copies check that both ends are where their kind says.
#include <cstdlib>
#include <cstring>
#include <map>

#include "runtime.h"

using namespace emulator;

struct Region {
    size_t bytes;
    cudaMemoryType type;
    int device;
    bool registered; // the caller's own memory
};

static std::map<uintptr_t, Region> regions;
static size_t used, allocations;

static uintptr_t address(const void *data)
{
    return reinterpret_cast<uintptr_t>(data);
}

static const Region *find_region(const void *data)
{
    auto after = regions.upper_bound(address(data));
    if (after == regions.begin()) return nullptr;
    --after;
    return address(data) < after->first + after->second.bytes ? &after->second : nullptr;
}

// Bytes from `data` to the end of its region.
static size_t room(const void *data)
{
    auto after = regions.upper_bound(address(data));
    --after;
    return after->first + after->second.bytes - address(data);
}

static cudaError_t allocate(void **data, size_t bytes, cudaMemoryType type)
{
    *data = nullptr;
    if (bytes == 0) return cudaSuccess;
    if (capturing()) return note(cudaErrorStreamCaptureUnsupported);
    if (++allocations == setting("SACCADE_EMULATOR_FAIL", 0))
        return note(cudaErrorMemoryAllocation);
    const size_t limit = setting("SACCADE_EMULATOR_MEMORY", static_cast<size_t>(4) << 30);
    if (type == cudaMemoryTypeDevice && (bytes > limit || used > limit - bytes))
        return note(cudaErrorMemoryAllocation);
    if (posix_memalign(data, 512, bytes) != 0) return note(cudaErrorMemoryAllocation);
    std::memset(*data, 0xff, bytes);
    regions[address(*data)] = {bytes, type, current_device(), false};
    if (type == cudaMemoryTypeDevice) used += bytes;
    return cudaSuccess;
}

static cudaError_t release(void *data, cudaMemoryType type)
{
    if (!data) return cudaSuccess;
    const auto region = regions.find(address(data));
    if (region == regions.end() || region->second.type != type || region->second.registered)
        return note(cudaErrorInvalidValue);
    drain(); // cudaFree waits for the device
    if (type == cudaMemoryTypeDevice) used -= region->second.bytes;
    regions.erase(region);
    std::free(data);
    return cudaSuccess;
}

size_t emulator_allocations(void)
{
    const std::lock_guard<std::recursive_mutex> lock(emulator::mutex);
    return allocations;
}

cudaError_t cudaMalloc(void **data, size_t bytes)
{
    EMULATED_CALL();
    return allocate(data, bytes, cudaMemoryTypeDevice);
}

cudaError_t cudaFree(void *data)
{
    EMULATED_CALL();
    return release(data, cudaMemoryTypeDevice);
}

cudaError_t cudaMallocAsync(void **data, size_t bytes, cudaStream_t)
{
    return cudaMalloc(data, bytes);
}

cudaError_t cudaFreeAsync(void *data, cudaStream_t)
{
    return cudaFree(data);
}

cudaError_t cudaHostAlloc(void **data, size_t bytes, unsigned)
{
    EMULATED_CALL();
    return allocate(data, bytes, cudaMemoryTypeHost);
}

cudaError_t cudaMallocHost(void **data, size_t bytes)
{
    return cudaHostAlloc(data, bytes, cudaHostAllocDefault);
}

cudaError_t cudaFreeHost(void *data)
{
    EMULATED_CALL();
    return release(data, cudaMemoryTypeHost);
}

cudaError_t cudaHostRegister(void *data, size_t bytes, unsigned)
{
    EMULATED_CALL();
    if (!data || !bytes) return note(cudaErrorInvalidValue);
    if (find_region(data)) return note(cudaErrorHostMemoryAlreadyRegistered);
    regions[address(data)] = {bytes, cudaMemoryTypeHost, current_device(), true};
    return cudaSuccess;
}

cudaError_t cudaHostUnregister(void *data)
{
    EMULATED_CALL();
    const auto region = regions.find(address(data));
    if (region == regions.end() || !region->second.registered)
        return note(cudaErrorHostMemoryNotRegistered);
    drain();
    regions.erase(region);
    return cudaSuccess;
}

cudaError_t cudaHostGetDevicePointer(void **device, void *host, unsigned)
{
    EMULATED_CALL();
    const Region *region = find_region(host);
    if (!region || region->type != cudaMemoryTypeHost) return note(cudaErrorInvalidValue);
    *device = host;
    return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *attributes, const void *data)
{
    EMULATED_CALL();
    const Region *region = find_region(data);
    *attributes = {cudaMemoryTypeUnregistered, -1, nullptr, nullptr};
    if (!region) return cudaSuccess;
    void *there = const_cast<void *>(data);
    *attributes = {region->type, region->device, there,
                   region->type == cudaMemoryTypeHost ? there : nullptr};
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *unused, size_t *total)
{
    EMULATED_CALL();
    *total = setting("SACCADE_EMULATOR_MEMORY", static_cast<size_t>(4) << 30);
    *unused = *total - used;
    return cudaSuccess;
}

// --- Copies ------------------------------------------------------------------------------------

// Is `data` on the side that the kind says, and the whole run of bytes within one allocation?
static bool fits(const void *data, size_t bytes, bool device)
{
    const Region *region = find_region(data);
    if (device && (!region || region->type != cudaMemoryTypeDevice)) return false;
    if (!device && region && region->type == cudaMemoryTypeDevice) return false;
    return !region || bytes <= room(data);
}

static bool is_device(const void *data)
{
    const Region *region = find_region(data);
    return region && region->type == cudaMemoryTypeDevice;
}

struct Plane {
    void *dst;
    size_t dst_pitch;
    const void *src;
    size_t src_pitch, width, height;
    void run() const
    {
        for (size_t y = 0; y < height; y++)
            std::memmove(static_cast<char *>(dst) + y * dst_pitch,
                         static_cast<const char *>(src) + y * src_pitch, width);
    }
};

static cudaError_t copy(const Plane &plane, cudaMemcpyKind kind, cudaStream_t stream, bool wait)
{
    EMULATED_CALL();
    if (plane.width == 0 || plane.height == 0) return cudaSuccess;
    if (plane.width > plane.dst_pitch || plane.width > plane.src_pitch)
        return note(cudaErrorInvalidValue);
    const bool to_device = kind == cudaMemcpyDefault
                               ? is_device(plane.dst)
                               : kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device = kind == cudaMemcpyDefault ? is_device(plane.src)
                                                       : kind == cudaMemcpyDeviceToHost ||
                                                             kind == cudaMemcpyDeviceToDevice;
    const size_t rows = plane.height - 1;
    if (!fits(plane.dst, rows * plane.dst_pitch + plane.width, to_device) ||
        !fits(plane.src, rows * plane.src_pitch + plane.width, from_device))
        return note(cudaErrorInvalidValue);
    if (wait && capturing()) return note(cudaErrorStreamCaptureUnsupported);
    const cudaError_t error = enqueue(stream, [plane] { plane.run(); });
    // A copy from or to pageable memory has read its source, or is done, when it returns.
    if (wait || !find_region(plane.src) || !find_region(plane.dst)) {
        if (!stream || !stream->capture) drain();
    }
    return error;
}

cudaError_t cudaMemcpy(void *dst, const void *src, size_t bytes, enum cudaMemcpyKind kind)
{
    return copy({dst, bytes, src, bytes, bytes, 1}, kind, nullptr, true);
}

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    EMULATED_CALL();
    return copy({dst, bytes, src, bytes, bytes, 1}, kind, stream, false);
}

cudaError_t cudaMemcpy2D(void *dst, size_t dst_pitch, const void *src, size_t src_pitch,
                         size_t width, size_t height, enum cudaMemcpyKind kind)
{
    return copy({dst, dst_pitch, src, src_pitch, width, height}, kind, nullptr, true);
}

cudaError_t cudaMemcpy2DAsync(void *dst, size_t dst_pitch, const void *src, size_t src_pitch,
                              size_t width, size_t height, enum cudaMemcpyKind kind,
                              cudaStream_t stream)
{
    return copy({dst, dst_pitch, src, src_pitch, width, height}, kind, stream, false);
}

cudaError_t cudaMemsetAsync(void *data, int value, size_t bytes, cudaStream_t stream)
{
    EMULATED_CALL();
    if (bytes == 0) return cudaSuccess;
    if (!find_region(data) || bytes > room(data)) return note(cudaErrorInvalidValue);
    return enqueue(stream, [=] { std::memset(data, value, bytes); });
}

cudaError_t cudaMemset(void *data, int value, size_t bytes)
{
    return cudaMemsetAsync(data, value, bytes, nullptr);
}
