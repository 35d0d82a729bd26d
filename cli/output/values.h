// SPDX-License-Identifier: Apache-2.0
// What several sinks ask of an item.
#ifndef SAC_CLI_VALUES_H
#define SAC_CLI_VALUES_H

#include "output/sink.h"

/// A number's name for a class that the model does not name: "class_12" and the like.
struct class_label {
    char number[24];
};

/// The name of a class: the model's, or its number in `spare`.
const char *class_name(const sac_model_info *model, int32_t class_id, struct class_label *spare);

/// Nonzero when box and score are finite. Sinks leave others out: no format can hold them.
int detection_finite(const sac_detection *detection);

/// The double whose shortest decimal form is that of the float: 0.93f gives 0.93, and reading it
/// back as a float gives the same float.
double float_shortest(float value);

/// Value rounded to so many decimals.
double rounded_to(double value, int decimals);

/// Valid UTF-8 for any bytes: U+FFFD stands for each wrong one. Free with utf8_free.
char *utf8_copy(const char *bytes);
void utf8_free(char *text);

/// Rendered bytes of a text sink, and how to commit them.
struct text {
    char *bytes;
    size_t size;
};

/// Hands over `bytes` (malloc; taken in any case) as what was rendered.
int text_rendered(struct rendered *rendered_out, char *bytes, size_t size);

/// Releases what was rendered and zeroes it.
void rendered_drop(struct rendered *rendered);

#endif
