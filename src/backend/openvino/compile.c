// SPDX-License-Identifier: Apache-2.0
#if defined(__linux__)
#define _GNU_SOURCE // memfd_create
#endif
#include "compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_model(ov_model_t **model_out, const ov_core_t *core,
                      const struct sac_source *source)
{
    // Weights in other files are found beside the path; everything else is already in memory.
    const ov_status_e status =
        source->path && !source->self_contained
            ? ov_core_read_model(core, source->path, NULL, model_out)
            : ov_core_read_model_from_memory_buffer(core, (const char *)source->bytes, source->size,
                                                    NULL, model_out);
    return status == OK ? 0 : sac__openvino_fail(SAC_EMODEL, status, "OpenVINO cannot read it");
}

// Writes the asked extents over the file's own; *changed_out is zero when they are the same.
static int merge_shape(ov_dimension_t *extents_out, int *changed_out,
                       const ov_partial_shape_t *file, const struct sac_source *source)
{
    const int rank_known = file->rank.min == file->rank.max; // ov_rank_is_dynamic errs for 0
    *changed_out = !rank_known;
    if (rank_known && file->rank.max != source->input_ndim)
        return FAIL(SAC_EINVAL, "the first input has %d dimensions, not %d", (int)file->rank.max,
                    (int)source->input_ndim);
    for (int i = 0; i < source->input_ndim; i++) {
        const int64_t asked = source->input_shape[i];
        ov_dimension_t own = {0, -1};
        if (rank_known && file->dims[i].max != 0) // 0 is how some exporters say dynamic
            own = file->dims[i];
        extents_out[i] = asked >= 0    ? (ov_dimension_t){asked, asked}
                         : own.max < 0 ? (ov_dimension_t){-1, -1} // any extent
                                       : own;
        if (asked < 0 || (own.min == asked && own.max == asked))
            continue;
        *changed_out = 1;
        if (asked < own.min || (own.max >= 0 && asked > own.max))
            return FAIL(SAC_EINVAL, "extent %d of the first input is %lld in the file, not %lld", i,
                        (long long)own.max, (long long)asked);
    }
    return 0;
}

static int reshape(const ov_model_t *model, const struct sac_source *source)
{
    if (source->input_ndim == 0)
        return 0;
    const size_t first = 0;
    ov_output_const_port_t *port = NULL;
    ov_partial_shape_t file = {{0, 0}, NULL}, wanted = {{0, 0}, NULL};
    ov_dimension_t extents[SAC_MAX_DIMS];
    int changed = 0, error = 0;
    ov_status_e status = ov_model_const_input_by_index(model, first, &port);
    if (status == OK)
        status = ov_port_get_partial_shape(port, &file);
    if (status == OK)
        error = merge_shape(extents, &changed, &file, source);
    if (status == OK && changed && !error) {
        status = ov_partial_shape_create(source->input_ndim, extents, &wanted);
        if (status == OK)
            status = ov_model_reshape_by_port_indexes(model, &first, &wanted, 1);
    }
    if (status != OK)
        error = sac__openvino_fail(SAC_EINVAL, status, "input shape");
    ov_partial_shape_free(&wanted);
    ov_partial_shape_free(&file);
    ov_output_const_port_free(port);
    return error;
}

int sac__openvino_read(ov_model_t **model_out, const ov_core_t *core,
                       const struct sac_source *source)
{
    const int error = read_model(model_out, core, source);
    return error ? error : reshape(*model_out, source);
}

int sac__openvino_compile(ov_compiled_model_t **compiled_out, const ov_core_t *core,
                          const ov_model_t *model)
{
    const ov_status_e status =
        ov_core_compile_model_props(core, model, "CPU", 0, NULL, compiled_out);
    return status == OK ? 0 : sac__openvino_fail(SAC_EMODEL, status, "OpenVINO cannot compile it");
}

int sac__openvino_import(ov_compiled_model_t **compiled_out, void **file_out, const ov_core_t *core,
                         struct sac_cache *cache)
{
    struct sac_cache_blob blob;
    if (!sac__cache_load(cache, &blob))
        return 0;
    const ov_status_e status =
        ov_core_import_model(core, (const char *)blob.data, blob.size, "CPU", compiled_out);
    if (status == OK) {
        *file_out = blob.file;
        return 1;
    }
    free(blob.file);
    char reason[512];
    sac__openvino_message(reason, sizeof reason, status);
    sac__cache_drop(cache, reason);
    *compiled_out = NULL;
    return 0;
}

#if defined(__linux__)
// OpenVINO exports to a path and does not say when the disk is full, so it writes to memory.
void sac__openvino_export(struct sac_cache *cache, const ov_compiled_model_t *compiled)
{
    if (cache->folder < 0)
        return;
    char path[64];
    struct stat status = {0};
    void *bytes = MAP_FAILED;
    const int memory = memfd_create("saccade", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
    if (memory >= 0 && ov_compiled_model_export_model(compiled, path) == OK &&
        fstat(memory, &status) == 0 && status.st_size > 0)
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, memory, 0);
    if (bytes == MAP_FAILED) {
        sac__cache_log(cache, "the network cannot be exported");
    } else {
        sac__cache_store(cache, bytes, (size_t)status.st_size);
        munmap(bytes, (size_t)status.st_size);
    }
    if (memory >= 0)
        close(memory);
}
#else
void sac__openvino_export(struct sac_cache *cache, const ov_compiled_model_t *compiled)
{
    (void)compiled;
    sac__cache_log(cache, "not written on this system");
}
#endif
