// SPDX-License-Identifier: Apache-2.0
#include "cut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "graph/head.h"
#include "internal.h"
#include "onnx.pb-c.h"

/// Rows times columns times pictures of the largest output whose tail is tried out: what that takes
/// in time and memory grows with it.
enum { MOST_VALUES = 1 << 24 };

/// A graph with its tail found, on the way to new bytes.
struct cutting {
    struct sac_graph *graph;
    struct sac_head_plan head;
    sac__raw_maps raw;
    char *used; ///< a byte a node: it leads to a raw map
};

// ---- what to keep -------------------------------------------------------------------------------

static void use(struct cutting *c, int tensor)
{
    if (tensor >= 0 && c->graph->tensors[tensor].producer >= 0)
        c->used[c->graph->tensors[tensor].producer] = 1;
}

/// Nodes stand in running order, so one sweep from the end sees each after all its readers.
static void mark_used(struct cutting *c)
{
    for (int k = 0; k < c->head.level_count; k++)
        for (int part = 0; part < 2; part++)
            use(c, c->raw[k][part]);
    for (int n = c->graph->node_count - 1; n >= 0; n--)
        for (int k = 0; c->used[n] && k < c->graph->nodes[n].input_count; k++)
            use(c, c->graph->nodes[n].inputs[k]);
}

/// The nodes that are used, borrowed.
static void keep_nodes(const struct cutting *c, Onnx__GraphProto *graph, Onnx__NodeProto **nodes)
{
    graph->node = nodes;
    graph->n_node = 0;
    for (int n = 0; n < c->graph->node_count; n++)
        if (c->used[n]) nodes[graph->n_node++] = (Onnx__NodeProto *)c->graph->nodes[n].proto;
}

/// Tensors come in the order initializers, then inputs, then what nodes make.
static void keep_weights(const struct cutting *c, Onnx__GraphProto *graph,
                         Onnx__TensorProto **weights, char *read)
{
    Onnx__TensorProto **all = graph->initializer;
    const size_t count = graph->n_initializer;
    for (int n = 0; n < c->graph->node_count; n++)
        for (int k = 0; c->used[n] && k < c->graph->nodes[n].input_count; k++)
            if (c->graph->nodes[n].inputs[k] >= 0) read[c->graph->nodes[n].inputs[k]] = 1;
    graph->initializer = weights;
    graph->n_initializer = 0;
    for (size_t k = 0; k < count; k++)
        if (read[k]) weights[graph->n_initializer++] = all[k];
}

/// Old files list weights among the inputs; those that are gone must not stay as pictures.
static void keep_input(const struct cutting *c, Onnx__GraphProto *graph,
                       Onnx__ValueInfoProto **input)
{
    const char *name = c->graph->tensors[c->graph->input].name;
    for (size_t k = 0; k < graph->n_input; k++)
        if (graph->input[k]->name && !strcmp(graph->input[k]->name, name)) *input = graph->input[k];
    graph->input = input;
    graph->n_input = 1;
}

static void set_outputs(const struct cutting *c, Onnx__GraphProto *graph,
                        Onnx__ValueInfoProto *infos, Onnx__ValueInfoProto **outputs)
{
    graph->output = outputs;
    graph->n_output = 0;
    for (int k = 0; k < c->head.level_count; k++)
        for (int part = 0; part < 2; part++) {
            if (c->raw[k][part] < 0) continue;
            Onnx__ValueInfoProto *info = &infos[graph->n_output];
            onnx__value_info_proto__init(info);
            info->name = (char *)c->graph->tensors[c->raw[k][part]].name;
            outputs[graph->n_output++] = info;
        }
}

// ---- new bytes ----------------------------------------------------------------------------------

static int pack(struct sac_cut *cut, const Onnx__ModelProto *model)
{
    cut->size = onnx__model_proto__get_packed_size(model);
    cut->bytes = malloc(cut->size);
    if (!cut->bytes) return sac__fail(SAC_ENOMEM, "no memory for a model of %zu bytes", cut->size);
    onnx__model_proto__pack(model, cut->bytes);
    sac__model_hash(cut->hash, cut->bytes, cut->size);
    return 0;
}

/// Packs a shallow copy of the file's message: weights are borrowed.
static int write_bytes(struct cutting *c, struct sac_cut *cut)
{
    const Onnx__ModelProto *whole = c->graph->proto;
    Onnx__ModelProto model = *whole;
    Onnx__GraphProto graph = *whole->graph;
    Onnx__ValueInfoProto infos[2 * SAC__LEVELS], *outputs[2 * SAC__LEVELS], *input = NULL;
    const size_t nodes = (size_t)c->graph->node_count, tensors = (size_t)c->graph->tensor_count;
    c->used = sac__graph_alloc(c->graph, nodes, 1);
    char *read = sac__graph_alloc(c->graph, tensors, 1);
    Onnx__NodeProto **kept = sac__graph_alloc(c->graph, nodes, sizeof *kept);
    Onnx__TensorProto **weights = sac__graph_alloc(c->graph, tensors, sizeof *weights);
    if (!c->used || !read || !kept || !weights) return sac__fail(SAC_ENOMEM, "no memory for a cut");
    mark_used(c);
    keep_nodes(c, &graph, kept);
    keep_weights(c, &graph, weights, read);
    keep_input(c, &graph, &input);
    set_outputs(c, &graph, infos, outputs);
    graph.n_value_info = 0;
    model.graph = &graph;
    return pack(cut, &model);
}

// ---- the head -----------------------------------------------------------------------------------

