// SPDX-License-Identifier: Apache-2.0
#include "message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "progress.h"

static _Thread_local char last[5120];

int message_set(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(last, sizeof last, format, args);
    va_end(args);
    return -1;
}

const char *message_last(void)
{
    return last;
}

// A file name may hold an escape sequence; it must not reach the terminal.
static void clean(char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < 0x20 && *text != '\n') || *text == 0x7f) *text = '?';
}

void message_print(const char *format, ...)
{
    static const char prefix[] = "saccade: ";
    char line[6144];
    size_t used = sizeof prefix - 1;
    memcpy(line, prefix, used);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + used, sizeof line - used - 1, format, args);
    va_end(args);
    if (n < 0) return;
    clean(line + used);
    used = strlen(line);
    line[used++] = '\n';
    progress_write(line, used);
}
