// SPDX-License-Identifier: Apache-2.0
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "message.h"

// Lock-free, so it may be set in a signal handler.
static atomic_int seen;
// A byte in this pipe, never read, wakes every thread that waits for input.
static int wake[2] = {-1, -1};

static void on_signal(int number)
{
    int kept = errno;
    (void)number;
    atomic_store(&seen, 1);
    if (write(wake[1], "", 1) < 0) errno = kept; // nothing else can be done here
    errno = kept;
}

int interrupt_install(void)
{
    if (pipe(wake) != 0) return message_set("pipe: %s", strerror(errno));
    for (int i = 0; i < 2; i++)
        fcntl(wake[i], F_SETFD, FD_CLOEXEC);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART | (int)SA_RESETHAND; // once only: the second signal kills
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return 0;
}

int interrupt_seen(void)
{
    return atomic_load(&seen);
}

ssize_t interrupt_read(int fd, void *bytes, size_t size)
{
    struct pollfd waits[2] = {{.fd = fd, .events = POLLIN}, {.fd = wake[0], .events = POLLIN}};
    while (!atomic_load(&seen)) {
        if (poll(waits, wake[0] < 0 ? 1 : 2, -1) < 0 && errno != EINTR) return -1;
        if (atomic_load(&seen)) break;
        if (!waits[0].revents) continue;
        ssize_t n = read(fd, bytes, size);
        if (n >= 0 || (errno != EINTR && errno != EAGAIN)) return n;
    }
    errno = EINTR;
    return -1;
}
