// SPDX-License-Identifier: Apache-2.0
// What the CUDA engine runs: an ordered list of layers over buffers in one arena. reference.c is
// the specification of each layer.
//
// Activations are NHWC with a fixed pitch a buffer, a multiple of 8 channels. A view is a run of
// channels in a buffer. A layer writes exactly the channels of its output view, and, where the view
// ends the buffer's channels, zeros or finite values up to the pitch; so a reader may always fetch
// whole groups of 8 when its weights for the rest are zero.
#ifndef SAC_CUDA_PLAN_H
#define SAC_CUDA_PLAN_H

#include <stdio.h>

#include "graph/head.h"
#include "graph/tail.h"

enum {
    SAC__PARTS = 4,   ///< most output views of a convolution
    SAC__AFTER = 2,   ///< most layers after a layer in one launch
    SAC__ALIGN = 256, ///< of buffers in the arena, bytes
    SAC__GROUP = 8,   ///< channels that pitches and packed weights are multiples of
    SAC__STEM = 16    ///< channels of the space-to-depth input
};

#define SAC__LAYERS(X)                                                                             \
    X(CONV, "conv")                                                                                \
    X(DEPTHWISE, "depthwise")                                                                      \
    X(POOL, "maxpool")                                                                             \
    X(POOLS, "maxpools")    /* out[k]: k+1 chained pools of one odd window, stride 1 */            \
    X(UPSAMPLE, "upsample") /* nearest, twice the size */                                          \
    X(ATTENTION, "attention")                                                                      \
    X(ADD, "add") /* in + residual */                                                              \
    X(ACTIVATION, "activation")                                                                    \
    X(COPY, "copy")

#define SAC__LAYER_ENUM(name, text) SAC__LAYER_##name,
enum sac_layer_kind { SAC__LAYERS(SAC__LAYER_ENUM) SAC__LAYER_COUNT };
#undef SAC__LAYER_ENUM

/// out = act(conv(in) + bias + up2(coarse)) + residual, channels dealt out to the parts in order.
/// ATTENTION: in holds all queries, then all keys, then all values (heads·key, heads·key,
/// heads·value channels); out = softmax(scale · queryᵀ·key)·value, a head and a
/// run of height·width / areas places at a time.
struct sac_layer {
    enum sac_layer_kind kind;
    char *name; ///< of the ONNX node
    struct sac_view in, out[SAC__PARTS], residual, coarse;
    int out_count;
    struct sac_window window; ///< only top and left padding count; below and right as far as needed
    enum sac__act act;
    float alpha;          ///< LEAKY's slope
    int64_t out_channels; ///< sum over the parts
    int64_t in_packed;    ///< channels a group in the packed weights
    size_t weights, bias; ///< offsets in sac_plan.weights
    int heads, key, value, areas;
    float scale;
    int step;    ///< those of one step do not depend on each other
    int after;   ///< CONV: the layer that may be run on its results with it (chain.c), or SAC__NONE
    int kept;    ///< with `after`: whether anything else reads them, too
    double flop; ///< 2 a multiply-add, without padding
    double bytes; ///< read once and written once
};

struct sac_buffer {
    char *name; ///< of the ONNX tensor that it was made for
    int64_t n, height, width, channels, pitch;
    int first,
        last; ///< steps between which it must not change; input: first -1; raw: one past the last
    size_t offset, bytes;
};

struct sac_plan {
    struct sac_layer *layers;
    struct sac_buffer *buffers;
    int layer_count, buffer_count;
    int64_t input_shape[4]; ///< N, 3, H, W
    int input_type,
        output_type;  ///< ONNX element types in the file, of the first output; 0: not said
    int output_count; ///< of the file
    /// N,H,W,3 with pitch 8; or, where `folded`, N,H/2,W/2,16: channel (2·(y&1)+(x&1))·4+c, c<3,
    /// and zeros in every fourth.
    struct sac_view input;
    int folded;
    struct sac_head_plan head;
    struct sac_tail *tail; ///< SAC__HEAD_OTHER: makes the output of the raw maps, on the processor
    int output_ndim;       ///< of the file's first output
    int64_t output_shape[SAC__RANK];
    /// Convolutions: (K,R,S,C) with K and C (a group) rounded up to 8, then K biases; depthwise:
    /// (R,S,C) with C rounded up. Padding is zero.
    float *weights;
    size_t weight_count;
    size_t element_size; ///< bytes an activation: 2 or 4
    size_t arena_bytes;
    int settled;               ///< each layer's `after` is run with it
    double flop, network_flop; ///< of the layers; of the network as the file has it
};

