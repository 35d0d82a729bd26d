// SPDX-License-Identifier: Apache-2.0
#include "print.h"

#include <stdlib.h>
#include <string.h>

#include "exit.h"
#include "message.h"
#include "output/values.h"

static const char *cell(const struct table *table, int row, int column)
{
    const char *text = table->cells[row][column];
    return text ? text : "";
}

// Columns on the screen, counting UTF-8 characters as one.
static int width_of(const char *text)
{
    int width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

void table_row(struct table *table, const char *const *cells)
{
    if (table->rows == TABLE_ROWS) {
        table->dropped++;
        return;
    }
    for (int c = 0; c < table->columns; c++)
        table->cells[table->rows][c] = cells[c] ? strdup(cells[c]) : NULL;
    table->rows++;
}

static void print_cell(FILE *out, const char *text, int width, int right, int last)
{
    int pad = width - width_of(text);
    if (right) fprintf(out, "%*s", pad, "");
    print_clean(out, text);
    if (!right && !last) fprintf(out, "%*s", pad, "");
    fputs(last ? "\n" : "  ", out);
}

void table_print(struct table *table, FILE *out)
{
    int widths[TABLE_COLUMNS] = {0};
    for (int r = 0; r < table->rows; r++)
        for (int c = 0; c < table->columns; c++)
            if (width_of(cell(table, r, c)) > widths[c]) widths[c] = width_of(cell(table, r, c));
    for (int r = 0; r < table->rows; r++)
        for (int c = 0; c < table->columns; c++)
            print_cell(out, cell(table, r, c), widths[c], table->right >> c & 1,
                       c == table->columns - 1);
    if (table->dropped) fprintf(out, "… and %d more\n", table->dropped);
    for (int r = 0; r < table->rows; r++)
        for (int c = 0; c < table->columns; c++)
            free(table->cells[r][c]);
}

void print_clean(FILE *out, const char *text)
{
    for (; *text; text++)
        fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, out);
}

json_t *json_text(const char *bytes)
{
    char *valid = utf8_copy(bytes);
    json_t *json = json_string(valid);
    utf8_free(valid);
    return json;
}

int print_json(json_t *object)
{
    int failed = !object || json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(object);
    putchar('\n');
    if (!failed) return CLI_DONE;
    message_print("the JSON cannot be written");
    return CLI_FAILED;
}
