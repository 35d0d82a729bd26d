#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws docs/codes/found.jpg and missed.jpg: what a model finds in a generated test set, and what not.

    python gallery.py ../models/codes-n6.onnx build/test ../docs/codes
"""

import argparse
import pathlib

import cv2
import numpy as np

from codes import CLASSES
from codes.detect import Detector
from codes.evaluate import pictures, truth
from codes.metrics import iou_matrix

COLOURS = ((60, 180, 75), (0, 130, 255), (240, 50, 230), (255, 190, 0), (0, 60, 230))  # BGR, a class
TILE, ACROSS, ROWS = 240, 6, 3


def wrong(found, target):
    """Indices of true boxes without a box of their class at IoU 0.5, and whether a false box lies there."""
    boxes, _, classes = found
    true_boxes, true_classes = target
    same = (classes[:, None] == true_classes) & (iou_matrix(boxes, true_boxes) >= 0.5)
    return np.flatnonzero(~same.any(0)), bool((~same.any(1)).any())


def tile(picture, found, missed):
    scale = TILE / max(picture.shape[:2])
    small = cv2.resize(picture, None, fx=scale, fy=scale,
                       interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
    for box in missed:
        a, b = (box * scale).astype(int).reshape(2, 2).tolist()
        cv2.rectangle(small, a, b, (0, 0, 0), 4)
        cv2.rectangle(small, a, b, (255, 255, 255), 2)
    for box, score, c in zip(*found, strict=True):
        a, b = (box * scale).astype(int).reshape(2, 2).tolist()
        cv2.rectangle(small, a, b, COLOURS[c], 2)
        at = (a[0] + 2, max(a[1] - 4, 10))
        for colour, width in (((0, 0, 0), 3), (COLOURS[c], 1)):
            cv2.putText(small, f"{CLASSES[c]} {score:.2f}", at, cv2.FONT_HERSHEY_SIMPLEX, 0.38, colour, width)
    out = np.full((TILE, TILE, 3), 255, np.uint8)
    y, x = ((TILE - n) // 2 for n in small.shape[:2])
    out[y:y + small.shape[0], x:x + small.shape[1]] = small[:TILE, :TILE]
    return out


def sheet(tiles, path):
    tiles = tiles[:ACROSS * ROWS]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % ACROSS)
    rows = [np.concatenate(tiles[i:i + ACROSS], 1) for i in range(0, len(tiles), ACROSS)]
    cv2.imwrite(str(path), np.concatenate(rows), [cv2.IMWRITE_JPEG_QUALITY, 82])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("test")
    p.add_argument("out", type=pathlib.Path)
    args = p.parse_args()
    detector, good, bad = Detector(args.model), [], []
    for entry, picture in pictures(args.test):
        if len(good) >= ACROSS * ROWS and len(bad) >= ACROSS * ROWS:
            break
        found, target = detector(picture), truth(entry, detector.names)
        missed, false = wrong(found, target)
        if len(missed) or false:
            bad.append(tile(picture, found, target[0][missed]))
        elif len(target[0]):
            good.append(tile(picture, found, []))
    sheet(good, args.out / "found.jpg")
    sheet(bad, args.out / "missed.jpg")


if __name__ == "__main__":
    main()
