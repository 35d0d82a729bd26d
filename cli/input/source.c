// SPDX-License-Identifier: Apache-2.0
// A stack of frames, each a row of names: operands, a list, a pattern's matches, a folder. The top
// frame gives the next name; a folder among the names becomes a new frame.
#include "input/source.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "input/folder.h"
#include "input/lines.h"
#include "input/names.h"
#include "message.h"

enum frame_kind { FRAME_OPERANDS, FRAME_LIST, FRAME_MATCHES, FRAME_FOLDER };

struct frame {
    struct frame *below;
    enum frame_kind kind;
    char *path;           // as named: list, pattern, or folder (ends with '/')
    struct strings names; // all but lists
    size_t next;
    struct lines *lines; // lists
    // folders
    size_t root;   // bytes of path that are no part of output names
    char *pattern; // relative to the root, or NULL
    int is_root;
    size_t found; // pictures, and errors that were reported
};

struct sources {
    struct sources_request request;
    struct frame *top;
    size_t list; // next of request.lists
    int again;   // pipes are left out: another walk reads them
    struct names names;
    struct input ahead[SOURCES_AHEAD]; // peeked at, not yet taken
    int ahead_count;
};

// --- inputs

void input_free(struct input *input)
{
    free(input->source);
    free(input->name);
    free(input->error);
    *input = (struct input){NULL, NULL, NULL, 0};
}

