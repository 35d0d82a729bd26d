// SPDX-License-Identifier: Apache-2.0
// The command line: finds the verb, reads its options, runs it.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exit.h"
#include "message.h"
#include "options.h"
#include "verbs.h"

static const struct {
    unsigned verb;
    int (*run)(const struct options *options);
} runners[] = {
    {VERB_DETECT, detect_run},
    {VERB_INSPECT, inspect_run},
    {VERB_BENCH, bench_run},
    {VERB_DEVICES, devices_run},
    {VERB_BUILD, build_run},
};

int usage_fail(const struct verb *verb, const char *why)
{
    message_print("%s\nTry 'saccade %s%s--help'.", why, verb ? verb->name : "", verb ? " " : "");
    return CLI_USAGE;
}

int open_fail(int error)
{
    message_print("%s", sac_error_message());
    switch (error) {
    case SAC_EINVAL:
        return CLI_USAGE;
    case SAC_EDEVICE:
        return CLI_DEVICE;
    case SAC_ENOMEM:
    case SAC_EBACKEND:
        return CLI_FAILED;
    default:
        return CLI_MODEL;
    }
}

// stdout may be a full disk or a closed pipe: what was printed counts only once it is out.
static int finish(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    message_print("standard output: %s", strerror(errno));
    return code == CLI_DONE ? CLI_FAILED : code;
}

static int print_version(void)
{
    printf("saccade %s\nlibrary %s\nbackends", SAC_VERSION, sac_version());
    const char *name;
    for (size_t i = 0; (name = sac_backend_name(i)); i++)
        printf("%s %s", i ? "," : "", name);
    putchar('\n');
    return CLI_DONE;
}

static int run(const struct options *options, const struct verb *verb)
{
    if (options->help) {
        help_print(stdout, verb);
        return CLI_DONE;
    }
    if (options->version) return print_version();
    for (size_t i = 0; i < sizeof runners / sizeof *runners; i++)
        if (runners[i].verb == verb->bit) return runners[i].run(options);
    return CLI_FAILED;
}

static const char *next_verb(void *state)
{
    const struct verb **verb = state;
    return (*verb)->name ? ((*verb)++)->name : NULL;
}

static int fail_verb(const char *word)
{
    char why[512];
    const struct verb *verbs = verb_table;
    const char *near = suggest(word, next_verb, &verbs);
    if (*word == '-')
        snprintf(why, sizeof why, "no option '%s' here; a verb comes first", word);
    else if (near)
        snprintf(why, sizeof why, "no verb '%s'; did you mean '%s'?", word, near);
    else
        snprintf(why, sizeof why, "no verb '%s'; to find objects: saccade detect %s", word, word);
    return usage_fail(NULL, why);
}

static int run_verb(const struct verb *verb, int argc, const char **argv)
{
    struct options options;
    options_init(&options);
    int code = options_parse(&options, verb, argc, argv) ? usage_fail(verb, message_last())
                                                         : run(&options, verb);
    options_free(&options);
    return code;
}

static int is_one_of(const char *word, const char *a, const char *b, const char *c)
{
    return !strcmp(word, a) || !strcmp(word, b) || !strcmp(word, c);
}

static int dispatch(int argc, const char **argv)
{
    if (argc < 2) {
        help_print(stderr, NULL);
        return CLI_USAGE;
    }
    const char *word = argv[1];
    if (is_one_of(word, "--version", "-V", "version")) return print_version();
    if (is_one_of(word, "--help", "-h", "help")) {
        const struct verb *about = argc > 2 ? verb_find(argv[2]) : NULL;
        if (argc > 2 && !about) return fail_verb(argv[2]);
        help_print(stdout, about);
        return CLI_DONE;
    }
    const struct verb *verb = verb_find(word);
    return verb ? run_verb(verb, argc - 1, argv + 1) : fail_verb(word);
}

// A stream that was closed before we began must not become the number of a file that we open.
// Held the wrong way round, reading or writing it still fails.
static void hold_streams(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd) return;
}

int main(int argc, char **argv)
{
    hold_streams();
    // A closed pipe and a limit on file sizes are write errors like any other.
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    return finish(dispatch(argc, (const char **)argv));
}
