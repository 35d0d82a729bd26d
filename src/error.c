// SPDX-License-Identifier: Apache-2.0
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char message[1024];

const char *sac_version(void)
{
    return SAC_VERSION;
}

const char *sac_error_name(int error)
{
#define NAME(name, value, text)                                                                    \
    if (error == (value)) return #name;
    SAC_ERRORS(NAME)
#undef NAME
    return error == SAC_OK ? "SAC_OK" : "unknown";
}

const char *sac_error_text(int error)
{
#define TEXT(name, value, text)                                                                    \
    if (error == (value)) return text;
    SAC_ERRORS(TEXT)
#undef TEXT
    return error == SAC_OK ? "success" : "unknown error";
}

const char *sac_error_message(void)
{
    return message;
}

int sac__fail(int error, const char *format, ...)
{
    char text[sizeof message]; // arguments may point into message
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(message, text, sizeof text);
    return error;
}

int sac__fail_in(int error, const char *prefix)
{
    return sac__fail(error, "%s: %s", prefix, message);
}
