# SPDX-License-Identifier: Apache-2.0
"""Head and NMS against the plain NumPy oracle: same boxes, scores, classes, anchors and counts."""
import numpy as np
import oracle
import pytest
import saccade

STRIDES = (8, 16, 32)
FAMILIES = list(saccade.FAMILIES)


def yolox_rows(plan):
    return sum((plan.width // s) * (plan.height // s) for s in STRIDES)


def raw_output(rng, family, count, classes, plan, positive=0.1, objects=10):
    """Rows like a network's: a share of them crowd around a few objects with high scores."""
    size = np.array([plan.width, plan.height] * 2, np.float32)
    centres = rng.uniform(0.1, 0.9, (objects, 4)) * size * [1, 1, 0.4, 0.4]
    box = centres[rng.integers(0, objects, count)] * rng.uniform(0.9, 1.1, (count, 4))
    hot = rng.random(count) < positive
    scores = rng.beta(1, 30, (count, classes))
    scores[hot] = rng.beta(1, 3, (hot.sum(), classes))
    best = rng.integers(0, classes, count)
    scores[hot, best[hot]] = rng.uniform(0.2, 1, hot.sum())
    objectness = np.where(hot, rng.uniform(0.2, 1, count), rng.beta(1, 30, count))[:, None]
    if family == "v8":
        return np.concatenate([box, scores], 1).T.astype(np.float32).copy()
    if family == "end2end":
        half = box[:, 2:] / 2
        box = np.concatenate([box[:, :2] - half, box[:, :2] + half], 1)
        return np.concatenate([box, objectness, best[:, None]], 1).astype(np.float32)
    if family == "yolox":
        box = np.concatenate([rng.uniform(-1, 2, (count, 2)), rng.normal(1, 1, (count, 2))], 1)
    return np.concatenate([box, objectness, scores], 1).astype(np.float32)


def compare(raw, plan, family, classes, **options):
    if family == "yolox":
        options["strides"] = STRIDES
    got, counts = saccade.boxes(raw[None], plan, family, classes, **options)
    want = oracle.boxes(raw, plan, family, classes, **options)
    for name in ("candidates", "nonfinite", "overflow"):
        assert counts[name] == want[name], (name, options)
    for name in ("anchor", "class_id", "score"):
        np.testing.assert_array_equal(got[name], want[name], err_msg=f"{name} {options}")
    # exp in NumPy and ours differ in the last bits; all else is equal
    tolerance = 1e-5 if family == "yolox" else 0
    np.testing.assert_allclose(got["box"], want["box"], rtol=tolerance, atol=tolerance * 100)
    return got, counts


def options_of(rng, classes):
    keep = None
    if rng.random() < 0.3:
        keep = [int(k) for k in rng.integers(-2, classes + 2, rng.integers(0, 6))]
    return {"conf": float(rng.choice([0.001, 0.25, 0.5, 0.9])),
            "iou": float(rng.choice([0.0, 0.3, 0.45, 0.7, 1.0])),
            "max_det": int(rng.choice([1, 7, 300, 900])), "agnostic": bool(rng.integers(2)),
            "multi_label": bool(rng.integers(2)), "compat": str(rng.choice(["exact", "yolov5"])),
            "keep": keep}


def plan_of(rng, fit=None):
    fit = fit or str(rng.choice(list(saccade.FITS)))
    width0, height0 = (int(v) for v in rng.integers(1, 2000, 2))
    return saccade.fit(width0, height0, *(32 * int(v) for v in rng.integers(1, 11, 2)), fit,
                       no_upscale=bool(rng.integers(2)))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_random(rng, family, dtype):
    for _ in range(40):
        classes, plan = int(rng.choice([1, 2, 5, 17, 80])), plan_of(rng)
        count = yolox_rows(plan) if family == "yolox" else int(rng.integers(0, 1500))
        positive = 100 / max(count, 1) if family == "yolox" else 0.1
        raw = raw_output(rng, family, count, classes, plan, positive).astype(dtype)
        compare(raw, plan, family, classes, **options_of(rng, classes))


@pytest.mark.parametrize("family", ["v5", "v8", "end2end", "yolox-decoded"])
def test_ties(rng, family):
    """Few different scores and many equal boxes: the order by anchor and class decides."""
    for _ in range(40):
        classes, plan = int(rng.choice([1, 3, 80])), plan_of(rng)
        raw = raw_output(rng, family, 500, classes, plan, 0.5, 4)
        raw[raw < 1] = np.round(raw[raw < 1] * 4) / 4
        raw[raw > 1] = np.round(raw[raw > 1] / 8) * 8
        if family == "end2end":
            raw[:, 5] = np.round(raw[:, 5])
        compare(raw, plan, family, classes, **options_of(rng, classes))


@pytest.mark.parametrize("family", ["v5", "v8", "end2end", "yolox-decoded"])
def test_degenerate_boxes(rng, family):
    """No area, negative sizes, and coordinates at which float runs out of digits or range."""
    odd = [0, -0.0, -5, 1e-40, 7680, -7680, 1e8, 3e38, -3e38, 0.1]
    for _ in range(40):
        classes, plan = int(rng.choice([1, 3, 80])), plan_of(rng)
        raw = raw_output(rng, family, 400, classes, plan, 0.5, 4)
        box = raw[:4] if family == "v8" else raw[:, :4]
        where = rng.random(box.shape) < 0.3
        box[where] = rng.choice(np.array(odd, np.float32), where.sum())
        compare(raw, plan, family, classes, **options_of(rng, classes))


@pytest.mark.parametrize("family", ["v5", "v8", "end2end", "yolox-decoded"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_nonfinite(rng, family, dtype):
    for share in (0.001, 0.01, 0.3):
        for _ in range(20):
            classes, plan = int(rng.choice([1, 3, 80])), plan_of(rng)
            raw = raw_output(rng, family, 777, classes, plan, 0.5).astype(dtype)
            where = rng.random(raw.shape) < share
            raw[where] = rng.choice(np.array([np.nan, np.inf, -np.inf, -np.nan], dtype),
                                    where.sum())
            compare(raw, plan, family, classes, **options_of(rng, classes))


def test_product_overflow(rng):
    plan = saccade.fit(640, 480, 640, 640)
    raw = raw_output(rng, "v5", 50, 3, plan, 1)
    raw[7, 4:] = 3e38
    _, counts = compare(raw, plan, "v5", 3)
    assert counts["nonfinite"] == 1


@pytest.mark.parametrize("family,multi_label", [("v5", False), ("v5", True), ("v8", False),
                                                ("v8", True), ("end2end", False)])
@pytest.mark.parametrize("order", ["random", "rising", "falling", "equal"])
def test_more_than_the_most(rng, family, multi_label, order):
    """Above 30000 candidates: exactly the best stay, whatever order they come in."""
    plan, count, classes = saccade.fit(1920, 1080, 1280, 1280), 102000, 5
    raw = raw_output(rng, family, count, classes, plan, 0.9, 2000)
    rows = raw.T if family == "v8" else raw
    if order != "random":
        ramp = {"rising": np.linspace(0.3, 1, count), "falling": np.linspace(1, 0.3, count),
                "equal": np.full(count, 0.5)}[order]
        rows[:, 4] = ramp
        if family != "end2end":
            rows[:, 5:] = np.round(rows[:, 5:] * 16) / 16
    got, counts = compare(raw, plan, family, classes, multi_label=multi_label, conf=0.1,
                          iou=0.99, max_det=500)
    assert counts["overflow"] > 0 and len(got) > 0


def test_order_is_by_score_then_anchor(rng):
    plan = saccade.fit(640, 640, 640, 640)
    got, _ = compare(raw_output(rng, "v5", 2000, 3, plan, 0.5, 300), plan, "v5", 3)
    keys = list(zip(-got["score"], got["anchor"], got["class_id"]))
    assert keys == sorted(keys) and len(keys) > 50


def test_strict_comparisons():
    """Equal to a threshold is not above it."""
    plan = saccade.fit(640, 640, 640, 640)
    rows = np.zeros((3, 6), np.float32)
    rows[:, :4] = 100, 100, 10, 10
    rows[:, 4] = 0.25, 0.5, 1
    rows[:, 5] = 1, 0.5, 0.9
    got, _ = saccade.boxes(rows[None], plan, "v5", 1)
    assert got["anchor"].tolist() == [2]
    rows = np.array([[0, 0, 10, 10, 1, 0.9], [5, 0, 10, 10, 1, 0.8]], np.float32)
    third = np.float32(50) / np.float32(150)
    for iou, count in ((third, 2), (np.nextafter(third, np.float32(0)), 1)):
        assert len(saccade.boxes(rows[None], plan, "v5", 1, iou=iou)[0]) == count


def test_suppressed_box_suppresses_nobody():
    plan = saccade.fit(640, 640, 640, 640)
    rows = np.array([[x, 100, 100, 100, 1, s] for x, s in ((100, .9), (130, .8), (160, .7))],
                    np.float32)
    got, _ = saccade.boxes(rows[None], plan, "v5", 1)
    assert got["anchor"].tolist() == [0, 2]


def test_class_of_end2end_must_exist():
    plan = saccade.fit(640, 640, 640, 640)
    rows = np.array([[1, 2, 3, 4, .9, c] for c in (-1, 0, 2.9, 3, 1e9)], np.float32)
    got, counts = saccade.boxes(rows[None], plan, "end2end", 3)
    assert got["class_id"].tolist() == [0, 2] and counts["nonfinite"] == 0


def test_picture_of_a_batch(rng):
    plan = saccade.fit(640, 640, 640, 640)
    raw = np.stack([raw_output(rng, "v8", 300, 4, plan) for _ in range(3)])
    for i in range(3):
        got, _ = saccade.boxes(raw, plan, "v8", 4, index=i)
        want = oracle.boxes(raw[i], plan, "v8", 4)
        np.testing.assert_array_equal(got["anchor"], want["anchor"])


@pytest.mark.parametrize("words,change", [
    ("shape (1,10,7) is not a v5 head's with 80", {"classes": 80}),
    ("shape (1,10,7) is not a v8 head's with 2", {"family": "v8"}),
    ("threshold of 1.5", {"conf": 1.5}), ("threshold of nan", {"iou": float("nan")}),
    ("at most 0 boxes", {"max_det": 0}), ("picture 1 of an output for 1", {"index": 1}),
    ("give 8400 rows for an input of 640 x 640, not 10", {"family": "yolox", "strides": STRIDES})])
def test_refusals(words, change):
    arguments = {"family": "v5", "classes": 2} | change
    with pytest.raises(saccade.Error) as caught:
        saccade.boxes(np.zeros((1, 10, 7), np.float32), saccade.fit(64, 64, 640, 640), **arguments)
    assert caught.value.name == "SAC_EINVAL" and words in str(caught.value)
