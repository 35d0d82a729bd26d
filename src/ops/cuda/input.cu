// SPDX-License-Identifier: Apache-2.0
// An input of the caller's own, (N,3,H,W), into the network's layout: a thread a unit (store.cuh).
// Bound by memory: every value is read once and written once.
#include "cuda/launch.cuh"
#include "store.cuh"

namespace {

enum { THREADS = 128 };

SAC__DEVICE float value_of(float value)
{
    return value;
}
SAC__DEVICE float value_of(uint16_t half)
{
    return sac__half_float(half);
}
SAC__DEVICE float value_of(uint8_t byte)
{
    return (float)byte;
}

template <int LAYOUT, class T, class From>
__global__ void __launch_bounds__(THREADS)
    convert(const __grid_constant__ sac__input input, const From *values)
{
    using units = sac__units<LAYOUT>;
    const int unit = blockIdx.x * THREADS + threadIdx.x, line = blockIdx.y, n = blockIdx.z;
    const int x = units::x(unit), y = units::y(line, unit);
    sac__grid_wait();
    sac__grid_release();
    if (x >= input.width) return;
    const size_t plane = (size_t)input.height * input.width;
    const From *from = values + 3 * n * plane + (size_t)y * input.width + x;
    float pixels[units::pixels][3];
#pragma unroll
    for (int c = 0; c < 3; c++)
#pragma unroll
        for (int k = 0; k < units::pixels; k++)
            pixels[k][c] = x + k < input.width ? value_of(from[c * plane + k]) : 0.f;
    sac__store_unit<LAYOUT>(input, sac__unit_place<LAYOUT, T>(input, n, line, unit), unit, pixels);
}

using launcher = int(const sac__input &, const void *, cudaStream_t, bool);

template <int LAYOUT, class T, class From>
int launch(const sac__input &input, const void *values, cudaStream_t stream, bool overlap)
{
    using units = sac__units<LAYOUT>;
    const unsigned across = (units::line_units(input.width) + THREADS - 1) / THREADS;
    const sac_launch how = {
        dim3(across, input.height / units::rows, input.n), dim3(THREADS), stream, 0, 0, overlap};
    return sac__launch("input", how, convert<LAYOUT, T, From>, input, (const From *)values);
}

template <int LAYOUT, class T> launcher *from_type(sac_dtype dtype)
{
    switch (dtype) {
    case SAC_F32: return launch<LAYOUT, T, float>;
    case SAC_F16: return launch<LAYOUT, T, uint16_t>;
    case SAC_U8: return launch<LAYOUT, T, uint8_t>;
    default: return nullptr;
    }
}

template <int LAYOUT> launcher *to_type(const sac__input &input, sac_dtype dtype)
{
    switch (input.dtype) {
    case SAC_F32: return from_type<LAYOUT, float>(dtype);
    case SAC_F16: return from_type<LAYOUT, uint16_t>(dtype);
    default: return nullptr;
    }
}

} // namespace

extern "C" int sac__input_cuda(const struct sac__input *input_out, const void *values,
                               sac_dtype dtype, cudaStream_t stream, int overlap)
{
    const sac__input &input = *input_out;
    launcher *chosen = to_type<SAC__INPUT_NCHW>(input, dtype);
    if (input.layout == SAC__INPUT_NHWC) chosen = to_type<SAC__INPUT_NHWC>(input, dtype);
    if (input.layout == SAC__INPUT_FOLDED) chosen = to_type<SAC__INPUT_FOLDED>(input, dtype);
    if (!chosen)
        return sac__fail(SAC_EUNSUPPORTED, "an input of type %d from values of type %d",
                         (int)input.dtype, (int)dtype);
    return chosen(input, values, stream, overlap);
}
