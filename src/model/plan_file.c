// SPDX-License-Identifier: Apache-2.0
#include "plan_file.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "internal.h"
#include "literal.h"
#include "onnx.pb-c.h"

enum { LENGTH = 4 };

// ---- reading ------------------------------------------------------------------------------------

/// Bytes of JSON that a header announces; 0 where there can be none.
static size_t announced(const uint8_t *bytes, size_t size)
{
    if (size < LENGTH + 2) return 0;
    const uint32_t length = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 |
                            (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    return length > INT32_MAX || length > size - LENGTH ? 0 : length;
}

static json_t *parse_header(const uint8_t *bytes, size_t size)
{
    const size_t length = announced(bytes, size);
    if (!length || bytes[LENGTH] != '{') return NULL; // most files are told apart here
    json_t *header = json_loadb((const char *)bytes + LENGTH, length, 0, NULL);
    if (json_is_object(header)) return header;
    json_decref(header);
    return NULL;
}

/// The first bytes of a plan of TensorRT, and of TensorRT-RTX.
static int is_plan(const uint8_t *bytes, size_t size)
{
    return size > 4 && (!memcmp(bytes, "ptrt", 4) || !memcmp(bytes, "vtrt", 4));
}

int64_t sac__plan_file_find(const uint8_t *bytes, size_t size)
{
    if (is_plan(bytes, size)) return 0;
    json_t *header = parse_header(bytes, size);
    if (!header) return -1;
    json_decref(header);
    return (int64_t)(LENGTH + announced(bytes, size));
}

/// A JSON value as the Python literal that an ONNX file would hold; text is left as it is.
static char *literal_of(const json_t *value)
{
    if (json_is_string(value)) return strdup(json_string_value(value));
    if (json_is_boolean(value)) return strdup(json_is_true(value) ? "True" : "False");
    if (json_is_null(value)) return strdup("None");
    return json_dumps(value, JSON_ENCODE_ANY);
}

/// Of the export's arguments only `nms` is asked for, and JSON's true is no Python.
static char *arguments_of(const json_t *args)
{
    return strdup(json_is_true(json_object_get(args, "nms")) ? "{'nms': True}" : "{'nms': False}");
}

static int read_entries(struct sac_model *model, json_t *header)
{
    const char *key;
    json_t *value;
    int error = 0;
    json_object_foreach(header, key, value)
    {
        char *text = !strcmp(key, "args") ? arguments_of(value) : literal_of(value);
        error = text ? sac__metadata_set(model, key, text) : sac__fail(SAC_ENOMEM, "out of memory");
        free(text);
        if (error) break;
    }
    return error;
}

int sac__plan_file_read(struct sac_model *model)
{
    json_t *header =
        is_plan(model->bytes, model->size) ? NULL : parse_header(model->bytes, model->size);
    if (!header) return 0; // a bare plan
    const int error = read_entries(model, header);
    json_decref(header);
    return error;
}

// ---- writing ------------------------------------------------------------------------------------

static json_t *json_of(const struct sac__node *nodes, size_t at);

static json_t *list_of(const struct sac__node *nodes, size_t at)
{
    json_t *list = json_array();
    for (size_t i = 0, item = at + 1; i < nodes[at].count; i++, item = nodes[item].next)
        json_array_append_new(list, json_of(nodes, item));
    return list;
}

static json_t *dict_of(const struct sac__node *nodes, size_t at)
{
    json_t *dict = json_object();
    for (size_t i = 0, key = at + 1; i < nodes[at].count; i++) {
        const size_t value = nodes[key].next;
        char number[32];
        snprintf(number, sizeof number, "%lld", (long long)nodes[key].integer);
        const char *name = nodes[key].kind == SAC__STRING ? nodes[key].text : number;
        json_object_set_new(dict, name, json_of(nodes, value));
        key = nodes[value].next;
    }
    return dict;
}

static json_t *json_of(const struct sac__node *nodes, size_t at)
{
    const struct sac__node *node = nodes + at;
    switch (node->kind) {
    case SAC__BOOL:
        return json_boolean(node->integer);
    case SAC__INT:
        return json_integer(node->integer);
    case SAC__FLOAT:
        return json_real(node->real);
    case SAC__STRING:
        return json_string(node->text);
    case SAC__LIST:
        return list_of(nodes, at);
    case SAC__DICT:
        return dict_of(nodes, at);
    default:
        return json_null();
    }
}

/// Numbers, lists and dicts as JSON; what is no literal is text.
static json_t *entry_of(const char *value)
{
    struct sac__literal literal;
    const int error = sac__literal_parse(&literal, value, strlen(value));
    json_t *json = error ? json_string(value) : json_of(literal.nodes, 0);
    sac__literal_free(&literal);
    return json;
}

static json_t *header_of(const Onnx__ModelProto *proto, const char *engine)
{
    json_t *header = json_object();
    for (size_t i = 0; i < proto->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *entry = proto->metadata_props[i];
        if (entry->key && entry->value)
            json_object_set_new(header, entry->key, entry_of(entry->value));
    }
    json_object_set_new(header, "engine", json_string(engine));
    return header;
}

int sac__plan_file_header(uint8_t **header_out, size_t *size_out, const struct sac_model *model,
                          const char *engine)
{
    *header_out = NULL;
    Onnx__ModelProto *proto = onnx__model_proto__unpack(NULL, model->size, model->bytes);
    if (!proto) return sac__fail(SAC_ENOMEM, "out of memory");
    json_t *header = header_of(proto, engine);
    onnx__model_proto__free_unpacked(proto, NULL);
    char *text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    const size_t length = text ? strlen(text) : 0;
    uint8_t *bytes = text ? malloc(LENGTH + length) : NULL;
    if (bytes) {
        for (int i = 0; i < LENGTH; i++)
            bytes[i] = (uint8_t)(length >> 8 * i);
        memcpy(bytes + LENGTH, text, length);
    }
    free(text);
    *header_out = bytes;
    *size_out = LENGTH + length;
    return bytes ? 0 : sac__fail(SAC_ENOMEM, "no memory for an engine's header");
}
