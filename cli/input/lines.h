// SPDX-License-Identifier: Apache-2.0
// Lines of a list, read as they come.
#ifndef SAC_CLI_LINES_H
#define SAC_CLI_LINES_H

struct lines;

/// Opens a file, or stdin for "-". Returns 0, or -1 after message_set.
int lines_open(struct lines **lines_out, const char *path);

/// The next line that is not empty, without its end (LF or CRLF); valid until the next call.
/// Returns 1, or 0 at the end (or when interrupted), or -1 after message_set.
int lines_next(struct lines *lines, char **line_out);

void lines_close(struct lines **lines);

#endif
