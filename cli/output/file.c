// SPDX-License-Identifier: Apache-2.0
#include "output/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "message.h"

static int fail(const char *path, const char *what)
{
    return message_set("%s: cannot be %s: %s", path, what, strerror(errno));
}

static int is_folder(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

// Makes path[0..length), and what is above it. Leaves errno.
static int make_to(char *path, size_t length)
{
    char kept = path[length];
    path[length] = 0;
    int made = mkdir(path, 0777);
    if (made && errno == ENOENT) {
        size_t up = length;
        while (up && path[up - 1] != '/')
            up--;
        while (up && path[up - 1] == '/')
            up--;
        if (up && !(made = make_to(path, up))) made = mkdir(path, 0777);
    }
    // Another thread or program may have made it meanwhile.
    if (made && errno == EEXIST) {
        made = is_folder(path) ? 0 : -1;
        errno = ENOTDIR;
    }
    path[length] = kept;
    return made;
}

int folder_make(const char *path)
{
    char *copy = strdup(path);
    if (!copy) return message_set("out of memory");
    size_t length = strlen(copy);
    while (length > 1 && copy[length - 1] == '/')
        length--;
    int made = is_folder(path) ? 0 : make_to(copy, length);
    free(copy);
    return made ? fail(path, "made") : 0;
}

// Length of the folder part with its slash; 0 when there is none.
static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

static int make_folder_of(const char *path)
{
    size_t length = folder_length(path);
    if (!length) return 0;
    char *folder = strndup(path, length);
    if (!folder) return -1;
    size_t end = length;
    while (end > 1 && folder[end - 1] == '/')
        end--;
    int made = is_folder(folder) ? 0 : make_to(folder, end);
    free(folder);
    return made;
}

// A new file in the folder of `path`, under a short name of its own: the final name may already be
// as long as the file system allows. Leaves errno.
static int temporary_open(const char *path, char **temporary_out)
{
    static atomic_uint counter;
    size_t length = folder_length(path), room = length + 64;
    char *name = malloc(room);
    if (!name) return -1;
    int fd;
    do {
        snprintf(name, room, "%.*s.saccade-%ld-%u.part", (int)length, path, (long)getpid(),
                 atomic_fetch_add(&counter, 1));
        fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (fd < 0 && errno == EEXIST);
    if (fd < 0) {
        free(name);
        name = NULL;
    }
    *temporary_out = name;
    return fd;
}

static int write_all(int fd, const char *bytes, size_t size)
{
    while (size) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        bytes += n;
        size -= (size_t)n;
    }
    return 0;
}

// Keeps errno of what failed before.
static void discard(const char *temporary)
{
    int saved = errno;
    unlink(temporary);
    errno = saved;
}

int file_write(const char *path, const void *bytes, size_t size)
{
    char *temporary;
    int fd = temporary_open(path, &temporary);
    if (fd < 0 && errno == ENOENT && !make_folder_of(path)) fd = temporary_open(path, &temporary);
    if (fd < 0) return fail(path, "written");
    int failed = write_all(fd, bytes, size);
    // Some file systems report a full disk only here.
    failed = close(fd) || failed;
    failed = failed || rename(temporary, path);
    if (failed) discard(temporary);
    free(temporary);
    return failed ? fail(path, "written") : 0;
}

// Whether the path names something other than a regular file: a device or a pipe.
static int is_special(const char *path)
{
    struct stat st;
    return !stat(path, &st) && !S_ISREG(st.st_mode);
}

static int open_in_place(struct stream *stream)
{
    stream->fd = open(stream->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (stream->fd < 0 && errno == ENOENT && !make_folder_of(stream->path))
        stream->fd = open(stream->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (stream->fd < 0) return -1;
    struct stat st;
    if (!fstat(stream->fd, &st) && S_ISREG(st.st_mode)) stream->whole = 0;
    return 0;
}

static int open_beside(struct stream *stream)
{
    struct stat st;
    int there = !stat(stream->path, &st);
    stream->final = there ? realpath(stream->path, NULL) : strdup(stream->path);
    if (!stream->final) return -1;
    if (there && access(stream->path, W_OK)) return -1;
    stream->fd = temporary_open(stream->final, &stream->temporary);
    if (stream->fd < 0 && errno == ENOENT && !make_folder_of(stream->final))
        stream->fd = temporary_open(stream->final, &stream->temporary);
    if (stream->fd < 0) return -1;
    stream->whole = 0;
    return there ? fchmod(stream->fd, st.st_mode & 07777) : 0;
}

static void stream_free(struct stream *stream)
{
    free(stream->path);
    free(stream->final);
    free(stream->temporary);
    *stream = (struct stream){.fd = -1};
}

int stream_open(struct stream *stream, const char *path, int in_place)
{
    *stream = (struct stream){.fd = -1, .whole = -1, .path = strdup(path)};
    if (!stream->path) return message_set("out of memory");
    if (!strcmp(path, "-")) {
        stream->fd = STDOUT_FILENO;
        free(stream->path);
        stream->path = strdup("stdout");
        return stream->path ? 0 : message_set("out of memory");
    }
    int failed = in_place || is_special(path) ? open_in_place(stream) : open_beside(stream);
    if (!failed) return 0;
    fail(path, "written");
    if (stream->temporary) discard(stream->temporary);
    if (stream->fd >= 0) close(stream->fd);
    stream_free(stream);
    return -1;
}

int stream_write(struct stream *stream, const void *bytes, size_t size)
{
    if (!write_all(stream->fd, bytes, size)) {
        if (stream->whole >= 0) stream->whole += (off_t)size;
        return 0;
    }
    fail(stream->path, "written");
    if (stream->whole >= 0 && !ftruncate(stream->fd, stream->whole))
        lseek(stream->fd, stream->whole, SEEK_SET);
    return -1;
}

int stream_close(struct stream *stream, int keep)
{
    int failed = 0;
    if (stream->temporary && keep) failed = fsync(stream->fd);
    if (stream->fd != STDOUT_FILENO) failed = close(stream->fd) || failed;
    if (stream->temporary && keep && !failed) failed = rename(stream->temporary, stream->final);
    if (failed) fail(stream->path, "written");
    if (stream->temporary && (failed || !keep)) discard(stream->temporary);
    stream_free(stream);
    return failed ? -1 : 0;
}
