// SPDX-License-Identifier: Apache-2.0
// Which GPUs there are, what they can do, and what is missing where there is none to use.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu.h"

static int fail_driver(void)
{
    int driver = 0;
    const int needed = CUDART_VERSION / 1000;
    if (cudaDriverGetVersion(&driver) != cudaSuccess) driver = 0;
    cudaGetLastError();
    if (!driver)
        return sac__fail(SAC_EDEVICE,
                         "no NVIDIA driver is loaded (libcuda.so.1): install one that "
                         "serves CUDA %d",
                         needed);
    return sac__fail(SAC_EDEVICE,
                     "the NVIDIA driver serves CUDA %d.%d, this build needs CUDA %d: "
                     "install a newer driver",
                     driver / 1000, driver % 1000 / 10, needed);
}

int sac__gpu_count(int *count_out)
{
    *count_out = 0;
    const cudaError_t status = cudaGetDeviceCount(count_out);
    if (status == cudaErrorInsufficientDriver) {
        cudaGetLastError();
        return fail_driver();
    }
    if (status == cudaErrorNoDevice || (status == cudaSuccess && *count_out == 0)) {
        cudaGetLastError();
        return sac__fail(SAC_EDEVICE, "the NVIDIA driver sees no GPU%s",
                         getenv("CUDA_VISIBLE_DEVICES") ? "; CUDA_VISIBLE_DEVICES is set" : "");
    }
    return sac__gpu_check(status, "cudaGetDeviceCount", 0);
}

static int fail_ordinal(const char *device, int count)
{
    if (count == 1)
        return sac__fail(SAC_EDEVICE, "device '%s': this machine has one GPU, cuda:0", device);
    return sac__fail(SAC_EDEVICE, "device '%s': this machine has %d GPUs, cuda:0 to cuda:%d",
                     device, count, count - 1);
}

int sac__gpu_ordinal(int *ordinal_out, const char *device)
{
    int count;
    *ordinal_out = 0;
    const int error = sac__gpu_count(&count);
    const char *colon = device ? strchr(device, ':') : NULL;
    if (error || !colon) return error;
    char *end;
    errno = 0;
    const long number = strtol(colon + 1, &end, 10);
    if (colon[1] < '0' || colon[1] > '9' || *end)
        return sac__fail(SAC_EINVAL, "device '%s': a number should follow the colon", device);
    if (errno || number >= count) return fail_ordinal(device, count);
    *ordinal_out = (int)number;
    return 0;
}

// Dense FLOP a clock and multiprocessor, fp16 with fp32 sums on the matrix units and fp32 on the
// others: NVIDIA's architecture white papers (A100, GA102, AD102, H100, B200, RTX Blackwell).
static const struct {
    int capability, fp16, fp32;
} rates[] = {{80, 2048, 128}, {86, 512, 256},   {87, 1024, 256},  {89, 512, 256},
             {90, 4096, 256}, {100, 8192, 256}, {103, 8192, 256}, {120, 512, 256}};

static int attribute(enum cudaDeviceAttr name, int ordinal)
{
    int value = 0;
    if (cudaDeviceGetAttribute(&value, name, ordinal) == cudaSuccess) return value;
    cudaGetLastError();
    return 0;
}

static void find_rates(struct sac_gpu_facts *facts, int ordinal)
{
    const double clocks = 1e3 * attribute(cudaDevAttrClockRate, ordinal) * facts->multiprocessors;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        if (rates[i].capability == 10 * facts->major + facts->minor) {
            facts->flop_rate[0] = clocks * rates[i].fp32;
            facts->flop_rate[1] = clocks * rates[i].fp16;
        }
    // Two transfers a clock, bits to bytes.
    facts->byte_rate = 1e3 * attribute(cudaDevAttrMemoryClockRate, ordinal) * 2 *
                       attribute(cudaDevAttrGlobalMemoryBusWidth, ordinal) / 8;
}

int sac__gpu_facts(struct sac_gpu_facts *facts_out, int ordinal)
{
    struct cudaDeviceProp properties;
    *facts_out = (struct sac_gpu_facts){0};
    int error = SAC__CUDA(cudaGetDeviceProperties, &properties, ordinal);
    if (!error) error = SAC__CUDA(cudaDriverGetVersion, &facts_out->driver);
    if (error) return error;
    snprintf(facts_out->name, sizeof facts_out->name, "%.127s", properties.name);
    facts_out->major = properties.major;
    facts_out->minor = properties.minor;
    facts_out->memory = properties.totalGlobalMem;
    facts_out->multiprocessors = properties.multiProcessorCount;
    find_rates(facts_out, ordinal);
    return 0;
}

// The driver's own version ("580.95.05"), "" where Linux does not tell.
static void driver_version(char *version, size_t size)
{
    char line[256] = "";
    FILE *file = fopen("/proc/driver/nvidia/version", "r");
    *version = 0;
    if (!file) return;
    if (fgets(line, sizeof line, file)) {
        for (char *rest, *word = strtok_r(line, " \t\n", &rest); word;
             word = strtok_r(NULL, " \t\n", &rest))
            if (word[0] >= '0' && word[0] <= '9' && strchr(word, '.') && !*version)
                snprintf(version, size, " %s", word);
    }
    fclose(file);
}

static void describe(sac_device *device, int ordinal, int least_major)
{
    struct sac_gpu_facts facts;
    char version[32];
    if (sac__gpu_facts(&facts, ordinal)) {
        snprintf(device->details, sizeof device->details, "its properties cannot be read");
        return;
    }
    snprintf(device->name, sizeof device->name, "%s", facts.name);
    if (facts.major < least_major) {
        snprintf(device->details, sizeof device->details,
                 "compute capability %d.%d; %d.0 or later is needed", facts.major, facts.minor,
                 least_major);
        return;
    }
    driver_version(version, sizeof version);
    device->available = 1;
    snprintf(device->details, sizeof device->details,
             "compute capability %d.%d, %.1f GiB, driver%s (CUDA %d.%d)", facts.major, facts.minor,
             (double)facts.memory / (1 << 30), version, facts.driver / 1000,
             facts.driver % 1000 / 10);
}

size_t sac__gpu_devices(sac_device *devices_out, size_t capacity, const char *backend,
                        int least_major)
{
    int count = 0;
    const int error = sac__gpu_count(&count);
    const size_t entries = error ? 1 : (size_t)count;
    for (size_t i = 0; i < entries && i < capacity; i++) {
        sac_device *device = &devices_out[i];
        *device = (sac_device){0};
        snprintf(device->backend, sizeof device->backend, "%s", backend);
        snprintf(device->device, sizeof device->device, error ? "cuda" : "cuda:%zu", i);
        if (error)
            snprintf(device->details, sizeof device->details, "%s", sac__gpu_message());
        else
            describe(device, (int)i, least_major);
    }
    return entries;
}
