// SPDX-License-Identifier: Apache-2.0
// Errors go through the host that the core handed in.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gpu.h"

static const struct sac_host *host;
static _Thread_local char message[1024];

void sac__gpu_host(const struct sac_host *its)
{
    host = its;
}

int sac__fail(int error, const char *format, ...)
{
    char text[sizeof message]; // arguments may point into message
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(message, text, sizeof text);
    return host->fail(error, "%s", text);
}

const char *sac__gpu_message(void)
{
    return message;
}

#define TEXT(name, value, text) text,
static const char *const heads[] = {SAC_HEADS(TEXT)};
#undef TEXT

const char *sac__gpu_head_name(sac_head_family family)
{
    return (unsigned)family < SAC_HEAD_COUNT ? heads[family] : "unknown";
}
