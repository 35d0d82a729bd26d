// SPDX-License-Identifier: Apache-2.0
// Self-attention over all places of a feature map (v10, 11, 26), or over stripes of it (v12's
// areas): one convolution makes queries, keys and values, and softmax(scale·queryᵀ·key)·value
// becomes one layer. Exporters move channels and places around in many ways between the products,
// so it is recognised by where the elements of each product come from (trace.c). The convolution's
// output channels are put in the order all queries, all keys, all values, so that the values are a
// view.
#include "convolution.h"
#include "graph/ops.h"
#include "trace.h"

#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 4096 };

/// An operand of a product as a stack of matrices, `down` by `across` of the layer's own terms.
struct operand {
    int tensor;
    int turned; ///< nonzero: the place is the last axis
};

struct match {
    int conv, maps, product, mixed, result; ///< nodes; maps: the convolution's output tensor
    int result_tensor;                      ///< feature map of mixed values
    struct operand query, key, value, out;
    int heads, key_size, value_size, areas;
    int64_t batch, places; ///< of a sequence
    float factor;
    int64_t *channels; ///< old output channel of each new one
    int64_t *stack;    ///< matrix of (picture, area, head)
};

/// The only live reader of a tensor, or SAC__NONE.
static int sole_reader(const struct sac_graph *graph, int tensor)
{
    int node = SAC__NONE;
    return sac__tensor_uses(graph, tensor, &node) == 1 ? node : SAC__NONE;
}

/// The tensor at the end of a chain of moving nodes, each the sole reader of the one before.
static int follow(const struct sac_graph *graph, int tensor)
{
    for (;;) {
        int node = sole_reader(graph, tensor);
        if (node < 0 || !sac__node_moves(graph, node) || graph->nodes[node].output_count != 1)
            return tensor;
        tensor = graph->nodes[node].outputs[0];
    }
}

/// Element (row, column) of matrix `stack`, row being the place.
static int64_t element(const struct sac_graph *graph, const struct operand *o, int64_t stack,
                       int64_t place, int64_t channel)
{
    const struct sac_gtensor *t = &graph->tensors[o->tensor];
    int64_t rows = t->shape[t->ndim - 2], columns = t->shape[t->ndim - 1];
    return o->turned ? (stack * rows + channel) * columns + place
                     : (stack * rows + place) * columns + channel;
}

/// The two products around the softmax, and what goes into and comes out of them.
static int match_products(const struct sac_graph *graph, int softmax, struct match *m)
{
    const struct sac_gnode *nodes = graph->nodes;
    int weights = nodes[softmax].outputs[0], logits = nodes[softmax].inputs[0];
    int64_t first = 0;
    m->factor = 1;
    int origin = sac__trace_origin(graph, logits);
    m->product = sac__producer(graph, origin, SAC__OP_MATMUL);
    if (m->product < 0 || !sac__trace(graph, logits, origin, &first, &m->factor)) return 0;
    const struct sac_gtensor *w = &graph->tensors[weights];
    if (nodes[softmax].axis != w->ndim - 1 || w->ndim < 3) return 0;
    int moved = follow(graph, weights);
    m->mixed = sole_reader(graph, moved);
    if (m->mixed < 0 || nodes[m->mixed].op != SAC__OP_MATMUL) return 0;
    int turned = nodes[m->mixed].inputs[1] == moved; // value·weightsᵀ, else weights·value
    m->query = (struct operand){nodes[m->product].inputs[0], 0};
    m->key = (struct operand){nodes[m->product].inputs[1], 1};
    m->value = (struct operand){nodes[m->mixed].inputs[!turned], turned};
    m->out = (struct operand){nodes[m->mixed].outputs[0], turned};
    // Weights reach the second product as they are, or turned, whichever it needs.
    int64_t places = w->shape[w->ndim - 1], last = places > 1 ? places - 1 : 0;
    int64_t at = turned ? last * places : last; // the one of query 0 and key `last`
    float factor = 1;
    return w->shape[w->ndim - 2] == places && nodes[m->mixed].inputs[turned] == moved &&
           sac__trace(graph, moved, weights, &at, &factor) && at == last && factor == 1;
}

/// The feature maps on both sides, and all sizes.
static int match_maps(const struct sac_graph *graph, struct match *m)
{
    m->maps = sac__trace_origin(graph, m->query.tensor);
    m->conv = sac__producer(graph, m->maps, SAC__OP_CONV);
    m->result_tensor = follow(graph, m->out.tensor);
    m->result = graph->tensors[m->result_tensor].producer;
    if (m->conv < 0 || m->result == m->mixed || !sac__conv_is_plain(graph, m->conv) ||
        graph->nodes[m->conv].act || graph->nodes[m->conv].window.groups != 1)
        return 0;
    const struct sac_gtensor *x = &graph->tensors[m->maps], *y = &graph->tensors[m->result_tensor],
                             *q = &graph->tensors[m->query.tensor],
                             *v = &graph->tensors[m->value.tensor];
    m->places = q->shape[q->ndim - 2];
    m->key_size = (int)q->shape[q->ndim - 1];
    m->value_size = (int)v->shape[v->ndim - 1 - m->value.turned];
    m->batch = x->shape[0];
    if (y->ndim != 4 || y->shape[0] != m->batch || memcmp(x->shape + 2, y->shape + 2, 16) ||
        m->places < 1 || m->key_size < 1 || m->value_size < 1)
        return 0;
    int64_t area = x->shape[2] * x->shape[3];
    m->heads = (int)(y->shape[1] / m->value_size);
    m->areas = (int)(area / m->places);
    return m->heads > 0 && m->areas > 0 && y->shape[1] == (int64_t)m->heads * m->value_size &&
           area == m->areas * m->places &&
           x->shape[1] == (int64_t)m->heads * (2 * m->key_size + m->value_size) &&
           sac__tensor_count(q) == m->batch * area * m->heads * m->key_size;
}

