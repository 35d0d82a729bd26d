// SPDX-License-Identifier: Apache-2.0
#include "output/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "message.h"
#include "output/encode.h"
#include "output/file.h"

int folder_sink_open(struct sink **sink_out, const char *target, const struct sink_options *options)
{
    if (folder_make(target)) return -1;
    if (access(target, W_OK | X_OK)) return message_set("%s: folder cannot be written to", target);
    struct sink *sink = malloc(sizeof *sink);
    char *folder = strdup(target);
    if (!sink || !folder) {
        free(sink);
        free(folder);
        return message_set("out of memory");
    }
    sink->folder = folder;
    sink->options = *options;
    *sink_out = sink;
    return 0;
}

int folder_sink_commit(struct sink *sink, const struct rendered *rendered)
{
    (void)sink;
    const struct files *files = rendered->data;
    for (size_t i = 0; files && i < files->count; i++) {
        const struct output_file *file = &files->items[i];
        if (file_write(file->path, file->bytes, file->size)) return -1;
    }
    return 0;
}

int folder_sink_close(struct sink **sink, int complete)
{
    (void)complete;
    free((*sink)->folder);
    free(*sink);
    *sink = NULL;
    return 0;
}

static void files_release(void *data)
{
    struct files *files = data;
    for (size_t i = 0; i < files->count; i++) {
        free(files->items[i].path);
        free(files->items[i].bytes);
    }
    free(files);
}

struct files *files_take(struct rendered *rendered_out, size_t capacity)
{
    struct files *files = malloc(sizeof *files + capacity * sizeof files->items[0]);
    if (!files) {
        message_set("out of memory");
        return NULL;
    }
    files->count = 0;
    *rendered_out = (struct rendered){files, files_release};
    return files;
}

static int same_file(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

// The folder part of a path, "." when there is none. Free it.
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int same_folder(const char *a, const char *b)
{
    char *x = folder_of(a), *y = folder_of(b);
    int same = x && y && same_file(x, y);
    free(x);
    free(y);
    return same;
}

// A picture that is already beside the source may well be another input.
static int may_be_input(const struct item *item, const char *path)
{
    if (access(path, F_OK)) return 0;
    if (same_file(path, item->source)) return 1;
    if (encode_knows(path) && same_folder(path, item->source)) return 1;
    return item->guard ? item->guard->holds(item->guard, path) : 0;
}

int files_add(struct files *files, const struct item *item, char *path, void *bytes, size_t size)
{
    int failed = path && bytes ? 0 : message_set("out of memory");
    if (!failed && (failed = may_be_input(item, path)) > 0)
        message_set("%s: may be an input and is not overwritten; choose another folder", path);
    if (failed) {
        free(path);
        free(bytes);
        return -1;
    }
    files->items[files->count++] = (struct output_file){path, bytes, size};
    return 0;
}

// The dot of a file name's extension, or its end.
static const char *extension_of(const char *name)
{
    const char *base = strrchr(name, '/');
    base = base ? base + 1 : name;
    const char *dot = strrchr(base, '.');
    return dot && dot != base ? dot : name + strlen(name);
}

char *output_path(const struct sink *sink, const char *below, const struct item *item,
                  const char *suffix)
{
    int stem = (int)(extension_of(item->name) - item->name);
    size_t size = strlen(sink->folder) + (below ? strlen(below) : 0) + strlen(item->name) +
                  strlen(suffix) + 3;
    char *path = malloc(size);
    if (!path) return NULL;
    if (below)
        snprintf(path, size, "%s/%s/%.*s%s", sink->folder, below, stem, item->name, suffix);
    else
        snprintf(path, size, "%s/%.*s%s", sink->folder, stem, item->name, suffix);
    return path;
}

int name_is_jpeg(const char *name)
{
    const char *extension = extension_of(name);
    return !strcasecmp(extension, ".jpg") || !strcasecmp(extension, ".jpeg") ||
           !strcasecmp(extension, ".jpe") || !strcasecmp(extension, ".jfif");
}
