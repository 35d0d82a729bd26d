// SPDX-License-Identifier: Apache-2.0
// The twin of a case on the device.
#include "conv_case.h"

#include <math.h>

#include "check/check.h"
#include "ops/math/half.h"

#define CUDA(call)                                                                                 \
    do {                                                                                           \
        cudaError_t status = call;                                                                 \
        CHECK(status == cudaSuccess, "%s", cudaGetErrorString(status));                            \
    } while (0)

static void *room(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    CHECK(memory, "out of memory");
    return memory;
}

static void *upload(const void *bytes, size_t size)
{
    void *device = NULL;
    CUDA(cudaMalloc(&device, size));
    CUDA(cudaMemcpy(device, bytes, size, cudaMemcpyHostToDevice));
    return device;
}

static void *upload_bias(const struct conv_case *c, const struct sac_layer *layer)
{
    return upload(c->plan.weights + layer->bias,
                  (size_t)sac__group_up(layer->out_channels) * sizeof(float));
}

static void upload_after(struct conv_twin *t, int index)
{
    struct sac_conv_after *after = &t->after[index];
    const struct sac_layer *layer = &t->of->after[index];
    size_t bytes = sac__conv_after_bytes(after);
    void *packed = room(bytes, 1);
    sac__conv_after_pack(packed, after, t->of->plan.weights + layer->weights);
    after->weights = t->after_weights[index] = upload(packed, bytes);
    after->bias = t->after_bias[index] = upload_bias(t->of, layer);
    free(packed);
}

struct twin_plan {
    struct sac_plan plan;
    struct sac_buffer buffers[CASE_BUFFERS];
};

/// The case's plan in an arena of the twin's elements.
static void plan_of_twin(struct twin_plan *to, const struct conv_case *c, int element_size)
{
    size_t size = (size_t)element_size;
    to->plan = c->plan;
    memcpy(to->buffers, c->buffers, sizeof to->buffers);
    for (int k = 0; k < to->plan.buffer_count; k++)
        to->buffers[k].offset = to->buffers[k].offset / sizeof(float) * size;
    to->plan.buffers = to->buffers;
    to->plan.element_size = size;
}

static void describe(const struct conv_case *c, const struct twin_plan *twin, void *arena,
                     struct sac_conv *conv_out, struct sac_conv_after *after)
{
    const struct sac_layer *const layers[] = {&c->layer, &c->after[0], &c->after[1]};
    sac__conv_describe_chain(conv_out, after, &twin->plan, layers, 1 + c->afters, arena);
}

void conv_case_describe(const struct conv_case *c, int element_size, struct sac_conv *conv_out,
                        struct sac_conv_after *after)
{
    static _Alignas(SAC__ALIGN) char arena[1];
    struct twin_plan twin;
    plan_of_twin(&twin, c, element_size);
    describe(c, &twin, arena, conv_out, after);
}

void conv_twin_open(struct conv_twin *t, const struct conv_case *c, int element_size)
{
    struct twin_plan twin;
    memset(t, 0, sizeof *t);
    t->of = c;
    t->element_size = element_size;
    plan_of_twin(&twin, t->of, t->element_size);
    CUDA(cudaMalloc(&t->arena, c->elements * (size_t)element_size));
    t->bias = upload_bias(c, &c->layer);
    describe(c, &twin, t->arena, &t->conv, t->after);
    for (int k = 0; k < c->afters; k++)
        upload_after(t, k);
    t->conv.bias = t->bias;
}

struct sac_conv conv_twin_after(struct conv_twin *t, int index)
{
    const struct sac_layer *layer = &t->of->after[index];
    struct twin_plan twin;
    struct sac_conv conv;
    plan_of_twin(&twin, t->of, t->element_size);
    sac__conv_describe(&conv, &twin.plan, layer, t->arena);
    if (!t->after_plain[index])
        t->after_plain[index] = upload(t->of->plan.weights + layer->weights,
                                       sac__conv_packed_bytes(&conv, SAC__CONV_PLAIN));
    conv.weights = t->after_plain[index];
    conv.bias = t->after_bias[index];
    return conv;
}

void conv_twin_close(struct conv_twin *t)
{
    CUDA(cudaFree(t->arena));
    CUDA(cudaFree(t->bias));
    for (int k = 0; k < CASE_AFTERS; k++) {
        CUDA(cudaFree(t->after_weights[k]));
        CUDA(cudaFree(t->after_plain[k]));
        CUDA(cudaFree(t->after_bias[k]));
    }
    CUDA(cudaFree(t->workspace));
    for (int k = 0; k < SAC__CONV_PACKINGS; k++)
        CUDA(cudaFree(t->weights[k]));
}

static void upload_weights(struct conv_twin *t, enum sac_conv_packing packing)
{
    if (!t->weights[packing]) {
        size_t bytes = sac__conv_packed_bytes(&t->conv, packing);
        void *packed = room(bytes, 1);
        sac__conv_pack(packed, &t->conv, packing, t->of->plan.weights + t->of->layer.weights);
        t->weights[packing] = upload(packed, bytes);
        free(packed);
    }
    t->conv.weights = t->weights[packing];
}

void conv_twin_reset(const struct conv_twin *t)
{
    size_t count = t->of->elements;
    void *bytes = room(count, (size_t)t->element_size);
    for (size_t i = 0; i < count; i++) {
        float x = t->of->role[i] ? NAN : t->of->arena[i];
        if (t->element_size == 2)
            ((uint16_t *)bytes)[i] = sac__float_half(x);
        else
            ((float *)bytes)[i] = x;
    }
    CUDA(cudaMemcpy(t->arena, bytes, count * (size_t)t->element_size, cudaMemcpyHostToDevice));
    free(bytes);
}

void conv_twin_ready(struct conv_twin *t, const struct sac_conv_choice *choice)
{
    size_t bytes = choice->kernel->workspace(choice->kernel, &t->conv, choice->split);
    if (bytes) { // a fresh one each: counters lie elsewhere with other tiles
        CUDA(cudaFree(t->workspace));
        CUDA(cudaMalloc(&t->workspace, bytes));
        CUDA(cudaMemset(t->workspace, 0, bytes));
    }
    t->conv.workspace = bytes ? t->workspace : NULL;
    upload_weights(t, choice->kernel->packing);
    conv_twin_reset(t);
}

float *conv_twin_read(const struct conv_twin *t)
{
    size_t count = t->of->elements;
    float *values = room(count, sizeof(float));
    if (t->element_size == 4) {
        CUDA(cudaMemcpy(values, t->arena, count * sizeof(float), cudaMemcpyDeviceToHost));
        return values;
    }
    uint16_t *halves = room(count, sizeof *halves);
    CUDA(cudaMemcpy(halves, t->arena, count * sizeof *halves, cudaMemcpyDeviceToHost));
    for (size_t i = 0; i < count; i++)
        values[i] = sac__half_float(halves[i]);
    free(halves);
    return values;
}

struct sac_conv_device conv_device(void)
{
    static struct sac_conv_device device = {90, 132, 227 * 1024};
#ifndef SAC_EMULATED
    static struct cudaDeviceProp properties; // asked for once: that takes milliseconds
    if (properties.major) return device;
    CUDA(cudaGetDeviceProperties(&properties, 0));
    device.capability = properties.major * 10 + properties.minor;
    device.processors = properties.multiProcessorCount;
    device.shared = (int)properties.sharedMemPerBlockOptin;
#endif
    return device;
}
