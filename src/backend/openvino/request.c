// SPDX-License-Identifier: Apache-2.0
// One run in flight: an inference request with the caller's tensors bound to it.
#include "openvino.h"

#include <stdlib.h>
#include <string.h>

struct slot {
    ov_tensor_t *tensor; ///< bound by the caller, or OpenVINO's own as last read
    sac_tensor bound;    ///< data NULL: nothing bound
};

struct request {
    struct openvino_network *network;
    ov_infer_request_t *infer;
    int in_flight;
    struct slot slots[]; ///< binding_count
};

int sac__openvino_context_open(void **run_out, void *state)
{
    struct openvino_network *network = state;
    struct request *request =
        calloc(1, sizeof *request + network->binding_count * sizeof *request->slots);
    if (!request)
        return FAIL(SAC_ENOMEM, "no memory for a context");
    request->network = network;
    const ov_status_e status =
        ov_compiled_model_create_infer_request(network->compiled, &request->infer);
    if (status != OK) {
        free(request);
        return sac__openvino_fail(SAC_EBACKEND, status, "context");
    }
    *run_out = request;
    return 0;
}

void sac__openvino_context_close(void *run)
{
    struct request *request = run;
    if (request->in_flight)
        ov_infer_request_wait(request->infer);
    ov_infer_request_free(request->infer);
    for (size_t i = 0; i < request->network->binding_count; i++)
        ov_tensor_free(request->slots[i].tensor);
    free(request);
}

static void keep(struct slot *slot, ov_tensor_t *tensor)
{
    if (slot->tensor)
        ov_tensor_free(slot->tensor);
    slot->tensor = tensor;
}

int sac__openvino_bind(void *run, size_t index, const sac_tensor *tensor)
{
    struct request *request = run;
    struct slot *slot = &request->slots[index];
    const sac_binding *binding = &request->network->bindings[index];
    const ov_shape_t shape = {tensor->ndim, (int64_t *)tensor->shape}; // read only
    ov_tensor_t *wrapped = NULL;
    ov_status_e status = ov_tensor_create_from_host_ptr(sac__openvino_element(tensor->dtype), shape,
                                                        tensor->data, &wrapped);
    if (status == OK)
        status = ov_infer_request_set_tensor_by_const_port(
            request->infer, request->network->ports[index], wrapped);
    if (status != OK) {
        if (wrapped)
            ov_tensor_free(wrapped);
        return sac__openvino_fail(SAC_EINVAL, status, binding->name);
    }
    keep(slot, wrapped);
    slot->bound = *tensor;
    return 0;
}

int sac__openvino_enqueue(void *run)
{
    struct request *request = run;
    const ov_status_e status = ov_infer_request_start_async(request->infer);
    if (status != OK)
        return sac__openvino_fail(SAC_EBACKEND, status, "run");
    request->in_flight = 1;
    return 0;
}

int sac__openvino_wait(void *run)
{
    struct request *request = run;
    if (!request->in_flight)
        return 0;
    request->in_flight = 0;
    const ov_status_e status = ov_infer_request_wait(request->infer);
    return status == OK ? 0 : sac__openvino_fail(SAC_EBACKEND, status, "run");
}

int sac__openvino_done(void *run)
{
    struct request *request = run;
    if (!request->in_flight)
        return 1;
    const ov_status_e status = ov_infer_request_wait_for(request->infer, 0);
    if (status == RESULT_NOT_READY)
        return 0;
    return status == OK ? 1 : sac__openvino_fail(SAC_EBACKEND, status, "run");
}

// The shape of a dynamic tensor as a run left it.
static ov_status_e read_shape(sac_tensor *tensor_out, const ov_tensor_t *tensor)
{
    ov_shape_t shape = {0, NULL};
    ov_status_e status = ov_tensor_get_shape(tensor, &shape);
    if (status == OK && shape.rank > SAC_MAX_DIMS)
        status = OUT_OF_BOUNDS;
    tensor_out->ndim = status == OK ? (int32_t)shape.rank : 0;
    for (int i = 0; i < tensor_out->ndim; i++)
        tensor_out->shape[i] = shape.dims[i];
    ov_shape_free(&shape);
    return status;
}

static void fill_strides(sac_tensor *tensor)
{
    int64_t stride = 1;
    for (int i = tensor->ndim - 1; i >= 0; i--) {
        tensor->strides[i] = stride;
        stride *= tensor->shape[i];
    }
}

// OpenVINO may move a tensor of its own from run to run.
static ov_status_e fetch(struct request *request, size_t index)
{
    ov_tensor_t *own = NULL;
    const ov_status_e status = ov_infer_request_get_tensor_by_const_port(
        request->infer, request->network->ports[index], &own);
    if (status == OK)
        keep(&request->slots[index], own);
    return status;
}

int sac__openvino_tensor(void *run, size_t index, sac_tensor *tensor_out)
{
    struct request *request = run;
    struct slot *slot = &request->slots[index];
    const sac_binding *binding = &request->network->bindings[index];
    if (binding->count >= 0 && slot->bound.data) {
        *tensor_out = slot->bound;
        tensor_out->owned = NULL;
        return 0;
    }
    *tensor_out = (sac_tensor){.memory = SAC_HOST, .dtype = binding->dtype, .ndim = binding->ndim};
    memcpy(tensor_out->shape, binding->shape, sizeof binding->shape);
    ov_status_e status = slot->bound.data ? OK : fetch(request, index);
    if (status == OK && binding->count < 0)
        status = read_shape(tensor_out, slot->tensor);
    if (status == OK)
        status = ov_tensor_data(slot->tensor, &tensor_out->data);
    fill_strides(tensor_out);
    return status == OK ? 0 : sac__openvino_fail(SAC_EBACKEND, status, binding->name);
}
