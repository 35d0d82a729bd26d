// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <string.h>

const struct verb verb_table[] = {
    {VERB_DETECT, "detect", "[MODEL.onnx] SOURCE…", "find objects in pictures",
     "Finds objects in pictures and writes their boxes, scores and classes. A SOURCE is a picture "
     "file (JPEG, PNG, WebP, BMP, TIFF, GIF), a folder, a quoted pattern (*, ?, [a-z], and ** for "
     "any depth), or - for one picture on standard input.\n"
     "The first operand is the model when its name ends in .onnx, .engine or .plan; without one, "
     "the default model is used, which finds QR codes, Data Matrix, Aztec, PDF417 and linear bar "
     "codes.\n"
     "A folder gives its pictures in bytewise order of names; hidden files and files that have no "
     "picture's extension are skipped, and so are, with -r, the folders that this run writes to. A "
     "file named explicitly is always tried. Results come in the order of the inputs, whatever the "
     "number of threads. Without an output option, JSON Lines go to standard output. No output "
     "replaces an input.\n",
     "saccade detect photo.jpg\nboxes of the default model as JSON Lines\n"
     "saccade detect yolov8n.onnx -r photos --save out --json boxes.jsonl\n"
     "all pictures below a folder: annotated copies and boxes\n"
     "saccade detect --classes qr_code,aztec 'scans/**/*.png' --crops codes\n"
     "cut out two kinds of codes\n"
     "curl -s https://example.org/a.jpg | saccade detect -\none picture from a pipe\n"
     "find . -name '*.jpg' -size +1M | saccade detect --list -\nthe files of a list\n"},
    {VERB_INSPECT, "inspect", "[MODEL.onnx]", "show what a model takes and gives",
     "Prints each input and output of a model as the engine sees it, with its shaped and flat "
     "extents; then which head was recognised and why, strides, classes, and where it runs; and on "
     "a GPU the plan: each layer's kernel, work, time measured, and share of what the GPU can do. "
     "Without a MODEL, shows the default one.\n",
     "saccade inspect yolov5s.onnx\ninputs, outputs, head and classes\n"
     "saccade inspect yolov5s.onnx --device cuda\nalso what runs it, layer by layer\n"
     "saccade inspect --json yolov5s.onnx | jq .head\nthe same for programs\n"},
    {VERB_BENCH, "bench", "[MODEL.onnx] [SOURCE…]", "measure how fast a model is here",
     "Measures opening, letterbox, network and boxes, and all of them together: milliseconds a "
     "picture, one after another, and pictures a second with all cores. Without a SOURCE, over "
     "generated pictures, the same on every machine. The network alone is the engine called again "
     "and again on one input, with nothing around it.\n"
     "On a GPU: each stage by the device's events (upload, letterbox, network, boxes, download) "
     "and end to end by the clock, staged against resident, for several batch sizes; frames "
     "rotate, and lie in page-locked memory.\n",
     "saccade bench yolov5n.onnx\na table\n"
     "saccade bench yolov5n.onnx photos --precision fp32 --chart bench.svg\n"
     "over one's own pictures, with a chart\n"
     "saccade bench yolov5s.onnx --device cuda --batches 1,32\na GPU, one frame and many\n"
     "saccade bench --only latency --count 200 --json | jq .latency_ms.end_to_end\n"
     "for programs\n"},
    {VERB_BUILD, "build", "[MODEL.onnx]", "build an engine file ahead of time",
     "Builds a TensorRT engine from an ONNX model, which detect, inspect and bench then take in "
     "the model's place. It runs on GPUs and versions of TensorRT like those here, unless the "
     "options below say otherwise. Extents that the model leaves open get a range: what is tuned "
     "for lies between the least and the most that it will take. The file appears whole or not at "
     "all.\n",
     "saccade build yolov5s.onnx -o yolov5s.engine\nfp16, the decode tail in fp32\n"
     "saccade build dynamic.onnx -o d.engine --batch 1:8:32 --height 640 --width 640\n"
     "batches up to 32, tuned for 8\n"
     "saccade detect d.engine photos\nthen use it\n"},
    {VERB_DEVICES, "devices", "", "list what models can run on",
     "Lists the devices of every backend; for one that is not available, what is missing.\n",
     "saccade devices\na table\n"},
    {0, NULL, NULL, NULL, NULL, NULL},
};

const struct verb *verb_find(const char *name)
{
    for (const struct verb *verb = verb_table; verb->name; verb++)
        if (!strcmp(verb->name, name)) return verb;
    return NULL;
}

#define MODELS (VERB_DETECT | VERB_INSPECT | VERB_BENCH)
#define PICTURES (VERB_DETECT | VERB_BENCH)
#define AT(field) offsetof(struct options, field)
#define HEAD_CHOICE(name, value, text) "|" text
#define LAYOUTS "auto" SAC_HEADS(HEAD_CHOICE)

