// SPDX-License-Identifier: Apache-2.0
#ifndef SAC_SRC_ERROR_H
#define SAC_SRC_ERROR_H

#include "saccade/error.h"

#if defined(__GNUC__)
#define SAC_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define SAC_PRINTF(text, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/// Sets the calling thread's message and returns `error`, so that a failure is one line:
/// `return sac__fail(SAC_EIO, "%s: cannot be opened: %s", path, strerror(errno));`
int sac__fail(int error, const char *format, ...) SAC_PRINTF(2, 3);

/// Puts `prefix` (a file name, say) and ": " before the calling thread's message; returns `error`.
int sac__fail_in(int error, const char *prefix);

#ifdef __cplusplus
}
#endif

#endif
