// SPDX-License-Identifier: Apache-2.0
#include "layers.h"

#include <stdio.h>
#include <stdlib.h>

#include "output/values.h"
#include "print.h"

// All layers; free what it gives. NULL where there are none.
static sac_layer_info *take_layers(const sac_engine *engine, size_t *count_out)
{
    if (sac_engine_layers(engine, NULL, 0, count_out) || !*count_out) return NULL;
    sac_layer_info *layers = calloc(*count_out, sizeof *layers);
    if (!layers || !sac_engine_layers(engine, layers, *count_out, count_out)) return layers;
    free(layers);
    return NULL;
}

static double share(const sac_layer_info *layer)
{
    return layer->us > 0 && layer->roof_us > 0 ? layer->roof_us / layer->us : 0;
}

// Empty where it is not known.
static void number(char *text, size_t size, double value, int decimals)
{
    text[0] = 0;
    if (value > 0) snprintf(text, size, "%.*f", decimals, value);
}

enum { COLUMNS = 10, TEXT = 24 };

static void print_layer(struct table *table, const char *index, const sac_layer_info *layer)
{
    char flop[TEXT], bytes[TEXT], us[TEXT], roof[TEXT], part[TEXT];
    number(flop, TEXT, layer->flop * 1e-6, 2);
    number(bytes, TEXT, layer->bytes * 1e-6, 3);
    number(us, TEXT, layer->us, 2);
    number(roof, TEXT, layer->roof_us, 2);
    number(part, TEXT, 100 * share(layer), 0);
    table_row(table, (const char *[COLUMNS]){index, layer->kind, layer->shape, layer->kernel, flop,
                                             bytes, us, roof, part, layer->name});
}

void layers_print(const sac_engine *engine)
{
    size_t count = 0;
    sac_layer_info *layers = take_layers(engine, &count), sum = {"", "", "", "", 0, 0, 0, 0};
    struct table table = {.columns = COLUMNS, .right = 0x1f1};
    if (!layers) return;
    table_row(&table, (const char *[COLUMNS]){"#", "layer", "shape", "kernel", "MFLOP", "MB", "µs",
                                              "roof µs", "%", "node"});
    for (size_t i = 0; i < count; i++) {
        char index[TEXT];
        snprintf(index, sizeof index, "%zu", i);
        print_layer(&table, index, &layers[i]);
        sum.flop += layers[i].flop;
        sum.bytes += layers[i].bytes;
        sum.us += layers[i].us;
        sum.roof_us += layers[i].roof_us;
    }
    print_layer(&table, "", &sum);
    putchar('\n');
    table_print(&table, stdout);
    free(layers);
}

static json_t *layer_json(const sac_layer_info *layer)
{
    return json_pack("{s:o, s:s, s:o, s:o, s:f, s:f, s:f, s:f, s:f}", "name",
                     json_text(layer->name), "kind", layer->kind, "kernel",
                     json_text(layer->kernel), "shape", json_text(layer->shape), "flop",
                     layer->flop, "bytes", layer->bytes, "us", rounded_to(layer->us, 4), "roof_us",
                     rounded_to(layer->roof_us, 4), "share", rounded_to(share(layer), 4));
}

json_t *layers_json(const sac_engine *engine)
{
    size_t count = 0;
    json_t *array = json_array();
    sac_layer_info *layers = take_layers(engine, &count);
    for (size_t i = 0; layers && i < count; i++)
        json_array_append_new(array, layer_json(&layers[i]));
    free(layers);
    return array;
}
