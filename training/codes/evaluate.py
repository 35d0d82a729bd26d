# SPDX-License-Identifier: Apache-2.0
"""Measures an ONNX model.

python -m codes.evaluate MODEL --test build/test     COCO mAP on a generated test set
python -m codes.evaluate MODEL --photos FOLDER       recall and false boxes on labelled photographs

Both folders hold labels.json: a list of {"file", "width", "height", "boxes": [{"class", "box"}]},
photographs also "kind" ("none" where there is no code). --json adds a file with every figure.
"""

import argparse
import json
import pathlib

import cv2
import numpy as np

from .detect import Detector
from .metrics import coco_map, iou_matrix


NEAR = 0.005  # of F1


def pictures(folder):
    for entry in json.loads((pathlib.Path(folder) / "labels.json").read_text()):
        yield entry, cv2.imread(str(pathlib.Path(folder) / entry["file"]))


def truth(entry, names):
    boxes = np.array([b["box"] for b in entry["boxes"]], float).reshape(-1, 4)
    return boxes, np.array([names.index(b["class"]) for b in entry["boxes"]], int)


def best_threshold(results, classes):
    """The threshold to use and its F1 at IoU 0.5 over all classes.

    F1 is flat around its best: the threshold is the lowest score that comes within NEAR of it, since
    whoever reads the crops can reject a false box, but not bring back a missed code.
    """
    scores, right, positives = [], [], 0
    for boxes, score, cls, true_boxes, true_cls in results:
        positives += len(true_cls)
        for c in range(classes):
            mine, free = np.flatnonzero(cls == c), list(true_boxes[true_cls == c])
            for i in mine[np.argsort(-score[mine])]:
                overlap = iou_matrix(boxes[i:i + 1], np.array(free))[0] if free else np.zeros(0)
                hit = len(overlap) and overlap.max() >= 0.5
                if hit:
                    free.pop(int(overlap.argmax()))
                scores.append(score[i])
                right.append(hit)
    if not any(right):  # an untrained network
        return 0.25, 0.0, lambda _: 0.0
    order = np.argsort(-np.array(scores))
    hits = np.cumsum(np.array(right)[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + positives)
    scores = np.array(scores)[order]
    near = scores[f1 >= f1.max() - NEAR]
    return float(near[-1]), f1.max(), lambda t: f1[max(int((scores > t).sum()) - 1, 0)]


def generated(detector, folder):
    """mAP a class and overall, and the score threshold of best F1."""
    results = []
    for entry, picture in pictures(folder):
        found = detector(picture, conf=0.001, iou=0.6)
        results.append((*found, *truth(entry, detector.names)))
    table = coco_map(results, len(detector.names))
    threshold, f1, f1_at = best_threshold(results, len(detector.names))
    out = {"pictures": len(results), "codes": int(sum(len(r[4]) for r in results)),
           "mAP50-95": float(np.nanmean(table)), "mAP50": float(np.nanmean(table[:, 0])),
           "best_threshold": threshold, "best_f1": float(f1), "f1_at_0.25": float(f1_at(0.25))}
    for name, row in zip(detector.names, table, strict=True):
        out["AP " + name] = float(row.mean())
    return out


def scan_overlap(box, line):
    """Share of a scan line's box, along its longer side, that a box covers (0 if it misses it)."""
    axis = 0 if line[2] - line[0] >= line[3] - line[1] else 1
    across = 1 - axis
    if min(box[across + 2], line[across + 2]) < max(box[across], line[across]):
        return 0.0
    covered = min(box[axis + 2], line[axis + 2]) - max(box[axis], line[axis])
    return max(covered, 0) / max(line[axis + 2] - line[axis], 1e-9)


def found_one(kind, target, boxes):
    if kind == "linear":
        return any(scan_overlap(b, target) >= 0.5 for b in boxes)
    return len(boxes) > 0 and iou_matrix(boxes, target[None]).max() >= 0.5


def photographs(detector, folder, conf):
    """Recall a kind over labelled codes, and pictures of kind none with a box."""
    seen, hit, missed = {}, {}, []
    none, false = 0, []
    for entry, picture in pictures(folder):
        boxes, scores, classes = detector(picture, conf=conf)
        if entry["kind"] == "none":
            none += 1
            if len(boxes):
                false.append((entry["file"], detector.names[classes[0]], round(float(scores[0]), 3)))
            continue
        for target, c in zip(*truth(entry, detector.names), strict=True):
            name = detector.names[c]
            seen[name] = seen.get(name, 0) + 1
            if found_one(name, target, boxes[classes == c]):
                hit[name] = hit.get(name, 0) + 1
            else:
                missed.append((entry["file"], name))
    out = {f"recall {n}": hit.get(n, 0) / seen[n] for n in detector.names if n in seen}
    out |= {"codes": sum(seen.values()), "none": none, "none_with_box": len(false) / max(none, 1)}
    return out, missed, false


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("--test", help="generated test set")
    p.add_argument("--photos", help="labelled photographs")
    p.add_argument("--conf", type=float, default=0.25, help="score threshold on photographs")
    p.add_argument("--json", help="also write the figures here")
    p.add_argument("--list", action="store_true", help="name the photographs that went wrong")
    args = p.parse_args()
    detector, figures = Detector(args.model), {"model": pathlib.Path(args.model).name}
    if args.test:
        figures["generated"] = generated(detector, args.test)
    if args.photos:
        figures["photographs"], missed, false = photographs(detector, args.photos, args.conf)
        if args.list:
            print("missed:", *missed, "false:", *false, sep="\n  ")
    print(json.dumps(figures, indent=1))
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
