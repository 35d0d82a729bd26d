// SPDX-License-Identifier: Apache-2.0
// The program's own malloc, standing before the C library's (glibc's names; not with sanitizers,
// which do the same): counts what is live, and fails on demand, also in other libraries. Compile
// with -fno-builtin, and include from one file with _GNU_SOURCE defined.
#ifndef SAC_TESTS_FAILING_MALLOC_H
#define SAC_TESTS_FAILING_MALLOC_H

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/// Other libraries find these only when they are exported; the build hides symbols by default.
#define VISIBLE __attribute__((visibility("default")))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

static long until_failure = -1; // allocations until one fails; negative: none does
static long live;               // allocations that have not been freed

/// Libraries whose own allocations never fail, by part of the file name, each with a comma.
#ifndef SPARED_LIBRARIES
#define SPARED_LIBRARIES
#endif
static const char *const spared_libraries[] = {SPARED_LIBRARIES NULL};

static int is_spared(const void *caller)
{
    Dl_info info;
    if (!spared_libraries[0] || !dladdr(caller, &info) || !info.dli_fname) return 0;
    for (const char *const *name = spared_libraries; *name; name++)
        if (strstr(info.dli_fname, *name)) return 1;
    return 0;
}

static int fails(const void *caller)
{
    if (until_failure < 0 || is_spared(caller) || until_failure-- > 0) return 0;
    errno = ENOMEM;
    return 1;
}

VISIBLE void *malloc(size_t size)
{
    void *memory = fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
    live += memory != NULL;
    return memory;
}

VISIBLE void *calloc(size_t count, size_t size)
{
    void *memory = fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
    live += memory != NULL;
    return memory;
}

VISIBLE void *realloc(void *old, size_t size)
{
    void *memory = fails(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
    live += memory != NULL && old == NULL;
    return memory;
}

VISIBLE void *aligned_alloc(size_t alignment, size_t size)
{
    void *memory =
        fails(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, size);
    live += memory != NULL;
    return memory;
}

VISIBLE void free(void *memory)
{
    live -= memory != NULL;
    __libc_free(memory);
}

#endif
