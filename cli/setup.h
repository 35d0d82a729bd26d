// SPDX-License-Identifier: Apache-2.0
// From options to an open detector: shared by the verbs that run a model.
#ifndef SAC_CLI_SETUP_H
#define SAC_CLI_SETUP_H

#include "options.h"
#include "saccade/saccade.h"

/// Processors that this process may use, ≥ 1.
int setup_cores(void);

/// Fills detector options from the command line's; texts are borrowed. Class names are left out:
/// they can be looked up only when the model is open.
void setup_options(sac_detector_options *options_out, const struct options *options, sac_mode mode);

/// Opens the detector: 0, or an exit code with the message printed.
int setup_detector(sac_detector **detector_out, const char *model, const struct options *options,
                   sac_mode mode);

#endif
