// SPDX-License-Identifier: Apache-2.0
// What the tuner found, in memory and on disk. The file is text, a line a group of convolutions:
//     KEY|KERNEL|SPLIT|MICROSECONDS
// and for a chain that the whole network said something on, one more: |together or |apart.
// A kernel that this version does not have makes its line void.
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cache.h"

static const uint64_t default_limit = (uint64_t)1 << 30;
static const char *const verdicts[] = {"|apart", "", "|together"};

const struct known *sac__known_find(const struct knowledge *knowledge, const char *key)
{
    for (int k = 0; k < knowledge->count; k++)
        if (!strcmp(knowledge->at[k].key, key)) return &knowledge->at[k];
    return NULL;
}

int sac__known_add(struct knowledge *knowledge, const char *key, struct sac_conv_choice choice,
                   double us)
{
    if (knowledge->count == knowledge->capacity) {
        int capacity = 2 * knowledge->capacity + 16;
        struct known *grown = realloc(knowledge->at, (size_t)capacity * sizeof *grown);
        if (!grown) return sac__fail(SAC_ENOMEM, "out of memory for the tuner's results");
        knowledge->at = grown;
        knowledge->capacity = capacity;
    }
    struct known *entry = &knowledge->at[knowledge->count];
    *entry = (struct known){.key = strdup(key), .choice = choice, .us = us};
    if (!entry->key) return sac__fail(SAC_ENOMEM, "out of memory for the tuner's results");
    knowledge->count++;
    return 0;
}

void sac__known_free(struct knowledge *knowledge)
{
    for (int k = 0; k < knowledge->count; k++)
        free(knowledge->at[k].key);
    free(knowledge->at);
    *knowledge = (struct knowledge){0};
}

static void add_text(char *text, size_t size, const char *format, ...)
{
    size_t length = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, size - length, format, arguments);
    va_end(arguments);
}

/// All that the choices depend on: model, shape, precision, GPU, driver, version, kernels.
static int write_key(char *key, size_t size, const struct sac_program *program,
                     const struct sac_program_options *options)
{
    struct cudaDeviceProp gpu;
    const struct sac_conv_kernel *kernel;
    const int64_t *shape = program->plan->input_shape;
    int driver = 0, runtime = 0;
    uint64_t names = 1469598103934665603u; // FNV-1a
    if (cudaGetDeviceProperties(&gpu, program->device) || cudaDriverGetVersion(&driver) ||
        cudaRuntimeGetVersion(&runtime)) {
        cudaGetLastError();
        return 0;
    }
    for (int k = 0; (kernel = sac__conv_kernel_at(k)); k++)
        for (const char *c = kernel->name; *c; c++)
            names = (names ^ (uint8_t)*c) * 1099511628211u;
    *key = 0;
    add_text(key, size, "plan 1\nmodel %s\nversion %s\n", options->model_hash,
             options->version ? options->version : "");
    add_text(key, size, "shape %lldx%lldx%lldx%lld of %zu bytes\n", (long long)shape[0],
             (long long)shape[1], (long long)shape[2], (long long)shape[3],
             program->plan->element_size);
    add_text(key, size, "gpu %s %d.%d, %d processors\ndriver %d, runtime %d\nkernels %016llx\n",
             gpu.name, gpu.major, gpu.minor, gpu.multiProcessorCount, driver, runtime,
             (unsigned long long)names);
    return 1;
}

/// Opens the folder; zero where nothing is kept.
static int open_cache(struct sac_cache *cache, const struct sac_program *program,
                      const struct sac_program_options *options)
{
    *cache =
        (struct sac_cache){.backend = "cuda",
                           .title = "plan cache",
                           .limit = options->cache_limit ? options->cache_limit : default_limit,
                           .log = options->log,
                           .log_user = options->log_user};
    if (!options->model_hash || !write_key(cache->key, sizeof cache->key, program, options))
        return 0;
    sac__cache_open(cache, options->cache_dir);
    sac__cache_select(cache);
    return cache->folder >= 0;
}

static const struct sac_conv_kernel *kernel_named(const char *name)
{
    const struct sac_conv_kernel *kernel;
    for (int k = 0; (kernel = sac__conv_kernel_at(k)); k++)
        if (!strcmp(kernel->name, name)) return kernel;
    return NULL;
}

/// Cuts `*rest` at the next `end`; NULL when there is none.
static char *cut(char **rest, char end)
{
    char *start = *rest, *at = strchr(start, end);
    if (!at) return NULL;
    *at = 0;
    *rest = at + 1;
    return start;
}

/// Zero when a line makes no sense, which a file whose checksum is right should not have.
static int read_line(struct knowledge *knowledge, char *line)
{
    char *key = cut(&line, '|'), *name = key ? cut(&line, '|') : NULL;
    char *split = name ? cut(&line, '|') : NULL;
    struct sac_conv_choice choice = {0};
    if (!split) return 0;
    choice.kernel = kernel_named(name);
    choice.split = atoi(split);
    double us = strtod(line, &line);
    if (!choice.kernel || choice.split < 1 || choice.split > SAC__CONV_SPLIT || !(us > 0)) return 0;
    if (sac__known_add(knowledge, key, choice, us)) return 0;
    for (int verdict = -1; verdict <= 1; verdict++)
        if (!strcmp(line, verdicts[verdict + 1]))
            knowledge->at[knowledge->count - 1].verdict = verdict;
    return 1;
}

void sac__known_load(struct knowledge *knowledge, const struct sac_program *program,
                     const struct sac_program_options *options)
{
    struct sac_cache cache;
    struct sac_cache_blob blob;
    if (!open_cache(&cache, program, options)) return;
    if (sac__cache_load(&cache, &blob)) {
        char *text = malloc(blob.size + 1), *rest = text, *line;
        if (text) {
            memcpy(text, blob.data, blob.size);
            text[blob.size] = 0;
            while ((line = cut(&rest, '\n')))
                if (!read_line(knowledge, line))
                    sac__cache_log(&cache, "%s: an unknown line is left out", cache.name);
        }
        free(text);
        free(blob.file);
    }
    sac__cache_close(&cache);
}

void sac__known_store(const struct knowledge *knowledge, const struct sac_program *program,
                      const struct sac_program_options *options)
{
    struct sac_cache cache;
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file) return;
    for (int k = 0; k < knowledge->count; k++) {
        const struct known *entry = &knowledge->at[k];
        fprintf(file, "%s|%s|%d|%.3f%s\n", entry->key, entry->choice.kernel->name,
                entry->choice.split, entry->us, verdicts[entry->verdict + 1]);
    }
    if (fclose(file) == 0 && open_cache(&cache, program, options)) {
        sac__cache_store(&cache, text, size);
        sac__cache_close(&cache);
    }
    free(text);
}
