// SPDX-License-Identifier: Apache-2.0
// Every function that can fail returns 0 or one of these negative values, and leaves a message that
// names the file, layer or value in question.
#ifndef SACCADE_ERROR_H
#define SACCADE_ERROR_H

#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

/// The one list of errors: name, value, meaning. Append only.
#define SAC_ERRORS(X)                                                                              \
    X(SAC_EINVAL, -1, "invalid argument")                                                          \
    X(SAC_ENOMEM, -2, "out of memory")                                                             \
    X(SAC_EIO, -3, "file cannot be read or written")                                               \
    X(SAC_EIMAGE, -4, "not a picture, or a damaged one")                                           \
    X(SAC_ELIMIT, -5, "larger than the limit allows")                                              \
    X(SAC_EMODEL, -6, "model unusable")                                                            \
    X(SAC_EDEVICE, -7, "device or its libraries unavailable")                                      \
    X(SAC_EBACKEND, -8, "engine failed")                                                           \
    X(SAC_EUNSUPPORTED, -9, "not supported")                                                       \
    X(SAC_EBUSY, -10, "all in use")                                                                \
    X(SAC_EINTERRUPTED, -11, "stopped by the caller")

#define SAC_ERROR_ENUM(name, value, text) name = value,
enum sac_error { SAC_OK = 0, SAC_ERRORS(SAC_ERROR_ENUM) };
#undef SAC_ERROR_ENUM

/// Name of an error ("SAC_EMODEL"); "SAC_OK" for 0, "unknown" for any other value. Static storage.
SAC_API const char *sac_error_name(int error);

/// Meaning of an error in a few words; static storage.
SAC_API const char *sac_error_text(int error);

/// What went wrong in the calling thread's last failed call, in UTF-8, naming the file, layer or
/// value; "" when none failed yet. Owned by the library, valid until the thread's next failed call.
SAC_API const char *sac_error_message(void);

#ifdef __cplusplus
}
#endif
#endif
