// SPDX-License-Identifier: Apache-2.0
// Sinks: where results go. One table entry each; any number run side by side.
//
// `render` does the heavy work in memory, on any thread and in any order; `commit` writes what was
// rendered, one call at a time and in input order; so the bytes do not depend on the threads.
#ifndef SAC_CLI_SINK_H
#define SAC_CLI_SINK_H

#include <stddef.h>

#include "saccade/saccade.h"

/// What a run reads and no output may replace.
struct guard {
    /// Whether the path is such a file: 1, 0, or -1 after message_set. Thread-safe.
    int (*holds)(struct guard *guard, const char *path);
};

/// One picture on its way out: everything a sink may want. Borrowed for the call.
struct item {
    size_t index;       ///< place in the input order, from 0; pictures that could not be read count
    const char *source; ///< as the user named or would name it: path, or "-" for stdin; any bytes
    /// Relative path for files made from this picture: below the folder that was searched, else the
    /// file's base name ("sub/a.jpg", "stdin" for "-"). Never absolute, has no "." or ".." part;
    /// no two items of a run share one, not even up to the extension ("a.jpg", then "a-2.png").
    const char *name;
    int frame;                        ///< 0 for pictures
    const sac_image *image;           ///< NULL when it could not be read
    const sac_detections *detections; ///< NULL when it could not be read
    const sac_model_info *model;      ///< never NULL
    double ms_open;                   ///< milliseconds to open the picture
    struct guard *guard;              ///< NULL: none
    const char *error;                ///< NULL, or why it could not be read, naming the source
};

/// What all sinks are told when opened. Pointers outlive the sink.
struct sink_options {
    const sac_model_info *model;
    const char *image_format; ///< of annotated pictures and crops: "jpg", "png", "webp" or "auto":
                              ///< annotated JPEG stays JPEG, others PNG; crops are JPEG
    int quality;              ///< 1–100: JPEG and WebP; default 90
    int line_width;           ///< pixels; 0: follows the picture's size
    int hide_labels;          ///< nonzero: boxes without text
    int hide_scores;          ///< nonzero: class names only
    int txt_conf;             ///< nonzero: YOLO txt lines end with the score
    double crop_margin;       ///< crops: enlarged by this share of the box on each side; default 0
};

/// What a sink made of one item. The sink that rendered it knows what `data` is; whoever holds it
/// calls `release` once (with `data`), committed or not. All zero: nothing to commit.
struct rendered {
    void *data;
    void (*release)(void *data);
};

struct sink;

/// Functions return 0, or -1 after message_set (cli/message.h) with a line that names the file.
struct sink_type {
    const char
        *name;     ///< the option that asks for it: "json", "save", "txt", "coco", "csv", "crops"
    int to_folder; ///< nonzero: the target is a folder; else a file, or "-" for stdout

    /// Makes the folder or opens the file (temporary until close, unless it is a line-by-line
    /// format or no regular file). Fails when the target cannot be written.
    int (*open)(struct sink **sink_out, const char *target, const struct sink_options *options);

    /// Thread-safe. After a failure rendered_out is all zero.
    int (*render)(struct sink *sink, const struct item *item, struct rendered *rendered_out);

    /// One at a time, in input order.
    int (*commit)(struct sink *sink, const struct rendered *rendered);

    /// Ends and frees the sink and writes NULL. `complete` is zero after an interrupt or a failure:
    /// what was committed is still left whole (COCO's closing bracket is written).
    int (*close)(struct sink **sink, int complete);
};

/// The one table; ends with NULL.
extern const struct sink_type *const sink_types[];

/// The sink of that name, or NULL.
const struct sink_type *sink_find(const char *name);

#endif
