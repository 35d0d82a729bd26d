// SPDX-License-Identifier: Apache-2.0
// Bytes of a model file: an error with a message, or a model whose fields hold together; then head
// recognition over the shapes that it declares.
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_head(const struct sac_model *model)
{
    sac_binding bindings[2] = {{.index = 0, .name = "images", .is_input = 1},
                               {.index = 1, .name = "output0"}};
    for (int i = 0; i < 2; i++) {
        bindings[i].ndim = model->input_ndim;
        memcpy(bindings[i].shape, model->input_shape, sizeof model->input_shape);
    }
    bindings[1].ndim = 3; // the model's own numbers as an output
    for (int layout = -1; layout < SAC_HEAD_COUNT; layout++) {
        sac_head head;
        size_t output;
        const char *why = NULL, *name = layout < 0 ? NULL : sac_head_name((sac_head_family)layout);
        if (sac__head_recognise(&head, &output, &why, model, bindings, 2, name)) continue;
        if (head.classes < 1 || output != 1 || !why) abort();
    }
    if (sac__model_check_input(bindings) == SAC_OK && bindings[0].ndim != 4) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sac_model *model = NULL;
    int error = sac__model_read(&model, data, size, "fuzz");
    if (error) {
        if (model || sac_error_message()[0] == '\0') abort();
        return 0;
    }
    if (model->size != size || memcmp(model->bytes, data, size) || strlen(model->hash) != 32 ||
        model->input_ndim < 0 || model->input_ndim > SAC_MAX_DIMS)
        abort();
    for (int i = 0; i < model->name_count; i++)
        if (!model->names[i]) abort();
    check_head(model);
    sac__model_close(&model);
    return 0;
}
