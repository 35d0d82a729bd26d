// SPDX-License-Identifier: Apache-2.0
// saccade inspect: what a model takes and gives, as the engine sees it.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exit.h"
#include "layers.h"
#include "message.h"
#include "model_path.h"
#include "output/values.h"
#include "print.h"
#include "setup.h"
#include "verbs.h"

/// What is known of a model. Where the head was refused there is an engine, but no detector.
struct findings {
    const char *path;
    const sac_engine *engine;
    const sac_model_info *info; ///< NULL where the head was refused
    int reads_maps;             ///< what detect does: sac_detector_reads_maps
};

// --- strides

// Cells of all levels from the smallest stride to the largest over an input; 0 where they do not
// divide it.
static int64_t cells(const sac_binding *input, int smallest, int largest)
{
    int64_t count = 0;
    if (input->shape[2] % largest || input->shape[3] % largest) return 0;
    for (int s = smallest; s <= largest; s *= 2)
        count += (input->shape[2] / s) * (input->shape[3] / s);
    return count;
}

static int has_extent(const sac_engine *engine, int64_t extent)
{
    sac_binding binding;
    for (size_t i = 0; i < sac_engine_binding_count(engine); i++) {
        if (sac_engine_binding(engine, i, &binding) || binding.is_input) continue;
        for (int d = 1; d < binding.ndim; d++)
            if (binding.shape[d] == extent) return 1;
    }
    return 0;
}

// The levels that make an extent of the output, the usual ones first: 8 to 32, with P6 to 64, with
// P2 from 4, two levels from 16. Returns how many.
static int fit_strides(const struct findings *found, int *strides, int most)
{
    static const int ends[][2] = {{8, 32}, {8, 64}, {4, 32}, {8, 128}, {4, 64}, {16, 32}, {8, 16}};
    const int largest = found->info->stride;
    const int64_t anchors = found->info->head.family == SAC_HEAD_V5 ? 3 : 1;
    sac_binding input;
    int count = 0;
    if (sac_engine_binding(found->engine, 0, &input) || input.ndim != 4) return 0;
    for (size_t i = 0; i < sizeof ends / sizeof *ends && !count; i++) {
        const int64_t level_cells = cells(&input, ends[i][0], ends[i][1]);
        if ((largest > 0 && ends[i][1] != largest) || level_cells <= 0) continue;
        if (!has_extent(found->engine, anchors * level_cells)) continue;
        for (int s = ends[i][0]; s <= ends[i][1] && count < most; s *= 2)
            strides[count++] = s;
    }
    return count;
}

// The strides of all levels where the head or the output's extent tells them, else the largest
// alone. Returns how many.
static int find_strides(const struct findings *found, int *strides, int most)
{
    const sac_model_info *info = found->info;
    int count = 0;
    while (count < most && info->head.strides[count] > 0) {
        strides[count] = info->head.strides[count];
        count++;
    }
    if (!count) count = fit_strides(found, strides, most);
    if (!count && info->stride > 0) strides[count++] = info->stride;
    return count;
}

// --- text

static void print_shape(const sac_binding *binding, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "(");
    for (int d = 0; d < binding->ndim && used < size - 24; d++) {
        used += (size_t)snprintf(text + used, size - used, "%s", d ? "," : "");
        if (binding->shape[d] < 0)
            used += (size_t)snprintf(text + used, size - used, "?");
        else
            used +=
                (size_t)snprintf(text + used, size - used, "%lld", (long long)binding->shape[d]);
    }
    snprintf(text + used, size - used, ")");
}

static void print_count(int64_t count, char *text, size_t size)
{
    if (count < 0)
        snprintf(text, size, "?");
    else
        snprintf(text, size, "%lld", (long long)count);
}

