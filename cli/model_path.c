// SPDX-License-Identifier: Apache-2.0
#include "model_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "message.h"

// The first that is there.
static const char *const default_models[] = {"codes-n6.onnx", "codes-n.onnx"};
enum { DEFAULT_MODELS = sizeof default_models / sizeof *default_models };

int model_path_is(const char *operand)
{
    static const char *const endings[] = {".onnx", ".engine", ".plan"};
    const size_t size = strlen(operand);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t length = strlen(endings[i]);
        if (size > length && !strcasecmp(operand + size - length, endings[i])) return 1;
    }
    return 0;
}

// Folder of this program, so that an installed tree can be moved; "" when it cannot be told.
static void program_folder(char *folder, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", folder, size - 1);
    folder[n > 0 ? n : 0] = 0;
    char *slash = strrchr(folder, '/');
    if (slash) *slash = 0;
}

// "bin/../share" reads badly.
static void shorten(char *path, size_t size)
{
    char *real = realpath(path, NULL);
    if (real) snprintf(path, size, "%s", real);
    free(real);
}

static int find_model(char *path_out, size_t size, const char *folder, const char *below)
{
    for (size_t i = 0; i < DEFAULT_MODELS; i++) {
        snprintf(path_out, size, "%s%s/%s", folder, below, default_models[i]);
        if (access(path_out, F_OK) != 0) continue;
        shorten(path_out, size);
        return 1;
    }
    return 0;
}

int model_path_default(char *path_out, size_t size)
{
    const char *chosen = getenv("SACCADE_MODEL");
    if (chosen && *chosen) {
        snprintf(path_out, size, "%s", chosen);
        return 0;
    }
    // An installed program, a build tree's program, the prefix that it was built for.
    char folder[3072];
    program_folder(folder, sizeof folder);
    if (*folder && (find_model(path_out, size, folder, "/../share/saccade/models") ||
                    find_model(path_out, size, folder, "/../../../models")))
        return 0;
    if (find_model(path_out, size, SACCADE_MODELS, "")) return 0;
    return message_set("no default model: neither %s nor %s is in %s; name a MODEL.onnx or set "
                       "SACCADE_MODEL",
                       default_models[0], default_models[1], SACCADE_MODELS);
}
