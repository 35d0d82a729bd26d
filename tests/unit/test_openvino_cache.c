// SPDX-License-Identifier: Apache-2.0
// The cache of compiled networks: what is in the folder, what is refused, what survives.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tiny_run.h"

extern char **environ;
static const char *program;

static int make_folder(void **state)
{
    char *folder = strdup("/tmp/saccade-cache-XXXXXX");
    *state = folder;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
    free(*state);
    return system(command);
}

// Opens the tiny model of this seed with this cache folder and checks its numbers.
static void open_and_check(const char *folder, uint64_t limit, int seed, sac_precision precision)
{
    const struct tiny_bytes model =
        tiny_model(&(struct tiny){.input = {1, 3, 12, 12}, .seed = seed});
    struct sac_source source = source_of(&model);
    char hash[32];
    snprintf(hash, sizeof hash, "tiny-%d", seed);
    source.hash = hash;
    sac_engine_options options = plain_options();
    options.cache_dir = folder;
    options.cache_limit = limit;
    options.precision = precision;
    sac_engine *engine;
    if (sac__engine_open(&engine, &source, &options)) fail_msg("%s", sac_error_message());
    run_and_compare(engine, 1, 12, 12, seed, 1e-5);
    sac_engine_close(&engine);
}

static void open_seed(const char *folder, int seed)
{
    open_and_check(folder, 0, seed, SAC_PRECISION_FP32);
}

// Number of files in the folder; path_out is the last one's path.
static int list(char *path_out, size_t size, const char *folder)
{
    int count = 0;
    DIR *listing = opendir(folder);
    assert_non_null(listing);
    for (struct dirent *d; (d = readdir(listing));) {
        if (d->d_name[0] == '.') continue;
        count++;
        snprintf(path_out, size, "%s/%s", folder, d->d_name);
    }
    closedir(listing);
    return count;
}

static void a_second_open_uses_the_entry(void **state)
{
    char path[1024];
    struct stat before, after;
    open_seed(*state, 1);
    assert_string_equal(log_text, "");
    assert_int_equal(list(path, sizeof path, *state), 1);
    assert_int_equal(chmod(path, 0400), 0);
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    assert_int_equal(stat(path, &before), 0);
    open_seed(*state, 1);
    assert_string_equal(log_text, "");
    assert_int_equal(list(path, sizeof path, *state), 1);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_ino, before.st_ino); // not written again
    assert_true(after.st_mtime > before.st_mtime); // but renewed
}

static void settings_have_entries_of_their_own(void **state)
{
    char path[1024];
    open_seed(*state, 1);
    open_seed(*state, 2);
    assert_int_equal(list(path, sizeof path, *state), 2);
    open_seed(*state, 1);
    open_seed(*state, 2);
    assert_int_equal(list(path, sizeof path, *state), 2);
    sac_engine_options options = plain_options();
    options.cache_dir = *state;
    options.precision = SAC_PRECISION_AUTO;
    options.mode = SAC_MODE_THROUGHPUT;
    const struct tiny_bytes model = tiny_model(&(struct tiny){.input = {1, 3, 12, 12}, .seed = 1});
    const struct sac_source source = source_of(&model);
    sac_engine *engine;
    assert_int_equal(sac__engine_open(&engine, &source, &options), 0);
    sac_engine_close(&engine);
    assert_int_equal(list(path, sizeof path, *state), 3);
}

// What "auto" found out is not found out again.
static void the_chosen_precision_is_kept(void **state)
{
    char path[1024];
    sac_precision first = SAC_PRECISION_AUTO;
    const float scales[] = {1, 3000};
    for (int i = 0; i < 4; i++) {
        const struct tiny_bytes model = tiny_model(
            &(struct tiny){.input = {1, 3, 32, 32}, .op = "Neg", .scale = scales[i / 2]});
        struct sac_source source = source_of(&model);
        source.hash = i / 2 ? "large" : "small";
        sac_engine_options options = plain_options();
        options.cache_dir = *state;
        options.precision = SAC_PRECISION_AUTO;
        sac_engine *engine;
        assert_int_equal(sac__engine_open(&engine, &source, &options), 0);
        if (i % 2) {
            assert_int_equal(sac_engine_precision(engine), first);
            assert_string_equal(log_text, "");
        }
        first = sac_engine_precision(engine);
        sac_engine_close(&engine);
        assert_int_equal(list(path, sizeof path, *state), 1 + i / 2);
    }
    assert_int_equal(first, SAC_PRECISION_FP32);
}

static size_t file_size(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return (size_t)status.st_size;
}

static void flip_byte(const char *path, long at)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, at, SEEK_SET);
    const int byte = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(byte ^ 16, file);
    fclose(file);
}

