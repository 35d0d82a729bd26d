# SPDX-License-Identifier: Apache-2.0
"""Boxes out of raw rows, and COCO's average precision (101 points, IoU 0.50:0.95)."""

import numpy as np

IOUS = np.arange(0.5, 1.0, 0.05)
RECALLS = np.linspace(0, 1, 101)


def iou_matrix(a, b):
    """IoU of boxes x1,y1,x2,y2: (N,4) and (M,4) to (N,M)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = np.clip(high - low, 0, None).prod(-1)
    area = lambda t: (t[:, 2:] - t[:, :2]).prod(-1)  # noqa: E731
    return inter / np.maximum(area(a)[:, None] + area(b)[None] - inter, 1e-9)


def nms(boxes, scores, classes, iou=0.45, most=300):
    """Indices kept, best first; classes do not suppress each other."""
    order = np.argsort(-scores, kind="stable")
    moved = boxes + classes[:, None] * 7680.0
    kept = []
    while len(order) and len(kept) < most:
        first, order = order[0], order[1:]
        kept.append(first)
        order = order[iou_matrix(moved[first:first + 1], moved[order])[0] <= iou]
    return np.array(kept, np.int64)


def rows_to_boxes(rows, conf, iou=0.45, most=300):
    """(R, 5+C) decoded rows of one picture to boxes (N,4) x1,y1,x2,y2, scores, classes."""
    rows = rows[rows[:, 4] > conf]
    score = rows[:, 5:] * rows[:, 4:5]
    classes = score.argmax(1)
    score = score.max(1) if len(rows) else score.sum(1)
    keep = score > conf
    rows, score, classes = rows[keep], score[keep], classes[keep]
    best = np.argsort(-score, kind="stable")[:30000]
    rows, score, classes = rows[best], score[best], classes[best]
    boxes = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], 1)
    kept = nms(boxes, score, classes, iou, most)
    return boxes[kept], score[kept], classes[kept]


def matches(found, truth):
    """COCO's matching of one picture and class at all IoUs: (10, N) of bool, found best first."""
    hit = np.zeros((len(IOUS), len(found)), bool)
    if not len(found) or not len(truth):
        return hit
    overlap = iou_matrix(found, truth)
    for t, least in enumerate(IOUS):
        free = np.ones(len(truth), bool)
        for i in range(len(found)):
            candidates = np.where(free, overlap[i], -1)
            j = candidates.argmax()
            if candidates[j] >= least - 1e-10:
                hit[t, i], free[j] = True, False
    return hit


def average_precision(scores, hits, positives):
    """Mean precision at 101 recalls, (10,), of one class; hits (10, N)."""
    order = np.argsort(-scores, kind="mergesort")
    out = np.zeros(len(IOUS))
    for t in range(len(IOUS)):
        right = np.cumsum(hits[t, order])
        recall = right / positives
        precision = right / np.arange(1, len(order) + 1)
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        at = np.searchsorted(recall, RECALLS, side="left")
        out[t] = np.where(at < len(precision), np.append(precision, 0)[np.minimum(at, len(precision))],
                          0).mean()
    return out


def coco_map(pictures, classes, most=100):
    """pictures: (boxes, scores, classes, true boxes, true classes) each. AP (classes, 10) or NaN."""
    table = np.full((classes, len(IOUS)), np.nan)
    for c in range(classes):
        scores, hits, positives = [], [], 0
        for boxes, score, cls, true_boxes, true_cls in pictures:
            mine = np.flatnonzero(cls == c)
            mine = mine[np.argsort(-score[mine], kind="mergesort")][:most]
            scores.append(score[mine])
            hits.append(matches(boxes[mine], true_boxes[true_cls == c]))
            positives += int((true_cls == c).sum())
        if positives:
            table[c] = average_precision(np.concatenate(scores), np.concatenate(hits, 1), positives)
    return table
