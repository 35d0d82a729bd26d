// SPDX-License-Identifier: Apache-2.0
// What the sinks that write one file, whole at the end, share: everything but `render`.
#ifndef SAC_CLI_DOCUMENT_H
#define SAC_CLI_DOCUMENT_H

#include "output/sink.h"

/// Opens the file and writes `before`. `between` goes between two items that rendered something and
/// is not kept beyond what its text is: a literal.
int document_open(struct sink **sink_out, const char *target, const char *before,
                  const char *between);

/// Writes what text_rendered (values.h) made.
int document_commit(struct sink *sink, const struct rendered *rendered);

/// Puts the file in its place, complete or not: what is in it is whole.
int document_close(struct sink **sink, int complete);

/// Writes a last text, then document_close.
int document_end(struct sink **sink, const char *after);

#endif
