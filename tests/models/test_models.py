# SPDX-License-Identifier: Apache-2.0
"""The test models are what they claim to be, and `saccade inspect` says so."""
import dataclasses
import json
import os
import pathlib
import subprocess

import numpy as np
import onnxruntime
import pytest
from generate import FAMILIES, REFUSED, Spec, build, model_path
from net import calibration_pictures

BUILD = pathlib.Path(os.environ.get("SACCADE_BUILD", "build/release")).resolve()
LEVELS = {"v5n6": (8, 16, 32, 64), "v5s6": (8, 16, 32, 64)}


def session(spec):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(str(model_path(spec)), options)


def picture(spec, size=None, seed=5):
    """(B,3,H,W) in the type and range that the network wants."""
    height, width = size or spec.size
    times = -(-max(height, width) // 256)
    whole = calibration_pictures(spec.batch, 256, seed).repeat(times, 2).repeat(times, 3)
    whole = whole[:, :, :height, :width]
    scale = 255 if spec.arch.startswith("yolox") else 1
    return (whole * scale).astype(np.float16 if spec.half else np.float32)


def expected_shape(spec, size=None):
    height, width = size or spec.size
    cells = sum((height // s) * (width // s) for s in LEVELS.get(spec.arch, (8, 16, 32)))
    if spec.head == "end2end":
        return spec.batch, 300, 6
    if spec.head == "v8":
        return spec.batch, 4 + spec.classes, cells
    each = 3 if spec.arch.startswith("v5") else 1
    return spec.batch, each * cells, 5 + spec.classes


def scores(spec, rows):
    """(B,rows) best score of each row."""
    if spec.head == "end2end":
        return rows[:, :, 4]
    if spec.head == "v8":
        return rows[:, 4:].max(1)
    return rows[:, :, 4] * rows[:, :, 5:].max(2)


@pytest.mark.parametrize("spec", FAMILIES, ids=str)
def test_output_is_lively(spec):
    run = session(spec)
    outputs = run.run(None, {"images": picture(spec)})
    rows = outputs[0].astype(np.float32)
    assert rows.shape == expected_shape(spec)
    assert np.isfinite(rows).all()
    best = scores(spec, rows)
    passed = (best > 0.25).sum(1)
    assert (passed > 0).all() and (passed <= max(300, 0.2 * best.shape[1])).all()
    other = run.run(None, {"images": picture(spec, seed=6)})[0]
    assert np.abs(other.astype(np.float32) - rows).max() > 0.1


@pytest.mark.parametrize("spec", FAMILIES, ids=str)
def test_inspect_recognises(spec):
    done = subprocess.run([BUILD / "bin" / "saccade", "inspect", "--json", model_path(spec)],
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    said = json.loads(done.stdout)
    assert said["head"]["family"] == spec.head
    assert said["head"]["classes"] == spec.classes
    assert said["names"] == list(spec.class_names)


@pytest.mark.parametrize("spec", REFUSED, ids=str)
def test_inspect_refuses(spec):
    done = subprocess.run([BUILD / "bin" / "saccade", "inspect", model_path(spec)],
                          capture_output=True, check=False)
    assert done.returncode == 4
    message = done.stderr.decode()
    assert model_path(spec).name in message
    assert "task=detect" in message or f"not {spec.channels}" in message


def test_p6_at_1280_with_five_classes_gives_102000_rows():
    spec = Spec("v5n6", (1280, 1280), 5)
    assert session(spec).get_outputs()[0].shape == [1, 102000, 10]


@pytest.mark.parametrize("arch", ["v5n", "v8n", "11n", "v6n", "yolox-nano-decoded"])
def test_dynamic_equals_static(arch):
    fixed = Spec(arch, (192, 256), 5, batch=2)
    dynamic = Spec(arch, (640, 640), 5, batch=2, dynamic=("batch", "height", "width"))
    image = picture(fixed)
    wanted = session(fixed).run(None, {"images": image})[0]
    got = session(dynamic).run(None, {"images": image})[0]
    assert got.shape == wanted.shape == expected_shape(fixed)
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-3)


def test_yolox_decoded_is_the_raw_one_decoded():
    raw, decoded = (Spec(f"yolox-nano{kind}", (224, 288), 5) for kind in ("", "-decoded"))
    image = picture(raw)
    rows = session(raw).run(None, {"images": image})[0][0]
    wanted = session(decoded).run(None, {"images": image})[0][0]
    grid = [(x, y, s) for s in (8, 16, 32) for y in range(224 // s) for x in range(288 // s)]
    x, y, s = np.array(grid, np.float32).T
    rows[:, 0], rows[:, 1] = (rows[:, 0] + x) * s, (rows[:, 1] + y) * s
    rows[:, 2:4] = np.exp(rows[:, 2:4]) * s[:, None]
    np.testing.assert_allclose(rows, wanted, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("opset", [11, 12, 13, 18, 20])
@pytest.mark.parametrize("arch", ["11n", "v10n-e2e", "v8n-nms"])
def test_opsets(arch, opset):
    spec = Spec(arch, (128, 160), 3, opset=opset)
    rows = session(spec).run(None, {"images": picture(spec)})[0]
    newest = Spec(arch, (128, 160), 3)
    wanted = session(newest).run(None, {"images": picture(spec)})[0]
    np.testing.assert_allclose(rows, wanted, rtol=1e-3, atol=1e-3)


def test_a_spec_is_one_file():
    spec = Spec("v5n", (64, 64), 2)
    specs = (spec, spec, dataclasses.replace(spec, seed=1))
    bytes_of = [build(s).SerializeToString() for s in specs]
    assert bytes_of[0] == bytes_of[1] != bytes_of[2]
