// SPDX-License-Identifier: Apache-2.0
// Writing files so that a reader never sees half of one. Functions return 0, or -1 after
// message_set with the path and the system's reason.
#ifndef SAC_CLI_FILE_H
#define SAC_CLI_FILE_H

#include <stddef.h>
#include <sys/types.h>

/// Makes a folder and those above it; one that is there is fine.
int folder_make(const char *path);

/// Writes a whole file beside its place and renames it there; makes missing folders on the way.
int file_write(const char *path, const void *bytes, size_t size);

/// A file that grows until it is closed.
struct stream {
    int fd;
    char *path;      ///< what the user asked for, for messages
    char *final;     ///< where it is renamed to at close, symbolic links followed; NULL: in place
    char *temporary; ///< where it is until then; NULL: in place
    off_t whole;     ///< bytes up to the last whole write; -1 where that cannot be taken back
};

/// Opens a stream. "-" is stdout. With `in_place` zero, a regular file appears only at
/// stream_close; stdout, devices and pipes are written as they are.
int stream_open(struct stream *stream, const char *path, int in_place);

/// Writes all of `bytes`. After a failure a regular file ends with the last whole write.
int stream_write(struct stream *stream, const void *bytes, size_t size);

/// Closes; a temporary file is brought to disk and into its place when `keep` is nonzero, else
/// removed. The stream is freed whatever is returned.
int stream_close(struct stream *stream, int keep);

#endif
