// SPDX-License-Identifier: Apache-2.0
// half_tool IN.onnx OUT.onnx: the model in half precision, as builders are given it.
#include <stdio.h>
#include <stdlib.h>

#include "error.h"
#include "model/half.h"

int main(int argc, char **argv)
{
    struct sac_model *model = NULL;
    uint8_t *bytes = NULL;
    size_t size = 0;
    if (argc != 3) return 2;
    int error = sac__model_open(&model, argv[1]);
    int64_t shape[4] = {1, 3, 640, 640};
    for (int i = 0; !error && i < 4 && i < model->input_ndim; i++)
        if (model->input_shape[i] > 0) shape[i] = model->input_shape[i];
    if (!error) error = sac__half_write(&bytes, &size, model, shape);
    FILE *file = error ? NULL : fopen(argv[2], "wb");
    if (file) fwrite(bytes, 1, size, file);
    if (file) fclose(file);
    if (error) fprintf(stderr, "%s\n", sac_error_message());
    free(bytes);
    if (model) sac__model_close(&model);
    return error ? 1 : 0;
}
