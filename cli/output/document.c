// SPDX-License-Identifier: Apache-2.0
#include "output/document.h"

#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "output/file.h"
#include "output/values.h"

struct sink {
    struct stream stream;
    const char *between;
    int begun; ///< nonzero: something was rendered before
};

int document_open(struct sink **sink_out, const char *target, const char *before,
                  const char *between)
{
    struct sink *sink = calloc(1, sizeof *sink);
    if (!sink) return message_set("out of memory");
    sink->between = between;
    int failed = stream_open(&sink->stream, target, 0);
    if (!failed && (failed = stream_write(&sink->stream, before, strlen(before))))
        stream_close(&sink->stream, 0);
    if (failed) {
        free(sink);
        return -1;
    }
    *sink_out = sink;
    return 0;
}

int document_commit(struct sink *sink, const struct rendered *rendered)
{
    const struct text *text = rendered->data;
    if (!text || !text->size) return 0;
    if (sink->begun && stream_write(&sink->stream, sink->between, strlen(sink->between))) return -1;
    sink->begun = 1;
    return stream_write(&sink->stream, text->bytes, text->size);
}

int document_close(struct sink **sink, int complete)
{
    (void)complete;
    return document_end(sink, "");
}

int document_end(struct sink **sink, const char *after)
{
    struct stream *stream = &(*sink)->stream;
    int failed = stream_write(stream, after, strlen(after));
    failed = stream_close(stream, !failed) || failed;
    free(*sink);
    *sink = NULL;
    return failed ? -1 : 0;
}
