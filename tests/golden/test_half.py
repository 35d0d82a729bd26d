# SPDX-License-Identifier: Apache-2.0
"""Models rewritten in half precision: they are valid, run in ONNX Runtime, take a half picture and
give the float model's boxes."""
import os
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "models"))

from generate import Spec, model_path

BUILD = pathlib.Path(os.environ.get("SACCADE_BUILD", TESTS.parent / "build/release"))
SMALL = [Spec("v5n", (96, 64), 3), Spec("v5n", (64, 96), 3, raw_maps=True),
         Spec("v5n", (64, 64), 3, dynamic=("batch", "height", "width")), Spec("v5n6", (128, 128), 5),
         Spec("v6n", (64, 64)), Spec("v8n", (64, 64), 3), Spec("11n", (64, 64), 3),
         Spec("v8n", (64, 64), 3, half=True), Spec("26n-e2e", (64, 64), 5),
         Spec("yolox-nano", (64, 64), 5)]


def halve(path, out):
    return subprocess.run([BUILD / "bin/half_tool", path, out], capture_output=True, text=True)


def run(path, picture):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    first = session.get_inputs()[0]
    kind = np.float16 if first.type == "tensor(float16)" else np.float32
    return session.run(None, {first.name: picture.astype(kind)})[0], kind


@pytest.mark.parametrize("spec", SMALL, ids=str)
def test_half_agrees(spec, tmp_path):
    source, target = model_path(spec), tmp_path / "half.onnx"
    done = halve(source, target)
    assert done.returncode == 0, done.stderr
    onnx.checker.check_model(str(target), full_check=True)
    height, width = spec.size
    picture = np.random.default_rng(1).random((spec.batch, 3, height, width), np.float32)
    expected, _ = run(source, picture.astype(np.float16).astype(np.float32))
    got, kind = run(target, picture)
    assert kind == np.float16
    if not spec.half:
        assert got.dtype == np.float32  # decoded in float
    if "e2e" in spec.arch:  # rows are sorted by score: near ties change places
        got, expected = np.sort(got[..., 4]), np.sort(expected[..., 4])
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    error = np.mean((got - expected) ** 2) / np.mean((expected - expected.mean()) ** 2)
    assert error < 1e-3, error


def test_weights_are_half(tmp_path):
    target = tmp_path / "half.onnx"
    source = model_path(Spec("v8n", (64, 64), 3))
    assert halve(source, target).returncode == 0
    assert target.stat().st_size < 0.6 * pathlib.Path(source).stat().st_size
    weights = {w.name: w for w in onnx.load(target).graph.initializer}
    convolved = [n.input[1] for n in onnx.load(target).graph.node if n.op_type == "Conv"]
    assert sum(weights[w].data_type == TensorProto.FLOAT16 for w in convolved) >= len(convolved) - 1


def test_beyond_half_is_named(tmp_path):
    weight = numpy_helper.from_array(np.full((4, 3, 1, 1), 1e6, np.float32), "huge")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["images", "huge"], ["output0"])], "g",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 4, 8, 8])], [weight])
    path = tmp_path / "huge.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    done = halve(path, tmp_path / "half.onnx")
    assert done.returncode == 1 and "tensor 'huge' holds 1e+06, which is beyond fp16" in done.stderr
