// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "error.h"
#include "internal.h"
#include "plan_file.h"

void sac__model_hash(char hash_out[33], const void *bytes, size_t size)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, size));
    for (int i = 0; i < 16; i++)
        snprintf(hash_out + 2 * i, 3, "%02x", canonical.digest[i]);
}

/// What the bytes are instead of ONNX, with what would do; NULL when one cannot tell.
static const char *foreign_format(const uint8_t *bytes, size_t size)
{
    static const struct {
        const char *start, *meaning;
    } formats[] = {
        {"PK\003\004", "a PyTorch checkpoint or another archive; export it to ONNX first"},
        {"<?xml", "an OpenVINO IR file; give the ONNX file that it was made from"},
        {"\x89PNG", "a picture; the model comes first"},
        {"\xff\xd8\xff", "a picture; the model comes first"},
        {"version https://git-lfs", "a Git LFS pointer; fetch the file itself"},
    };
    if (size == 0) return "an empty file";
    if (size >= 8 && memcmp(bytes + 4, "TFL3", 4) == 0)
        return "a TensorFlow Lite model; export it to ONNX instead";
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        size_t length = strlen(formats[i].start);
        if (size >= length && memcmp(bytes, formats[i].start, length) == 0)
            return formats[i].meaning;
    }
    return NULL;
}

static char *empty_text(void)
{
    return calloc(1, 1);
}

/// Takes over `bytes`, also on failure.
static int read_owned(struct sac_model **model_out, uint8_t *bytes, size_t size)
{
    struct sac_model *model = calloc(1, sizeof *model);
    if (!model) {
        free(bytes);
        return sac__fail(SAC_ENOMEM, "out of memory");
    }
    *model = (struct sac_model){.bytes = bytes, .size = size, .end2end = -1, .nms = -1};
    model->task = empty_text();
    model->head = empty_text();
    model->description = empty_text();
    int error = model->task && model->head && model->description
                    ? SAC_OK
                    : sac__fail(SAC_ENOMEM, "out of memory");
    const char *foreign = foreign_format(bytes, size);
    if (!error && foreign) error = sac__fail(SAC_EMODEL, "no ONNX model but %s", foreign);
    const int64_t plan = error ? -1 : sac__plan_file_find(bytes, size);
    model->is_plan = plan >= 0;
    model->plan = plan >= 0 ? (size_t)plan : 0;
    if (!error) error = model->is_plan ? sac__plan_file_read(model) : sac__onnx_read(model);
    if (!error) sac__model_hash(model->hash, bytes, size);
    if (error) sac__model_close(&model);
    *model_out = model;
    return error;
}

int sac__model_read(struct sac_model **model_out, const void *bytes, size_t size, const char *name)
{
    *model_out = NULL;
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) return sac__fail(SAC_ENOMEM, "%s: out of memory (%zu bytes)", name, size);
    if (size) memcpy(copy, bytes, size);
    int error = read_owned(model_out, copy, size);
    return error ? sac__fail_in(error, name) : SAC_OK;
}

/// The whole of an open file.
static int read_file(uint8_t **bytes_out, size_t *size_out, FILE *file)
{
    struct stat info;
    if (fstat(fileno(file), &info)) return sac__fail(SAC_EIO, "%s", strerror(errno));
    if (!S_ISREG(info.st_mode)) return sac__fail(SAC_EIO, "no regular file");
    size_t size = (size_t)info.st_size;
    uint8_t *bytes = malloc(size ? size : 1);
    if (!bytes) return sac__fail(SAC_ENOMEM, "out of memory (%zu bytes)", size);
    setvbuf(file, NULL, _IONBF, 0); // one read straight into place
    if (fread(bytes, 1, size, file) != size) {
        free(bytes);
        return sac__fail(SAC_EIO, "cannot be read: %s", errno ? strerror(errno) : "cut short");
    }
    *bytes_out = bytes;
    *size_out = size;
    return SAC_OK;
}

int sac__model_open(struct sac_model **model_out, const char *path)
{
    *model_out = NULL;
    // O_NONBLOCK: a FIFO without a writer would make open wait for ever.
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "rb");
    if (!file) {
        const int why = errno;
        if (descriptor >= 0) close(descriptor);
        return sac__fail(SAC_EIO, "%s: cannot be opened: %s", path, strerror(why));
    }
    uint8_t *bytes = NULL;
    size_t size = 0;
    errno = 0;
    int error = read_file(&bytes, &size, file);
    fclose(file);
    if (!error) error = read_owned(model_out, bytes, size);
    return error ? sac__fail_in(error, path) : SAC_OK;
}

void sac__model_close(struct sac_model **model)
{
    struct sac_model *m = *model;
    *model = NULL;
    if (!m) return;
    for (int i = 0; i < m->name_count; i++)
        free(m->names[i]);
    free(m->names);
    for (int i = 0; i < m->binding_count; i++)
        free(m->bindings[i]);
    free(m->bindings);
    free(m->task);
    free(m->head);
    free(m->description);
    free(m->bytes);
    free(m);
}
