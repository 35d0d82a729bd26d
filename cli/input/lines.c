// SPDX-License-Identifier: Apache-2.0
#include "input/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "interrupt.h"
#include "message.h"

enum { LONGEST = 1 << 16 }; // bytes a line: beyond any path

struct lines {
    const char *path;
    int fd, ended;
    size_t start, end; // what of the buffer is unread
    char buffer[LONGEST + 1];
};

int lines_open(struct lines **lines_out, const char *path)
{
    struct lines *lines = malloc(sizeof *lines);
    if (!lines) return message_set("out of memory");
    lines->path = path;
    lines->ended = 0;
    lines->start = lines->end = 0;
    lines->fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (lines->fd < 0) {
        free(lines);
        return message_set("%s: %s", path, strerror(errno));
    }
    *lines_out = lines;
    return 0;
}

static int fill(struct lines *lines)
{
    memmove(lines->buffer, lines->buffer + lines->start, lines->end - lines->start);
    lines->end -= lines->start;
    lines->start = 0;
    if (lines->end == LONGEST)
        return message_set("%s: a line of more than %d bytes", lines->path, LONGEST);
    ssize_t n = interrupt_read(lines->fd, lines->buffer + lines->end, LONGEST - lines->end);
    if (n < 0 && errno != EINTR) return message_set("%s: %s", lines->path, strerror(errno));
    if (n <= 0) lines->ended = 1;
    if (n > 0) lines->end += (size_t)n;
    return 0;
}

// The next line, empty or not; NULL where the buffer holds none.
static char *cut(struct lines *lines)
{
    char *line = lines->buffer + lines->start;
    size_t size = lines->end - lines->start;
    char *end = memchr(line, '\n', size);
    if (!end && !lines->ended) return NULL;
    if (!end && size == 0) return NULL;
    if (!end) end = line + size;
    lines->start = (size_t)(end - lines->buffer) + (end < line + size);
    *end = 0;
    if (end > line && end[-1] == '\r') end[-1] = 0;
    return line;
}

int lines_next(struct lines *lines, char **line_out)
{
    for (;;) {
        char *line = cut(lines);
        if (line && *line) {
            *line_out = line;
            return 1;
        }
        if (!line && lines->ended) return 0;
        if (!line && fill(lines)) return -1;
    }
}

void lines_close(struct lines **lines)
{
    if (!*lines) return;
    if ((*lines)->fd != STDIN_FILENO) close((*lines)->fd);
    free(*lines);
    *lines = NULL;
}
