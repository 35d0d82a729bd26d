// SPDX-License-Identifier: Apache-2.0
// The sources are walked once, when it is first asked whether a file that is there may be replaced:
// a run into a new folder never pays for it.
#include "input/guard.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "message.h"

struct file {
    dev_t device;
    ino_t inode;
};

struct inputs {
    struct guard guard; // first: what sinks see
    const struct sources_request *request;
    const char *model;
    pthread_mutex_t lock;
    int walked;
    struct file *files; // sorted
    size_t count, room;
};

static int compare(const void *a, const void *b)
{
    const struct file *x = a, *y = b;
    if (x->device != y->device) return x->device < y->device ? -1 : 1;
    return x->inode == y->inode ? 0 : x->inode < y->inode ? -1 : 1;
}

static int add(struct inputs *inputs, const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) return 0;
    if (inputs->count == inputs->room) {
        size_t room = inputs->room ? 2 * inputs->room : 64;
        struct file *files = realloc(inputs->files, room * sizeof *files);
        if (!files) return message_set("out of memory");
        inputs->files = files;
        inputs->room = room;
    }
    inputs->files[inputs->count++] = (struct file){info.st_dev, info.st_ino};
    return 0;
}

static int add_sources(struct inputs *inputs)
{
    struct sources *sources;
    struct input input;
    const struct strings *lists = inputs->request->lists;
    int failed = 0, got = 1;
    for (size_t i = 0; i < lists->count && !failed; i++)
        failed = add(inputs, lists->items[i]);
    if (failed || sources_open_again(&sources, inputs->request)) return -1;
    while (!failed && (got = sources_next(sources, &input)) == 1) {
        failed = add(inputs, input.source);
        input_free(&input);
    }
    sources_close(&sources);
    return failed || got < 0 ? -1 : 0;
}

static int walk(struct inputs *inputs)
{
    if (inputs->walked) return 0;
    if (add(inputs, inputs->model) || add_sources(inputs)) return -1;
    if (inputs->count) qsort(inputs->files, inputs->count, sizeof *inputs->files, compare);
    inputs->walked = 1;
    return 0;
}

static int holds(struct guard *guard, const char *path)
{
    struct inputs *inputs = (struct inputs *)guard;
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) return 0;
    const struct file file = {info.st_dev, info.st_ino};
    pthread_mutex_lock(&inputs->lock);
    int held = walk(inputs);
    if (!held && inputs->count)
        held = bsearch(&file, inputs->files, inputs->count, sizeof file, compare) != NULL;
    pthread_mutex_unlock(&inputs->lock);
    return held;
}

struct guard *guard_open(const struct sources_request *request, const char *model)
{
    struct inputs *inputs = calloc(1, sizeof *inputs);
    if (!inputs) {
        message_set("out of memory");
        return NULL;
    }
    inputs->guard.holds = holds;
    inputs->request = request;
    inputs->model = model;
    pthread_mutex_init(&inputs->lock, NULL);
    return &inputs->guard;
}

void guard_close(struct guard **guard)
{
    struct inputs *inputs = (struct inputs *)*guard;
    if (!inputs) return;
    pthread_mutex_destroy(&inputs->lock);
    free(inputs->files);
    free(inputs);
    *guard = NULL;
}
