// SPDX-License-Identifier: Apache-2.0
#include "cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#define SUFFIX ".blob"
#define TEMPORARY ".tmp"

enum { ALIGNMENT = 64, STALE_SECONDS = 3600 };

// A file is this, the key padded with zeros to a multiple of 64, and the blob. The checksum covers
// all that follows the header. Byte order is the machine's own: the key names the processor.
struct header {
    char magic[8];
    uint32_t version, key_size; // key_size: padded
    uint64_t blob_size;
    uint64_t checksum[2];
    uint8_t zero[24];
};
_Static_assert(sizeof(struct header) == ALIGNMENT, "the blob is aligned");
static const char magic[8] = "SACBLOB";
enum { VERSION = 1 };

void sac__cache_log(struct sac_cache *cache, const char *format, ...)
{
    if (!cache->log)
        return;
    char text[640], line[704];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(line, sizeof line, "%s: %s", cache->title, text);
    cache->log(cache->log_user, line);
}

// Makes a folder and those above it. Errors are left for whoever opens it.
static void make_folder(const char *path)
{
    char part[4096];
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
        return;
    for (char *slash = part + 1; *part && (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(part, 0700);
        *slash = '/';
    }
    mkdir(part, 0700);
}

static const char *find_folder(char *path_out, size_t size, const char *path)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int length;
    if (path)
        length = snprintf(path_out, size, "%s", path);
    else if (xdg && *xdg == '/') // a relative one is to be ignored, says the XDG specification
        length = snprintf(path_out, size, "%s/saccade", xdg);
    else if (home && *home)
        length = snprintf(path_out, size, "%s/.cache/saccade", home);
    else
        return "neither XDG_CACHE_HOME nor HOME is set";
    return length < (int)size ? NULL : "its path is too long";
}

void sac__cache_open(struct sac_cache *cache, const char *path)
{
    cache->folder = -1;
    if (path && !*path)
        return;
    char folder[4096];
    const char *why = find_folder(folder, sizeof folder, path);
    if (why) {
        sac__cache_log(cache, "not used: %s", why);
        return;
    }
    make_folder(folder);
    cache->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cache->folder < 0)
        sac__cache_log(cache, "not used: %s: %s", folder, strerror(errno));
}

void sac__cache_select(struct sac_cache *cache)
{
    const XXH128_hash_t hash = XXH3_128bits(cache->key, strlen(cache->key));
    snprintf(cache->name, sizeof cache->name, "%s-%016llx%016llx" SUFFIX, cache->backend,
             (unsigned long long)hash.high64, (unsigned long long)hash.low64);
}

void sac__cache_close(struct sac_cache *cache)
{
    if (cache->folder >= 0)
        close(cache->folder);
    cache->folder = -1;
}

void sac__cache_drop(struct sac_cache *cache, const char *why)
{
    sac__cache_log(cache, "%s is removed: %s", cache->name, why);
    unlinkat(cache->folder, cache->name, 0);
}

