// SPDX-License-Identifier: Apache-2.0
// The engine by itself: list the bindings, allocate them flat, fill the input, enqueue, wait, and
// look at the raw output. Any ONNX model with static shapes.
#include <stdio.h>

#include <saccade/saccade.h>

enum { MOST = 16 };

static void describe(const sac_binding *b)
{
    printf("%d %s %s ", b->index, b->name, b->is_input ? "in" : "out");
    printf("%s (", sac_dtype_name(b->dtype));
    for (int i = 0; i < b->ndim; i++) printf(i ? ",%lld" : "%lld", (long long)b->shape[i]);
    printf(") flat %lld, %lld bytes\n", (long long)b->count, (long long)b->bytes);
}

// Allocates every binding flat and binds it.
static int bind_all(sac_engine *engine, sac_context *context, sac_tensor *tensors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sac_binding binding;
        int error = sac_engine_binding(engine, i, &binding);
        if (error) return error;
        describe(&binding);
        error = sac_engine_alloc(engine, i, 1, NULL, &tensors[i]);
        if (!error) error = sac_context_bind(context, i, &tensors[i]);
        if (error) return error;
    }
    return 0;
}

static void fill(const sac_tensor *input)
{
    float *values = input->data;
    for (int64_t i = 0; input->dtype == SAC_F32 && i < input->shape[0]; i++)
        values[i] = (float)(i % 255) / 255.f;
}

int main(int argc, char **argv)
{
    if (argc != 2) return fprintf(stderr, "usage: engine MODEL\n"), 2;
    sac_engine *engine = NULL;
    sac_context *context = NULL;
    sac_tensor tensors[MOST] = {0};
    int error = sac_engine_open(&engine, argv[1], NULL);
    size_t count = error ? 0 : sac_engine_binding_count(engine);
    if (count > MOST) count = MOST;
    if (!error) error = sac_context_open(&context, engine);
    if (!error) error = bind_all(engine, context, tensors, count);
    if (!error) fill(&tensors[0]);
    if (!error) error = sac_context_enqueue(context);
    if (!error) error = sac_context_wait(context);
    if (error) fprintf(stderr, "%s\n", sac_error_message());
    else if (tensors[count - 1].dtype == SAC_F32)
        printf("last output starts with %g\n", ((float *)tensors[count - 1].data)[0]);
    sac_context_close(&context);
    for (size_t i = 0; i < count; i++) sac_tensor_free(&tensors[i]);
    sac_engine_close(&engine);
    return error ? 1 : 0;
}
