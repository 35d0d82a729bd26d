// SPDX-License-Identifier: Apache-2.0
// Opens, runs and closes a program. An arena is the plan's own, and behind it the workspace of each
// convolution that wants some.
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "ops/math/half.h"

static size_t up(size_t bytes)
{
    return (bytes + SAC__ALIGN - 1) / SAC__ALIGN * SAC__ALIGN;
}

static const struct sac_layer *layer_of(const struct sac_program *program, int index)
{
    return &program->plan->layers[index];
}

int sac__unit_describe(const struct sac_plan *plan, const struct unit *unit, void *arena,
                       struct sac_conv *convs, struct sac_conv_after *after)
{
    const struct sac_layer *layers = plan->layers;
    if (unit->chain) {
        const struct sac_layer *chain[SAC__AFTER + 1];
        for (int k = 0; k < unit->count; k++)
            chain[k] = &layers[unit->layers[k]];
        sac__conv_describe_chain(convs, after, plan, chain, unit->count, arena);
        return 1;
    }
    for (int k = 0; k < unit->count; k++)
        sac__conv_describe(&convs[k], plan, &layers[unit->layers[k]], arena);
    return unit->count;
}

/// With addresses.
static int describe(const struct sac_program *program, const struct unit *unit, void *arena,
                    struct sac_conv *convs, struct sac_conv_after *after)
{
    const int count = sac__unit_describe(program->plan, unit, arena, convs, after);
    for (int k = 0; k < unit->count; k++) {
        const struct bound *bound = &program->bound[unit->layers[k]];
        const void *weights = program->weights + bound->weights;
        const float *bias = (const float *)(const void *)(program->weights + bound->bias);
        if (k >= count) {
            after[k - count].weights = weights;
            after[k - count].bias = bias;
            continue;
        }
        convs[k].weights = weights;
        convs[k].bias = bias;
        convs[k].workspace = (char *)arena + bound->workspace;
    }
    return count;
}

static int launch_task(const struct sac_program *program, int index, void *arena,
                       cudaStream_t stream)
{
    struct sac_task task;
    sac__task_describe(&task, program->plan, layer_of(program, index), arena);
    task.processors = program->facts.processors;
    task.weights = program->weights + program->bound[index].weights;
    task.bias = (const float *)(const void *)(program->weights + program->bound[index].bias);
    return sac__task_launch(&task, stream);
}

int sac__unit_launch(const struct sac_program *program, const struct unit *unit, void *arena,
                     cudaStream_t stream)
{
    struct sac_conv convs[SAC__CONV_GROUP];
    struct sac_conv_after after[SAC__AFTER];
    const struct sac_conv_kernel *kernel = unit->choice.kernel;
    const struct sac_conv_launch how = {unit->choice.split, 1, stream};
    if (!kernel) return launch_task(program, unit->layers[0], arena, stream);
    return kernel->launch(kernel, convs, describe(program, unit, arena, convs, after), &how);
}

int sac__program_enqueue(const struct sac_program *program, void *arena, cudaStream_t stream)
{
    for (int k = 0; k < program->unit_count; k++) {
        int error = sac__unit_launch(program, &program->units[k], arena, stream);
        if (error) return error;
    }
    return 0;
}

static size_t pack_depthwise(const struct sac_program *program, const struct sac_layer *layer,
                             void *packed)
{
    const float *weights = program->plan->weights + layer->weights;
    const size_t count = layer->bias - layer->weights;
    if (packed && program->plan->element_size == sizeof(float))
        memcpy(packed, weights, count * sizeof *weights);
    else if (packed)
        for (size_t i = 0; i < count; i++)
            ((uint16_t *)packed)[i] = sac__float_half(weights[i]);
    return count * program->plan->element_size;
}

