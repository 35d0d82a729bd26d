// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "options.h"

enum { LONGEST = 32 };

static int least(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

// Levenshtein's distance; a word longer than LONGEST is far from everything.
static int distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    if (na > LONGEST || nb > LONGEST) return LONGEST;
    int row[LONGEST + 1];
    for (size_t j = 0; j <= nb; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[nb];
}

const char *suggest(const char *word, const char *(*next)(void *state), void *state)
{
    const char *best = NULL;
    int nearest = strlen(word) > 3 ? 3 : 2; // no suggestion at this distance or beyond
    for (const char *name; (name = next(state));) {
        int d = distance(word, name);
        if (d < nearest) {
            nearest = d;
            best = name;
        }
    }
    return best;
}