#define FLAG(name, letter, verbs, field, help)                                                     \
    {NULL, name, letter, verbs, OPTION_FLAG, AT(field), NULL, NULL, 0, 0, NULL, help}
#define INT(name, verbs, field, value, least, most, preset, help)                                  \
    {NULL, name, 0, verbs, OPTION_INT, AT(field), value, NULL, least, most, preset, help}
#define REAL(name, verbs, field, value, least, most, preset, help)                                 \
    {NULL, name, 0, verbs, OPTION_REAL, AT(field), value, NULL, least, most, preset, help}
#define CHOICE(name, verbs, field, choices, preset, help)                                          \
    {NULL, name, 0, verbs, OPTION_CHOICE, AT(field), choices, choices, 0, 0, preset, help}
#define TEXT(kind, name, verbs, field, value, preset, help)                                        \
    {NULL, name, 0, verbs, kind, AT(field), value, NULL, 0, 0, preset, help}
#define RANGE(name, field, most, help)                                                             \
    {NULL, name, 0, VERB_BUILD, OPTION_RANGE, AT(field), "N|A:B:C", NULL, 1, most, NULL, help}
#define GROUP(title) {title, "", 0, 0, OPTION_FLAG, 0, NULL, NULL, 0, 0, NULL, NULL}

const struct option_spec option_table[] = {
    GROUP("Boxes"),
    REAL("conf", PICTURES, conf, "X", 0, 1, "0.25", "keep scores above this"),
    REAL("iou", PICTURES, iou, "X", 0, 1, "0.45",
         "suppress a box that overlaps a better one by more than this"),
    INT("max-det", PICTURES, max_det, "N", 1, 30000, "300", "most boxes a picture"),
    TEXT(OPTION_TEXT, "classes", VERB_DETECT, classes, "LIST", NULL,
         "keep only these classes: numbers or names, with commas between"),
    FLAG("agnostic", 0, PICTURES, agnostic, "let boxes of different classes suppress each other"),
    FLAG("multi-label", 0, PICTURES, multi_label, "let one place have several classes"),
    CHOICE("compat", PICTURES, compat, "exact|yolov5", "exact",
           "how boxes go back to the picture: the exact inverse, or as yolov5 rounds"),

    GROUP("Model and its input"),
    CHOICE("layout", MODELS, layout, LAYOUTS, "auto", "family of the raw output"),
    {NULL, "imgsz", 0, MODELS, OPTION_SIZE, AT(imgsz), "N|WxH", NULL, 1, 65536, NULL,
     "input of a model with dynamic extents, in pixels (default: what the model says)"},
    INT("batch", MODELS, batch, "N", 1, 4096, NULL,
        "pictures a run of the network (default: what the model says, or 1)"),
    CHOICE("letterbox", PICTURES, letterbox, "pad|auto|stretch", "pad",
           "fit a picture by padding to the full input, padding to the stride (dynamic models), or "
           "stretching"),
    FLAG("no-upscale", 0, PICTURES, no_upscale, "never enlarge a small picture"),
    INT("pad", PICTURES, pad, "N", 0, 255, "114", "gray value of the padding"),

    GROUP("Where it runs"),
    TEXT(OPTION_DEVICE, "device", MODELS, device, "auto|cpu|cuda[:N]", "auto", "what to run on"),
    TEXT(OPTION_TEXT, "backend", MODELS, backend, "NAME", "auto", "engine, as devices lists them"),
    CHOICE("precision", MODELS, precision, "auto|fp32|bf16|fp16", "auto",
           "arithmetic of the network; auto: the fastest that keeps the boxes"),
    INT("threads", MODELS, threads, "N", 0, 1024, NULL,
        "processor threads (default: as many as there are)"),
    INT("streams", MODELS, streams, "N", 0, 1024, NULL,
        "runs of the network at once (default: the engine chooses)"),
    CHOICE("ops", PICTURES, ops, "auto|c", "auto",
           "letterbox and boxes: fast code, or the plain reference; the results are equal"),
    CHOICE("feed", PICTURES, feed, "auto|staged|resident", "auto",
           "how pictures reach a GPU: prepared by the processor, or pixels to boxes on the GPU"),
    FLAG("keep-head", 0, PICTURES, keep_head,
         "let the engine run the network's decode tail too, instead of reading raw maps"),
    TEXT(OPTION_PATH, "cache-dir", MODELS, cache_dir, "DIR", NULL,
         "folder for compiled models (default: saccade in the user's cache folder)"),
    FLAG("no-cache", 0, MODELS, no_cache, "compile the model anew, keep nothing"),

    GROUP("Sources"),
    FLAG("recursive", 'r', PICTURES, recursive, "look into folders of folders too"),
    TEXT(OPTION_PATHS, "list", VERB_DETECT, lists, "FILE|-", NULL,
         "also take the sources named in FILE, a line each, no patterns; may be repeated"),
    {NULL, "max-pixels", 0, PICTURES, OPTION_COUNT, AT(max_pixels), "N", NULL, 1, 1e12, NULL,
     "refuse a picture with more pixels; 400M is 400 million (default 268435456)"},

    GROUP("Outputs, any number at once"),
    TEXT(OPTION_PATH, "json", VERB_DETECT, json, "FILE|-", NULL,
         "JSON Lines, an object a picture (default: - when no other output is given)"),
    TEXT(OPTION_PATH, "save", VERB_DETECT, save, "DIR", NULL, "annotated pictures"),
    TEXT(OPTION_PATH, "txt", VERB_DETECT, txt, "DIR", NULL,
         "YOLO text, a file a picture: class cx cy w h, as shares of the picture"),
    TEXT(OPTION_PATH, "coco", VERB_DETECT, coco, "FILE|-", NULL, "COCO results"),
    TEXT(OPTION_PATH, "csv", VERB_DETECT, csv, "FILE|-", NULL, "a line a box"),
    TEXT(OPTION_PATH, "crops", VERB_DETECT, crops, "DIR", NULL, "each box as a picture"),
    CHOICE("image-format", VERB_DETECT, image_format, "auto|jpg|png|webp", "auto",
           "of annotated pictures and crops; auto: annotated JPEG stays JPEG, others become PNG, "
           "and crops are JPEG"),
    INT("quality", VERB_DETECT, quality, "N", 1, 100, "90", "of JPEG and WebP"),
    INT("line-width", VERB_DETECT, line_width, "N", 0, 1000, NULL,
        "of drawn boxes, in pixels (default: follows the picture's size)"),
    FLAG("hide-labels", 0, VERB_DETECT, hide_labels, "draw boxes without text"),
    FLAG("hide-scores", 0, VERB_DETECT, hide_scores, "draw labels without scores"),
    FLAG("txt-conf", 0, VERB_DETECT, txt_conf, "end lines of YOLO text with the score"),
    REAL("crop-margin", VERB_DETECT, crop_margin, "X", 0, 10, "0",
         "enlarge crops by this share of the box on each side"),

    GROUP("Measuring"),
    REAL("time", VERB_BENCH, seconds, "S", 0.01, 3600, "2", "seconds to measure each figure for"),
    INT("count", VERB_BENCH, count, "N", 1, 10000000, NULL,
        "pictures to measure latency with, instead of a time"),
    INT("warmup", VERB_BENCH, warmup, "N", 0, 10000, "5", "pictures before that"),
    CHOICE("only", VERB_BENCH, only, "both|latency|rate", "both",
           "one after another, or with all cores"),
    TEXT(OPTION_TEXT, "sizes", VERB_BENCH, sizes, "LIST", "1920x1080",
         "sizes of generated pictures, with commas between"),
    TEXT(OPTION_TEXT, "batches", VERB_BENCH, batches, "LIST", "1,8,32",
         "on a GPU: pictures a run, one after the other, where the model leaves that open"),
    TEXT(OPTION_PATH, "chart", VERB_BENCH, chart, "FILE", NULL,
         "also draw a chart: .svg or .png"),

    GROUP("Building"),
    {NULL, "output", 'o', VERB_BUILD, OPTION_PATH, AT(output), "FILE", NULL, 0, 0, NULL,
     "the engine file (default: the model's name with .engine)"},
    CHOICE("precision", VERB_BUILD, build_precision, "auto|fp32|fp16", "auto",
           "of picture, weights and network; auto: fp16. A quantised model keeps its types"),
    TEXT(OPTION_TEXT, "backend", VERB_BUILD, backend, "NAME", "auto", "tensorrt"),
    RANGE("batch", build_batch, 4096, "pictures a run, where the model leaves it open"),
    RANGE("height", build_height, 65536, "pixels, where the model leaves it open"),
    RANGE("width", build_width, 65536, "pixels, where the model leaves it open"),
    {NULL, "workspace", 0, VERB_BUILD, OPTION_COUNT, AT(workspace), "BYTES", NULL, 1, 1e15, NULL,
     "most device memory for layers; 2G is 2000 million (default: no limit)"},
    TEXT(OPTION_PATH, "timing-cache", VERB_BUILD, timing_cache, "FILE", NULL,
         "keep measurements here, so that the next build is faster"),
    FLAG("version-compatible", 0, VERB_BUILD, version_compatible,
         "let later versions of TensorRT load it"),
    FLAG("hardware-compatible", 0, VERB_BUILD, hardware_compatible,
         "let other kinds of GPUs load it, Ampere and later"),

    GROUP("General"),
    FLAG("json", 0, VERB_INSPECT | VERB_BENCH | VERB_DEVICES, as_json, "print JSON"),
    FLAG("quiet", 'q', VERB_ALL, quiet, "no progress bar, no closing line; errors only"),
    FLAG("help", 'h', VERB_ALL, help, "print this help"),
    FLAG("version", 'V', VERB_ALL, version, "print the version"),
    {NULL, NULL, 0, 0, OPTION_FLAG, 0, NULL, NULL, 0, 0, NULL, NULL},
};