/// Bytes of the weights of layer k of a unit as its kernel wants them; 0: it has none. They are
/// packed where `packed` is not NULL.
static size_t pack(const struct sac_program *program, const struct unit *unit, int k, void *packed)
{
    const struct sac_layer *layer = layer_of(program, unit->layers[k]);
    const float *weights = program->plan->weights + layer->weights;
    const struct sac_conv_kernel *kernel = unit->choice.kernel;
    struct sac_conv convs[SAC__CONV_GROUP];
    struct sac_conv_after after[SAC__AFTER];
    if (layer->kind == SAC__LAYER_DEPTHWISE) return pack_depthwise(program, layer, packed);
    if (!kernel) return 0;
    const int count = sac__unit_describe(program->plan, unit, SAC__NO_ARENA, convs, after);
    if (k >= count) {
        if (packed) sac__conv_after_pack(packed, &after[k - count], weights);
        return sac__conv_after_bytes(&after[k - count]);
    }
    if (packed) sac__conv_pack(packed, &convs[k], kernel->packing, weights);
    return sac__conv_packed_bytes(&convs[k], kernel->packing);
}

static size_t bias_bytes(const struct sac_layer *layer)
{
    return (size_t)sac__group_up(layer->out_channels) * sizeof(float);
}

/// Finds a place for all that a unit's layers own, on the device and in arenas.
static void place(struct sac_program *program, const struct unit *unit)
{
    const struct sac_conv_kernel *kernel = unit->choice.kernel;
    struct sac_conv convs[SAC__CONV_GROUP];
    struct sac_conv_after after[SAC__AFTER];
    for (int k = 0; k < unit->count; k++) {
        struct bound *bound = &program->bound[unit->layers[k]];
        size_t bytes = pack(program, unit, k, NULL);
        if (!bytes) continue;
        bound->weights = program->weight_bytes;
        bound->bias = bound->weights + up(bytes);
        program->weight_bytes = bound->bias + up(bias_bytes(layer_of(program, unit->layers[k])));
    }
    if (!kernel) return;
    int count = sac__unit_describe(program->plan, unit, SAC__NO_ARENA, convs, after);
    for (int k = 0; k < count; k++) {
        program->bound[unit->layers[k]].workspace = program->arena_bytes;
        program->arena_bytes += up(kernel->workspace(kernel, &convs[k], unit->choice.split));
    }
}

static void place_all(struct sac_program *program)
{
    program->arena_bytes = up(program->plan->arena_bytes);
    for (int k = 0; k < program->unit_count; k++)
        place(program, &program->units[k]);
}

static void pack_unit(const struct sac_program *program, const struct unit *unit, char *host)
{
    for (int k = 0; k < unit->count; k++) {
        const struct sac_layer *layer = layer_of(program, unit->layers[k]);
        const struct bound *bound = &program->bound[unit->layers[k]];
        if (pack(program, unit, k, host + bound->weights))
            memcpy(host + bound->bias, program->plan->weights + layer->bias, bias_bytes(layer));
    }
}

static int upload(struct sac_program *program)
{
    size_t bytes = program->weight_bytes ? program->weight_bytes : 1;
    cudaStream_t stream = NULL;
    char *host = calloc(1, bytes);
    if (!host) return sac__fail(SAC_ENOMEM, "out of memory for packed weights");
    for (int k = 0; k < program->unit_count; k++)
        pack_unit(program, &program->units[k], host);
    int error = sac__gpu_check(cudaMalloc((void **)&program->weights, bytes), "cudaMalloc", bytes);
    // A stream of its own: the default one would wait for, and hold up, what others do.
    if (!error) error = SAC__CUDA(cudaStreamCreateWithFlags, &stream, cudaStreamNonBlocking);
    if (!error)
        error = SAC__CUDA(cudaMemcpyAsync, program->weights, host, bytes, cudaMemcpyHostToDevice,
                          stream);
    if (!error) error = SAC__CUDA(cudaStreamSynchronize, stream);
    if (stream) cudaStreamDestroy(stream);
    free(host);
    return error;
}