static void damage_is_found_wherever_it_is(void **state)
{
    char path[1024];
    open_seed(*state, 1);
    assert_int_equal(list(path, sizeof path, *state), 1);
    const size_t size = file_size(path);
    assert_true(size > 500);
    // The header's end is padding.
    const long places[] = {0, 8, 12, 16, 24, 32, 64, 70, 200, (long)size / 2, (long)size - 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        flip_byte(path, places[i]);
        open_seed(*state, 1);
        assert_non_null(strstr(log_text, "is removed: "));
        assert_int_equal(file_size(path), size); // written anew
        open_seed(*state, 1);
        assert_string_equal(log_text, "");
    }
}

static void short_and_long_files_are_refused(void **state)
{
    char path[1024];
    open_seed(*state, 1);
    assert_int_equal(list(path, sizeof path, *state), 1);
    const long size = (long)file_size(path), sizes[] = {0, 1, 63, 64, 65, 130, size - 1, size + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(truncate(path, sizes[i]), 0);
        open_seed(*state, 1);
        assert_non_null(strstr(log_text, "is removed: "));
        assert_int_equal(file_size(path), size);
    }
}

static void another_models_entry_is_refused(void **state)
{
    char one[1024], other[1100];
    open_seed(*state, 1);
    assert_int_equal(list(one, sizeof one, *state), 1);
    snprintf(other, sizeof other, "%s.kept", one);
    assert_int_equal(rename(one, other), 0);
    open_seed(*state, 2);
    assert_int_equal(remove(one), -1); // seed 2 has another name
    char second[1024] = "";
    DIR *listing = opendir(*state);
    for (struct dirent *d; (d = readdir(listing));)
        if (strstr(d->d_name, ".blob") && !strstr(d->d_name, ".kept"))
            snprintf(second, sizeof second, "%s/%s", (char *)*state, d->d_name);
    closedir(listing);
    assert_int_equal(rename(other, second), 0);
    open_seed(*state, 2);
    assert_non_null(strstr(log_text, "belongs to another model"));
    open_seed(*state, 2);
    assert_string_equal(log_text, "");
}

