// SPDX-License-Identifier: Apache-2.0
// The steps around the network, each by itself: letterbox, and raw output to boxes.
#ifndef SACCADE_OPS_H
#define SACCADE_OPS_H

#include "detections.h"
#include "image.h"
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/// How a picture is fitted into the network's input.
typedef enum sac_fit {
    SAC_FIT_PAD = 0,      ///< aspect preserved, centred, both sides padded (the default)
    SAC_FIT_AUTO = 1,     ///< aspect preserved, padded only up to a multiple of the stride
    SAC_FIT_STRETCH = 2,  ///< aspect given up, no padding
    SAC_FIT_TOP_LEFT = 3  ///< aspect preserved, picture at top-left, sizes truncated (YOLOX)
} sac_fit;

/// How boxes go back to source pixels.
typedef enum sac_compat {
    SAC_COMPAT_EXACT = 0, ///< exact inverse of the letterbox, per-axis gain (ultralytics ≥ 8.4.190)
    SAC_COMPAT_YOLOV5 = 1 ///< one gain and unrounded padding, as yolov5 does
} sac_compat;

/// Where a picture of width0 × height0 lies in an input of width × height. The picture takes
/// (new_width, new_height) pixels from (left, top); the rest is padding.
typedef struct sac_letterbox {
    int32_t width0, height0;       ///< source picture, pixels
    int32_t width, height;         ///< network input, pixels
    int32_t new_width, new_height; ///< resized picture, pixels
    int32_t left, top;             ///< padding before it, pixels; the rest goes right and bottom
    double gain; ///< min(height/height0, width/width0), with no_upscale at most 1; not rounded
} sac_letterbox;

/// Options of sac_letterbox_fit. Zero-initialise for the defaults.
typedef struct sac_letterbox_options {
    sac_fit fit;
    int no_upscale; ///< nonzero: never enlarge a picture
    int stride;     ///< SAC_FIT_AUTO only: pixels, ≥ 1; 0 means 32
} sac_letterbox_options;

/// Plans a letterbox: a pure function of sizes. width × height is the input's extent; with
/// SAC_FIT_AUTO it is the largest extent and letterbox_out holds the one to use.
/// Errors: SAC_EINVAL (an extent below 1 or above 2^20).
SAC_API int sac_letterbox_fit(sac_letterbox *letterbox_out, int width0, int height0, int width,
                              int height, const sac_letterbox_options *options);

/// What to write into the input. Zero-initialise for the defaults, save pad: SAC_PIXELS_DEFAULT.
typedef struct sac_pixels {
    int pad;        ///< padding value of all channels, 0–255
    int bgr;        ///< nonzero: keep BGR order (YOLOX); else RGB
    int no_scaling; ///< nonzero: values 0–255 (YOLOX); else multiplied by 1/255.f
} sac_pixels;

/// YOLOv5 and later: padding 114, RGB, 0–1.
#define SAC_PIXELS_DEFAULT {114, 0, 0}

/// Resizes (8-bit bilinear, equal to OpenCV's INTER_LINEAR bit for bit), pads, turns HWC into CHW
/// and converts: image → picture `index` of input_out, which is (N,3,height,width), contiguous, in
/// host memory, SAC_F32, SAC_F16 or SAC_U8 (SAC_U8 is never scaled).
/// Errors: SAC_EINVAL (sizes that do not match), SAC_EUNSUPPORTED (format, type or memory),
/// SAC_ENOMEM.
SAC_API int sac_letterbox_apply(sac_tensor *input_out, int64_t index, const sac_image *image,
                                const sac_letterbox *letterbox, const sac_pixels *pixels);

/// Families of raw output; `docs/heads.md` has their layouts.
#define SAC_HEADS(X)                                                                               \
    X(SAC_HEAD_V5, 0, "v5")           /* (B,A,5+nc) cx,cy,w,h,obj,cls…: YOLOv5, v6's own, v7 */ \
    X(SAC_HEAD_V8, 1, "v8")           /* (B,4+nc,A) channel-major, no objectness: v8, v9, 11, 12 */\
    X(SAC_HEAD_END2END, 2, "end2end") /* (B,K,6) x1,y1,x2,y2,score,class: v10, 26, nms=True */ \
    X(SAC_HEAD_YOLOX, 3, "yolox")     /* (B,A,5+nc) undecoded YOLOX */ \
    X(SAC_HEAD_YOLOX_DECODED, 4, "yolox-decoded") /* (B,A,5+nc) decoded YOLOX */ \
    X(SAC_HEAD_EFFICIENT_NMS, 5, "efficient-nms") /* four outputs of TensorRT's EfficientNMS */

#define SAC_HEAD_ENUM(name, value, text) name = value,
typedef enum sac_head_family { SAC_HEADS(SAC_HEAD_ENUM) SAC_HEAD_COUNT } sac_head_family;
#undef SAC_HEAD_ENUM

/// The family's name as --layout spells it; "unknown" otherwise. Static storage.
SAC_API const char *sac_head_name(sac_head_family family);

/// A head: how to read the raw output.
typedef struct sac_head {
    sac_head_family family;
    int32_t classes;    ///< number of classes, ≥ 1
    int32_t strides[8]; ///< YOLOX undecoded only: pixels a level, in the order of the rows; 0 ends
} sac_head;

/// Thresholds. Zero-initialise and set what differs, or start from SAC_NMS_DEFAULT.
typedef struct sac_nms {
    float conf;      ///< keep scores above this, [0,1]
    float iou;       ///< suppress above this intersection over union, [0,1]
    int32_t max_det; ///< most boxes a picture, ≥ 1
    int agnostic;    ///< nonzero: classes suppress one another
    int multi_label; ///< nonzero: a row gives a candidate for each class above conf
    sac_compat compat;
    const int32_t *classes; ///< keep only these class ids (others than the head's are ignored; none
                            ///< when class_count is 0); NULL keeps all
    size_t class_count;
} sac_nms;

#define SAC_NMS_DEFAULT {0.25f, 0.45f, 300, 0, 0, SAC_COMPAT_EXACT, 0, 0}

/// Raw output → boxes: picture `index` of output (host memory, SAC_F32 or SAC_F16, shaped as the
/// family says, contiguous) through threshold and non-maximum suppression to source pixels.
/// Free detections_out with sac_detections_free; after a failure it is all zero.
/// Errors: SAC_EINVAL (a shape that is not the family's), SAC_EUNSUPPORTED, SAC_ENOMEM.
SAC_API int sac_head_read(sac_detections *detections_out, const sac_tensor *output, int64_t index,
                          const sac_head *head, const sac_letterbox *letterbox,
                          const sac_nms *nms);

#ifdef __cplusplus
}
#endif
#endif
