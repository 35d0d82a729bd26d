// SPDX-License-Identifier: Apache-2.0
// Tables and JSON on stdout.
#ifndef SAC_CLI_PRINT_H
#define SAC_CLI_PRINT_H

#include <jansson.h>
#include <stdio.h>

enum { TABLE_COLUMNS = 12, TABLE_ROWS = 256 };

/// A table of text cells; its columns come out as wide as their widest cell. Zero-initialise, then
/// set the first two. Rows beyond TABLE_ROWS are counted in `dropped`.
struct table {
    int columns;
    unsigned right; ///< bit per column that is aligned to the right
    int rows, dropped;
    char *cells[TABLE_ROWS][TABLE_COLUMNS]; ///< owned
};

/// Adds a row of `columns` cells; NULL is empty.
void table_row(struct table *table, const char *const *cells);

/// Prints it and frees the cells.
void table_print(struct table *table, FILE *out);

/// Text with control characters replaced by '?'.
void print_clean(FILE *out, const char *text);

/// As json_string, for any bytes: what is no UTF-8 is replaced.
json_t *json_text(const char *bytes);

/// Prints an object on stdout and frees it. Returns an exit code; NULL is out of memory.
int print_json(json_t *object);

#endif