static void links_and_folders_are_no_entries(void **state)
{
    char path[1024], target[1100];
    open_seed(*state, 1);
    assert_int_equal(list(path, sizeof path, *state), 1);
    snprintf(target, sizeof target, "%s.target", path);
    assert_int_equal(rename(path, target), 0);
    assert_int_equal(symlink(target, path), 0);
    open_seed(*state, 1);
    assert_non_null(strstr(log_text, "is removed: "));
    assert_int_equal(remove(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    open_seed(*state, 1); // cannot be replaced: the network runs without the cache
    assert_non_null(strstr(log_text, "not written"));
}

static void the_oldest_entries_go_first(void **state)
{
    char path[1024];
    open_seed(*state, 1);
    assert_int_equal(list(path, sizeof path, *state), 1);
    const uint64_t limit = 2 * file_size(path) + file_size(path) / 2;
    open_and_check(*state, limit, 2, SAC_PRECISION_FP32);
    assert_int_equal(list(path, sizeof path, *state), 2);
    open_and_check(*state, limit, 1, SAC_PRECISION_FP32); // renews the first
    open_and_check(*state, limit, 3, SAC_PRECISION_FP32);
    assert_int_equal(list(path, sizeof path, *state), 2);
    struct stat status;
    open_and_check(*state, limit, 1, SAC_PRECISION_FP32); // still there: nothing is written
    assert_int_equal(stat(*state, &status), 0);
    const struct timespec changed = status.st_mtim;
    open_and_check(*state, limit, 3, SAC_PRECISION_FP32);
    assert_int_equal(stat(*state, &status), 0);
    assert_memory_equal(&changed, &status.st_mtim, sizeof changed);
    open_and_check(*state, limit, 2, SAC_PRECISION_FP32); // was removed
    assert_int_equal(stat(*state, &status), 0);
    assert_memory_not_equal(&changed, &status.st_mtim, sizeof changed);
    assert_int_equal(list(path, sizeof path, *state), 2);
    open_and_check(*state, 10, 4, SAC_PRECISION_FP32);
    assert_non_null(strstr(log_text, "more than the limit"));
}

static void other_files_are_left_alone(void **state)
{
    char path[1024], stale[512];
    snprintf(path, sizeof path, "%s/notes.blob", (char *)*state);
    fclose(fopen(path, "w"));
    snprintf(stale, sizeof stale, "%s/openvino-dead.tmp", (char *)*state);
    fclose(fopen(stale, "w"));
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, stale, old, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    open_and_check(*state, 1 << 16, 1, SAC_PRECISION_FP32);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(access(stale, F_OK), -1); // left by a process that died
}

static void an_unusable_folder_is_a_note(void **state)
{
    char file[512], below[1100];
    snprintf(file, sizeof file, "%s/file", (char *)*state);
    fclose(fopen(file, "w"));
    snprintf(below, sizeof below, "%s/sub/folder", file);
    open_seed(below, 1);
    assert_non_null(strstr(log_text, "compiled-model cache: not used: "));
    assert_non_null(strstr(log_text, below));
    if (geteuid() == 0) return; // permissions do not hold root back
    assert_int_equal(chmod(*state, 0500), 0);
    open_seed(*state, 1);
    assert_non_null(strstr(log_text, "not written"));
    assert_int_equal(chmod(*state, 0700), 0);
}

static void the_users_folder_is_the_default(void **state)
{
    char path[1024], folder[512];
    struct stat status;
    snprintf(folder, sizeof folder, "%s/deep/er", (char *)*state);
    setenv("XDG_CACHE_HOME", folder, 1);
    open_seed(NULL, 1);
    snprintf(folder, sizeof folder, "%s/deep/er/saccade", (char *)*state);
    assert_int_equal(list(path, sizeof path, folder), 1);
    assert_int_equal(stat(folder, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    setenv("XDG_CACHE_HOME", "relative", 1); // to be ignored
    char *home = getenv("HOME") ? strdup(getenv("HOME")) : NULL;
    setenv("HOME", *state, 1);
    open_seed(NULL, 1);
    snprintf(folder, sizeof folder, "%s/.cache/saccade", (char *)*state);
    assert_int_equal(list(path, sizeof path, folder), 1);
    unsetenv("HOME");
    open_seed(NULL, 1);
    assert_non_null(strstr(log_text, "neither XDG_CACHE_HOME nor HOME"));
    if (home) setenv("HOME", home, 1);
    free(home);
    unsetenv("XDG_CACHE_HOME");
}

static void weights_in_other_files_are_not_cached(void **state)
{
    char path[1024];
    float weights[TINY_WEIGHTS];
    const struct tiny_bytes model =
        tiny_model(&(struct tiny){.input = {1, 3, 12, 12}, .external = "weights.bin"});
    snprintf(path, sizeof path, "%s/weights.bin", (char *)*state);
    FILE *file = fopen(path, "wb");
    tiny_weights(weights, 6);
    assert_int_equal(fwrite(weights, sizeof weights, 1, file), 1);
    fclose(file);
    snprintf(path, sizeof path, "%s/model.onnx", (char *)*state);
    file = fopen(path, "wb");
    assert_int_equal(fwrite(model.at, model.size, 1, file), 1);
    fclose(file);
    struct sac_source source = source_of(&model);
    source.path = path;
    source.self_contained = 0;
    sac_engine_options options = plain_options();
    options.cache_dir = *state;
    sac_engine *engine;
    if (sac__engine_open(&engine, &source, &options)) fail_msg("%s", sac_error_message());
    run_and_compare(engine, 1, 12, 12, 6, 1e-5);
    sac_engine_close(&engine);
    assert_int_equal(list(path, sizeof path, *state), 2);
}

static void processes_share_the_folder(void **state)
{
    enum { PROCESSES = 4 };
    char path[1024];
    pid_t ids[PROCESSES];
    char *arguments[] = {(char *)(uintptr_t)program, "open", *state, NULL};
    for (int i = 0; i < PROCESSES; i++)
        assert_int_equal(posix_spawn(&ids[i], program, NULL, NULL, arguments, environ), 0);
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(ids[i], &status, 0), ids[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_int_equal(list(path, sizeof path, *state), 1);
    open_seed(*state, 3);
    assert_string_equal(log_text, "");
}

static void open_as_child(void **state)
{
    for (int i = 0; i < 3; i++) {
        open_seed(*state, 3);
        assert_string_equal(log_text, "");
    }
}

int main(int count, char **arguments)
{
    program = arguments[0];
    if (count == 3) { // a process of processes_share_the_folder
        const struct CMUnitTest child[] = {cmocka_unit_test_prestate(open_as_child, arguments[2])};
        return cmocka_run_group_tests_name("child", child, NULL, NULL);
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(a_second_open_uses_the_entry),
        TEST(settings_have_entries_of_their_own),
        TEST(the_chosen_precision_is_kept),
        TEST(damage_is_found_wherever_it_is),
        TEST(short_and_long_files_are_refused),
        TEST(another_models_entry_is_refused),
        TEST(links_and_folders_are_no_entries),
        TEST(the_oldest_entries_go_first),
        TEST(other_files_are_left_alone),
        TEST(an_unusable_folder_is_a_note),
        TEST(the_users_folder_is_the_default),
        TEST(weights_in_other_files_are_not_cached),
        TEST(processes_share_the_folder),
    };
    return cmocka_run_group_tests_name("openvino_cache", tests, NULL, NULL);
}