static void print_bindings(const sac_engine *engine)
{
    enum { COLUMNS = 7 };
    struct table table = {.columns = COLUMNS, .right = 1u << 0 | 1u << 5 | 1u << 6};
    table_row(&table, (const char *[COLUMNS]){"#", "name", "", "type", "shaped", "flat", "bytes"});
    for (size_t i = 0; i < sac_engine_binding_count(engine); i++) {
        sac_binding b;
        char index[16], shape[160], flat[24], bytes[24];
        if (sac_engine_binding(engine, i, &b)) continue;
        snprintf(index, sizeof index, "%d", (int)b.index);
        print_shape(&b, shape, sizeof shape);
        print_count(b.count, flat, sizeof flat);
        print_count(b.bytes, bytes, sizeof bytes);
        table_row(&table, (const char *[COLUMNS]){index, b.name, b.is_input ? "in" : "out",
                                                  sac_dtype_name(b.dtype), shape, flat, bytes});
    }
    table_print(&table, stdout);
}

static void print_strides(const struct findings *found)
{
    int strides[8];
    int count = find_strides(found, strides, 8);
    if (!count) return;
    printf("strides    ");
    for (int i = 0; i < count; i++)
        printf("%s%d", i ? ", " : "", strides[i]);
    printf("%s\n", count == 1 ? " (largest)" : "");
}

static void print_classes(const sac_model_info *info)
{
    printf("classes    %d: ", (int)info->head.classes);
    for (int i = 0; i < info->head.classes; i++) {
        struct class_label spare;
        const char *name = class_name(info, i, &spare);
        printf("%s", i ? ", " : "");
        print_clean(stdout, name);
    }
    putchar('\n');
}

// What of the input the model leaves open; the bindings show what it was opened with.
static void print_dynamic(const sac_model_info *info)
{
    const struct {
        const char *text;
        int extent;
    } axes[] = {{"batch (--batch)", info->batch},
                {"height (--imgsz)", info->input_height},
                {"width (--imgsz)", info->input_width}};
    const char *before = "dynamic    ";
    for (int i = 0; i < 3; i++) {
        if (axes[i].extent >= 0) continue;
        printf("%s%s", before, axes[i].text);
        before = ", ";
    }
    if (*before == ',') putchar('\n');
}

static void print_info(const struct findings *found)
{
    const sac_model_info *info = found->info;
    print_dynamic(info);
    printf("head       %s, by %s\n", sac_head_name(info->head.family), info->head_source);
    printf("read from  %s\n", found->reads_maps ? "raw maps, the decode tail left out (--keep-head)"
                                                : "the network's output");
    print_strides(found);
    print_classes(info);
    if (*info->description) {
        printf("says       ");
        print_clean(stdout, info->description);
        putchar('\n');
    }
    printf("hash       %s (XXH3-128)\n", info->hash);
}

static const char *precision_name(const sac_engine *engine)
{
    static const char *const names[] = {"auto", "fp32", "bf16", "fp16"};
    unsigned precision = (unsigned)sac_engine_precision(engine);
    return precision < sizeof names / sizeof *names ? names[precision] : "unknown";
}

static void print_findings(const struct findings *found)
{
    printf("model      ");
    print_clean(stdout, found->path);
    printf("\n\n");
    print_bindings(found->engine);
    putchar('\n');
    if (found->info) print_info(found);
    printf("engine     %s\nprecision  %s\nruns on    %s\n", sac_engine_backend(found->engine),
           precision_name(found->engine), sac_engine_where(found->engine));
    layers_print(found->engine);
}

// --- JSON

static json_t *binding_json(const sac_binding *b)
{
    json_t *shape = json_array();
    for (int d = 0; d < b->ndim; d++)
        json_array_append_new(shape, json_integer(b->shape[d]));
    return json_pack("{s:i, s:o, s:s, s:s, s:o, s:I, s:I}", "index", (int)b->index, "name",
                     json_text(b->name), "io", b->is_input ? "input" : "output", "dtype",
                     sac_dtype_name(b->dtype), "shape", shape, "count", (json_int_t)b->count,
                     "bytes", (json_int_t)b->bytes);
}

static json_t *bindings_json(const sac_engine *engine)
{
    json_t *array = json_array();
    sac_binding binding;
    for (size_t i = 0; i < sac_engine_binding_count(engine); i++)
        if (!sac_engine_binding(engine, i, &binding))
            json_array_append_new(array, binding_json(&binding));
    return array;
}

