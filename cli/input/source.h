// SPDX-License-Identifier: Apache-2.0
// Sources: files, folders, patterns, lists and stdin, as one stream of inputs in a fixed order.
// Only names are held, never pixels, and those of one folder at a time.
#ifndef SAC_CLI_SOURCE_H
#define SAC_CLI_SOURCE_H

#include <stdatomic.h>

#include "list.h"
#include "saccade/saccade.h"

/// One picture to open. Texts are owned.
struct input {
    char *source; ///< path as named or found; "-" for stdin
    char *name;   ///< relative, unique within the run: see struct item in output/sink.h
    char *error;  ///< NULL, or why this source gives no picture
    int is_stdin;
};

void input_free(struct input *input);

/// Opens the picture. Returns 0, or -1 after message_set; then image_out is all zero.
int input_open(const struct input *input, const sac_image_options *options, sac_image *image_out);

struct sources;

/// What to go through. Borrowed until sources_close. Operands first, then the lists.
struct sources_request {
    char *const *operands;
    size_t operand_count;
    const struct strings *lists;
    int recursive;
    /// Folders that the run writes to, or that are not there yet; entries may be NULL. They are not
    /// searched when found in another folder: what was written would become an input.
    const char *const *outputs;
    size_t output_count;
};

/// Returns 0, or -1 after message_set.
int sources_open(struct sources **sources_out, const struct sources_request *request);

/// For another walk: without what can be read only once (stdin, lists that are pipes).
int sources_open_again(struct sources **sources_out, const struct sources_request *request);
void sources_close(struct sources **sources);

/// The next input: 1, or 0 at the end, or -1 after message_set (out of memory). Free what it gives
/// with input_free.
int sources_next(struct sources *sources, struct input *input_out);

/// How many of the next `most` (at most SOURCES_AHEAD) inputs there are, without taking them; -1
/// after message_set.
int sources_peek(struct sources *sources, int most);
#define SOURCES_AHEAD 2

/// Nonzero when a second walk would give all inputs: no list comes from stdin or a pipe.
int sources_countable(const struct sources_request *request);

/// Counts what sources_next would give, by another walk. Gives up where *stop becomes nonzero.
size_t sources_count(const struct sources_request *request, const atomic_int *stop);

#endif
