// SPDX-License-Identifier: Apache-2.0
// Made-up items, and driving a sink over them.
#ifndef SAC_TESTS_SINKS_H
#define SAC_TESTS_SINKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "message.h"
#include "output/sinks.h"

static const char *const sink_test_names[] = {"qr_code", "na\xc3\xafve \xe7\xa0\x81", "a/b,\"c\"",
                                              ""};
static const sac_model_info sink_test_model = {.head = {SAC_HEAD_V5, 4, {0}},
                                               .names = sink_test_names};
static const struct sink_options sink_test_options = {
    .model = &sink_test_model, .image_format = "auto", .quality = 90};

// A fresh folder below $TMPDIR; removed by folder_drop.
static inline char *folder_take(void)
{
    const char *base = getenv("TMPDIR");
    char *path = malloc(4096);
    snprintf(path, 4096, "%s/saccade-sinks-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
    return path;
}

static inline void folder_drop(char *path)
{
    char command[4200];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
    free(path);
}

// Joins into one of a few buffers that take turns.
static inline const char *path_of(const char *folder, const char *name)
{
    static char paths[8][8192];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

// The whole file with a zero after it, or NULL. Free it.
static inline char *file_bytes(const char *path, size_t *size_out)
{
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *bytes = malloc((size_t)size + 1);
    assert_int_equal(fread(bytes, 1, (size_t)size, file), size);
    bytes[size] = 0;
    fclose(file);
    if (size_out) *size_out = (size_t)size;
    return bytes;
}

static inline void assert_file(const char *path, const char *expected)
{
    char *bytes = file_bytes(path, NULL);
    if (!bytes) fail_msg("%s is missing", path);
    assert_string_equal(bytes, expected);
    free(bytes);
}

// Renders and commits one item.
static inline int sink_put(const struct sink_type *type, struct sink *sink, const struct item *item)
{
    struct rendered rendered;
    if (type->render(sink, item, &rendered)) return -1;
    int failed = type->commit(sink, &rendered);
    if (rendered.release) rendered.release(rendered.data);
    return failed;
}

// One run of a sink over items. Returns 0 or -1.
static inline int sink_run(const struct sink_type *type, const char *target,
                           const struct sink_options *options, const struct item *items,
                           size_t count)
{
    struct sink *sink = NULL;
    if (type->open(&sink, target, options)) return -1;
    int failed = 0;
    for (size_t i = 0; i < count && !failed; i++)
        failed = sink_put(type, sink, &items[i]);
    failed = type->close(&sink, !failed) || failed;
    assert_null(sink);
    return failed ? -1 : 0;
}

#endif
