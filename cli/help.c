// SPDX-License-Identifier: Apache-2.0
// Help texts, made from the tables.
#include <string.h>

#include "options.h"

enum { WIDTH = 80, HELP_COLUMN = 30 };

// Characters, not bytes: UTF-8 continuation bytes take no column.
static int columns(const char *text, size_t size)
{
    int count = 0;
    for (size_t i = 0; i < size; i++)
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

// Prints one paragraph (up to '\n' or the end) from column `at`, later lines from `indent`. Returns
// what follows it.
static const char *print_paragraph(FILE *out, const char *text, int at, int indent)
{
    int fresh = 1;
    while (*text && *text != '\n') {
        size_t size = strcspn(text, " \n");
        int width = columns(text, size);
        if (!fresh && at + 1 + width > WIDTH) {
            fprintf(out, "\n%*s", indent, "");
            at = indent;
            fresh = 1;
        }
        fprintf(out, "%s%.*s", fresh ? "" : " ", (int)size, text);
        at += width + !fresh;
        fresh = 0;
        text += size + strspn(text + size, " ");
    }
    fputc('\n', out);
    return *text ? text + 1 : text;
}

static void print_option(FILE *out, const struct option_spec *spec)
{
    char head[96], help[512];
    char letter[8] = "";
    if (spec->letter) snprintf(letter, sizeof letter, "-%c, ", spec->letter);
    int width = snprintf(head, sizeof head, "  %4s--%s%s%s", letter, spec->name,
                         spec->value ? " " : "", spec->value ? spec->value : "");
    snprintf(help, sizeof help, "%s%s%s%s", spec->help, spec->preset ? " (default " : "",
             spec->preset ? spec->preset : "", spec->preset ? ")" : "");
    fputs(head, out);
    if (width > HELP_COLUMN - 2) {
        fputc('\n', out);
        width = 0;
    }
    fprintf(out, "%*s", HELP_COLUMN - width, "");
    print_paragraph(out, help, HELP_COLUMN, HELP_COLUMN);
}

static void print_options(FILE *out, const struct verb *verb)
{
    const char *group = NULL;
    for (const struct option_spec *spec = option_table; spec->name; spec++) {
        if (spec->group) group = spec->group;
        if (!(spec->verbs & verb->bit)) continue;
        if (group) fprintf(out, "\n%s:\n", group);
        group = NULL;
        print_option(out, spec);
    }
}

static void print_examples(FILE *out, const char *text)
{
    fputs("\nExamples:\n", out);
    while (*text) {
        size_t size = strcspn(text, "\n");
        const char *what = text + size + 1;
        fprintf(out, "  %.*s\n      ", (int)size, text);
        text = print_paragraph(out, what, 6, 6);
    }
}

static void print_verb(FILE *out, const struct verb *verb)
{
    fprintf(out, "Usage: saccade %s [OPTION…]%s%s\n\n", verb->name, *verb->operands ? " " : "",
            verb->operands);
    for (const char *text = verb->description; *text;)
        text = print_paragraph(out, text, 0, 0);
    print_options(out, verb);
    print_examples(out, verb->examples);
}

void help_print(FILE *out, const struct verb *verb)
{
    if (verb) {
        print_verb(out, verb);
        return;
    }
    fputs("Usage: saccade VERB …\n\nObject detection with YOLO models: pixels in, boxes out.\n\n"
          "Verbs:\n",
          out);
    for (verb = verb_table; verb->name; verb++)
        fprintf(out, "  %-10s %s\n", verb->name, verb->summary);
    fputs("\n'saccade VERB --help' shows a verb's options and examples;\n"
          "'saccade --version' shows versions and backends.\n\n"
          "Start with:\n  saccade detect photo.jpg\n",
          out);
}
