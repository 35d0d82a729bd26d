# SPDX-License-Identifier: Apache-2.0
"""Boxes from raw maps are those of the whole network, and raw maps are read where they should be."""
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_pictures import draw

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "models"))
from generate import FAMILIES, model_path  # noqa: E402

PROGRAM = Path(os.environ["SACCADE_BUILD"]) / "bin/saccade"
DEFAULTS = sorted((Path(__file__).resolve().parents[2] / "models").glob("*.onnx"))
CONF = 0.1


def is_cut(spec):
    return spec.arch in ("v5n", "v5n6", "v8n", "11n") and not spec.raw_maps


def boxes(model, picture, *options):
    """Every row above the threshold that NMS at its mildest leaves."""
    out = subprocess.run([PROGRAM, "detect", model, picture, "--precision", "fp32", "--conf",
                          str(CONF), "--max-det", "30000", "--iou", "1", "--json", "-", "--quiet",
                          *options], stdout=subprocess.PIPE, check=True)
    found = json.loads(out.stdout)["detections"]
    return (np.array([d["box"] for d in found]).reshape(-1, 4),
            np.array([d["score"] for d in found]), np.array([d["class_id"] for d in found]))


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("cut") / "picture.png"
    cv2.imwrite(str(path), draw(np.random.default_rng(3), 500, 333))
    return path


def unmatched(one, other):
    """Rows of one without their like in the other; those at the threshold may lack it."""
    lost = 0
    for box, score, label in zip(*one):
        near = np.abs(other[0] - box).max(1, initial=0) <= 1e-3 * max(1, np.abs(box).max())
        like = near & (other[2] == label) & (np.abs(other[1] - score) <= 1e-5)
        lost += not like.any() and score > CONF + 1e-5
    return lost


@pytest.mark.parametrize("spec", [s for s in FAMILIES if is_cut(s) and not s.half], ids=str)
def test_boxes_are_those_of_the_whole_network(spec, picture):
    model = model_path(spec)
    maps, whole = boxes(model, picture), boxes(model, picture, "--keep-head")
    assert len(maps[1]) > 0, "the test proves nothing without boxes"
    assert unmatched(maps, whole) == 0
    assert unmatched(whole, maps) == 0


def reads_maps(model):
    out = subprocess.run([PROGRAM, "inspect", "--json", model], stdout=subprocess.PIPE, check=True)
    return json.loads(out.stdout)["raw_maps"]


@pytest.mark.parametrize("spec", FAMILIES, ids=str)
def test_where_raw_maps_are_read(spec):
    assert reads_maps(model_path(spec)) == is_cut(spec)


@pytest.mark.parametrize("model", DEFAULTS, ids=lambda path: path.name)
def test_default_models_are_read_from_raw_maps(model):
    assert reads_maps(model)
