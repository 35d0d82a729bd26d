// SPDX-License-Identifier: Apache-2.0
// What the files of the OpenVINO plugin share. Nothing of the core is linked: errors go through
// the host that the core handed in.
#ifndef SAC_SRC_OPENVINO_H
#define SAC_SRC_OPENVINO_H

#include <openvino/c/openvino.h>

#include "backend/backend.h"

/// The core that loaded the plugin; set once by the entry.
extern const struct sac_host *sac__openvino_host;

/// Sets the calling thread's message and returns the error.
#define FAIL(...) (sac__openvino_host->fail(__VA_ARGS__))

/// An opened network: the `state` of struct sac_backend.
struct openvino_network {
    ov_core_t *core; ///< one a network, so that its properties are its own
    ov_compiled_model_t *compiled;
    void *cached;          ///< file from the cache that `compiled` reads its weights from, or NULL
    sac_binding *bindings; ///< inputs, then outputs
    ov_output_const_port_t **ports;
    size_t input_count, binding_count;
    char where[256];
};

/// What the processor can do.
struct openvino_processor {
    char name[128];         ///< its own full name
    char capabilities[256]; ///< as OpenVINO lists them: "BF16 FP32 FP16 INT8 …"
    char isa[64];           ///< model and instruction sets in hex, for the cache's key
    int bf16, fp16;         ///< nonzero: native arithmetic
    int threads;            ///< processors that this process may use
    int limited;            ///< nonzero: a quota, which OpenVINO does not know of, makes them fewer
};

/// Writes what happened in OpenVINO's last failed call as one line: without C++ types, file names
/// and line numbers. `status` serves where OpenVINO left no text.
void sac__openvino_message(char *line_out, size_t size, ov_status_e status);

/// Fails with "WHAT: " and OpenVINO's reason; returns `error` (SAC_ENOMEM where OpenVINO ran out).
int sac__openvino_fail(int error, ov_status_e status, const char *what);

/// Asks the processor. Errors: SAC_EDEVICE.
int sac__openvino_processor(struct openvino_processor *processor_out, const ov_core_t *core);

/// Chooses the arithmetic: never SAC_PRECISION_AUTO on success. Errors: SAC_EUNSUPPORTED.
int sac__openvino_precision(sac_precision *chosen_out, sac_precision asked,
                            const struct openvino_processor *processor);

/// "fp32", "bf16" or "fp16".
const char *sac__openvino_precision_name(sac_precision precision);

/// Version of the library in use ("2026.4.1-22982-e213a147257-releases/2026/4").
void sac__openvino_version(char *text_out, size_t size);

/// Bytes of an element; 0 for an unknown type.
size_t sac__openvino_dtype_bytes(sac_dtype dtype);

/// The element type in OpenVINO's terms.
ov_element_type_e sac__openvino_element(sac_dtype dtype);

/// Fills bindings, ports and counts of a compiled network, named as the source says.
/// Errors: SAC_EMODEL (names the binding whose type or rank cannot be expressed), SAC_ENOMEM.
int sac__openvino_bindings(struct openvino_network *network, const struct sac_source *source);

/// Frees what sac__openvino_bindings took, also after it failed.
void sac__openvino_bindings_free(struct openvino_network *network);

// The functions of struct sac_backend, described there.
size_t sac__openvino_devices(sac_device *devices_out, size_t capacity);
int sac__openvino_open(void **state_out, struct sac_engine_facts *facts_out,
                       const struct sac_source *source, const sac_engine_options *options);
void sac__openvino_close(void *state);
int sac__openvino_context_open(void **run_out, void *state);
void sac__openvino_context_close(void *run);
int sac__openvino_bind(void *run, size_t index, const sac_tensor *tensor);
int sac__openvino_enqueue(void *run);
int sac__openvino_wait(void *run);
int sac__openvino_done(void *run);
int sac__openvino_tensor(void *run, size_t index, sac_tensor *tensor_out);

#endif
