// SPDX-License-Identifier: Apache-2.0
// A main for a fuzz target where libFuzzer is not built in: runs it once on each file named, and on
// each file of each folder named. Options (-runs=0) are for libFuzzer and ignored here. Fails when
// there was nothing to run.
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size ? size : 1); // exact, so that a sanitizer sees a read beyond it
    int ok = file && data && fread(data, 1, size, file) == size;
    if (file) fclose(file);
    if (ok) LLVMFuzzerTestOneInput(data, size);
    if (!ok) fprintf(stderr, "%s: cannot be read: %s\n", path, strerror(errno));
    free(data);
    return ok ? 1 : -1;
}

static int run_path(const char *path);

static int run_folder(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort), ran = 0;
    for (int i = 0; i < count; i++) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        int done = entries[i]->d_name[0] == '.' || ran < 0 ? 0 : run_path(name);
        ran = done < 0 ? -1 : ran + done;
        free(entries[i]);
    }
    if (count >= 0) free(entries);
    return count < 0 ? -1 : ran;
}

/// Returns how many inputs were run, or -1.
static int run_path(const char *path)
{
    struct stat info;
    if (stat(path, &info)) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    return S_ISDIR(info.st_mode) ? run_folder(path) : run_file(path, (size_t)info.st_size);
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-') continue;
        int ran = run_path(argv[i]);
        if (ran < 0) return 1;
        total += ran;
    }
    printf("%d inputs\n", total);
    return total ? 0 : 1;
}
