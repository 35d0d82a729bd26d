// SPDX-License-Identifier: Apache-2.0
// Prints man pages and shell completion from the tables; run by the build.
//   docgen FILE man [VERB] | bash | zsh | fish
#include <stdio.h>
#include <string.h>

#include "exit.h"
#include "options.h"

// Calls `body` for each option that a verb takes.
#define FOR_OPTIONS(spec, verb)                                                                    \
    for (const struct option_spec *spec = option_table; spec->name; spec++)                        \
        if (spec->verbs & (verb)->bit)

#define FOR_VERBS(verb) for (const struct verb *verb = verb_table; verb->name; verb++)

// --- man pages

// Text of a man page: hyphens that can be copied, no control lines, plain dots.
static void roff(const char *text, size_t size)
{
    int fresh = 1;
    for (size_t i = 0; i < size; i++) {
        if (!strncmp(text + i, "…", strlen("…"))) {
            fputs("...", stdout);
            i += strlen("…") - 1;
            continue;
        }
        if (fresh && (text[i] == '.' || text[i] == '\'')) fputs("\\&", stdout);
        if (text[i] == '-')
            fputs("\\-", stdout);
        else if (text[i] == '\\')
            fputs("\\e", stdout);
        else
            putchar(text[i]);
        fresh = text[i] == '\n';
    }
}

static void roff_text(const char *text)
{
    roff(text, strlen(text));
}

