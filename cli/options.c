// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <errno.h>
#include <math.h>
#include <popt.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

enum { MAX_OPTIONS = 96 };

static void *field(struct options *options, const struct option_spec *spec)
{
    return (char *)options + spec->offset;
}

// --- values

static int fail_value(const struct option_spec *spec, const char *text, const char *why)
{
    return message_set("--%s: '%s' %s", spec->name, text, why);
}

static int check_range(const struct option_spec *spec, double value)
{
    if (value >= spec->least && value <= spec->most) return 0;
    return message_set("--%s: %.10g is not within %.10g to %.10g", spec->name, value, spec->least,
                       spec->most);
}

// A whole number with nothing after it; `end_out` takes what follows instead where it is given.
static int read_int(const struct option_spec *spec, const char *text, const char **end_out,
                    int *value_out)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || (!end_out && *end)) return fail_value(spec, text, "is no whole number");
    if (errno == ERANGE) value = value < 0 ? INT32_MIN : INT32_MAX;
    if (check_range(spec, (double)value)) return -1;
    *value_out = (int)value;
    if (end_out) *end_out = end;
    return 0;
}

static int set_real(const struct option_spec *spec, const char *text, double *value_out)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || isnan(value)) return fail_value(spec, text, "is no number");
    if (check_range(spec, value)) return -1;
    *value_out = value;
    return 0;
}

static int set_count(const struct option_spec *spec, const char *text, uint64_t *value_out)
{
    static const char units[] = "kMG";
    char *end;
    double value = strtod(text, &end);
    if (end == text || isnan(value)) return fail_value(spec, text, "is no number");
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (unit) {
        value *= pow(1000, (double)(unit - units + 1));
        end++;
    }
    if (*end || value != floor(value)) return fail_value(spec, text, "is no whole number");
    if (check_range(spec, value)) return -1;
    *value_out = (uint64_t)value;
    return 0;
}

static int set_choice(const struct option_spec *spec, const char *text, int *value_out)
{
    size_t length = strlen(text);
    int index = 0;
    for (const char *at = spec->choices; at; index++) {
        size_t n = strcspn(at, "|");
        if (n == length && !memcmp(at, text, n)) {
            *value_out = index;
            return 0;
        }
        at = at[n] ? at + n + 1 : NULL;
    }
    return message_set("--%s: '%s' is none of %s", spec->name, text, spec->choices);
}

static int set_size(const struct option_spec *spec, const char *text, int *size_out)
{
    const char *end;
    if (read_int(spec, text, &end, &size_out[0])) return -1;
    size_out[1] = size_out[0];
    if (!*end) return 0;
    if (*end != 'x' && *end != 'X') return fail_value(spec, text, "is neither N nor WIDTHxHEIGHT");
    return read_int(spec, end + 1, NULL, &size_out[1]);
}

static int set_range(const struct option_spec *spec, const char *text, int *range_out)
{
    const char *at = text, *end = text;
    for (int i = 0; i < 3; i++) {
        if (read_int(spec, at, &end, &range_out[i])) return -1;
        at = end + 1;
        if (i == 0 && !*end) {
            range_out[1] = range_out[2] = range_out[0];
            return 0;
        }
        if (*end != (i < 2 ? ':' : 0))
            return fail_value(spec, text, "is neither N nor LEAST:BEST:MOST");
    }
    if (range_out[0] <= range_out[1] && range_out[1] <= range_out[2]) return 0;
    return fail_value(spec, text, "does not rise");
}

static int set_text(char **text_out, const char *text)
{
    char *copy = strdup(text);
    if (!copy) return message_set("out of memory");
    free(*text_out);
    *text_out = copy;
    return 0;
}

static int set_device(const struct option_spec *spec, const char *text, char **device_out)
{
    int known = !strcmp(text, "auto") || !strcmp(text, "cpu") || !strcmp(text, "cuda");
    if (!strncmp(text, "cuda:", 5))
        known = text[5] && strspn(text + 5, "0123456789") == strlen(text + 5) && strlen(text) < 9;
    if (!known) return fail_value(spec, text, "is none of auto, cpu, cuda, cuda:N");
    return set_text(device_out, text);
}