/// Where in the convolution's output element (place, channel) of an operand's matrix comes from.
/// Writes the channel; returns whether picture and place are those of the sequence.
static int origin_of(const struct sac_graph *graph, const struct match *m,
                     const struct operand *operand, const int64_t at[3], int64_t place,
                     int64_t channel, int64_t *channel_out, float *factor)
{
    const struct sac_gtensor *x = &graph->tensors[m->maps];
    int64_t area = x->shape[2] * x->shape[3];
    int64_t stack = m->stack[(at[0] * m->areas + at[1]) * m->heads + at[2]];
    int64_t flat = element(graph, operand, stack, place, channel);
    if (!sac__trace(graph, operand->tensor, m->maps, &flat, factor)) return 0;
    *channel_out = flat / area % x->shape[1];
    return flat / area / x->shape[1] == at[0] && flat % area == at[1] * m->places + place;
}

/// Which matrix is whose, told by where the results go.
static int find_stack(const struct sac_graph *graph, struct match *m)
{
    const struct sac_gtensor *y = &graph->tensors[m->result_tensor];
    int64_t area = y->shape[2] * y->shape[3], each = m->places * m->value_size;
    for (int64_t n = 0; n < m->batch; n++)
        for (int64_t s = 0; s < m->areas; s++)
            for (int64_t h = 0; h < m->heads; h++) {
                int64_t flat = (n * y->shape[1] + h * m->value_size) * area + s * m->places;
                float factor = 1;
                if (!sac__trace(graph, m->result_tensor, m->out.tensor, &flat, &factor) ||
                    flat % each || factor != 1)
                    return 0;
                m->stack[(n * m->areas + s) * m->heads + h] = flat / each;
            }
    return 1;
}

/// New channel order: all queries, all keys, all values. They must be different old ones.
static int find_channels(const struct sac_graph *graph, struct match *m)
{
    const struct operand *operands[] = {&m->query, &m->key, &m->value};
    const int sizes[] = {m->key_size, m->key_size, m->value_size};
    int64_t count = graph->tensors[m->maps].shape[1], next = 0;
    char *seen = calloc((size_t)count + 1, 1);
    int good = seen != NULL;
    for (int part = 0; part < 3; part++)
        for (int64_t h = 0; good && h < m->heads; h++)
            for (int64_t c = 0; good && c < sizes[part]; c++) {
                float factor = 1;
                const int64_t at[3] = {0, 0, h};
                good = origin_of(graph, m, operands[part], at, 0, c, &m->channels[next], &factor);
                good = good && !seen[m->channels[next]]++ && (part < 2 || factor == 1);
                if (next == 0 || next == (int64_t)m->heads * m->key_size) m->factor *= factor;
                next++;
            }
    free(seen);
    return good;
}

/// Random elements of all three operands and of the result come from where they should.
static int check_samples(const struct sac_graph *graph, const struct match *m)
{
    const struct operand *operands[] = {&m->query, &m->key, &m->value};
    const struct sac_gtensor *y = &graph->tensors[m->result_tensor];
    uint64_t random = 1;
    for (int k = 0; k < SAMPLES; k++) {
        int64_t draw[5], channel, part = k % 3;
        const int64_t size = part < 2 ? m->key_size : m->value_size;
        const int64_t ranges[5] = {m->batch, m->areas, m->heads, m->places, size};
        for (int i = 0; i < 5; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u; // Knuth, MMIX
            draw[i] = (int64_t)((random >> 33) % (uint64_t)ranges[i]);
        }
        float factor = 1;
        int64_t known = part * m->heads * m->key_size + draw[2] * size + draw[4];
        if (!origin_of(graph, m, operands[part], draw, draw[3], draw[4], &channel, &factor) ||
            channel != m->channels[known])
            return 0;
        if (part < 2) continue;
        int64_t flat =
            ((draw[0] * y->shape[1] + draw[2] * size + draw[4]) * m->areas + draw[1]) * m->places +
            draw[3];
        int64_t stack = m->stack[(draw[0] * m->areas + draw[1]) * m->heads + draw[2]];
        if (!sac__trace(graph, m->result_tensor, m->out.tensor, &flat, &factor) ||
            flat != element(graph, &m->out, stack, draw[3], draw[4]))
            return 0;
    }
    return 1;
}

