// SPDX-License-Identifier: Apache-2.0
#include "output/values.h"

#include <glib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "message.h"

const char *class_name(const sac_model_info *model, int32_t class_id, struct class_label *spare)
{
    if (class_id >= 0 && class_id < model->head.classes && model->names && model->names[class_id] &&
        *model->names[class_id])
        return model->names[class_id];
    snprintf(spare->number, sizeof spare->number, "class_%d", (int)class_id);
    return spare->number;
}

int detection_finite(const sac_detection *detection)
{
    for (int i = 0; i < 4; i++)
        if (!isfinite(detection->box[i])) return 0;
    return isfinite(detection->score);
}

double float_shortest(float value)
{
    char digits[32];
    // Nine significant digits tell any two floats apart.
    for (int precision = 6; precision <= 9; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, (double)value);
        if (strtof(digits, NULL) == value) break;
    }
    return strtod(digits, NULL) + 0.0; // no negative zero
}

double rounded_to(double value, int decimals)
{
    double scale = pow(10, decimals);
    return rint(value * scale) / scale + 0.0; // no negative zero
}

char *utf8_copy(const char *bytes)
{
    return g_utf8_make_valid(bytes, -1);
}

void utf8_free(char *text)
{
    g_free(text);
}

static void text_release(void *data)
{
    struct text *text = data;
    free(text->bytes);
    free(text);
}

int text_rendered(struct rendered *rendered_out, char *bytes, size_t size)
{
    struct text *text = bytes ? malloc(sizeof *text) : NULL;
    if (!text) {
        free(bytes);
        *rendered_out = (struct rendered){0};
        return message_set("out of memory");
    }
    *text = (struct text){bytes, size};
    *rendered_out = (struct rendered){text, text_release};
    return 0;
}

void rendered_drop(struct rendered *rendered)
{
    if (rendered->release) rendered->release(rendered->data);
    *rendered = (struct rendered){0};
}
