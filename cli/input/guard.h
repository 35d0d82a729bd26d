// SPDX-License-Identifier: Apache-2.0
// The files that a run reads: pictures, lists, the model. No output may replace one.
#ifndef SAC_CLI_GUARD_H
#define SAC_CLI_GUARD_H

#include "input/source.h"
#include "output/sink.h"

/// Borrows both until guard_close. Sources that come through a pipe are not known. Returns NULL
/// after message_set.
struct guard *guard_open(const struct sources_request *request, const char *model);
void guard_close(struct guard **guard);

#endif
