# SPDX-License-Identifier: Apache-2.0
"""The evaluator against pycocotools, NMS against its definition, the photographs' rules."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from codes import metrics
from codes.evaluate import best_threshold, scan_overlap


def random_results(rng, pictures=40, classes=3):
    out = []
    for _ in range(pictures):
        n = int(rng.integers(0, 6))
        low = rng.uniform(0, 400, (n, 2))
        true = np.concatenate([low, low + rng.uniform(10, 200, (n, 2))], 1)
        true_cls = rng.integers(0, classes, n)
        found = np.concatenate([true + rng.normal(0, 6, true.shape), rng.uniform(0, 300, (2, 4))])
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 5)
        cls = np.concatenate([true_cls, rng.integers(0, classes, 2)])
        out.append((found, rng.uniform(0, 1, n + 2), cls, true, true_cls))
    return out


def pycocotools_map(results, classes):
    images, annotations, found = [], [], []
    for i, (boxes, scores, cls, true, true_cls) in enumerate(results):
        images.append({"id": i})
        for b, c in zip(true, true_cls, strict=True):
            w, h = b[2] - b[0], b[3] - b[1]
            annotations.append({"id": len(annotations) + 1, "image_id": i, "category_id": int(c),
                                "bbox": [b[0], b[1], w, h], "area": w * h, "iscrowd": 0})
        for b, s, c in zip(boxes, scores, cls, strict=True):
            found.append({"image_id": i, "category_id": int(c), "score": float(s),
                          "bbox": [b[0], b[1], b[2] - b[0], b[3] - b[1]]})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"images": images, "annotations": annotations,
                        "categories": [{"id": c} for c in range(classes)]}
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes(found), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats[0], run.stats[1]


@pytest.mark.parametrize("seed", range(4))
def test_map_equals_pycocotools(seed):
    results = random_results(np.random.default_rng(seed))
    table = metrics.coco_map(results, 3)
    want = pycocotools_map(results, 3)
    assert np.nanmean(table) == pytest.approx(want[0], abs=1e-6)
    assert np.nanmean(table[:, 0]) == pytest.approx(want[1], abs=1e-6)


def test_nms_suppresses_within_a_class_only():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [1, 0, 11, 10.0]])
    kept = metrics.nms(boxes, np.array([0.9, 0.8, 0.7]), np.array([0, 0, 1]))
    assert kept.tolist() == [0, 2]


def test_rows_below_the_threshold_are_dropped():
    rows = np.array([[50, 50, 20, 20, 0.9, 0.1, 0.8], [20, 20, 5, 5, 0.2, 0.9, 0.9]])
    boxes, scores, classes = metrics.rows_to_boxes(rows, 0.25)
    assert boxes.tolist() == [[40, 40, 60, 60]] and classes.tolist() == [1]
    assert scores[0] == pytest.approx(0.72)


def test_scan_overlap_counts_along_the_line_only():
    line = np.array([10.0, 50, 110, 52])
    assert scan_overlap(np.array([60.0, 0, 200, 100]), line) == pytest.approx(0.5)
    assert scan_overlap(np.array([10.0, 60, 110, 100]), line) == 0


def test_best_threshold_separates_right_from_wrong():
    box = np.array([[0, 0, 10, 10.0]])
    good = (box, np.array([0.8]), np.array([0]), box, np.array([0]))
    bad = (box, np.array([0.3]), np.array([0]), np.zeros((0, 4)), np.zeros(0, int))
    threshold, f1, _ = best_threshold([good, good, bad], 1)
    assert threshold == pytest.approx(0.8) and f1 == 1


def test_the_threshold_lies_at_the_lower_end_of_a_flat_best():
    box, none = np.array([[0, 0, 10, 10.0]]), (np.zeros((0, 4)), np.zeros(0, int))
    hits = [(box, np.array([s]), np.array([0]), box, np.array([0])) for s in (0.9, 0.8, 0.7, 0.6)]
    wrong = (box, np.array([0.2]), np.array([0]), *none)
    # 1000 more that are all found at 0.95: one more right or wrong hardly moves F1
    sure = [(box, np.array([0.95]), np.array([0]), box, np.array([0]))] * 1000
    threshold, f1, _ = best_threshold([*hits, wrong, *sure], 1)
    assert f1 == 1 and threshold == pytest.approx(0.2)


def test_a_network_that_finds_nothing_has_no_best_threshold():
    nothing = (np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))
    threshold, f1, _ = best_threshold([(*nothing, np.array([[0, 0, 10, 10.0]]), np.array([0]))], 1)
    assert threshold == 0.25 and f1 == 0
