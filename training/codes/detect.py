# SPDX-License-Identifier: Apache-2.0
"""An ONNX model run by ONNX Runtime on pictures of any size, with the library's own letterbox."""

import ast

import cv2
import numpy as np
import onnxruntime

from .metrics import rows_to_boxes


def letterbox(picture, side, pad=114):
    """(h,w,3) uint8 to (side,side,3), and what leads back: gains and offsets (x, y)."""
    h, w = picture.shape[:2]
    r = min(side / h, side / w)
    nw, nh = max(round(w * r), 1), max(round(h * r), 1)
    if (nw, nh) != (w, h):
        picture = cv2.resize(picture, (nw, nh), interpolation=cv2.INTER_LINEAR)
    left, top = round((side - nw) / 2 - 0.1), round((side - nh) / 2 - 0.1)
    picture = cv2.copyMakeBorder(picture, top, side - nh - top, left, side - nw - left,
                                 cv2.BORDER_CONSTANT, value=(pad,) * 3)
    return picture, (nw / w, nh / h), (left, top)


class Detector:
    """Boxes in source pixels from BGR pictures."""

    def __init__(self, path, threads=0):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        binding = self.session.get_inputs()[0]
        self.name, self.side = binding.name, binding.shape[2]
        meta = self.session.get_modelmeta().custom_metadata_map
        self.names = tuple(ast.literal_eval(meta["names"]).values())

    def __call__(self, picture, conf=0.25, iou=0.45, most=300):
        """boxes (N,4) x1,y1,x2,y2, scores (N), classes (N)."""
        boxed, (gx, gy), (left, top) = letterbox(picture, self.side)
        x = np.ascontiguousarray(boxed[..., ::-1].transpose(2, 0, 1)[None], np.float32) / 255
        rows = self.session.run(None, {self.name: x})[0][0]
        boxes, scores, classes = rows_to_boxes(rows, conf, iou, most)
        h, w = picture.shape[:2]
        boxes = (boxes - [left, top, left, top]) / [gx, gy, gx, gy]
        return boxes.clip(0, [w, h, w, h]), scores, classes