/// Zero where it is not what the layer computes. Errors: SAC_ENOMEM.
static int find(struct sac_graph *graph, int softmax, struct match *m, int *found_out)
{
    *found_out = 0;
    if (!match_products(graph, softmax, m) || !match_maps(graph, m)) return 0;
    m->channels =
        sac__graph_alloc(graph, (size_t)graph->tensors[m->maps].shape[1], sizeof *m->channels);
    m->stack = sac__graph_alloc(graph, (size_t)(m->batch * m->areas * m->heads), sizeof *m->stack);
    if (!m->channels || !m->stack) return sac__fail(SAC_ENOMEM, "out of memory for attention");
    *found_out = find_stack(graph, m) && find_channels(graph, m) && check_samples(graph, m);
    return 0;
}

static int reorder(struct sac_graph *graph, const struct match *m)
{
    int old_weights = graph->nodes[m->conv].inputs[1];
    int old_bias =
        graph->nodes[m->conv].input_count > 2 ? graph->nodes[m->conv].inputs[2] : SAC__NONE;
    int64_t shape[4];
    memcpy(shape, graph->tensors[old_weights].shape, sizeof shape);
    int error = sac__conv_weights(graph, m->conv, shape);
    if (error) return error;
    size_t row = (size_t)(shape[1] * shape[2] * shape[3]);
    float *weights = sac__input(graph, m->conv, 1)->f, *bias = sac__input(graph, m->conv, 2)->f;
    for (int64_t k = 0; k < shape[0]; k++) {
        int64_t from = m->channels[k];
        memcpy(weights + (size_t)k * row, graph->tensors[old_weights].f + (size_t)from * row,
               row * sizeof *weights);
        if (old_bias >= 0) bias[k] = graph->tensors[old_bias].f[from];
    }
    return 0;
}

/// Whether a tensor is the values as a feature map, channels in the layer's order.
static int shows_values(const struct sac_graph *graph, const struct match *m, int tensor)
{
    const struct sac_gtensor *x = &graph->tensors[m->maps], *t = &graph->tensors[tensor];
    int64_t area = x->shape[2] * x->shape[3], values = (int64_t)m->heads * m->value_size;
    if (t->ndim != 4 || t->shape[0] != x->shape[0] || t->shape[1] != values ||
        memcmp(t->shape + 2, x->shape + 2, 16))
        return 0;
    for (int64_t k = 0; k < values + SAMPLES; k++) { // every channel, and places all over
        int64_t channel = k % values,
                flat = k < values ? channel * area : channel * area + k * 7919 % area;
        int64_t picture = k % m->batch, at = picture * values * area + flat;
        float factor = 1;
        if (!sac__trace(graph, tensor, m->maps, &at, &factor) || factor != 1) return 0;
        if (at !=
            (picture * x->shape[1] + m->channels[2 * m->heads * m->key_size + channel]) * area +
                flat % area)
            return 0;
    }
    return 1;
}

/// Whoever else reads what the convolution made must read the values as a feature map: a view.
static int view_values(struct sac_graph *graph, const struct match *m)
{
    for (int n = 0; n < graph->node_count; n++) {
        const struct sac_gnode *node = &graph->nodes[n];
        if (node->dead || n == m->product || n == m->mixed || sac__node_moves(graph, n)) continue;
        for (int k = 0; k < node->input_count; k++) {
            int tensor = node->inputs[k];
            if (tensor < 0 || sac__trace_origin(graph, tensor) != m->maps) continue;
            if (!shows_values(graph, m, tensor))
                return sac__node_refuse(graph, n, "an unknown use of attention's values");
            struct sac_gnode *view = &graph->nodes[graph->tensors[tensor].producer];
            view->op = SAC__OP_SLICE;
            view->proto = NULL;
            view->begin = 2 * (int64_t)m->heads * m->key_size;
            view->inputs[0] = m->maps;
            view->input_count = 1;
        }
    }
    return 0;
}

static int rewrite(struct sac_graph *graph, const struct match *m)
{
    int error = view_values(graph, m);
    if (!error) error = reorder(graph, m);
    if (error) return error;
    struct sac_gnode *result = &graph->nodes[m->result];
    result->op = SAC__OP_ATTENTION;
    result->proto = NULL;
    result->inputs[0] = m->maps;
    result->input_count = 1;
    result->heads = m->heads;
    result->key = m->key_size;
    result->value = m->value_size;
    result->areas = m->areas;
    result->scale = m->factor;
    return 0;
}

int sac__pass_attention(struct sac_graph *graph)
{
    for (int n = 0; n < graph->node_count; n++) {
        struct match m;
        int found = 0;
        if (graph->nodes[n].dead || graph->nodes[n].op != SAC__OP_SOFTMAX) continue;
        int error = find(graph, n, &m, &found);
        if (!error && !found) error = sac__node_refuse(graph, n, "attention of an unknown form");
        if (!error) error = rewrite(graph, &m);
        if (error) return error;
        sac__graph_sweep(graph);
    }
    return 0;
}
