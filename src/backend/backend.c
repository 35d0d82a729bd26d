// SPDX-License-Identifier: Apache-2.0
// Finds backends and loads their plugins. A plugin stays loaded for the life of the process: the
// libraries below it start threads that outlive any engine.
#define _GNU_SOURCE // dladdr
#include "backend.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"

/// A backend that this version knows. Order is the order of choice for device "auto".
struct known {
    const char *name;   ///< of the plugin, libsaccade-NAME.so
    const char *device; ///< kind of device that it runs on
    int numbered;       ///< nonzero: there may be several, "cuda:1"
    int by_name;        ///< nonzero: never chosen by "auto": it takes engine files alone
};

static const struct known known[] = {
    {"cuda", "cuda", 1, 0},
    {"openvino", "cpu", 0, 0},
    {"tensorrt", "cuda", 1, 1},
};
enum { KNOWN = sizeof known / sizeof *known };

static struct {
    pthread_mutex_t lock;
    const struct sac_backend *loaded[KNOWN];
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const struct sac_host host = {SAC_BACKEND_ABI, SAC_VERSION, sac__fail};

// Folder of the file that holds this code: the shared library, or a program that links its objects.
static void own_folder(char *folder, size_t size)
{
    Dl_info info;
    snprintf(folder, size, ".");
    if (!dladdr((const void *)&known, &info) || !info.dli_fname) return;
    snprintf(folder, size, "%s", info.dli_fname);
    char *slash = strrchr(folder, '/');
    if (slash) slash[slash == folder] = 0;
    else snprintf(folder, size, ".");
}

// Looks in $SACCADE_PLUGINS alone where that is set; else where an installed library and a build
// tree keep their plugins.
static void *open_plugin(const char *name)
{
    static const char *const below[] = {"/saccade", "", "/../lib"};
    const char *chosen = getenv("SACCADE_PLUGINS");
    char own[2048], path[2304];
    own_folder(own, sizeof own);
    for (size_t i = chosen ? 1 : 0; i < (chosen ? 2 : 3); i++) {
        snprintf(path, sizeof path, "%s%s/libsaccade-%s.so", chosen ? chosen : own, below[i], name);
        if (access(path, F_OK) != 0) continue;
        void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!handle) sac__fail(SAC_EDEVICE, "backend %s cannot be loaded: %s", name, dlerror());
        return handle;
    }
    sac__fail(SAC_EDEVICE, "backend %s is not installed: no libsaccade-%s.so in %s%s", name, name,
              chosen ? chosen : own, chosen ? "" : "/saccade");
    return NULL;
}

static int load(const struct sac_backend **backend_out, const char *name)
{
    void *handle = open_plugin(name);
    if (!handle) return SAC_EDEVICE;
    sac_backend_entry *entry;
    *(void **)&entry = dlsym(handle, SAC_BACKEND_ENTRY);
    if (!entry)
        return sac__fail(SAC_EDEVICE, "backend %s: the plugin has no %s; reinstall it with "
                                      "saccade " SAC_VERSION, name, SAC_BACKEND_ENTRY);
    const struct sac_backend *backend = entry(&host);
    if (!backend) return SAC_EDEVICE;
    if (backend->abi != SAC_BACKEND_ABI)
        return sac__fail(SAC_EDEVICE, "backend %s: the plugin is of another version; reinstall it "
                                      "with saccade " SAC_VERSION, name);
    *backend_out = backend;
    return 0;
}

static int get(const struct sac_backend **backend_out, size_t i)
{
    int error = 0;
    pthread_mutex_lock(&registry.lock);
    if (!registry.loaded[i]) error = load(&registry.loaded[i], known[i].name);
    *backend_out = registry.loaded[i];
    pthread_mutex_unlock(&registry.lock);
    return error;
}

static int is_auto(const char *choice)
{
    return !choice || !*choice || strcmp(choice, "auto") == 0;
}

// "cuda" and "cuda:1" are both of kind "cuda".
static int serves(const struct known *candidate, const char *device)
{
    size_t length = strlen(candidate->device);
    if (is_auto(device)) return 1;
    if (strncmp(candidate->device, device, length) != 0) return 0;
    return device[length] == 0 || (candidate->numbered && device[length] == ':');
}

// Where the choice is free, a backend of numbered devices is taken only when one can be used.
static int is_usable(const struct sac_backend *backend, size_t i)
{
    sac_device device;
    if (!known[i].numbered) return 1;
    return backend->devices(&device, 1) > 0 && device.available;
}

int sac__backend_find(const struct sac_backend **backend_out, const sac_engine_options *options)
{
    const int free_choice = is_auto(options->backend) && is_auto(options->device);
    int name_known = is_auto(options->backend), error = 0, tried = 0;
    for (size_t i = 0; i < KNOWN; i++) {
        if (!is_auto(options->backend)) {
            if (strcmp(options->backend, known[i].name) != 0) continue;
            name_known = 1;
        }
        if (known[i].by_name && is_auto(options->backend)) continue;
        if (!serves(&known[i], options->device)) continue;
        tried = 1;
        error = get(backend_out, i);
        if (!error && (!free_choice || is_usable(*backend_out, i))) return 0;
    }
    if (!name_known)
        return sac__fail(SAC_EINVAL, "unknown backend '%s'; this version has: cuda, openvino, "
                                     "tensorrt",
                         options->backend);
    if (tried) return error;
    return sac__fail(SAC_EDEVICE, "no backend of this version runs on device '%s'; it has: cpu, "
                                      "cuda, cuda:N",
                     options->device);
}

int sac__backend_fall_back(sac_engine_options *options, int error)
{
    const struct sac_backend *tried;
    char line[1200];
    if (error != SAC_EUNSUPPORTED || !is_auto(options->backend) || !is_auto(options->device))
        return 0;
    if (sac__backend_find(&tried, options) || tried->memory != SAC_CUDA) return 0;
    snprintf(line, sizeof line, "device auto: cpu, since %s", sac_error_message());
    if (options->log) options->log(options->log_user, line);
    options->device = "cpu";
    return 1;
}

const char *sac_backend_name(size_t index)
{
    return index < KNOWN ? known[index].name : NULL;
}

static size_t list_backend(sac_device *devices_out, size_t capacity, size_t i)
{
    const struct sac_backend *backend;
    if (!get(&backend, i)) return backend->devices(devices_out, capacity);
    if (capacity > 0) {
        sac_device missing = {.available = 0};
        snprintf(missing.device, sizeof missing.device, "%s", known[i].device);
        snprintf(missing.backend, sizeof missing.backend, "%s", known[i].name);
        snprintf(missing.details, sizeof missing.details, "%s", sac_error_message());
        *devices_out = missing;
    }
    return 1;
}

int sac_devices_list(sac_device *devices_out, size_t capacity, size_t *count_out)
{
    if (!count_out || (capacity && !devices_out))
        return sac__fail(SAC_EINVAL, "devices_out or count_out is NULL");
    size_t count = 0;
    for (size_t i = 0; i < KNOWN; i++) {
        size_t room = capacity > count ? capacity - count : 0;
        count += list_backend(room ? devices_out + count : NULL, room, i);
    }
    *count_out = count;
    return 0;
}
