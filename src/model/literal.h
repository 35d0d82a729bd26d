// SPDX-License-Identifier: Apache-2.0
// Python literals, as exporters write them into model metadata: {0: 'person', 1: "bicycle"}.
#ifndef SAC_SRC_LITERAL_H
#define SAC_SRC_LITERAL_H

#include <stddef.h>
#include <stdint.h>

enum sac__literal_kind {
    SAC__NONE,
    SAC__BOOL,   ///< integer: 0 or 1
    SAC__INT,    ///< integer, and real
    SAC__FLOAT,  ///< real
    SAC__STRING, ///< text
    SAC__LIST,   ///< a list or a tuple: count elements
    SAC__DICT    ///< count pairs: key, value, key, value …
};

/// A value. The nodes of a literal lie in the order of the text: a container's first element or key
/// is the node after it, and `next` leads past a value and all that is in it.
struct sac__node {
    enum sac__literal_kind kind;
    int64_t integer;
    double real;
    const char *text; ///< UTF-8; NUL characters and lone surrogates have become U+FFFD
    size_t count;
    size_t next; ///< index of the node after this value
};

/// A parsed literal; nodes[0] is the whole.
struct sac__literal {
    struct sac__node *nodes;
    size_t count, capacity;
    char *text; ///< what the nodes' text points into
};

/// Parses `size` bytes of UTF-8. Takes None, True, False, numbers, strings (every escape save \N,
/// prefixes r and u, three quotes, adjacent strings), lists, tuples and dicts up to 32 deep.
/// Free with sac__literal_free, also after a failure.
/// Errors: SAC_EMODEL ("expected ':' at character 17"), SAC_ENOMEM.
int sac__literal_parse(struct sac__literal *literal_out, const char *source, size_t size);
void sac__literal_free(struct sac__literal *literal);

#endif
