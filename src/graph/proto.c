// SPDX-License-Identifier: Apache-2.0
// What protobuf holds, read with care: attributes and tensors.
#include "proto.h"

#include <string.h>

#include "ops/math/half.h"

static const Onnx__AttributeProto *attribute(const struct sac_gnode *node, const char *name)
{
    const Onnx__NodeProto *proto = node->proto;
    for (size_t k = 0; proto && k < proto->n_attribute; k++)
        if (proto->attribute[k]->name && !strcmp(proto->attribute[k]->name, name))
            return proto->attribute[k];
    return NULL;
}

int64_t sac__attr_int(const struct sac_gnode *node, const char *name, int64_t absent)
{
    const Onnx__AttributeProto *a = attribute(node, name);
    return a && a->has_i ? a->i : absent;
}

float sac__attr_float(const struct sac_gnode *node, const char *name, float absent)
{
    const Onnx__AttributeProto *a = attribute(node, name);
    return a && a->has_f ? a->f : absent;
}

int sac__attr_ints(const struct sac_gnode *node, const char *name, const int64_t **values_out)
{
    const Onnx__AttributeProto *a = attribute(node, name);
    if (!a || a->n_ints > 64) return -1;
    *values_out = a->ints;
    return (int)a->n_ints;
}

/// Texts come without a closing NUL, so a copy is compared with what the operator knows.
const char *sac__attr_text(const struct sac_gnode *node, const char *name, const char *absent)
{
    static const char *const known[] = {"NOTSET",
                                        "VALID",
                                        "nearest",
                                        "floor",
                                        "ceil",
                                        "round_prefer_floor",
                                        "round_prefer_ceil",
                                        "asymmetric",
                                        "half_pixel",
                                        "pytorch_half_pixel",
                                        "align_corners"};
    const Onnx__AttributeProto *a = attribute(node, name);
    if (!a || !a->has_s) return absent;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (a->s.len == strlen(known[k]) && !memcmp(a->s.data, known[k], a->s.len)) return known[k];
    return "unknown";
}

int sac__attr_tensor(struct sac_graph *graph, int node, const char *name, int tensor)
{
    const Onnx__AttributeProto *a = attribute(&graph->nodes[node], name);
    if (!a || !a->t) return sac__node_fail(graph, node, SAC_EMODEL, "no attribute %s", name);
    return sac__proto_tensor(graph, tensor, a->t);
}

static size_t element_size(int32_t type)
{
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32:
        return 4;
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16:
        return 2;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
        return 8;
    case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL:
        return 1;
    default:
        return 0;
    }
}

static int type_is_real(int32_t type)
{
    return type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT ||
           type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16 ||
           type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE;
}

/// Element k of raw little-endian bytes, into float or int64.
static void read_raw(struct sac_gtensor *t, int64_t k, int32_t type, const uint8_t *from)
{
    uint16_t half;
    int32_t word;
    double wide;
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
        memcpy(&t->f[k], from, 4);
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
        memcpy(&t->i[k], from, 8);
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL:
        t->i[k] = *from != 0;
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16:
        memcpy(&half, from, 2);
        t->f[k] = sac__half_float(half);
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32:
        memcpy(&word, from, 4);
        t->i[k] = word;
        break;
    default:
        memcpy(&wide, from, 8);
        t->f[k] = (float)wide;
    }
}

/// Number of elements in the list that this type uses, and element k of it.
static size_t list_count(const Onnx__TensorProto *p)
{
    switch (p->data_type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
        return p->n_float_data;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
        return p->n_double_data;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
        return p->n_int64_data;
    default:
        return p->n_int32_data;
    }
}

static void read_list(struct sac_gtensor *t, int64_t k, const Onnx__TensorProto *p)
{
    switch (p->data_type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
        t->f[k] = p->float_data[k];
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
        t->f[k] = (float)p->double_data[k];
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
        t->i[k] = p->int64_data[k];
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16:
        t->f[k] = sac__half_float((uint16_t)p->int32_data[k]);
        break;
    default:
        t->i[k] = p->int32_data[k];
    }
}

static int read_values(struct sac_graph *graph, int tensor, const Onnx__TensorProto *proto)
{
    struct sac_gtensor *t = &graph->tensors[tensor];
    int64_t count = sac__tensor_count(t);
    size_t size = element_size(proto->data_type);
    size_t have = proto->has_raw_data ? proto->raw_data.len / size : list_count(proto);
    if (have != (size_t)count || (proto->has_raw_data && proto->raw_data.len % size))
        return sac__fail(SAC_EMODEL, "tensor %s: %zu values for %lld elements", t->name, have,
                         (long long)count);
    int error = sac__tensor_fill(graph, tensor);
    if (error) return error;
    for (int64_t k = 0; k < count; k++) {
        if (proto->has_raw_data)
            read_raw(t, k, proto->data_type, proto->raw_data.data + (size_t)k * size);
        else
            read_list(t, k, proto);
    }
    return 0;
}

int sac__proto_tensor(struct sac_graph *graph, int tensor, const Onnx__TensorProto *proto)
{
    struct sac_gtensor *t = &graph->tensors[tensor];
    if (proto->n_external_data ||
        proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
        return sac__fail(SAC_EUNSUPPORTED, "tensor %s: values in another file are not supported",
                         t->name);
    if (!element_size(proto->data_type))
        return sac__fail(SAC_EMODEL, "tensor %s: element type %d is not supported", t->name,
                         (int)proto->data_type);
    if (proto->n_dims > SAC__RANK)
        return sac__fail(SAC_EMODEL, "tensor %s: rank %zu is not supported", t->name,
                         proto->n_dims);
    int error = sac__tensor_shape(graph, tensor, (int)proto->n_dims, proto->dims);
    if (error) return error;
    t->real = type_is_real(proto->data_type);
    return read_values(graph, tensor, proto);
}

void sac__proto_free(void *proto)
{
    if (proto) onnx__model_proto__free_unpacked(proto, NULL);
}