static void man_head(const char *page, const char *summary)
{
    printf(".TH ");
    for (const char *c = page; *c; c++)
        putchar(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    printf(" 1 \"\" \"saccade %s\" \"User Commands\"\n.SH NAME\n", SAC_VERSION);
    roff_text(page);
    printf(" \\- %s\n.SH SYNOPSIS\n", summary);
}

static void man_paragraphs(const char *text)
{
    for (; *text; text += strcspn(text, "\n") + 1) {
        puts(".PP");
        roff(text, strcspn(text, "\n"));
        putchar('\n');
    }
}

static void man_option(const struct option_spec *spec)
{
    printf(".TP\n");
    if (spec->letter) printf("\\fB\\-%c\\fR, ", spec->letter);
    printf("\\fB\\-\\-");
    roff_text(spec->name);
    printf("\\fR");
    if (spec->value) {
        printf(" \\fI");
        roff_text(spec->value);
        printf("\\fR");
    }
    putchar('\n');
    roff_text(spec->help);
    if (spec->kind == OPTION_REAL || (spec->kind == OPTION_INT && spec->preset))
        printf("; %.10g to %.10g", spec->least, spec->most);
    if (spec->preset) printf(" (default %s)", spec->preset);
    puts(".");
}

static void man_options(const struct verb *verb)
{
    const char *group = NULL;
    puts(".SH OPTIONS");
    for (const struct option_spec *spec = option_table; spec->name; spec++) {
        if (spec->group) group = spec->group;
        if (!(spec->verbs & verb->bit)) continue;
        if (group) printf(".SS %s\n", group);
        group = NULL;
        man_option(spec);
    }
}

static void man_examples(const char *text)
{
    puts(".SH EXAMPLES");
    while (*text) {
        size_t size = strcspn(text, "\n");
        const char *what = text + size + 1;
        printf(".TP\n.B ");
        roff(text, size);
        putchar('\n');
        size = strcspn(what, "\n");
        roff(what, size);
        puts(".");
        text = what + size + 1;
    }
}

static void man_tail(void)
{
    static const struct {
        const char *name, *text;
    } environment[] = {
        {"SACCADE_MODEL", "The model to use where none is named."},
        {"SACCADE_PLUGINS", "The only folder in which backends are looked for."},
        {"XDG_CACHE_HOME", "Compiled models are kept in saccade below it; default ~/.cache."},
        {"NO_COLOR", "Not empty: no colours on the terminal."},
    };
    puts(".SH EXIT STATUS");
#define MAN_EXIT(name, value, text) printf(".TP\n.B %d\n%s\n", value, text);
    CLI_EXITS(MAN_EXIT)
#undef MAN_EXIT
    puts(".SH ENVIRONMENT");
    for (size_t i = 0; i < sizeof environment / sizeof *environment; i++)
        printf(".TP\n.B %s\n%s\n", environment[i].name, environment[i].text);
}

static void man_see_also(const struct verb *self)
{
    puts(".SH SEE ALSO");
    const char *comma = "";
    if (self) {
        printf(".BR saccade (1)");
        comma = ",\n";
    }
    FOR_VERBS(verb)
    {
        if (self && verb == self) continue;
        printf("%s.BR saccade\\-%s (1)", comma, verb->name);
        comma = ",\n";
    }
    putchar('\n');
}

static void man_verb(const struct verb *verb)
{
    char page[64];
    snprintf(page, sizeof page, "saccade-%s", verb->name);
    man_head(page, verb->summary);
    printf("\\fBsaccade %s\\fR [\\fIOPTION\\fR...] ", verb->name);
    roff_text(verb->operands);
    puts("\n.SH DESCRIPTION");
    man_paragraphs(verb->description);
    man_options(verb);
    man_examples(verb->examples);
    man_tail();
    man_see_also(verb);
}

static void man_program(void)
{
    man_head("saccade", "object detection with YOLO models");
    puts("\\fBsaccade\\fR \\fIVERB\\fR ...\n.SH DESCRIPTION\n"
         "Runs YOLO models that were exported to ONNX: pixels in, boxes out. Data goes to standard "
         "output, words to standard error.\n.SH VERBS");
    FOR_VERBS(verb)
    {
        printf(".TP\n.BR saccade\\-%s (1)\n%s.\n", verb->name, verb->summary);
    }
    man_tail();
    man_see_also(NULL);
}

// --- bash

// "a|b|c" as words; "cuda[:N]" and the like as "cuda".
static void print_choices(const char *choices)
{
    for (const char *c = choices; *c; c++) {
        if (*c == '[')
            c += strcspn(c, "]");
        else
            putchar(*c == '|' ? ' ' : *c);
    }
}

static const char *choices_of(const struct option_spec *spec)
{
    return spec->kind == OPTION_DEVICE ? spec->value : spec->choices;
}

static void bash_verb(const struct verb *verb)
{
    printf("    %s)\n        case $prev in\n", verb->name);
    FOR_OPTIONS(spec, verb)
    {
        if (!choices_of(spec)) continue;
        printf("        --%s) words='", spec->name);
        print_choices(choices_of(spec));
        puts("' ;;");
    }
    printf("        *) [[ $cur == -* ]] && words='");
    FOR_OPTIONS(spec, verb) printf("%s--%s", spec == option_table + 1 ? "" : " ", spec->name);
    puts("' ;;\n        esac ;;");
}

static void bash(void)
{
    puts("# bash completion for saccade; made from its option table\n"
         "_saccade()\n{\n"
         "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=\n"
         "    # readline splits --option=value in three\n"
         "    if [[ $cur == = ]]; then cur=\n"
         "    elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
         "    case $COMP_CWORD:${COMP_WORDS[1]} in");
    printf("    1:*) words='");
    FOR_VERBS(verb) printf("%s ", verb->name);
    puts("--help --version' ;;\n    esac\n    (( COMP_CWORD > 1 )) && case ${COMP_WORDS[1]} in");
    FOR_VERBS(verb) bash_verb(verb);
    puts("    esac\n"
         "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n}\n"
         "complete -o default -F _saccade saccade");
}

// --- zsh

static void quoted(const char *text, const char *specials)
{
    for (; *text; text++) {
        if (*text == '\'') {
            fputs("'\\''", stdout);
            continue;
        }
        if (strchr(specials, *text)) putchar('\\');
        putchar(*text);
    }
}

static void zsh_option(const struct option_spec *spec)
{
    if (spec->letter)
        printf("            '(-%c --%s)'{-%c,--%s}'[", spec->letter, spec->name, spec->letter,
               spec->name);
    else
        printf("            '--%s%s[", spec->name, spec->value ? "=" : "");
    quoted(spec->help, "[]:");
    putchar(']');
    if (choices_of(spec)) {
        printf(":value:(");
        print_choices(choices_of(spec));
        putchar(')');
    } else if (spec->kind >= OPTION_PATH) {
        printf(":file:_files");
    } else if (spec->value) {
        printf(":value:");
    }
    puts("' \\");
}

static void zsh(void)
{
    puts("#compdef saccade\n# made from saccade's option table\n_saccade() {\n"
         "    local -a verbs\n    verbs=(");
    FOR_VERBS(verb) printf("        '%s:%s'\n", verb->name, verb->summary);
    puts("    )\n    if (( CURRENT == 2 )); then\n"
         "        _describe verb verbs\n        return\n    fi\n"
         "    local verb=$words[2]\n    shift words\n    (( CURRENT-- ))\n    case $verb in");
    FOR_VERBS(verb)
    {
        printf("    %s)\n        _arguments -s \\\n", verb->name);
        FOR_OPTIONS(spec, verb) zsh_option(spec);
        puts("            '*:file:_files' ;;");
    }
    puts("    esac\n}\n_saccade \"$@\"");
}

// --- fish

static void fish_option(const struct verb *verb, const struct option_spec *spec)
{
    printf("complete -c saccade -n '__fish_seen_subcommand_from %s' -l %s", verb->name, spec->name);
    if (spec->letter) printf(" -s %c", spec->letter);
    if (choices_of(spec)) {
        printf(" -xa '");
        print_choices(choices_of(spec));
        putchar('\'');
    } else if (spec->value) {
        printf(spec->kind >= OPTION_PATH ? " -rF" : " -x");
    }
    printf(" -d \"%s\"\n", spec->help);
}

static void fish(void)
{
    puts("# fish completion for saccade; made from its option table");
    FOR_VERBS(verb)
    {
        printf("complete -c saccade -n __fish_use_subcommand -fa %s -d '%s'\n", verb->name,
               verb->summary);
        FOR_OPTIONS(spec, verb) fish_option(verb, spec);
    }
}

static int finish(void)
{
    return fclose(stdout) != 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } kinds[] = {{"man", man_program}, {"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    const char *kind = argc > 2 ? argv[2] : "";
    const struct verb *verb = argc > 3 ? verb_find(argv[3]) : NULL;
    if (argc > 2 && !freopen(argv[1], "w", stdout)) {
        perror(argv[1]);
        return 1;
    }
    if (verb && !strcmp(kind, "man")) {
        man_verb(verb);
        return finish();
    }
    for (size_t i = 0; argc == 3 && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, kind)) continue;
        kinds[i].print();
        return finish();
    }
    fputs("docgen FILE man [VERB] | bash | zsh | fish\n", stderr);
    return 2;
}
