# SPDX-License-Identifier: Apache-2.0
"""The OpenVINO engine's raw output against ONNX Runtime, and its low precisions against fp32."""
import sys

import numpy as np
import onnxruntime
import pytest
import saccade

sys.path.insert(0, str(saccade.ROOT / "tests" / "models"))
from generate import ARCHS, Spec, model_path  # noqa: E402
from net import calibration_pictures  # noqa: E402


def pictures(count, height, width, seed=3):
    side = 1 << (max(height, width) - 1).bit_length()
    return calibration_pictures(count, side, seed)[:, :, :height, :width].copy()


def peer(path, images):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return names, session.run(None, {session.get_inputs()[0].name: images})


def is_list(output):
    """(B,K,6): rows of corners, score, class, in an order that equal scores leave open."""
    return output.ndim == 3 and output.shape[2] == 6 and output.shape[1] <= 300


def sort_rows(output):
    rows = output[0]
    return rows[np.lexsort(np.round(rows.T[[0, 1, 5, 4]], 2))][None]


def assert_close(ours, theirs, atol, rtol):
    assert ours.shape == theirs.shape
    if is_list(theirs):
        ours, theirs = sort_rows(ours), sort_rows(theirs)
    np.testing.assert_allclose(ours, theirs, rtol, atol)


LARGE = {"v5m", "v5s6", "v8s", "11s"}  # no layer that the smaller ones have not


@pytest.mark.parametrize("arch", [arch for arch in ARCHS if arch not in LARGE])
def test_fp32_equals_onnx_runtime(arch):
    path = model_path(Spec(arch, size=(256, 320), classes=7))
    images = pictures(1, 256, 320)
    names, expected = peer(path, images)
    with saccade.Engine(path) as engine:
        assert [b.name.decode() for b in engine.bindings if not b.is_input] == names
        for ours, theirs in zip(engine.run(images), expected):
            assert_close(ours, theirs, 1e-3, 1e-4)


@pytest.mark.parametrize("arch", ["v5n", "v8n"])
def test_dynamic_axes_at_several_sizes(arch):
    path = model_path(Spec(arch, size=(192, 192), classes=3, dynamic=("batch", "height", "width")))
    with saccade.Engine(path) as engine:
        assert engine.bindings[0].shape == (-1, 3, -1, -1)
        for shape in ((1, 64, 64), (3, 96, 160), (2, 192, 64), (1, 64, 64)):
            images = pictures(*shape)
            assert_close(engine.run(images)[0], peer(path, images)[1][0], 1e-3, 1e-4)


def test_batches():
    path = model_path(Spec("v5n", size=(96, 128), classes=3, batch=5))
    images = pictures(5, 96, 128)
    with saccade.Engine(path, throughput=True) as engine:
        assert_close(engine.run(images)[0], peer(path, images)[1][0], 1e-3, 1e-4)


def test_several_outputs():
    path = model_path(Spec("v5n", size=(96, 96), classes=3, raw_maps=True))
    images = pictures(1, 96, 96)
    names, expected = peer(path, images)
    with saccade.Engine(path) as engine:
        assert [b.name.decode() for b in engine.bindings[1:]] == names
        for ours, theirs in zip(engine.run(images), expected):
            assert_close(ours, theirs, 1e-3, 1e-4)


def test_half_models_keep_their_types():
    path = model_path(Spec("v5n", size=(96, 96), classes=3, half=True))
    images = pictures(1, 96, 96).astype(np.float16)
    with saccade.Engine(path) as engine:
        ours = engine.run(images)[0]
    assert ours.dtype == np.float16
    theirs = peer(path, images)[1][0]
    np.testing.assert_allclose(ours.astype("f4"), theirs.astype("f4"), 0.05, 1.0)


def test_the_cache_changes_no_number(tmp_path):
    path = model_path(Spec("v5n", size=(96, 96), classes=3))
    images = pictures(1, 96, 96)
    for precision in ("fp32", "auto"):
        outputs = []
        for cache in ("", tmp_path, tmp_path):
            with saccade.Engine(path, precision, cache=cache) as engine:
                outputs.append(engine.run(images)[0])
        assert outputs[0].tobytes() == outputs[1].tobytes() == outputs[2].tobytes()
    assert len(list(tmp_path.iterdir())) == 2


# What "auto" promises of boxes that score: edges within 2 pixels and 1 % of the box's longer side,
# scores within 0.05. docs/backends.md says how it decides.
EDGE, SIDE, SCORE = 2.0, 0.01, 0.05


def scored_boxes(output, v5):
    """Corners and scores of rows, best class."""
    rows = (output if v5 else output.transpose(0, 2, 1)).reshape(-1, output.shape[2 if v5 else 1])
    scores = rows[:, 4:5] * rows[:, 5:] if v5 else rows[:, 4:]
    half = rows[:, 2:4] / 2
    return np.c_[rows[:, :2] - half, rows[:, :2] + half], scores.max(1)


def shipped():
    return sorted((saccade.ROOT / "models").glob("*.onnx"))


@pytest.mark.parametrize("path", [
    *(pytest.param(arch, id=arch) for arch in ("v5n", "v5n6", "v8n")),
    *(pytest.param(path, id=path.stem) for path in shipped())])
def test_auto_keeps_boxes(path):
    if isinstance(path, str):
        path = model_path(Spec(path, size=(256, 256), classes=5))
    with saccade.Engine(path, "fp32") as exact, saccade.Engine(path, "auto") as auto:
        height, width = exact.bindings[0].shape[2:]
        channel_major = exact.bindings[1].shape[1] < exact.bindings[1].shape[2]
        found = 0
        for seed in range(2):
            images = pictures(1, height, width, seed)
            boxes, scores = scored_boxes(exact.run(images)[0], not channel_major)
            others, other_scores = scored_boxes(auto.run(images)[0], not channel_major)
            kept = scores > 0.25
            found += kept.sum()
            longer = (boxes[:, 2:] - boxes[:, :2]).max(1)[:, None]
            assert (np.abs(boxes - others) <= EDGE + SIDE * longer)[kept].all(), auto.where
            assert (np.abs(scores - other_scores) <= SCORE)[kept].all(), auto.where
    assert found or path in shipped()
