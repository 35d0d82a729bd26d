// SPDX-License-Identifier: Apache-2.0
#ifndef SAC_GRAPH_PROTO_H
#define SAC_GRAPH_PROTO_H

#include "graph.h"
#include "onnx.pb-c.h"

/// Copies shape and values of an ONNX tensor, converted to float or int64.
/// Errors: SAC_EMODEL (wrong size, type not supported), SAC_EUNSUPPORTED (values in another file).
int sac__proto_tensor(struct sac_graph *graph, int tensor, const Onnx__TensorProto *proto);

#endif