static int give(struct sources *sources, struct input *input_out, const char *source,
                const char *name, const char *error)
{
    struct input input = {.source = strdup(source)};
    input.name = names_take(&sources->names, name);
    if (error) input.error = strdup(error);
    if (!input.source || !input.name || (error && !input.error)) {
        input_free(&input);
        return message_set("out of memory");
    }
    for (struct frame *frame = sources->top; frame && frame->kind == FRAME_FOLDER;
         frame = frame->below)
        frame->found++;
    *input_out = input;
    return 1;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// --- frames

static void pop(struct sources *sources)
{
    struct frame *frame = sources->top;
    sources->top = frame->below;
    strings_free(&frame->names);
    lines_close(&frame->lines);
    free(frame->pattern);
    free(frame->path);
    free(frame);
}

static struct frame *push(struct sources *sources, enum frame_kind kind, const char *path)
{
    struct frame *frame = calloc(1, sizeof *frame);
    char *copy = strdup(path);
    if (!frame || !copy) {
        free(frame);
        free(copy);
        message_set("out of memory");
        return NULL;
    }
    frame->kind = kind;
    frame->path = copy;
    frame->below = sources->top;
    sources->top = frame;
    return frame;
}

static int load_folder(struct sources *sources, struct frame *frame)
{
    const struct folder_filter filter = {.subfolders = sources->request.recursive || frame->pattern,
                                         .pattern = frame->pattern,
                                         .below = frame->path + frame->root};
    return folder_list(&frame->names, *frame->path ? frame->path : ".", &filter);
}

// Begins a folder: 0, or 1 with an input that says why it cannot be read.
static int enter(struct sources *sources, const char *path, const char *pattern, int is_root,
                 size_t root, struct input *input_out)
{
    struct frame *frame = push(sources, FRAME_FOLDER, path);
    if (!frame) return -1;
    frame->is_root = is_root;
    frame->root = root;
    if (pattern && !(frame->pattern = strdup(pattern))) return message_set("out of memory");
    if (!load_folder(sources, frame)) return 0;
    return give(sources, input_out, path, base_name(path), message_last());
}

// Whether the run writes into this folder.
static int is_output(const struct sources *sources, const char *path)
{
    struct stat folder, output;
    for (size_t i = 0; i < sources->request.output_count; i++) {
        const char *name = sources->request.outputs[i];
        if (name && !stat(name, &output) && !stat(path, &folder) &&
            folder.st_dev == output.st_dev && folder.st_ino == output.st_ino)
            return 1;
    }
    return 0;
}

// --- what an operand, a line or a match stands for

static int take_path(struct sources *sources, const char *path, struct input *input_out)
{
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return give(sources, input_out, path, base_name(path), NULL);
    size_t size = strlen(path);
    char *folder = malloc(size + 2);
    if (!folder) return message_set("out of memory");
    snprintf(folder, size + 2, "%s%s", path, path[size - 1] == '/' ? "" : "/");
    int got = enter(sources, folder, NULL, 1, strlen(folder), input_out);
    free(folder);
    return got;
}

// "a/b/**/c*.jpg": a walk below "a/b/" that keeps what matches "**/c*.jpg".
static int take_deep_pattern(struct sources *sources, const char *pattern, struct input *input_out)
{
    size_t root = strcspn(pattern, "*?[");
    while (root > 0 && pattern[root - 1] != '/')
        root--;
    char *folder = strndup(pattern, root);
    if (!folder) return message_set("out of memory");
    int got = enter(sources, folder, pattern + root, 1, root, input_out);
    free(folder);
    return got;
}

static int take_pattern(struct sources *sources, const char *pattern, struct input *input_out)
{
    if (strstr(pattern, "**")) return take_deep_pattern(sources, pattern, input_out);
    char why[5120];
    glob_t found;
    int code = glob(pattern, 0, NULL, &found); // sorted; bytewise, as no locale is set
    if (code == GLOB_NOSPACE) return message_set("out of memory");
    if (code != 0) {
        snprintf(why, sizeof why, "%s: no file matches", pattern);
        return give(sources, input_out, pattern, base_name(pattern), why);
    }
    struct frame *frame = push(sources, FRAME_MATCHES, pattern);
    int failed = frame ? 0 : -1;
    for (size_t i = 0; i < found.gl_pathc && !failed; i++)
        failed = strings_add(&frame->names, found.gl_pathv[i]);
    globfree(&found);
    return failed;
}

static int take_operand(struct sources *sources, const char *word, struct input *input_out)
{
    struct stat info;
    if (!strcmp(word, "-")) {
        int got = give(sources, input_out, word, "stdin", NULL);
        if (got == 1) input_out->is_stdin = 1;
        return got;
    }
    if (pattern_is(word) && lstat(word, &info) != 0) return take_pattern(sources, word, input_out);
    return take_path(sources, word, input_out);
}

static int take_entry(struct sources *sources, const char *name, struct input *input_out)
{
    const struct frame *frame = sources->top;
    size_t size = strlen(frame->path) + strlen(name) + 1;
    char *path = malloc(size);
    if (!path) return message_set("out of memory");
    snprintf(path, size, "%s%s", frame->path, name);
    int got = 0;
    if (name[strlen(name) - 1] != '/')
        got = give(sources, input_out, path, path + frame->root, NULL);
    else if (!is_output(sources, path))
        got = enter(sources, path, frame->pattern, 0, frame->root, input_out);
    free(path);
    return got;
}

// --- one step

static int take(struct sources *sources, const char *word, struct input *input_out)
{
    switch (sources->top->kind) {
    case FRAME_OPERANDS:
        return take_operand(sources, word, input_out);
    case FRAME_FOLDER:
        return take_entry(sources, word, input_out);
    default:
        return *word ? take_path(sources, word, input_out) : 0;
    }
}

// A folder that was named and gave nothing is an error; then the frame is done with.
static int leave(struct sources *sources, struct input *input_out)
{
    const struct frame *frame = sources->top;
    int got = 0;
    if (frame->kind == FRAME_FOLDER && frame->is_root && !frame->found) {
        char why[5120];
        if (frame->pattern)
            snprintf(why, sizeof why, "%s%s: no file matches", frame->path, frame->pattern);
        else
            snprintf(why, sizeof why, "%s: no pictures in this folder%s", frame->path,
                     sources->request.recursive ? "" : "; -r looks into folders below");
        got = give(sources, input_out, frame->path, "folder", why);
        if (got < 0) return got;
    }
    pop(sources);
    return got;
}

// Whether a list can be read once more.
static int list_is_file(const char *path)
{
    struct stat info;
    return strcmp(path, "-") && (stat(path, &info) != 0 || S_ISREG(info.st_mode));
}

static int next_list(struct sources *sources, struct input *input_out)
{
    const char *path = sources->request.lists->items[sources->list++];
    if (sources->again && !list_is_file(path)) return 0;
    struct frame *frame = push(sources, FRAME_LIST, path);
    if (!frame) return -1;
    if (!lines_open(&frame->lines, frame->path)) return 0;
    pop(sources);
    return give(sources, input_out, path, base_name(path), message_last());
}

static int next_line(struct sources *sources, struct input *input_out)
{
    char *line;
    struct frame *frame = sources->top;
    int got = lines_next(frame->lines, &line);
    if (got > 0) return take(sources, line, input_out);
    if (got < 0)
        got = give(sources, input_out, frame->path, base_name(frame->path), message_last());
    // The list's frame is still on top: nothing was entered.
    pop(sources);
    return got;
}

static int step(struct sources *sources, struct input *input_out)
{
    struct frame *frame = sources->top;
    if (frame->kind == FRAME_LIST) return next_line(sources, input_out);
    if (frame->next >= frame->names.count) return leave(sources, input_out);
    return take(sources, frame->names.items[frame->next++], input_out);
}

static int walk(struct sources *sources, struct input *input_out)
{
    for (;;) {
        int got;
        if (sources->top)
            got = step(sources, input_out);
        else if (sources->list < sources->request.lists->count)
            got = next_list(sources, input_out);
        else
            return 0;
        if (got) return got;
    }
}

// --- all

int sources_peek(struct sources *sources, int most)
{
    while (sources->ahead_count < most && sources->ahead_count < SOURCES_AHEAD) {
        int got = walk(sources, &sources->ahead[sources->ahead_count]);
        if (got < 0) return got;
        if (got == 0) break;
        sources->ahead_count++;
    }
    return sources->ahead_count;
}

int sources_next(struct sources *sources, struct input *input_out)
{
    if (!sources->ahead_count) return walk(sources, input_out);
    *input_out = sources->ahead[0];
    sources->ahead_count--;
    memmove(sources->ahead, sources->ahead + 1,
            (size_t)sources->ahead_count * sizeof *sources->ahead);
    return 1;
}

int sources_open(struct sources **sources_out, const struct sources_request *request)
{
    struct sources *sources = calloc(1, sizeof *sources);
    if (!sources) return message_set("out of memory");
    sources->request = *request;
    struct frame *frame = push(sources, FRAME_OPERANDS, "");
    int failed = frame ? 0 : -1;
    for (size_t i = 0; i < request->operand_count && !failed; i++)
        failed = strings_add(&frame->names, request->operands[i]);
    if (failed) sources_close(&sources);
    *sources_out = sources;
    return failed;
}

int sources_open_again(struct sources **sources_out, const struct sources_request *request)
{
    if (sources_open(sources_out, request)) return -1;
    (*sources_out)->again = 1;
    return 0;
}

int sources_countable(const struct sources_request *request)
{
    for (size_t i = 0; i < request->lists->count; i++)
        if (!list_is_file(request->lists->items[i])) return 0;
    return 1;
}

void sources_close(struct sources **sources)
{
    if (!*sources) return;
    while ((*sources)->top)
        pop(*sources);
    for (int i = 0; i < (*sources)->ahead_count; i++)
        input_free(&(*sources)->ahead[i]);
    names_free(&(*sources)->names);
    free(*sources);
    *sources = NULL;
}

size_t sources_count(const struct sources_request *request, const atomic_int *stop)
{
    struct sources *sources;
    struct input input;
    size_t count = 0;
    if (sources_open_again(&sources, request)) return 0;
    while (!atomic_load(stop) && sources_next(sources, &input) == 1) {
        input_free(&input);
        count++;
    }
    sources_close(&sources);
    return count;
}
