// SPDX-License-Identifier: Apache-2.0
// https://protobuf.dev/programming-guides/encoding/
#include "wire.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

enum { VARINT = 0, BITS64 = 1, LENGTH = 2, BITS32 = 5 };

static int skip(struct sac__span *bytes, uint64_t count)
{
    if (count > bytes->size) return -1;
    bytes->at += count;
    bytes->size -= (size_t)count;
    return 0;
}

static int read_varint(uint64_t *value_out, struct sac__span *bytes)
{
    *value_out = 0;
    for (unsigned shift = 0; shift < 64 && bytes->size; shift += 7) {
        uint8_t byte = *bytes->at;
        skip(bytes, 1);
        *value_out |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return 0;
    }
    return -1;
}

/// Steps over a value; of a length-delimited one, `data_out` are its bytes.
static int read_value(struct sac__span *data_out, struct sac__span *bytes, int type)
{
    uint64_t length;
    if (type == VARINT) return read_varint(&length, bytes);
    if (type == BITS64) return skip(bytes, 8);
    if (type == BITS32) return skip(bytes, 4);
    if (type != LENGTH || read_varint(&length, bytes)) return -1;
    *data_out = (struct sac__span){bytes->at, (size_t)length};
    return skip(bytes, length);
}

int sac__wire_next(struct sac__field *field_out, struct sac__span *message)
{
    uint64_t tag;
    if (!message->size) return 0;
    *field_out = (struct sac__field){.whole = *message};
    if (read_varint(&tag, message)) return -1;
    if (read_value(&field_out->data, message, (int)(tag & 7))) return -1;
    field_out->number = tag >> 3;
    field_out->whole.size -= message->size;
    return 1;
}

/// Size of all fields but those of the number; visits these. -1: no message.
static int measure(size_t *kept_out, struct sac__span message, uint64_t number,
                   int (*visit)(void *user, struct sac__span data), void *user)
{
    struct sac__field field;
    int more, error = SAC_OK;
    *kept_out = 0;
    while (!error && (more = sac__wire_next(&field, &message)) != 0) {
        if (more < 0) return sac__fail(SAC_EMODEL, "no ONNX model, or a damaged one");
        if (field.number != number)
            *kept_out += field.whole.size;
        else if (visit)
            error = visit(user, field.data);
    }
    return error;
}

int sac__wire_split(uint8_t **kept_out, size_t *size_out, struct sac__span message, uint64_t number,
                    int (*visit)(void *user, struct sac__span data), void *user)
{
    int error = measure(size_out, message, number, visit, user);
    if (error) return error;
    uint8_t *kept = malloc(*size_out ? *size_out : 1);
    if (!kept) return sac__fail(SAC_ENOMEM, "out of memory");
    *kept_out = kept;
    struct sac__field field;
    while (sac__wire_next(&field, &message) > 0) {
        if (field.number == number) continue;
        memcpy(kept, field.whole.at, field.whole.size);
        kept += field.whole.size;
    }
    return SAC_OK;
}
