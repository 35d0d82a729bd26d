# SPDX-License-Identifier: Apache-2.0
"""mAP of a checkpoint in fp32, bf16 and fp16 on a generated test set: python -m codes.agree ema.pt FOLDER.

Convolutions run in the precision named; sigmoid and box decoding in fp32, as the engines do.
"""

import argparse
import json

import numpy as np
import torch

from . import CLASSES
from .detect import letterbox
from .evaluate import generated
from .export import SIZE, load
from .metrics import rows_to_boxes
from .model import decode


class TorchDetector:
    """Like detect.Detector, run by PyTorch in a chosen precision."""

    names = CLASSES

    def __init__(self, path, dtype, device):
        self.net, self.dtype, self.device = load(path).to(device), dtype, device
        self.side = SIZE[self.net.shape]

    @torch.no_grad()
    def __call__(self, picture, conf=0.25, iou=0.45, most=300):
        boxed, (gx, gy), (left, top) = letterbox(picture, self.side)
        x = torch.from_numpy(np.ascontiguousarray(boxed[..., ::-1].transpose(2, 0, 1)))[None]
        x = x.to(self.device).float() / 255
        with torch.autocast(self.device, self.dtype, enabled=self.dtype != torch.float32):
            raws = self.net(x)
        rows = torch.cat([decode(r.float(), self.net.anchors[i], s)
                          for i, (r, s) in enumerate(zip(raws, self.net.strides, strict=True))], 1)
        boxes, scores, classes = rows_to_boxes(rows[0].cpu().numpy(), conf, iou, most)
        h, w = picture.shape[:2]
        boxes = (boxes - [left, top, left, top]) / [gx, gy, gx, gy]
        return boxes.clip(0, [w, h, w, h]), scores, classes


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("checkpoint")
    p.add_argument("test")
    p.add_argument("--json")
    args = p.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cudnn.allow_tf32 = False
    out = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)):
        out[name] = generated(TorchDetector(args.checkpoint, dtype, device), args.test)
        print(name, json.dumps(out[name]), flush=True)
        if args.json:
            with open(args.json, "w") as f:
                json.dump(out, f, indent=1)


if __name__ == "__main__":
    main()
