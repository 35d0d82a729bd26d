# SPDX-License-Identifier: Apache-2.0
"""Whole pictures: the command line against OpenCV, ONNX Runtime and NumPy, every head family.

Every box has its twin: same class, corners within 0.5 source pixels, score within 0.002, in fp32.
In the precision that `auto` chooses here the bounds are those of docs/backends.md.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

import oracle
import saccade

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "models"))
from generate import FAMILIES, model_path  # noqa: E402

PROGRAM = Path(os.environ["SACCADE_BUILD"]) / "bin/saccade"
SIZES = ((640, 480), (333, 500), (1920, 1080), (37, 53), (641, 639))
CONF = 0.25


def draw(rng, width, height):
    """Noise, ellipses and stripes at many scales: something for every level of the head."""
    picture = rng.integers(0, 60, (height, width, 3), np.uint8)
    for _ in range(40):
        centre = tuple(int(rng.integers(0, side)) for side in (width, height))
        axes = tuple(int(a) for a in rng.integers(2, max(3, min(width, height) // 3), 2))
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        cv2.ellipse(picture, centre, axes, int(rng.integers(180)), 0, 360, colour, -1)
    picture[::7, ::3] = 255 - picture[::7, ::3]
    return picture


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(7)
    paths = []
    for width, height in SIZES:
        paths.append(folder / f"{width}x{height}.png")
        cv2.imwrite(str(paths[-1]), draw(rng, width, height))
    return paths


def ours(model, paths, *options):
    out = subprocess.run([PROGRAM, "detect", model, *paths, "--conf", str(CONF), "--json", "-",
                          "--quiet", *options], stdout=subprocess.PIPE, check=True)
    return [json.loads(line)["detections"] for line in out.stdout.splitlines()]


def input_of(picture, plan, family, half):
    """The usual steps with OpenCV and NumPy."""
    inner = picture
    if (plan.new_width, plan.new_height) != (plan.width0, plan.height0):
        inner = cv2.resize(picture, (plan.new_width, plan.new_height))
    bottom = plan.height - plan.new_height - plan.top
    right = plan.width - plan.new_width - plan.left
    padded = cv2.copyMakeBorder(inner, plan.top, bottom, plan.left, right, cv2.BORDER_CONSTANT,
                                value=(114, 114, 114))
    if family.startswith("yolox"):
        return np.ascontiguousarray(padded.transpose(2, 0, 1)[None], np.float32)
    planes = np.ascontiguousarray(padded[..., ::-1].transpose(2, 0, 1)[None])
    return (planes * np.float32(1 / 255)).astype(np.float16 if half else np.float32)


def theirs(spec, model, paths):
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    family = spec.head
    strides = (8, 16, 32) if family == "yolox" else ()
    found = []
    for path in paths:
        picture = cv2.imread(str(path))
        fit = "top-left" if family.startswith("yolox") else "pad"
        plan = saccade.fit(picture.shape[1], picture.shape[0], spec.size[1], spec.size[0], fit)
        value = input_of(picture, plan, family, spec.half)
        batch = np.repeat(value, spec.batch, 0)
        raw = session.run(None, {session.get_inputs()[0].name: batch})[0][0]
        # A little below the threshold, so that a score that rounding moved over it has a twin.
        found.append(oracle.boxes(raw, plan, family, spec.classes, strides, conf=CONF - 0.01))
    return found


def twin_of(box, peer, pixels, score):
    same = peer["class_id"] == box["class_id"]
    near = np.abs(peer["box"] - np.array(box["box"])).max(1, initial=0) <= pixels
    return (same & near & (np.abs(peer["score"] - box["score"]) <= score)).any()


def has_twin(peer, k, mine, pixels, score):
    return any(box["class_id"] == peer["class_id"][k]
               and np.abs(peer["box"][k] - np.array(box["box"])).max() <= pixels
               and abs(peer["score"][k] - box["score"]) <= score for box in mine)


def missing(mine, peer, pixels, score):
    """Boxes of either side without a twin on the other; borderline scores may lack one."""
    lost = [box for box in mine if not twin_of(box, peer, pixels, score)]
    sure = np.nonzero(peer["score"] > CONF + score)[0]
    return lost + [(peer["class_id"][k], peer["score"][k], peer["box"][k]) for k in sure
                   if not has_twin(peer, k, mine, pixels, score)]


@pytest.mark.parametrize("spec", FAMILIES, ids=str)
def test_every_box_has_its_twin(spec, pictures):
    model = model_path(spec)
    mine = ours(model, pictures, "--precision", "fp32")
    peers = theirs(spec, model, pictures)
    assert sum(map(len, mine)) > 0, "the test proves nothing without boxes"
    pixels, score = (2, 0.02) if spec.half else (0.5, 0.002)
    for path, boxes, peer in zip(pictures, mine, peers):
        lost = missing(boxes, peer, pixels, score)
        assert not lost, f"{path.name}: {len(lost)} of {len(boxes)} without a twin: {lost[:3]}"


def test_auto_keeps_boxes_of_photographs():
    """The shipped models where they find something: edges within 2 pixels of the network's input
    and 1 % of the box's longer side, scores within 0.05."""
    paths = sorted((saccade.ROOT / "examples" / "pictures").glob("*.jpg"))
    models = sorted((saccade.ROOT / "models").glob("*.onnx"))
    assert paths and models
    for model in models:
        exact = ours(model, paths, "--precision", "fp32")
        auto = ours(model, paths, "--precision", "auto", "--conf", str(CONF - 0.05))
        assert sum(map(len, exact)) >= len(paths), "the test proves nothing without boxes"
        with saccade.Engine(model, "fp32") as engine:
            side = engine.bindings[0].shape[3]
        for path, boxes, others in zip(paths, exact, auto):
            height, width = cv2.imread(str(path)).shape[:2]
            for box in boxes:
                x1, y1, x2, y2 = box["box"]
                pixels = 2 * max(height, width) / side + 0.01 * max(x2 - x1, y2 - y1)
                assert any(other["class_id"] == box["class_id"]
                           and abs(other["score"] - box["score"]) <= 0.05
                           and max(abs(a - b) for a, b in zip(other["box"], box["box"])) <= pixels
                           for other in others), f"{model.name}, {path.name}: {box}"
