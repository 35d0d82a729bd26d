// SPDX-License-Identifier: Apache-2.0
// SIGINT and SIGTERM: the first asks the run to end in good order, the second kills.
#ifndef SAC_CLI_INTERRUPT_H
#define SAC_CLI_INTERRUPT_H

#include <sys/types.h>

/// Catches both signals from now on. Returns 0, or -1 after message_set.
int interrupt_install(void);

/// Nonzero once a signal came. Cheap, from any thread.
int interrupt_seen(void);

/// read(2) that an interrupt ends: -1 with errno EINTR then. A signal between calls counts too.
ssize_t interrupt_read(int fd, void *bytes, size_t size);

#endif
