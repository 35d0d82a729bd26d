// SPDX-License-Identifier: Apache-2.0
// Feeding an engine by staging, step for step: the picture is fitted by the processor into flat
// page-locked memory, copied to the GPU, run there, and the flat raw output copied back for the
// processor to read boxes from. On a processor the same calls work in host memory.
//     staged MODEL.onnx PICTURE [DEVICE]      any YOLO but YOLOX, static shapes
#include <stdio.h>

#include <saccade/saccade.h>

static sac_engine *engine;
static sac_context *context;
static void *stream;
static sac_head head;
static sac_letterbox letterbox;
static sac_tensor host[2], device[2]; // of input and output, flat
static size_t binding[2];             // their indices

// Enumerates the bindings; takes flat memory on both sides for the input and the head's output.
static int allocate(void)
{
    sac_binding b;
    for (size_t i = 0; i < sac_engine_binding_count(engine); i++) {
        if (sac_engine_binding(engine, i, &b)) return -1;
        fprintf(stderr, "%s %s: %s, flat %lld, %lld bytes\n", b.is_input ? "input" : "output",
                b.name, sac_dtype_name(b.dtype), (long long)b.count, (long long)b.bytes);
    }
    if (sac_engine_head(engine, &head, &binding[1])) return -1;
    for (int k = 0; k < 2; k++)
        if (sac_engine_alloc_memory(engine, binding[k], 1, NULL, SAC_HOST_PINNED, &host[k]) ||
            sac_engine_alloc_memory(engine, binding[k], 1, NULL, sac_engine_memory(engine),
                                    &device[k]) ||
            sac_context_bind(context, binding[k], &device[k]))
            return -1;
    return 0;
}

// The shaped view of flat host memory.
static int shape(sac_tensor *shaped, int k, sac_binding *b)
{
    return sac_engine_binding(engine, binding[k], b) ||
           sac_tensor_reshape(shaped, &host[k], b->ndim, b->shape);
}

static int run(const sac_image *image, sac_detections *found)
{
    const sac_pixels pixels = SAC_PIXELS_DEFAULT;
    const sac_nms nms = SAC_NMS_DEFAULT;
    sac_tensor input, output;
    sac_binding in, out;
    if (shape(&input, 0, &in) || shape(&output, 1, &out)) return -1;
    return sac_letterbox_fit(&letterbox, image->width, image->height, (int)in.shape[3],
                             (int)in.shape[2], NULL) ||
           sac_letterbox_apply(&input, 0, image, &letterbox, &pixels) || // by the processor
           sac_context_copy(context, &device[0], &host[0]) ||            // up, asynchronous
           sac_context_enqueue(context) ||                               // the network
           sac_context_copy(context, &host[1], &device[1]) ||            // down, asynchronous
           sac_context_wait(context) ||                                  // synchronise
           sac_head_read(found, &output, 0, &head, &letterbox, &nms);    // by the processor
}

int main(int argc, char **argv)
{
    sac_engine_options options;
    sac_image image = {0};
    sac_detections found = {0};
    if (argc < 3) return fprintf(stderr, "usage: staged MODEL PICTURE [DEVICE]\n"), 2;
    sac_engine_options_init(&options);
    options.device = argc > 3 ? argv[3] : "auto"; // "cuda:1": the second GPU
    int failed = sac_image_open(&image, argv[2], NULL) ||
                 sac_engine_open(&engine, argv[1], &options) ||
                 sac_context_open(&context, engine) || sac_stream_open(&stream, engine) ||
                 sac_context_use_stream(context, stream) || allocate() || run(&image, &found);
    if (failed) fprintf(stderr, "%s\n", sac_error_message());
    for (size_t i = 0; i < found.count; i++) {
        const sac_detection *d = &found.items[i];
        printf("%d %.3f %.1f %.1f %.1f %.1f\n", d->class_id, d->score, d->box[0], d->box[1],
               d->box[2], d->box[3]);
    }
    return failed ? 1 : 0; // what is open ends with the process
}
