// SPDX-License-Identifier: Apache-2.0
// What each verb does: run with parsed options; returns an exit code of exit.h.
#ifndef SAC_CLI_VERBS_H
#define SAC_CLI_VERBS_H

#include "options.h"

int detect_run(const struct options *options);
int inspect_run(const struct options *options);
int bench_run(const struct options *options);
int devices_run(const struct options *options);
int build_run(const struct options *options);

/// Prints "saccade: WHY" and a hint at the verb's help; returns CLI_USAGE.
int usage_fail(const struct verb *verb, const char *why);

/// Prints the library's last message; returns the exit code for a model that could not be opened.
int open_fail(int error);

#endif