static int read_device(struct sac_program *program)
{
    int major = 0, minor = 0, device = program->device;
    int error =
        SAC__CUDA(cudaDeviceGetAttribute, &major, cudaDevAttrComputeCapabilityMajor, device);
    if (!error)
        error =
            SAC__CUDA(cudaDeviceGetAttribute, &minor, cudaDevAttrComputeCapabilityMinor, device);
    if (!error)
        error = SAC__CUDA(cudaDeviceGetAttribute, &program->facts.processors,
                          cudaDevAttrMultiProcessorCount, device);
    if (!error)
        error = SAC__CUDA(cudaDeviceGetAttribute, &program->facts.shared,
                          cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
    program->facts.capability = 10 * major + minor;
    return error;
}

/// What a layer takes at least, in FLOP: an H200 does 184 of them in the time of a byte.
static double work_of(const struct sac_layer *layer)
{
    const double byte = 184;
    return layer->flop > layer->bytes * byte ? layer->flop : layer->bytes * byte;
}

double sac__unit_share(const struct sac_program *program, const struct unit *unit, int k)
{
    double sum = 0;
    for (int i = 0; i < unit->count; i++)
        sum += work_of(layer_of(program, unit->layers[i]));
    return sum > 0 ? work_of(layer_of(program, unit->layers[k])) / sum : 1.0 / unit->count;
}

static void report_unit(struct sac_program *program, const struct unit *unit)
{
    const struct sac_conv_kernel *kernel = unit->choice.kernel;
    for (int k = 0; k < unit->count; k++) {
        struct sac_task task;
        sac__task_describe(&task, program->plan, layer_of(program, unit->layers[k]), NULL);
        program->layers[unit->layers[k]] =
            (struct sac_program_layer){.kernel = kernel ? kernel->name : sac__task_kernel(&task),
                                       .split = kernel ? unit->choice.split : 1,
                                       .launch = (int)(unit - program->units),
                                       .us = unit->us * sac__unit_share(program, unit, k)};
    }
}

int sac__program_lay(struct sac_program *program)
{
    int error = sac__plan_settle(program->plan);
    if (error) return error;
    if (program->weights) cudaFree(program->weights);
    program->weights = NULL;
    program->weight_bytes = 0;
    place_all(program);
    return upload(program);
}

/// Kernels are chosen, weights uploaded, and then, where something was measured, tried as a whole.
static int make_ready(struct sac_program *program, const struct sac_program_options *options)
{
    struct knowledge known = {.count = 0};
    sac__known_load(&known, program, options);
    int error = sac__program_choose(program, options, &known);
    if (!error) error = sac__program_lay(program);
    if (!error && known.fresh) {
        error = sac__program_refine(program, options, &known);
        if (!error) sac__known_store(&known, program, options);
    }
    if (!error) sac__plan_count(program->plan);
    for (int k = 0; !error && k < program->unit_count; k++)
        report_unit(program, &program->units[k]);
    sac__known_free(&known);
    return error;
}

static int build(struct sac_program *program, const struct sac_program_options *options)
{
    size_t count = (size_t)program->plan->layer_count + 1;
    program->units = calloc(count, sizeof *program->units);
    program->bound = calloc(count, sizeof *program->bound);
    program->layers = calloc(count, sizeof *program->layers);
    if (!program->units || !program->bound || !program->layers)
        return sac__fail(SAC_ENOMEM, "out of memory for a program");
    int error = read_device(program);
    return error ? error : make_ready(program, options);
}

int sac__program_open(struct sac_program **program_out, struct sac_plan *plan,
                      const struct sac_program_options *options)
{
    struct sac_program *program = calloc(1, sizeof *program);
    *program_out = NULL;
    if (!program) return sac__fail(SAC_ENOMEM, "out of memory for a program");
    program->plan = plan;
    program->device = options->device;
    int error = build(program, options);
    if (error) sac__program_close(&program);
    *program_out = program;
    return error;
}

void sac__program_close(struct sac_program **program)
{
    struct sac_program *p = *program;
    if (!p) return;
    if (p->weights) cudaFree(p->weights);
    free(p->units);
    free(p->bound);
    free(p->layers);
    free(p);
    *program = NULL;
}

size_t sac__program_arena_bytes(const struct sac_program *program)
{
    return program->arena_bytes;
}

int sac__program_arena_init(const struct sac_program *program, void *arena, cudaStream_t stream)
{
    size_t own = up(program->plan->arena_bytes);
    if (program->arena_bytes == own) return 0;
    return SAC__CUDA(cudaMemsetAsync, (char *)arena + own, 0, program->arena_bytes - own, stream);
}

const struct sac_program_layer *sac__program_layers(const struct sac_program *program)
{
    return program->layers;
}

size_t sac__program_bytes(const struct sac_program *program)
{
    return program->weight_bytes;
}
