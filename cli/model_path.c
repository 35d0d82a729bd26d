// SPDX-License-Identifier: Apache-2.0
#include "model_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "message.h"

#define DEFAULT_MODEL "codes-n6.onnx"

int model_path_is(const char *operand)
{
    size_t size = strlen(operand);
    return size > 5 && !strcasecmp(operand + size - 5, ".onnx");
}

// Folder of this program, so that an installed tree can be moved; "" when it cannot be told.
static void program_folder(char *folder, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", folder, size - 1);
    folder[n > 0 ? n : 0] = 0;
    char *slash = strrchr(folder, '/');
    if (slash) *slash = 0;
}

int model_path_default(char *path_out, size_t size)
{
    // An installed program, a build tree's program, the prefix that it was built for.
    static const char *const below[] = {"/../share/saccade/models/", "/../../../models/"};
    const char *chosen = getenv("SACCADE_MODEL");
    if (chosen && *chosen) {
        snprintf(path_out, size, "%s", chosen);
        return 0;
    }
    char folder[3072];
    program_folder(folder, sizeof folder);
    for (size_t i = 0; *folder && i < sizeof below / sizeof *below; i++) {
        snprintf(path_out, size, "%s%s%s", folder, below[i], DEFAULT_MODEL);
        if (access(path_out, F_OK) == 0) return 0;
    }
    snprintf(path_out, size, "%s/%s", SACCADE_MODELS, DEFAULT_MODEL);
    if (access(path_out, F_OK) == 0) return 0;
    return message_set("no default model: %s is not there; name a MODEL.onnx or set SACCADE_MODEL",
                       path_out);
}
