// SPDX-License-Identifier: Apache-2.0
// An engine's plan, layer by layer.
#ifndef SAC_CLI_LAYERS_H
#define SAC_CLI_LAYERS_H

#include <jansson.h>

#include "saccade/saccade.h"

/// Prints a table on stdout; nothing for an engine that does not tell its plan.
void layers_print(const sac_engine *engine);

/// An array, empty for an engine that does not tell; NULL when out of memory.
json_t *layers_json(const sac_engine *engine);

#endif
