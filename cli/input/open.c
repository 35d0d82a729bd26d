// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "input/source.h"
#include "interrupt.h"
#include "message.h"

#define MOST_BYTES ((size_t)1 << 30) // of a picture on stdin

struct bytes {
    unsigned char *data;
    size_t size, room;
};

static int grow(struct bytes *bytes)
{
    if (bytes->size < bytes->room) return 0;
    if (bytes->room >= MOST_BYTES) return message_set("standard input: more than 1 GiB");
    size_t room = bytes->room ? 2 * bytes->room : 1 << 16;
    unsigned char *data = realloc(bytes->data, room);
    if (!data) return message_set("out of memory");
    bytes->data = data;
    bytes->room = room;
    return 0;
}

static int read_stdin(struct bytes *bytes)
{
    for (;;) {
        if (grow(bytes)) return -1;
        ssize_t n =
            interrupt_read(STDIN_FILENO, bytes->data + bytes->size, bytes->room - bytes->size);
        if (n < 0) return message_set("standard input: %s", strerror(errno));
        if (n == 0) return 0;
        bytes->size += (size_t)n;
    }
}

static int open_stdin(const sac_image_options *options, sac_image *image_out)
{
    struct bytes bytes = {NULL, 0, 0};
    int failed = read_stdin(&bytes);
    if (!failed && !bytes.size) failed = message_set("standard input: empty");
    if (!failed && sac_image_read(image_out, bytes.data, bytes.size, options))
        failed = message_set("standard input: %s", sac_error_message());
    free(bytes.data);
    return failed;
}

int input_open(const struct input *input, const sac_image_options *options, sac_image *image_out)
{
    memset(image_out, 0, sizeof *image_out);
    if (input->error) return message_set("%s", input->error);
    if (input->is_stdin) return open_stdin(options, image_out);
    if (sac_image_open(image_out, input->source, options))
        return message_set("%s", sac_error_message());
    return 0;
}
