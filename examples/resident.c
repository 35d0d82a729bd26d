// SPDX-License-Identifier: Apache-2.0
// Pictures resident on the GPU, step for step: the picture goes up once, is fitted, run and read
// there in shaped tensors, and the boxes are all that comes back. On a processor the same calls
// work in host memory.
//     resident MODEL.onnx PICTURE [DEVICE]      any YOLO but YOLOX, static shapes
#include <stdio.h>

#include <saccade/saccade.h>

static sac_engine *engine;
static sac_context *context;
static void *stream;
static sac_head head;
static sac_tensor frame, input, output; // in the engine's memory, shaped
static size_t output_index;

static void print_shape(const sac_binding *b)
{
    fprintf(stderr, "%s %s: %s (", b->is_input ? "input" : "output", b->name,
            sac_dtype_name(b->dtype));
    for (int i = 0; i < b->ndim; i++) fprintf(stderr, i ? ",%lld" : "%lld", (long long)b->shape[i]);
    fprintf(stderr, ")\n");
}

// Enumerates the bindings; takes shaped memory of the engine's kind and binds it.
static int allocate(const sac_image *image)
{
    const sac_memory memory = sac_engine_memory(engine);
    const int64_t extent[] = {image->height, image->width, 3};
    sac_binding b;
    for (size_t i = 0; i < sac_engine_binding_count(engine); i++) {
        if (sac_engine_binding(engine, i, &b)) return -1;
        print_shape(&b);
    }
    return sac_engine_head(engine, &head, &output_index) ||
           sac_engine_alloc_tensor(engine, memory, SAC_U8, 3, extent, &frame) ||
           sac_engine_alloc_memory(engine, 0, 0, NULL, memory, &input) ||
           sac_engine_alloc_memory(engine, output_index, 0, NULL, memory, &output) ||
           sac_context_bind(context, 0, &input) || sac_context_bind(context, output_index, &output);
}

static int run(const sac_image *image, sac_detections *found)
{
    const sac_pixels pixels = SAC_PIXELS_DEFAULT;
    const sac_nms nms = SAC_NMS_DEFAULT;
    sac_letterbox letterbox;
    sac_tensor source;
    sac_image there;
    return sac_tensor_from_image(&source, image) || sac_context_copy(context, &frame, &source) ||
           sac_image_from_tensor(&there, &frame, image->format) ||
           sac_letterbox_fit(&letterbox, image->width, image->height, (int)input.shape[3],
                             (int)input.shape[2], NULL) ||
           sac_context_letterbox(context, &input, 0, &there, &letterbox, &pixels) || // on the GPU
           sac_context_enqueue(context) ||                                        // the network
           sac_context_boxes(context, found, &output, 0, &head, &letterbox, &nms) || // on the GPU
           sac_context_wait(context); // nothing is left in the stream
}

int main(int argc, char **argv)
{
    sac_engine_options options;
    sac_image image = {0};
    sac_detections found = {0};
    if (argc < 3) return fprintf(stderr, "usage: resident MODEL PICTURE [DEVICE]\n"), 2;
    sac_engine_options_init(&options);
    options.device = argc > 3 ? argv[3] : "auto"; // "cuda:1": the second GPU
    int failed = sac_image_open(&image, argv[2], NULL) ||
                 sac_engine_open(&engine, argv[1], &options) ||
                 sac_context_open(&context, engine) || sac_stream_open(&stream, engine) ||
                 sac_context_use_stream(context, stream) ||
                 allocate(&image) || run(&image, &found);
    if (failed) fprintf(stderr, "%s\n", sac_error_message());
    for (size_t i = 0; i < found.count; i++) {
        const sac_detection *d = &found.items[i];
        printf("%d %.3f %.1f %.1f %.1f %.1f\n", d->class_id, d->score, d->box[0], d->box[1],
               d->box[2], d->box[3]);
    }
    return failed ? 1 : 0; // what is open ends with the process
}
