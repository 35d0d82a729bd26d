// SPDX-License-Identifier: Apache-2.0
#include "input/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "message.h"

int has_picture_extension(const char *name)
{
    static const char *const known[] = {"jpg", "jpeg", "jpe", "jfif", "png", "webp",
                                        "bmp", "dib",  "tif", "tiff", "gif"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof known / sizeof *known; i++)
        if (!strcasecmp(dot + 1, known[i])) return 1;
    return 0;
}

int pattern_is(const char *word)
{
    return strpbrk(word, "*?[") != NULL;
}

// Copies the path's first part; returns what follows its slashes, NULL when it was the last.
static const char *split(const char *path, char *part, size_t size)
{
    size_t n = strcspn(path, "/");
    size_t kept = n < size ? n : size - 1;
    memcpy(part, path, kept);
    part[kept] = 0;
    return path[n] ? path + n + strspn(path + n, "/") : NULL;
}

int pattern_matches(const char *pattern, const char *path)
{
    char want[512], have[512];
    const char *pattern_rest = split(pattern, want, sizeof want);
    const char *path_rest = split(path, have, sizeof have);
    if (!strcmp(want, "**")) {
        if (!pattern_rest || pattern_matches(pattern_rest, path)) return 1;
        return path_rest && pattern_matches(pattern, path_rest);
    }
    if (fnmatch(want, have, FNM_PERIOD) != 0) return 0;
    if (!pattern_rest || !path_rest) return !pattern_rest && !path_rest;
    return pattern_matches(pattern_rest, path_rest);
}

// --- folders

enum entry_type { ENTRY_OTHER, ENTRY_FILE, ENTRY_FOLDER };

static enum entry_type type_of(int folder, const char *name, int following)
{
    struct stat info;
    if (fstatat(folder, name, &info, following ? 0 : AT_SYMLINK_NOFOLLOW) != 0)
        return ENTRY_FILE; // a dangling link: opening it says why
    if (S_ISLNK(info.st_mode)) {
        // Links to files are followed; links to folders are not, they may lead round in circles.
        return type_of(folder, name, 1) == ENTRY_FILE ? ENTRY_FILE : ENTRY_OTHER;
    }
    if (S_ISREG(info.st_mode)) return ENTRY_FILE;
    return S_ISDIR(info.st_mode) ? ENTRY_FOLDER : ENTRY_OTHER;
}

static enum entry_type entry_type(int folder, const struct dirent *entry)
{
    if (entry->d_type == DT_REG) return ENTRY_FILE;
    if (entry->d_type == DT_DIR) return ENTRY_FOLDER;
    if (entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN)
        return type_of(folder, entry->d_name, 0);
    return ENTRY_OTHER;
}

static int wants_file(const struct folder_filter *filter, const char *name)
{
    if (!filter->pattern) return has_picture_extension(name);
    char path[4096];
    int n = snprintf(path, sizeof path, "%s%s", filter->below, name);
    return n > 0 && (size_t)n < sizeof path && pattern_matches(filter->pattern, path);
}

static int take_entry(struct strings *names, int folder, const struct dirent *entry,
                      const struct folder_filter *filter)
{
    const char *name = entry->d_name;
    if (name[0] == '.') return 0;
    int wanted = wants_file(filter, name);
    if (!wanted && !filter->subfolders) return 0;
    enum entry_type type = entry_type(folder, entry);
    if (type == ENTRY_FILE && wanted) return strings_add(names, name);
    if (type != ENTRY_FOLDER || !filter->subfolders) return 0;
    char marked[NAME_MAX + 2];
    snprintf(marked, sizeof marked, "%s/", name);
    return strings_add(names, marked);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int folder_list(struct strings *names_out, const char *path, const struct folder_filter *filter)
{
    struct strings names = {NULL, 0};
    int failed = 0;
    DIR *folder = opendir(path);
    if (!folder) return message_set("%s: %s", path, strerror(errno));
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (!entry && errno) failed = message_set("%s: %s", path, strerror(errno));
        if (!entry) break;
        failed = take_entry(&names, dirfd(folder), entry, filter);
        if (failed) break;
    }
    closedir(folder);
    if (failed) {
        strings_free(&names);
        return -1;
    }
    if (names.count) qsort(names.items, names.count, sizeof *names.items, compare);
    *names_out = names;
    return 0;
}
