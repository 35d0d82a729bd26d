// SPDX-License-Identifier: Apache-2.0
// A container's share of the processors, from made-up control groups.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/openvino/quota.h"

static char folder[64], groups[80];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/saccade-quota-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(groups, sizeof groups, "%s/groups", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void put(const char *name, const char *text)
{
    char path[256], command[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(command, sizeof command, "mkdir -p \"$(dirname '%s')\"", path);
    assert_int_equal(system(command), 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void expect(int processors)
{
    assert_int_equal(sac__openvino_quota(folder, groups), processors);
}

static void version_2(void **state)
{
    (void)state;
    expect(0); // no groups at all
    put("groups", "0::/a/b\n");
    expect(0);
    put("a/b/cpu.max", "max 100000\n");
    expect(0);
    put("a/b/cpu.max", "250000 100000\n");
    expect(3); // two and a half
    put("a/cpu.max", "100000 100000\n");
    expect(1); // a group above has less
    put("a/cpu.max", "800000 100000\n");
    expect(3);
    put("groups", "0::/\n");
    put("cpu.max", "200000 100000\n"); // as seen from inside a container
    expect(2);
    put("groups", "0::/host/name/that/is/not/here\n");
    expect(2);
}

static void version_1(void **state)
{
    (void)state;
    put("groups", "9:name=systemd:/\n4:cpuset:/x\n3:cpuacct,cpu:/pod\n");
    put("cpu/pod/cpu.cfs_quota_us", "-1\n");
    put("cpu/pod/cpu.cfs_period_us", "100000\n");
    expect(0);
    put("cpu/pod/cpu.cfs_quota_us", "50000\n");
    expect(1);
    put("groups", "4:cpuset:/pod\n");
    expect(0);
}

static void nonsense_is_no_limit(void **state)
{
    (void)state;
    const char *const texts[] = {"", "x", "100000", "0 100000", "5 0", "-5 -1",
                                 "9223372036854775807 1"};
    put("groups", "0::/a\nnothing\n:\n::\n");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put("a/cpu.max", texts[i]);
        expect(0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(version_2),
        TEST(version_1),
        TEST(nonsense_is_no_limit),
    };
    return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
