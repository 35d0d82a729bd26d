// SPDX-License-Identifier: Apache-2.0
// Words for people: the reason of the calling thread's last failure, and lines on stderr.
#ifndef SAC_CLI_MESSAGE_H
#define SAC_CLI_MESSAGE_H

#if defined(__GNUC__)
#define CLI_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define CLI_PRINTF(text, first)
#endif

/// Sets the calling thread's reason (one line, no newline, no "saccade: ") and returns -1.
int message_set(const char *format, ...) CLI_PRINTF(1, 2);

/// The calling thread's reason; "" when none was set. Valid until the next message_set.
const char *message_last(void);

/// Prints "saccade: …\n" on stderr in one write, after clearing a progress bar. Control characters
/// of file names are printed as '?'.
void message_print(const char *format, ...) CLI_PRINTF(1, 2);

#endif
