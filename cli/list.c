// SPDX-License-Identifier: Apache-2.0
#include "list.h"

#include <stdlib.h>
#include <string.h>

#include "message.h"

int strings_add(struct strings *list, const char *text)
{
    // Room doubles at powers of two, so that no capacity needs keeping.
    if ((list->count & (list->count - 1)) == 0) {
        size_t room = list->count ? 2 * list->count : 1;
        char **items = realloc(list->items, room * sizeof *items);
        if (!items) return message_set("out of memory");
        list->items = items;
    }
    char *copy = strdup(text);
    if (!copy) return message_set("out of memory");
    list->items[list->count++] = copy;
    return 0;
}

void strings_free(struct strings *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct strings){NULL, 0};
}
