// SPDX-License-Identifier: Apache-2.0
// Each allocation fails once, ours and the picture libraries': the program's own malloc stands
// before the C library's (glibc's names; not with sanitizers, which do the same). What must come
// out is an error or the whole picture, and nothing may leak. Allocations of two libraries are
// spared, for they crash when one fails: libtiff 4.5.0 in TIFFReadDirectory, libwebp 1.2.4 when it
// frees what it never took.
#define _GNU_SOURCE // dladdr
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "saccade/image.h"

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *memory);

static long until_failure = -1; // allocations until one fails; negative: none does
static long live;               // allocations that have not been freed

static int is_spared(const void *caller)
{
    Dl_info info;
    return dladdr(caller, &info) && info.dli_fname &&
           (strstr(info.dli_fname, "libtiff") || strstr(info.dli_fname, "libwebp"));
}

static int fails(const void *caller)
{
    if (until_failure < 0 || is_spared(caller) || until_failure-- > 0) return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    void *memory = fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
    live += memory != NULL;
    return memory;
}

void *calloc(size_t count, size_t size)
{
    void *memory = fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
    live += memory != NULL;
    return memory;
}

void *realloc(void *old, size_t size)
{
    void *memory = fails(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
    live += memory != NULL && old == NULL;
    return memory;
}

void free(void *memory)
{
    live -= memory != NULL;
    __libc_free(memory);
}

// Opens the picture with allocation n failing. Returns whether there was an allocation n.
static int open_with_failure(const char *path, long n, const sac_image *whole, const char *name)
{
    sac_image image;
    const long before = live;
    until_failure = n;
    const int error = sac_image_open(&image, path, NULL);
    const int reached = until_failure < 0;
    until_failure = -1;
    if (error) {
        assert_true(error == SAC_ENOMEM || error == SAC_EIMAGE || error == SAC_EIO);
        assert_non_null(strstr(sac_error_message(), path));
        assert_null(image.data);
    } else if (image.width == whole->width) { // libexif does not say that it lost an entry
        assert_memory_equal(image.data, whole->data, (size_t)image.stride * (size_t)image.height);
    }
    sac_image_release(&image);
    if (live != before)
        fail_msg("%s: %ld allocations leak when number %ld fails", name, live - before, n);
    return reached;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    DIR *folder = opendir(CORPUS);
    assert_non_null(folder);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char path[512];
        sac_image whole;
        snprintf(path, sizeof path, CORPUS "/%s", entry->d_name);
        if (entry->d_name[0] == '.' || sac_image_open(&whole, path, NULL)) continue;
        for (long n = 0; open_with_failure(path, n, &whole, entry->d_name); n++)
            assert_true(n < 9999);
        sac_image_release(&whole);
        count++;
    }
    closedir(folder);
    assert_true(count > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests_name("image_memory", tests, NULL, NULL);
}
