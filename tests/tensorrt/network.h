// SPDX-License-Identifier: Apache-2.0
// The network of the stand-in: saccade's own CUDA engine, on the caller's addresses and stream.
#ifndef SAC_STAND_IN_NETWORK_H
#define SAC_STAND_IN_NETWORK_H

#include <cuda_runtime_api.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct stand_in_network;

/// For one input shape. Errors: negative, with a message on stderr.
int stand_in_open(struct stand_in_network **network_out, const void *onnx, size_t size,
                  const int64_t shape[4]);
void stand_in_close(struct stand_in_network **network);

/// ONNX types (1 float, 10 half) and the output's shape.
void stand_in_types(const struct stand_in_network *network, int *input_out, int *output_out);
void stand_in_output(const struct stand_in_network *network, int64_t shape_out[3]);

/// Device memory in, device memory out; may be captured.
int stand_in_enqueue(const struct stand_in_network *network, const void *input, void *output,
                     cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
