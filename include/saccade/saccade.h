// SPDX-License-Identifier: Apache-2.0
// saccade: YOLO object detection, pixels in, boxes out. A ladder; stop at the rung that serves you.
//
//   1 one shot    sac_detect: a model file and a picture file → boxes        detector.h
//   2 detector    open once, run on pictures from anywhere, thread-safe      detector.h, image.h
//   3 steps       letterbox, head and NMS by themselves, over tensors        ops.h, tensor.h
//   4 engine      the network by itself: bindings, memory, run, wait         engine.h
//
// Returns 0 or a negative SAC_E…; sac_error_message says what went wrong, and with what (error.h).
// NULL where an object or result is needed is SAC_EINVAL; functions that give a value rather than
// an error give 0, "" or NULL for it.
#ifndef SACCADE_H
#define SACCADE_H

#include "version.h"
#include "error.h"
#include "image.h"
#include "tensor.h"
#include "detections.h"
#include "ops.h"
#include "engine.h"
#include "detector.h"
#include "build.h"

#endif
