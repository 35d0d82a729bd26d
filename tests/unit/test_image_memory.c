// SPDX-License-Identifier: Apache-2.0
// Each allocation fails once, ours and the picture libraries'. What must come out is an error or
// the whole picture, and nothing may leak. Allocations of two libraries are spared, for they crash
// when one fails: libtiff 4.5.0 in TIFFReadDirectory, libwebp 1.2.4 when it frees what it never
// took.
#define _GNU_SOURCE // dladdr
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <stdio.h>
#include <cmocka.h>

#define SPARED_LIBRARIES "libtiff", "libwebp",
#include "failing_malloc.h"
#include "saccade/image.h"

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