static size_t padded(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static int read_all(int file, uint8_t *bytes_out, size_t size)
{
    while (size > 0) {
        const ssize_t n = read(file, bytes_out, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        bytes_out += n;
        size -= (size_t)n;
    }
    return 1;
}

static int write_all(int file, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    while (size > 0) {
        const ssize_t n = write(file, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        at += n;
        size -= (size_t)n;
    }
    return 1;
}

// Returns NULL, or why the file is not the entry that is looked for.
static const char *verify(const struct sac_cache *cache, const uint8_t *file, size_t size)
{
    const size_t key_size = padded(strlen(cache->key) + 1);
    struct header header;
    memcpy(&header, file, sizeof header);
    if (memcmp(header.magic, magic, sizeof magic) != 0 || header.version != VERSION)
        return "it is no file of ours";
    if (header.key_size != key_size || size - sizeof header < key_size ||
        header.blob_size != size - sizeof header - key_size)
        return "its size is wrong";
    const XXH128_hash_t sum = XXH3_128bits(file + sizeof header, size - sizeof header);
    if (sum.low64 != header.checksum[0] || sum.high64 != header.checksum[1])
        return "its checksum is wrong";
    if (strcmp((const char *)file + sizeof header, cache->key) != 0)
        return "it belongs to another model or setting";
    return NULL;
}

// Reads a whole file of our own into blob_out->file. Returns NULL or why it cannot be used.
static const char *read_file(const struct sac_cache *cache, int file,
                             struct sac_cache_blob *blob_out)
{
    struct stat status;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode))
        return "it is no regular file";
    if (status.st_uid != geteuid())
        return "it belongs to another user";
    const size_t size = (size_t)status.st_size;
    if (size <= sizeof(struct header))
        return "its size is wrong";
    blob_out->file = aligned_alloc(ALIGNMENT, padded(size));
    if (!blob_out->file)
        return "there is no memory to read it";
    if (!read_all(file, blob_out->file, size))
        return "it cannot be read";
    const char *why = verify(cache, blob_out->file, size);
    const size_t before = sizeof(struct header) + padded(strlen(cache->key) + 1);
    if (!why)
        *blob_out = (struct sac_cache_blob){blob_out->file, blob_out->file + before, size - before};
    return why;
}

int sac__cache_load(struct sac_cache *cache, struct sac_cache_blob *blob_out)
{
    *blob_out = (struct sac_cache_blob){NULL, NULL, 0};
    if (cache->folder < 0)
        return 0;
    const int file =
        openat(cache->folder, cache->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) {
        if (errno != ENOENT)
            sac__cache_drop(cache, strerror(errno));
        return 0;
    }
    const char *why = read_file(cache, file, blob_out);
    if (why) {
        sac__cache_drop(cache, why);
        free(blob_out->file);
        blob_out->file = NULL;
    } else {
        futimens(file, NULL);
    }
    close(file);
    return why == NULL;
}

struct entry {
    char name[64];
    uint64_t bytes;
    struct timespec used;
};

static int older_first(const void *a, const void *b)
{
    const struct timespec x = ((const struct entry *)a)->used, y = ((const struct entry *)b)->used;
    if (x.tv_sec != y.tv_sec)
        return x.tv_sec < y.tv_sec ? -1 : 1;
    return (x.tv_nsec > y.tv_nsec) - (x.tv_nsec < y.tv_nsec);
}

static int ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

// Whether a file is of this cache's backend: "NAME-…".
static int is_own(const struct sac_cache *cache, const char *name)
{
    const size_t length = strlen(cache->backend);
    return strncmp(name, cache->backend, length) == 0 && name[length] == '-';
}

// Notes an entry of ours; removes what a killed process left behind.
static int visit(struct sac_cache *cache, const char *name, struct entry *entry_out)
{
    struct stat status;
    if (!is_own(cache, name) || strlen(name) >= sizeof entry_out->name ||
        fstatat(cache->folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    if (ends_with(name, TEMPORARY) && status.st_mtim.tv_sec + STALE_SECONDS < time(NULL))
        unlinkat(cache->folder, name, 0);
    if (!ends_with(name, SUFFIX))
        return 0;
    snprintf(entry_out->name, sizeof entry_out->name, "%s", name);
    entry_out->bytes = (uint64_t)status.st_size;
    entry_out->used = status.st_mtim;
    return 1;
}

// Lists the entries, oldest first. Returns how many; free entries_out.
static size_t list(struct sac_cache *cache, struct entry **entries_out)
{
    size_t count = 0, capacity = 0;
    struct entry *entries = NULL, entry;
    // A descriptor of its own: closedir closes it, and it starts at the first entry.
    const int folder = openat(cache->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = folder < 0 ? NULL : fdopendir(folder);
    for (struct dirent *d; listing && (d = readdir(listing));) {
        if (!visit(cache, d->d_name, &entry))
            continue;
        if (count == capacity) {
            capacity = 2 * capacity + 16;
            struct entry *grown = realloc(entries, capacity * sizeof *entries);
            if (!grown)
                break;
            entries = grown;
        }
        entries[count++] = entry;
    }
    if (listing)
        closedir(listing);
    else if (folder >= 0)
        close(folder);
    if (count)
        qsort(entries, count, sizeof *entries, older_first);
    *entries_out = entries;
    return count;
}

static void trim(struct sac_cache *cache)
{
    struct entry *entries;
    const size_t count = list(cache, &entries);
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += entries[i].bytes;
    for (size_t i = 0; i < count && total > cache->limit; i++) {
        if (strcmp(entries[i].name, cache->name) == 0)
            continue;
        if (unlinkat(cache->folder, entries[i].name, 0) == 0 || errno == ENOENT)
            total -= entries[i].bytes;
    }
    free(entries);
}

static int write_entry(int file, const struct sac_cache *cache, const void *data, size_t size)
{
    const size_t key_size = padded(strlen(cache->key) + 1);
    char *key = calloc(1, key_size);
    XXH3_state_t *hash = XXH3_createState();
    int good = key && hash;
    if (good) {
        memcpy(key, cache->key, strlen(cache->key));
        XXH3_128bits_reset(hash);
        XXH3_128bits_update(hash, key, key_size);
        XXH3_128bits_update(hash, data, size);
        const XXH128_hash_t sum = XXH3_128bits_digest(hash);
        struct header header = {.version = VERSION,
                                .key_size = (uint32_t)key_size,
                                .blob_size = size,
                                .checksum = {sum.low64, sum.high64}};
        memcpy(header.magic, magic, sizeof magic);
        good = write_all(file, &header, sizeof header) && write_all(file, key, key_size) &&
               write_all(file, data, size) && fsync(file) == 0;
    }
    XXH3_freeState(hash);
    free(key);
    return good;
}

void sac__cache_store(struct sac_cache *cache, const void *data, size_t size)
{
    if (cache->folder < 0)
        return;
    if (size > cache->limit) {
        sac__cache_log(cache, "%zu bytes are more than the limit, not kept", size);
        return;
    }
    char temporary[64];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    // The address tells threads of one process apart.
    snprintf(temporary, sizeof temporary, "%s-%lx-%lx-%lx" TEMPORARY, cache->backend,
             (long)getpid(), (long)now.tv_nsec, (unsigned long)(uintptr_t)cache);
    const int file = openat(cache->folder, temporary,
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int good = file >= 0 && write_entry(file, cache, data, size);
    int reason = errno;
    if (file >= 0 && close(file) != 0)
        good = 0;
    if (good && renameat(cache->folder, temporary, cache->folder, cache->name) != 0) {
        reason = errno;
        good = 0;
    }
    if (!good) {
        sac__cache_log(cache, "not written: %s", strerror(reason));
        if (file >= 0)
            unlinkat(cache->folder, temporary, 0);
    }
    trim(cache);
}
