# SPDX-License-Identifier: Apache-2.0
"""Reads the codes in pictures with zxing-cpp: on the whole picture, and on the boxes found in it.

    python read_codes.py ../models/codes-n6.onnx PICTURE...      with ONNX Runtime
    saccade detect --json - PICTURE... | python read_codes.py -  with saccade's own boxes

Prints what is read in each picture and, last, how many codes each way reads.
"""

import argparse
import json
import sys

import cv2
import numpy as np
import zxingcpp

from codes.detect import Detector

MARGIN = 0.12  # of the longer side, for the quiet zone
LARGE = 400    # crops are enlarged until their longer side has about so many pixels


def crop(picture, box):
    x0, y0, x1, y1 = box
    grow = MARGIN * max(x1 - x0, y1 - y0)
    h, w = picture.shape[:2]
    return picture[max(int(y0 - grow), 0):min(int(y1 + grow) + 1, h),
                   max(int(x0 - grow), 0):min(int(x1 + grow) + 1, w)]


def variants(piece):
    """The crop as it is, on a wider border, enlarged, sharpened, and with its contrast stretched."""
    yield piece
    border = max(piece.shape[:2]) // 6 + 4
    fill = [float(v) for v in np.percentile(piece, 95, axis=(0, 1))]
    yield cv2.copyMakeBorder(piece, border, border, border, border, cv2.BORDER_CONSTANT, value=fill)
    scale = max(LARGE / max(piece.shape[:2]), 1.5)
    big = cv2.resize(piece, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    yield big
    yield cv2.addWeighted(big, 2.0, cv2.GaussianBlur(big, (0, 0), scale), -1.0, 0)
    yield cv2.normalize(cv2.cvtColor(big, cv2.COLOR_BGR2GRAY), None, 0, 255, cv2.NORM_MINMAX)


def read(picture):
    """Format and text of every code that can be read, as a set."""
    return {(str(r.format), r.text) for r in zxingcpp.read_barcodes(np.ascontiguousarray(picture))}


def read_boxes(picture, boxes):
    found = set()
    for box in boxes:
        piece = crop(picture, box)
        if min(piece.shape[:2]) < 4:
            continue
        for variant in variants(piece):
            codes = read(variant)
            found |= codes
            if codes:
                break
    return found


def boxes_of(args):
    """(path, boxes) of each picture, from a model or from JSON Lines on stdin."""
    if args.model == "-":
        for line in sys.stdin:
            entry = json.loads(line)
            if "error" not in entry:
                yield entry["source"], [d["box"] for d in entry["detections"]]
        return
    detector = Detector(args.model)
    for path in args.pictures:
        picture = cv2.imread(path)
        yield path, [] if picture is None else detector(picture, conf=args.conf)[0]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", help="ONNX model, or - for saccade's JSON Lines on stdin")
    p.add_argument("pictures", nargs="*")
    p.add_argument("--conf", type=float, default=0.25)
    p.add_argument("--quiet", action="store_true", help="only the closing line")
    args = p.parse_args()
    whole_count = crop_count = extra_count = pictures = 0
    for path, boxes in boxes_of(args):
        picture = cv2.imread(path)
        if picture is None:
            print(f"{path}: not a picture that OpenCV reads", file=sys.stderr)
            continue
        whole, cropped = read(picture), read_boxes(picture, boxes)
        pictures, whole_count = pictures + 1, whole_count + len(whole)
        crop_count, extra_count = crop_count + len(cropped), extra_count + len(cropped - whole)
        if not args.quiet:
            for form, text in sorted(whole | cropped):
                print(f"{path}\t{form}\t{text}\t{'crop only' if (form, text) not in whole else ''}")
    print(f"{pictures} pictures: {whole_count} codes read on whole pictures, {crop_count} on crops, "
          f"{extra_count} of them not on the whole; {whole_count + extra_count} both ways")


if __name__ == "__main__":
    main()
