// SPDX-License-Identifier: Apache-2.0
// OpenVINO's exception texts, cut down to what a user can act on. They are nested, many lines long
// and full of source positions; the reason is usually the last sentence.
#include "openvino.h"

#include <stdio.h>
#include <string.h>

// Lines that say where in OpenVINO, not what in the model.
static const char *const noise[] = {
    "Exception from ",
    "FrontEnd API failed with ",
    "Model wasn't fully converted",
    "Summary:",
    "While validating node '", // the ONNX node was named on the line before
    "-- Conversion is failed for",
    "To facilitate the conversion",
};

static const struct {
    const char *theirs, *ours;
} wordings[] = {
    {"-- No conversion rule found for operations: ", "unsupported operators: "},
    {"Unable to read the model. Please check if the model format is supported and model is "
     "correct.",
     "it is damaged, or no ONNX model"},
};

struct line {
    char *out;
    size_t size, length;
};

static void append(struct line *line, const char *text, size_t length)
{
    for (size_t i = 0; i < length && line->length + 1 < line->size; i++) {
        const char c = text[i] == '\t' ? ' ' : text[i];
        const int after_blank = line->length == 0 || line->out[line->length - 1] == ' ';
        if (c == ' ' && after_blank)
            continue;
        line->out[line->length++] = c;
    }
    line->out[line->length] = 0;
}

static int starts_with(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static int is_noise(const char *text)
{
    for (size_t i = 0; i < sizeof noise / sizeof *noise; i++)
        if (starts_with(text, noise[i]))
            return 1;
    return starts_with(text, "-- ") && strstr(text, " with a message:");
}

// Writes one line without "Check 'expression' failed at file:line:".
static void add_line(struct line *line, const char *text)
{
    for (size_t i = 0; i < sizeof wordings / sizeof *wordings; i++) {
        if (starts_with(text, wordings[i].theirs)) {
            append(line, wordings[i].ours, strlen(wordings[i].ours));
            text += strlen(wordings[i].theirs);
        }
    }
    const char *check = strstr(text, "Check '");
    const char *position = check ? strstr(check, "' failed at ") : NULL;
    if (!position) {
        append(line, text, strlen(text));
    } else {
        append(line, text, (size_t)(check - text));
        position = strchr(position + strlen("' failed at "), ' ');
        if (position)
            append(line, position, strlen(position));
    }
    append(line, " ", 1);
}

// "While validating ONNX node '<Node(Conv): conv0>':" becomes "node conv0 (Conv):".
static void add_node(struct line *line, const char *text)
{
    char op[64], name[128], node[256];
    int used = 0;
    if (sscanf(text, "While validating ONNX node '<Node(%63[^)]): %127[^>]>'%n", op, name, &used) ==
            2 &&
        used > 0) {
        snprintf(node, sizeof node, "node %s (%s)", name, op);
        append(line, node, strlen(node));
        text += used;
    }
    add_line(line, text);
}

void sac__openvino_message(char *line_out, size_t size, ov_status_e status)
{
    struct line line = {line_out, size, 0};
    line_out[0] = 0;
    // A call that was refused for its arguments leaves the text of an earlier failure.
    const char *text = status == INVALID_C_PARAM ? NULL : ov_get_last_err_msg();
    for (const char *at = text; at && *at;) {
        char one[1024];
        const size_t length = strcspn(at, "\n");
        snprintf(one, sizeof one, "%.*s", (int)(length < sizeof one ? length : sizeof one), at);
        if (!is_noise(one))
            add_node(&line, one);
        at += length + (at[length] == '\n');
    }
    ov_free(text);
    while (line.length > 0 && strchr(" :", line_out[line.length - 1]))
        line_out[--line.length] = 0;
    if (line.length == 0)
        snprintf(line_out, size, "%s", ov_get_error_info(status));
}

int sac__openvino_fail(int error, ov_status_e status, const char *what)
{
    char reason[512];
    sac__openvino_message(reason, sizeof reason, status);
    if (strstr(reason, "bad_alloc"))
        return FAIL(SAC_ENOMEM, "%s: out of memory", what);
    return FAIL(error, "%s: %s", what, reason);
}
