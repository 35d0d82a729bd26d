// SPDX-License-Identifier: Apache-2.0
#include "quota.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH = 4096 };

// The first two numbers of a file; 0 where there are none ("max" is no number).
static int read_numbers(const char *path, const char *name, long long *a, long long *b)
{
    char full[PATH + 64];
    FILE *file = NULL;
    if (snprintf(full, sizeof full, "%s/%s", path, name) < (int)sizeof full)
        file = fopen(full, "re");
    const int count = file ? fscanf(file, "%lld %lld", a, b) : 0;
    if (file)
        fclose(file);
    return count;
}

// Quota and period of one group in microseconds: processors, rounded up; 0 = no limit.
static int read_group(const char *path)
{
    long long quota = -1, period = 0, unused;
    if (read_numbers(path, "cpu.max", &quota, &period) < 2 && // version 2
        (read_numbers(path, "cpu.cfs_quota_us", &quota, &unused) < 1 ||
         read_numbers(path, "cpu.cfs_period_us", &period, &unused) < 1))
        return 0;
    if (quota <= 0 || period <= 0 || quota / period > 1 << 20)
        return 0;
    return (int)(quota / period + (quota % period != 0));
}

// The least of a group and those above it, up to `root`. In a container the group's own name may
// be the host's, which is not there; the root then is the container's.
static int read_groups(const char *root, const char *group)
{
    char path[PATH];
    int least = 0;
    if (snprintf(path, sizeof path, "%s%s", root, group) >= (int)sizeof path)
        return 0;
    for (;;) {
        const int here = read_group(path);
        if (here > 0 && (least == 0 || here < least))
            least = here;
        char *slash = strrchr(path, '/');
        if (strlen(path) <= strlen(root) || !slash)
            return least;
        *slash = 0;
    }
}

static int has_controller(const char *list, const char *name)
{
    const size_t length = strlen(name);
    for (; *list; list += strcspn(list, ","), list += *list == ',')
        if (strncmp(list, name, length) == 0 && (list[length] == ',' || !list[length]))
            return 1;
    return 0;
}

int sac__openvino_quota(const char *root, const char *groups)
{
    char line[PATH], cpu[PATH];
    int least = 0;
    FILE *file = fopen(groups, "re");
    while (file && fgets(line, sizeof line, file)) { // "4:cpu,cpuacct:/group" or "0::/group"
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = 0;
        controllers++;
        if (*controllers && !has_controller(controllers, "cpu"))
            continue;
        if (snprintf(cpu, sizeof cpu, "%s%s", root, *controllers ? "/cpu" : "") >= (int)sizeof cpu)
            continue;
        const int here = read_groups(cpu, group);
        if (here > 0 && (least == 0 || here < least))
            least = here;
    }
    if (file)
        fclose(file);
    return least;
}
