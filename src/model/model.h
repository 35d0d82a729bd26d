// SPDX-License-Identifier: Apache-2.0
// What a model file says of itself, and which head its raw output belongs to.
#ifndef SAC_SRC_MODEL_H
#define SAC_SRC_MODEL_H

#include "saccade/detector.h"
#include "saccade/engine.h"

/// What the graph does behind its last convolutions. Tells apart heads of equal shape.
#define SAC__TAIL_ARITHMETIC 1u ///< Add, Sub, Mul, Div or Pow: boxes are decoded in the graph
#define SAC__TAIL_EXP 2u        ///< Exp: sizes decoded as YOLOX does
#define SAC__TAIL_SELECT 4u     ///< TopK or NonMaxSuppression: an end-to-end model

/// A model file in memory and its metadata.
struct sac_model {
    uint8_t *bytes; ///< the whole file, owned
    size_t size;
    char hash[33];      ///< XXH3-128 in hex
    int self_contained; ///< zero: some weights lie in other files
    int is_plan;        ///< a TensorRT engine file: bytes from `plan` on are the engine
    size_t plan;

    // From the metadata; zero or "" where it is silent.
    char *task, *head, *description; ///< never NULL
    char **names;                    ///< class names, index = class id
    int name_count;
    int stride, batch, channels;
    int end2end, nms; ///< -1 where silent; nms: exported with non-maximum suppression
    int imgsz[2];     ///< height, width

    /// SAC__TAIL_… bits: operators between the last convolutions and the outputs.
    unsigned tail;

    char **bindings; ///< names of the graph's inputs without weights, then of its outputs
    int binding_count;

    /// The first input as the file declares it, -1 = dynamic; ndim 0 where the file is silent.
    int32_t input_ndim;
    int64_t input_shape[SAC_MAX_DIMS];
};

/// Reads a model file and parses what it says of itself. `name` is for messages.
/// Errors: SAC_EIO, SAC_EMODEL (no ONNX; a names literal that does not parse, with its position),
/// SAC_ENOMEM.
int sac__model_open(struct sac_model **model_out, const char *path);
int sac__model_read(struct sac_model **model_out, const void *bytes, size_t size, const char *name);
void sac__model_close(struct sac_model **model);

/// Gives the model `classes` names where its metadata has none: class0, class1 …
/// Errors: SAC_ENOMEM.
int sac__model_fill_names(struct sac_model *model, int classes);

/// Recognises the head from the engine's bindings and the metadata. `layout` is NULL or a name of
/// SAC_HEADS that overrides. Writes the output binding to read, and why ("metadata", "shape",
/// "graph", "layout option"; static storage). Errors: SAC_EMODEL: says which task or shape was
/// found, what is known, and what would do.
int sac__head_recognise(sac_head *head_out, size_t *output_out, const char **why_out,
                        const struct sac_model *model, const sac_binding *bindings, size_t count,
                        const char *layout);

/// The four outputs of EfficientNMS among the bindings, told apart by shape and type: how many
/// boxes (B,1), boxes (B,K,4), scores (B,K), classes (B,K). They stand side by side, from
/// *first_out on; roles_out: which of them is which, from 0. Returns nonzero when they are there.
int sac__head_four(size_t *first_out, int roles_out[4], const sac_binding *bindings, size_t count);

/// Checks that the network's input is a picture (B,3,H,W) of a type letterbox can write.
/// Errors: SAC_EMODEL (names the input and its shape).
int sac__model_check_input(const sac_binding *input);

#endif
