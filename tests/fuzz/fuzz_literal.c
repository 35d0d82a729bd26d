// SPDX-License-Identifier: Apache-2.0
// A metadata value: the first byte chooses the key, the rest is the value. Whatever it is, an error
// with a message, or a literal whose nodes lie within one another.
#include <stdlib.h>
#include <string.h>

#include "model/internal.h"
#include "model/literal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_literal(const struct sac__literal *literal)
{
    size_t text = 0;
    for (size_t i = 0; i < literal->count; i++) {
        const struct sac__node *node = literal->nodes + i;
        if (node->next <= i || node->next > literal->count) abort();
        if (node->kind == SAC__STRING) text += strlen(node->text);
    }
    if (literal->count == 0 || literal->nodes[0].next != literal->count) abort();
    volatile size_t used = text; // memory checkers see each byte used
    (void)used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = {"names",   "stride", "imgsz", "batch", "channels",
                                       "end2end", "args",   "task",  "other"};
    if (size == 0) return 0;
    struct sac__literal literal;
    if (sac__literal_parse(&literal, (const char *)data + 1, size - 1) == SAC_OK)
        check_literal(&literal);
    else if (sac_error_message()[0] == '\0')
        abort();
    sac__literal_free(&literal);

    char *value = malloc(size);
    struct sac_model *model = calloc(1, sizeof *model);
    if (!value || !model) abort();
    memcpy(value, data + 1, size - 1);
    value[size - 1] = '\0';
    int error = sac__metadata_set(model, keys[data[0] % (sizeof keys / sizeof *keys)], value);
    if (error && model->name_count) abort();
    for (int i = 0; i < model->name_count; i++)
        if (!model->names[i]) abort();
    sac__model_close(&model);
    free(value);
    return 0;
}
