// SPDX-License-Identifier: Apache-2.0
#include "output/sinks.h"

#include <string.h>

// Append only; each sink's file exports one sink_type.
const struct sink_type *const sink_types[] = {
    &sink_jsonl, &sink_annotate, &sink_yolotxt, &sink_coco, &sink_csv, &sink_crops, NULL,
};

const struct sink_type *sink_find(const char *name)
{
    for (const struct sink_type *const *type = sink_types; *type; type++)
        if (!strcmp((*type)->name, name)) return *type;
    return NULL;
}
