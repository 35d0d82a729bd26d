// SPDX-License-Identifier: Apache-2.0
// Version of the headers, and of the library that is loaded.
#ifndef SACCADE_VERSION_H
#define SACCADE_VERSION_H

#define SAC_VERSION_MAJOR 0
#define SAC_VERSION_MINOR 1
#define SAC_VERSION_PATCH 0
#define SAC_VERSION "0.1.0"

#if defined(__GNUC__)
#define SAC_API __attribute__((visibility("default")))
#else
#define SAC_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/// Version of the loaded library, "major.minor.patch"; static storage.
SAC_API const char *sac_version(void);

#ifdef __cplusplus
}
#endif
#endif
