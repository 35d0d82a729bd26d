// SPDX-License-Identifier: Apache-2.0
// The progress bar on a terminal's stderr. One a process; all functions are thread-safe.
#ifndef SAC_CLI_PROGRESS_H
#define SAC_CLI_PROGRESS_H

#include <stddef.h>

/// Shows a bar from now on when stderr is a terminal and `quiet` is zero.
void progress_open(int quiet);

/// Nonzero while a bar is shown: only then is it worth knowing the total.
int progress_is_shown(void);

/// `done` of `total` pictures; total 0 while it is not known yet. Redraws ten times a second.
void progress_update(size_t done, size_t total);

/// The same for work in named steps: no rate.
void progress_step(const char *what, size_t done, size_t total);

/// Removes the bar.
void progress_close(void);

/// Writes whole lines to stderr without tearing the bar.
void progress_write(const char *lines, size_t size);

#endif
