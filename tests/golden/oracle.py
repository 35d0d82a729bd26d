# SPDX-License-Identifier: Apache-2.0
"""Head and NMS in plain NumPy, written from the documented contract alone."""
import numpy as np

MOST = 30000
F = np.float32


def scores_of(rows, family, conf):
    """(rows, classes) scores, which rows pass the first test, which are not finite so far."""
    if family == "v8":
        scores = rows[:, 4:]
        return scores, np.ones(len(rows), bool), ~np.isfinite(scores).all(1)
    objectness = rows[:, 4]
    with np.errstate(all="ignore"):
        scores = rows[:, 5:] * objectness[:, None]
    passes = objectness > conf
    bad = ~np.isfinite(objectness) | (passes & ~np.isfinite(rows[:, 5:]).all(1))
    return scores, passes, bad


def yolox_boxes(box, strides, width, height):
    offsets, scales = [], []
    for stride in strides:
        y, x = np.mgrid[:height // stride, :width // stride]
        offsets.append(np.stack([x.ravel(), y.ravel()], 1))
        scales.append(np.full(y.size, stride))
    offsets, scales = np.concatenate(offsets), np.concatenate(scales)[:, None]
    centre = (box[:, :2] + offsets.astype(F)) * scales.astype(F)
    return np.concatenate([centre, np.exp(box[:, 2:]) * scales.astype(F)], 1)


def corners_of(rows, family, strides, plan):
    box = rows[:, :4]
    if family == "end2end":
        return box
    with np.errstate(all="ignore"):
        if family == "yolox":
            box = yolox_boxes(box, strides, plan.width, plan.height)
        half = box[:, 2:] / F(2)
        return np.concatenate([box[:, :2] - half, box[:, :2] + half], 1)


def candidates_of(raw, family, classes, strides, plan, conf, multi_label):
    """Arrays score, class, anchor, corners, in order of anchor and class; rows dropped."""
    rows = raw.astype(F)
    rows = rows.T if family == "v8" else rows
    corners = corners_of(rows, family, strides, plan)
    if family == "end2end":
        score, label = rows[:, 4], rows[:, 5]
        bad = ~np.isfinite(score) | ((score > conf) & ~np.isfinite(label))
        known = np.isfinite(label) & (label >= 0) & (label < classes)
        above = (score > conf) & ~bad & known
        scores, label = score[:, None], np.where(known, label, 0).astype(int)
    else:
        scores, passes, bad = scores_of(rows, family, conf)
        best = scores.max(1)
        above = passes & ~bad & (best > conf)
        bad |= above & ~np.isfinite(best)
        label = scores.argmax(1)
    bad |= above & ~np.isfinite(corners).all(1)
    above &= ~bad
    if multi_label and family != "end2end":
        anchor, label = np.nonzero(above[:, None] & (scores > conf))
        score = scores[anchor, label]
    else:
        anchor = np.nonzero(above)[0]
        label = label[anchor]
        score = scores[anchor].max(1)
    return score, label, anchor, corners[anchor], int(bad.sum())


def suppress(corners, label, iou, agnostic, max_det):
    """Greedy, over boxes already in order; returns the places of those that stay."""
    shift = F(0) if agnostic else F(7680)
    box = corners + (label.astype(F) * shift)[:, None]
    with np.errstate(all="ignore"):
        area = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    left, stay = np.arange(len(box)), []
    while len(left) and len(stay) < max_det:
        i, left = left[0], left[1:]
        stay.append(i)
        with np.errstate(all="ignore"):
            size = np.minimum(box[i, 2:], box[left, 2:]) - np.maximum(box[i, :2], box[left, :2])
            common = size[:, 0].clip(F(0)) * size[:, 1].clip(F(0))
            left = left[~(common / (area[i] + area[left] - common) > F(iou))]
    return np.array(stay, int)


def back(corners, plan, compat, family):
    left, top = plan.left, plan.top
    gains = [plan.new_width / plan.width0, plan.new_height / plan.height0]
    if family.startswith("yolox") and (left, top) == (0, 0):
        gains = [plan.gain] * 2
    elif compat == "yolov5":
        gains = [plan.gain] * 2
        left = (plan.width - plan.width0 * plan.gain) / 2
        top = (plan.height - plan.height0 * plan.gain) / 2
    box = (corners.astype(float) - [left, top] * 2) / (gains * 2)
    return box.clip(0, [plan.width0, plan.height0] * 2).astype(F)


def boxes(raw, plan, family, classes, strides=(), conf=0.25, iou=0.45, max_det=300, agnostic=False,
          multi_label=False, compat="exact", keep=None):
    """One picture's raw output → dict of arrays and counters."""
    conf = F(conf)
    score, label, anchor, corners, nonfinite = candidates_of(
        raw, family, classes, strides, plan, conf, multi_label)
    if keep is not None:
        wanted = np.isin(label, keep)
        score, label, anchor, corners = (a[wanted] for a in (score, label, anchor, corners))
    passed = len(score)
    order = np.lexsort((label, anchor, -score))[:MOST]
    score, label, anchor, corners = (a[order] for a in (score, label, anchor, corners))
    if family == "end2end":
        stay = np.arange(len(score))[:max_det]
    else:
        stay = suppress(corners, label, iou, agnostic, max_det)
    return {"score": score[stay], "class_id": label[stay], "anchor": anchor[stay],
            "box": back(corners[stay], plan, compat, family), "candidates": passed,
            "nonfinite": nonfinite, "overflow": max(passed - MOST, 0)}