static json_t *strides_json(const struct findings *found)
{
    int strides[8];
    int count = find_strides(found, strides, 8);
    json_t *array = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(array, json_integer(strides[i]));
    return array;
}

static void add_info(json_t *object, const struct findings *found)
{
    const sac_model_info *info = found->info;
    json_t *names = json_array();
    for (int i = 0; i < info->head.classes; i++) {
        struct class_label spare;
        json_array_append_new(names, json_text(class_name(info, i, &spare)));
    }
    json_object_set_new(object, "head",
                        json_pack("{s:s, s:s, s:i}", "family", sac_head_name(info->head.family),
                                  "source", info->head_source, "classes", (int)info->head.classes));
    json_object_set_new(object, "raw_maps", json_boolean(found->reads_maps));
    json_object_set_new(object, "stride", json_integer(info->stride));
    json_object_set_new(object, "strides", strides_json(found));
    json_object_set_new(object, "names", names);
    json_object_set_new(object, "declared",
                        json_pack("{s:i, s:i, s:i}", "batch", info->batch, "width",
                                  info->input_width, "height", info->input_height));
    json_object_set_new(object, "description", json_text(info->description));
    json_object_set_new(object, "hash", json_string(info->hash));
}

static int findings_json(const struct findings *found)
{
    json_t *object = json_pack(
        "{s:i, s:o, s:o, s:s, s:s, s:o}", "schema", 1, "model", json_text(found->path), "bindings",
        bindings_json(found->engine), "engine", sac_engine_backend(found->engine), "precision",
        precision_name(found->engine), "where", json_text(sac_engine_where(found->engine)));
    if (object && found->info) add_info(object, found);
    json_t *layers = layers_json(found->engine);
    if (object && json_array_size(layers)) json_object_set(object, "layers", layers);
    json_decref(layers);
    return print_json(object);
}

// --- the run

static int report(const struct findings *found, const struct options *options)
{
    if (options->as_json) return findings_json(found);
    print_findings(found);
    return CLI_DONE;
}

// No detection model, but perhaps a network all the same: shows it, and says what is wrong.
static int inspect_engine(const char *path, const struct options *options)
{
    sac_detector_options detector;
    sac_engine *engine = NULL;
    setup_options(&detector, options, SAC_MODE_LATENCY);
    char why[5120];
    snprintf(why, sizeof why, "%s", sac_error_message());
    int error = sac_engine_open(&engine, path, &detector.engine);
    if (!error) report(&(struct findings){path, engine, NULL, 0}, options);
    sac_engine_close(&engine);
    message_print("%s", why);
    return CLI_MODEL;
}

// Whether boxes would be read from raw maps: on a device they are, else it opens the model once
// more, as detect does.
static int reads_maps(const sac_detector *whole, const char *path, sac_detector_options how)
{
    sac_detector *detector = NULL;
    if (sac_engine_memory(sac_detector_engine(whole)) == SAC_CUDA)
        return sac_detector_feed(whole) == SAC_FEED_RESIDENT;
    how.keep_head = 0;
    how.engine.log = NULL;
    const int maps = !sac_detector_open(&detector, path, &how) && sac_detector_reads_maps(detector);
    sac_detector_close(&detector);
    return maps;
}

int inspect_run(const struct options *options)
{
    char path[4096];
    if (options->operands.count > 1) return usage_fail(verb_find("inspect"), "more than one MODEL");
    if (options->operands.count) {
        snprintf(path, sizeof path, "%s", options->operands.items[0]);
    } else if (model_path_default(path, sizeof path)) {
        message_print("%s", message_last());
        return CLI_MODEL;
    }
    sac_detector_options how;
    sac_detector *detector = NULL;
    setup_options(&how, options, SAC_MODE_LATENCY);
    how.keep_head = 1; // the bindings of the file, not of what detect makes of it
    int error = sac_detector_open(&detector, path, &how);
    if (error == SAC_EMODEL) return inspect_engine(path, options);
    if (error) return open_fail(error);
    const struct findings found = {path, sac_detector_engine(detector),
                                   sac_detector_info(detector), reads_maps(detector, path, how)};
    int code = report(&found, options);
    sac_detector_close(&detector);
    return code;
}