int option_set(struct options *options, const struct option_spec *spec, const char *text)
{
    void *value = field(options, spec);
    int is_text = spec->kind >= OPTION_TEXT;
    if (is_text && !*text) return message_set("--%s: is empty", spec->name);
    switch (spec->kind) {
    case OPTION_FLAG:
        *(int *)value = 1;
        return 0;
    case OPTION_INT:
        return read_int(spec, text, NULL, value);
    case OPTION_REAL:
        return set_real(spec, text, value);
    case OPTION_COUNT:
        return set_count(spec, text, value);
    case OPTION_CHOICE:
        return set_choice(spec, text, value);
    case OPTION_SIZE:
        return set_size(spec, text, value);
    case OPTION_RANGE:
        return set_range(spec, text, value);
    case OPTION_DEVICE:
        return set_device(spec, text, value);
    case OPTION_TEXT:
    case OPTION_PATH:
        return set_text(value, text);
    case OPTION_PATHS:
        return strings_add(value, text);
    }
    return 0;
}

// --- all options

void options_init(struct options *options)
{
    memset(options, 0, sizeof *options);
    for (const struct option_spec *spec = option_table; spec->name; spec++)
        if (spec->preset) option_set(options, spec, spec->preset);
}

void options_free(struct options *options)
{
    for (const struct option_spec *spec = option_table; spec->name; spec++) {
        if (spec->kind == OPTION_PATHS)
            strings_free(field(options, spec));
        else if (spec->kind >= OPTION_DEVICE) {
            free(*(char **)field(options, spec));
            *(char **)field(options, spec) = NULL; // another verb's option may share the field
        }
    }
    strings_free(&options->operands);
    memset(options, 0, sizeof *options);
}

// --- parsing

// popt splits the words; values are read by option_set. val is the place in option_table plus one.
static void make_popt_table(struct poptOption *table, unsigned verb)
{
    size_t count = 0;
    for (const struct option_spec *spec = option_table; spec->name; spec++) {
        if (!(spec->verbs & verb) || count >= MAX_OPTIONS) continue;
        table[count++] = (struct poptOption){.longName = spec->name,
                                             .shortName = spec->letter,
                                             .argInfo = spec->kind == OPTION_FLAG ? POPT_ARG_NONE
                                                                                  : POPT_ARG_STRING,
                                             .val = (int)(spec - option_table) + 1};
    }
    table[count] = (struct poptOption){.longName = NULL};
}

struct option_names {
    const struct option_spec *at;
    unsigned verb;
};

static const char *next_option_name(void *state)
{
    struct option_names *names = state;
    while (names->at->name && !(names->at->verbs & names->verb))
        names->at++;
    return names->at->name ? (names->at++)->name : NULL;
}

static int fail_option(poptContext context, int code, const struct verb *verb)
{
    const char *word = poptBadOption(context, 0);
    if (!word) return message_set("%s", poptStrerror(code));
    if (code != POPT_ERROR_BADOPT) return message_set("%s: %s", word, poptStrerror(code));
    struct option_names names = {option_table, verb->bit};
    const char *near = NULL;
    if (!strncmp(word, "--", 2)) near = suggest(word + 2, next_option_name, &names);
    if (near) return message_set("no option '%s'; did you mean --%s?", word, near);
    return message_set("no option '%s'", word);
}

static int take_options(struct options *options, poptContext context, const struct verb *verb)
{
    int code;
    while ((code = poptGetNextOpt(context)) > 0) {
        char *text = poptGetOptArg(context);
        int failed = option_set(options, &option_table[code - 1], text ? text : "");
        free(text);
        if (failed) return -1;
    }
    if (code < -1) return fail_option(context, code, verb);
    const char *word;
    while ((word = poptGetArg(context)))
        if (strings_add(&options->operands, word)) return -1;
    return 0;
}

int options_parse(struct options *options, const struct verb *verb, int argc, const char **argv)
{
    struct poptOption table[MAX_OPTIONS + 1];
    make_popt_table(table, verb->bit);
    poptContext context = poptGetContext(NULL, argc, argv, table, 0);
    if (!context) return message_set("out of memory");
    int failed = take_options(options, context, verb);
    poptFreeContext(context);
    return failed;
}