static void describe(const struct sac_head_plan *head, struct sac__maps *maps)
{
    const int v5 = head->family == SAC__HEAD_V5;
    maps->head.family = v5 ? SAC_HEAD_V5 : SAC_HEAD_V8;
    maps->head.classes = (int32_t)head->classes;
    maps->bins = (int32_t)head->bins;
    maps->level_count = head->level_count;
    for (int k = 0; k < head->level_count; k++) {
        const struct sac_head_level *from = &head->levels[k];
        struct sac__map_level *to = &maps->levels[k];
        to->width = (int32_t)from->width;
        to->height = (int32_t)from->height;
        to->stride = from->stride;
        to->anchor_count = v5 ? from->anchor_count : 1;
        memcpy(to->anchors, from->anchors, sizeof to->anchors);
    }
}

static void describe_output(const struct sac_graph *graph, sac_binding *output)
{
    const struct sac_gtensor *t = &graph->tensors[graph->outputs[0]];
    *output = (sac_binding){.index = 1, .dtype = SAC_F32, .ndim = t->ndim};
    snprintf(output->name, sizeof output->name, "%s", t->name);
    memcpy(output->shape, t->shape, (size_t)t->ndim * sizeof *t->shape);
}

static int worth_trying(const struct sac_graph *graph)
{
    const struct sac_gtensor *output = &graph->tensors[graph->outputs[0]];
    return graph->output_count == 1 && output->ndim == 3 && sac__tensor_count(output) > 0 &&
           sac__tensor_count(output) <= MOST_VALUES;
}

static int cut_graph(struct sac_graph *graph, struct sac_cut **cut_out)
{
    struct cutting c = {.graph = graph};
    int found = 0;
    int error = sac__graph_fold(graph);
    if (!error && worth_trying(graph)) error = sac__head_find(graph, &c.head, c.raw, &found);
    if (error || !found || c.head.best) return error; // end to end: not raw maps of rows
    struct sac_cut *cut = calloc(1, sizeof *cut);
    if (!cut) return sac__fail(SAC_ENOMEM, "no memory for a cut");
    describe(&c.head, &cut->maps);
    describe_output(graph, &cut->replaced);
    error = write_bytes(&c, cut);
    if (error) sac__cut_close(&cut);
    *cut_out = cut;
    return error;
}

int sac__cut_open(struct sac_cut **cut_out, const struct sac_model *model, const int64_t shape[4])
{
    struct sac_graph *graph = NULL;
    *cut_out = NULL;
    if (!model->self_contained) return 0;
    int error = sac__graph_import(&graph, model->bytes, model->size, shape);
    if (!error) error = cut_graph(graph, cut_out);
    sac__graph_close(&graph);
    return error == SAC_ENOMEM ? error : 0; // what the graph does not know runs as it is
}

void sac__cut_close(struct sac_cut **cut)
{
    if (!*cut) return;
    free((*cut)->bytes);
    free(*cut);
    *cut = NULL;
}

// ---- reading what it gives ----------------------------------------------------------------------

static int parts(const struct sac_cut *cut)
{
    return cut->maps.head.family == SAC_HEAD_V8 ? 2 : 1;
}

int sac__cut_outputs(const struct sac_cut *cut)
{
    return cut->maps.level_count * parts(cut);
}

void sac__cut_shape(const struct sac_cut *cut, int index, int64_t shape_out[3])
{
    const struct sac__maps *maps = &cut->maps;
    const struct sac__map_level *level = &maps->levels[index / parts(cut)];
    shape_out[0] = maps->head.family == SAC_HEAD_V5
                       ? (int64_t)level->anchor_count * sac__maps_width(maps)
                   : index % 2 ? maps->head.classes
                               : 4 * (int64_t)maps->bins;
    shape_out[1] = level->height;
    shape_out[2] = level->width;
}

static int check_output(const struct sac_cut *cut, const sac_tensor *outputs, int at, int64_t index)
{
    const sac_tensor *map = &outputs[at];
    int64_t shape[3];
    sac__cut_shape(cut, at, shape);
    const int fits = map->ndim == 4 && !memcmp(map->shape + 1, shape, sizeof shape) && index >= 0 &&
                     index < map->shape[0] && map->data && map->memory != SAC_CUDA &&
                     (map->dtype == SAC_F32 || map->dtype == SAC_F16) &&
                     map->dtype == outputs[0].dtype && sac_tensor_is_contiguous(map);
    return fits ? 0
                : sac__fail(SAC_EINVAL,
                            "output %d holds no raw map (B,%lld,%lld,%lld) of picture %lld", at,
                            (long long)shape[0], (long long)shape[1], (long long)shape[2],
                            (long long)index);
}

static struct sac__raw_map picture_of(const sac_tensor *map, int64_t index)
{
    const int64_t cells = map->shape[2] * map->shape[3];
    const size_t bytes = (size_t)(map->shape[1] * cells) * sac_dtype_bytes(map->dtype);
    return sac__raw_map_planes((const char *)map->data + (size_t)index * bytes, cells);
}

int sac__cut_maps(const struct sac_cut *cut, const sac_tensor *outputs, int64_t index,
                  struct sac__maps *maps_out)
{
    for (int i = 0; i < sac__cut_outputs(cut); i++) {
        int error = check_output(cut, outputs, i, index);
        if (error) return error;
    }
    *maps_out = cut->maps;
    maps_out->half = outputs[0].dtype == SAC_F16;
    for (int k = 0; k < maps_out->level_count; k++) {
        const sac_tensor *level = &outputs[k * parts(cut)];
        maps_out->levels[k].boxes = picture_of(&level[0], index);
        if (parts(cut) == 2) maps_out->levels[k].scores = picture_of(&level[1], index);
    }
    return 0;
}
