# SPDX-License-Identifier: Apache-2.0
"""Writes the generated test set: another seed, other photographs, textures training never saw.

python -m codes.testset --count 500 --out build/test: pictures as PNG or JPEG in their natural
sizes, and labels.json. Pictures with a code that fails the rule of visible.py are drawn again.
"""

import argparse
import json
import pathlib

import cv2
import numpy as np
import torch

from . import CLASSES, batch, patches, photos, scene

SIZES = (128, 240, 320, 480, 640, 960, 1280)
SEED = 990001


def cut(picture, boxes, classes, content):
    """One canvas to its content: (h,w,3) uint8 BGR and [(class, [x1,y1,x2,y2])]."""
    side = picture.shape[-1]
    w, h = (int(round(v)) for v in content.tolist())
    x, y = (side - w) // 2, (side - h) // 2
    pixels = (picture[:, y:y + h, x:x + w].permute(1, 2, 0).cpu().numpy() * 255 + 0.5).astype(np.uint8)
    found = []
    for box, c in zip(boxes.tolist(), classes.tolist(), strict=True):
        if c >= 0:
            clipped = [min(max(box[0] - x, 0), w), min(max(box[1] - y, 0), h),
                       min(max(box[2] - x, 0), w), min(max(box[3] - y, 0), h)]
            found.append((CLASSES[c], [round(v, 2) for v in clipped]))
    return pixels[..., ::-1], found


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--count", type=int, default=500)
    p.add_argument("--patches", type=int, default=1500)
    p.add_argument("--out", default="build/test")
    p.add_argument("--seed", type=int, default=SEED)
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--compile", action="store_true", help="five times as fast, after half a minute")
    args = p.parse_args()
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    bank = scene.Bank(patches.render(args.patches, args.seed, test=True), photos.load(test=True), args.device)
    draw, labels = scene.Draw(args.device, args.seed), []
    host, compose = np.random.default_rng(args.seed), scene.Composer(args.compile)
    while len(labels) < args.count:
        canvas = int(host.choice(SIZES))
        pictures, boxes, classes, content, good = batch.scenes(bank, draw, 4, canvas, 1280, compose)
        for i in good.nonzero()[:args.count - len(labels), 0].tolist():
            pixels, found = cut(pictures[i], boxes[i], classes[i], content[i])
            name = f"{len(labels):04d}" + (".jpg" if host.random() < 0.5 else ".png")
            quality = [cv2.IMWRITE_JPEG_QUALITY, int(host.integers(40, 95))] if name.endswith("jpg") else []
            cv2.imwrite(str(out / name), pixels, quality)
            labels.append({"file": name, "width": pixels.shape[1], "height": pixels.shape[0],
                           "boxes": [{"class": c, "box": b} for c, b in found]})
    (out / "labels.json").write_text(json.dumps(labels, indent=0))
    print(f"{len(labels)} pictures, {sum(len(e['boxes']) for e in labels)} codes: {out}")


if __name__ == "__main__":
    main()
