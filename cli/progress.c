// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static struct {
    pthread_mutex_t lock;
    int shown, colour;
    size_t done, total;
    char what[64]; ///< of a step; "": pictures
    double start, drawn; // seconds
} bar = {.lock = PTHREAD_MUTEX_INITIALIZER};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void put(const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(STDERR_FILENO, bytes, size);
        if (n <= 0) return;
        bytes += n;
        size -= (size_t)n;
    }
}

static int columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

static void clear(void)
{
    static const char erase[] = "\r\033[K";
    if (bar.shown && bar.drawn > 0) put(erase, sizeof erase - 1);
}

// "3:07", or "1:02:45" from an hour on.
static void print_time(char *text, size_t size, double seconds)
{
    long s = seconds < 359999 ? (long)(seconds + 0.5) : 359999;
    if (s >= 3600)
        snprintf(text, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, size, "%ld:%02ld", s / 60, s % 60);
}

static size_t print_blocks(char *out, size_t size, int width, double share)
{
    int full = (int)(share * width + 0.5);
    size_t used = 0;
    if (bar.colour) used += (size_t)snprintf(out + used, size - used, "\033[36m");
    for (int i = 0; i < width && used + 8 < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s", i < full ? "━" : " ");
    if (bar.colour) used += (size_t)snprintf(out + used, size - used, "\033[0m");
    return used;
}

static void draw(double t)
{
    char text[96], left[24], line[1024];
    double seconds = t - bar.start;
    double rate = seconds > 0 ? (double)bar.done / seconds : 0;
    int total_known = bar.total > 0 && bar.total >= bar.done;
    if (*bar.what) {
        snprintf(text, sizeof text, " %zu/%zu  %s", bar.done, bar.total, bar.what);
    } else if (total_known && rate > 0) {
        print_time(left, sizeof left, (double)(bar.total - bar.done) / rate);
        snprintf(text, sizeof text, " %zu/%zu  %.1f/s  %s left", bar.done, bar.total, rate, left);
    } else {
        snprintf(text, sizeof text, "%zu pictures  %.1f/s", bar.done, rate);
    }
    size_t used = (size_t)snprintf(line, sizeof line, "\r\033[K");
    int room = columns() - 1 - (int)strlen(text);
    if (total_known && room >= 10)
        used += print_blocks(line + used, sizeof line - used - sizeof text, room < 40 ? room : 40,
                             (double)bar.done / (double)bar.total);
    used += (size_t)snprintf(line + used, sizeof line - used, "%.*s", columns() - 1, text);
    put(line, used);
    bar.drawn = t;
}

void progress_open(int quiet)
{
    pthread_mutex_lock(&bar.lock);
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    bar.shown = !quiet && isatty(STDERR_FILENO) && (!term || strcmp(term, "dumb"));
    bar.colour = !(no_color && *no_color);
    bar.start = now();
    bar.drawn = 0;
    bar.done = bar.total = 0;
    *bar.what = 0;
    pthread_mutex_unlock(&bar.lock);
}

int progress_is_shown(void)
{
    pthread_mutex_lock(&bar.lock);
    int shown = bar.shown;
    pthread_mutex_unlock(&bar.lock);
    return shown;
}

void progress_update(size_t done, size_t total)
{
    pthread_mutex_lock(&bar.lock);
    bar.done = done;
    bar.total = total;
    double t = bar.shown ? now() : 0;
    if (bar.shown && t - bar.drawn >= 0.1) draw(t);
    pthread_mutex_unlock(&bar.lock);
}

void progress_step(const char *what, size_t done, size_t total)
{
    pthread_mutex_lock(&bar.lock);
    snprintf(bar.what, sizeof bar.what, "%s", what);
    pthread_mutex_unlock(&bar.lock);
    progress_update(done, total);
}

void progress_close(void)
{
    pthread_mutex_lock(&bar.lock);
    clear();
    bar.shown = 0;
    pthread_mutex_unlock(&bar.lock);
}

void progress_write(const char *lines, size_t size)
{
    pthread_mutex_lock(&bar.lock);
    clear();
    put(lines, size);
    if (bar.shown && bar.drawn > 0) draw(now());
    pthread_mutex_unlock(&bar.lock);
}