/// Compiles ONNX bytes for one input shape (4 extents, 0 = as in the file; an open batch is 1).
/// Errors: SAC_EMODEL, SAC_EUNSUPPORTED (names node and operator), SAC_ELIMIT, SAC_ENOMEM.
int sac__plan_open(struct sac_plan **plan_out, const void *onnx, size_t size,
                   const int64_t shape[4], size_t element_size);
void sac__plan_close(struct sac_plan **plan);

/// Places the buffers anew, once it is known which pairs are run as such: the others' `after` is
/// SAC__NONE by then. Errors: SAC_ENOMEM.
int sac__plan_settle(struct sac_plan *plan);

/// Takes off the layers' bytes what settled pairs neither write nor read. To be called once.
void sac__plan_count(struct sac_plan *plan);

/// Writes the plan as text, a line a layer.
void sac__plan_print(const struct sac_plan *plan, FILE *file);

static inline int64_t sac__group_up(int64_t channels)
{
    return (channels + SAC__GROUP - 1) / SAC__GROUP * SAC__GROUP;
}

/// Channels that a layer writes through a view.
static inline int64_t sac__view_width(const struct sac_plan *plan, const struct sac_view *view)
{
    const struct sac_buffer *b = &plan->buffers[view->buffer];
    return view->channel + view->channels == b->channels ? b->pitch - view->channel
                                                         : view->channels;
}

/// Layers as reference.c runs them; convolutions are in reference_conv.c.
int sac__reference_conv(const struct sac_plan *plan, const struct sac_layer *layer, void *arena);
void sac__reference_depthwise(const struct sac_plan *plan, const struct sac_layer *layer,
                              void *arena);
float sac__activate(enum sac__act act, float alpha, float x);

/// Runs the plan on a picture batch (N,3,H,W) in plain C; `arena` has arena_bytes, element_size
/// is 4. rows (may be NULL): the file's first output, as output_shape has it.
int sac__plan_run(const struct sac_plan *plan, const float *picture, void *arena, float *rows);

/// First element of a view in an arena of floats.
static inline float *sac__view_data(const struct sac_plan *plan, const struct sac_view *view,
                                    void *arena)
{
    return (float *)(void *)((char *)arena + plan->buffers[view->buffer].offset) + view->channel;
}

// Passes, in the order in which sac__plan_open runs them.
/// A known tail becomes the head; level_count is zero where it is none. `single`: the same network
/// for one picture, folded, or NULL. sac__pass_tail cuts off any other, of which `tail` was made.
int sac__pass_head(struct sac_graph *graph, struct sac_graph *single, struct sac_head_plan *head);
int sac__pass_tail(struct sac_graph *graph, const struct sac_tail *tail,
                   struct sac_head_plan *head);
int sac__pass_rewrite(struct sac_graph *graph);
int sac__pass_fuse(struct sac_graph *graph);
int sac__pass_attention(struct sac_graph *graph);
int sac__pass_sppf(struct sac_graph *graph);
int sac__pass_merge(struct sac_graph *graph);
int sac__pass_split(struct sac_graph *graph);
int sac__pass_upsample(struct sac_graph *graph);
int sac__pass_stem(struct sac_graph *graph);

/// Where each tensor lives; indexed by tensor, owned by the graph.
struct sac_place {
    int parent;      ///< tensor that this one is a part of, or SAC__NONE
    int64_t channel; ///< first channel in it
    int buffer;
};
int sac__pass_layout(struct sac_graph *graph, struct sac_plan *plan, struct sac_place **places_out);
int sac__pass_lower(struct sac_graph *graph, struct sac_plan *plan, const struct sac_place *places);
int sac__pass_schedule(struct sac_plan *plan);
void sac__pass_chain(struct sac_plan *plan);
int sac__pass_memory(struct sac_plan *plan);

/// Whether a layer writes channels that a view covers; whether one reads what another writes.
int sac__layer_writes(const struct sac_layer *layer, const struct sac_view *view);
int sac__layer_reads(const struct sac_layer *reader, const struct sac_layer *writer);

/// How many of its first channels a layer gives to the one that comes after it, rounded up to 8;
/// what that reads beyond them lies beside them.
int64_t sac__after_depth(const struct sac_layer *first, const struct sac_layer *second);

/// FLOP of a convolution or attention node.
double sac__node_flop(const struct sac_graph *graph, int node);

#endif
