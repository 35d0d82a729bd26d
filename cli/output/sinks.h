// SPDX-License-Identifier: Apache-2.0
// The sinks there are, one a file of this folder.
#ifndef SAC_CLI_SINKS_H
#define SAC_CLI_SINKS_H

#include "output/sink.h"


extern const struct sink_type sink_jsonl;    ///< --json FILE|-
extern const struct sink_type sink_annotate; ///< --save DIR
extern const struct sink_type sink_yolotxt;  ///< --txt DIR
extern const struct sink_type sink_coco;     ///< --coco FILE|-
extern const struct sink_type sink_csv;      ///< --csv FILE|-
extern const struct sink_type sink_crops;    ///< --crops DIR

#endif
