// SPDX-License-Identifier: Apache-2.0
// One table of verbs and one of options: parsing, help, man pages and shell completion are all
// made from them.
#ifndef SAC_CLI_OPTIONS_H
#define SAC_CLI_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "list.h"
#include "saccade/saccade.h"

/// Verbs; the bits say in the option table which verbs take an option.
enum {
    VERB_DETECT = 1,
    VERB_INSPECT = 2,
    VERB_DEVICES = 4,
    VERB_BENCH = 8,
    VERB_BUILD = 16,
    VERB_ALL = VERB_DETECT | VERB_INSPECT | VERB_DEVICES | VERB_BENCH | VERB_BUILD
};

struct verb {
    unsigned bit;
    const char *name;
    const char *operands;    ///< as the usage line shows them
    const char *summary;     ///< half a line
    const char *description; ///< paragraphs, each ended by "\n"
    const char *examples;    ///< pairs of lines: a command, then what it does
};

/// The verbs in the order of the help; ends with a NULL name.
extern const struct verb verb_table[];

/// The verb of that name, or NULL.
const struct verb *verb_find(const char *name);

/// Values of all options of all verbs. Texts are owned, NULL where not given.
struct options {
    // where and how it runs
    char *device, *backend, *cache_dir;
    int precision; ///< sac_precision
    int threads, streams, no_cache, ops, keep_head, feed;
    // model and its input
    int layout;   ///< 0: recognise, else sac_head_family + 1
    int imgsz[2]; ///< width, height; 0: the model's own
    int batch, pad, letterbox, no_upscale;
    // boxes
    double conf, iou;
    int max_det, agnostic, multi_label, compat;
    char *classes; ///< as given: "0,2" or "qr_code,aztec"
    // sources
    int recursive;
    struct strings lists;
    uint64_t max_pixels;
    // outputs: targets by sink name, and how they look
    char *json, *save, *txt, *coco, *csv, *crops;
    int image_format, quality, line_width, hide_labels, hide_scores, txt_conf;
    double crop_margin;
    int as_json; ///< inspect, bench, devices: JSON instead of a table
    // bench
    double seconds;
    int count, warmup, only; ///< only: 0 both, 1 latency, 2 rate
    char *sizes, *chart, *batches;
    // build
    char *output, *timing_cache;
    int build_batch[3], build_height[3], build_width[3]; ///< least, best, most; 0: the model's own
    int build_precision; ///< index of auto, fp32, fp16
    uint64_t workspace;
    int version_compatible, hardware_compatible;
    // general
    int quiet, help, version;
    struct strings operands; ///< what is no option, in order
};

enum option_kind {
    OPTION_FLAG,   ///< int, set to 1
    OPTION_INT,    ///< int within [least, most]
    OPTION_REAL,   ///< double within [least, most]
    OPTION_COUNT,  ///< uint64_t within [least, most]; 1k, 1M, 1G are powers of 1000
    OPTION_CHOICE, ///< int, index into choices
    OPTION_SIZE,   ///< int[2], "N" or "WIDTHxHEIGHT", each within [least, most]
    OPTION_RANGE,  ///< int[3], "N" or "LEAST:BEST:MOST", each within [least, most]
    OPTION_DEVICE, ///< char *, "auto", "cpu", "cuda" or "cuda:N"
    OPTION_TEXT,   ///< char *, not empty
    OPTION_PATH,   ///< char *, not empty: shells complete file names
    OPTION_PATHS   ///< struct strings, one more each time
};

struct option_spec {
    const char *group; ///< heading in the help; NULL: as the one before
    const char *name;  ///< long name without dashes
    char letter;       ///< short name or 0
    unsigned verbs;    ///< which verbs take it
    enum option_kind kind;
    size_t offset;       ///< in struct options
    const char *value;   ///< how the help calls the value; NULL for a flag
    const char *choices; ///< OPTION_CHOICE: "a|b|c"
    double least, most;
    const char *preset; ///< default as one would type it, or NULL
    const char *help;   ///< without full stop
};

/// The one table; ends with a NULL name.
extern const struct option_spec option_table[];

/// Sets all defaults.
void options_init(struct options *options);

/// Frees texts and zeroes the structure.
void options_free(struct options *options);

/// Reads argv[1…] for a verb (argv[0] is the verb itself) into initialised options. Returns 0, or
/// -1 after message_set.
int options_parse(struct options *options, const struct verb *verb, int argc, const char **argv);

/// Sets one option from text. Returns 0, or -1 after message_set.
int option_set(struct options *options, const struct option_spec *spec, const char *text);

/// Of the names (as many as `next` gives before NULL), the one closest to a mistyped word, or NULL.
const char *suggest(const char *word, const char *(*next)(void *state), void *state);

/// The name of choice `index` of "a|b|c", copied to text.
void choice_name(const char *choices, int index, char *text, size_t size);

/// Help of one verb, or of the program where verb is NULL.
void help_print(FILE *out, const struct verb *verb);

#endif
