// SPDX-License-Identifier: Apache-2.0
#include "output/pictures.h"

#include <stdio.h>
#include <string.h>

#include "message.h"
#include "output/encode.h"

int picture_check(const struct item *item)
{
    if (item->image->format == SAC_BGR8 && item->image->memory != SAC_CUDA) return 0;
    return message_set("%s: only BGR pictures in host memory can be written", item->source);
}

const char *picture_format(const struct sink *sink, const char *automatic)
{
    const char *format = sink->options.image_format;
    return format && strcmp(format, "auto") ? format : automatic;
}

static int encode(uint8_t **bytes, size_t *size, char *ending, size_t room, const char *suffix,
                  const char *format, const struct picture *p, int quality)
{
    snprintf(ending, room, "%s.%s", suffix, format);
    return encode_bgr(bytes, size, ending, p->bgr, p->width, p->height, p->stride, quality);
}

int picture_add(struct files *files, const struct sink *sink, const struct item *item,
                const char *below, const char *suffix, const char *format,
                const struct picture *picture)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    char ending[64];
    const int quality = sink->options.quality;
    int error = encode(&bytes, &size, ending, sizeof ending, suffix, format, picture, quality);
    if (error == SAC_ELIMIT)
        error = encode(&bytes, &size, ending, sizeof ending, suffix, "png", picture, quality);
    if (error)
        return message_set("%s: cannot be written as a picture: %s", item->source,
                           sac_error_text(error));
    return files_add(files, item, output_path(sink, below, item, ending), bytes, size);
}
