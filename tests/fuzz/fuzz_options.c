// SPDX-License-Identifier: Apache-2.0
// Any words as a command line: parsed, never run. Words end at NUL bytes or newlines; the first one
// picks the verb.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "options.h"

enum { MOST_WORDS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int split(char *text, size_t size, const char **words)
{
    int count = 0;
    for (size_t at = 0; at < size && count < MOST_WORDS; at += strlen(text + at) + 1)
        words[count++] = text + at;
    return count;
}

// What was accepted must be within the table's range.
static void check(const struct options *options)
{
    if (!(options->conf >= 0 && options->conf <= 1)) abort();
    if (options->pad < 0 || options->pad > 255) abort();
    if (options->max_det < 1 || options->quality < 1 || options->quality > 100) abort();
    if (options->precision < 0 || options->precision > 3) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *words[MOST_WORDS + 1] = {NULL};
    char *text = malloc(size + 1);
    if (!text) return 0;
    for (size_t i = 0; i < size; i++)
        text[i] = bytes[i] == '\n' ? 0 : (char)bytes[i];
    text[size] = 0;
    int count = split(text, size, words);
    const struct verb *verb = count ? verb_find(words[0]) : NULL;
    if (!verb) verb = verb_find("detect");
    struct options options;
    options_init(&options);
    int failed = options_parse(&options, verb, count, words);
    if (failed && !*message_last()) abort();
    check(&options);
    options_free(&options);
    free(text);
    return 0;
}
