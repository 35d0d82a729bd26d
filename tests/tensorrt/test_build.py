# SPDX-License-Identifier: Apache-2.0
"""saccade build with a real builder: TensorRT-RTX's from PyPI works without a GPU.

Skipped where the plugin was not built (make tensorrt TENSORRT_ROOT=…) or the builder is not there
(.venv/bin/pip install -r tests/tensorrt/requirements.txt)."""
import importlib.util
import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import time

import onnx
import pytest
from onnx import TensorProto, helper

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "models"))

from generate import FAMILIES, Spec, model_path

BUILD = pathlib.Path(os.environ.get("SACCADE_BUILD", TESTS.parent / "build/release"))
PLUGIN = BUILD / "lib/libsaccade-tensorrt.so"
LIBRARIES = importlib.util.find_spec("tensorrt_rtx_libs")
FOLDER = os.environ.get("SACCADE_TENSORRT") or (
    str(pathlib.Path(LIBRARIES.submodule_search_locations[0])) if LIBRARIES else "")

pytestmark = [
    pytest.mark.skipif(not PLUGIN.exists(), reason="no TensorRT plugin: its headers are not here"),
    pytest.mark.skipif(not FOLDER, reason="no TensorRT-RTX: pip install -r tests/tensorrt/requirements.txt"),
]
SMALL = Spec("v5n", (64, 64), 3)


def build(*arguments, **options):
    environment = {**os.environ, "SACCADE_TENSORRT": FOLDER, **options.pop("env", {})}
    return subprocess.run([BUILD / "bin/saccade", "build", *map(str, arguments)], text=True,
                          capture_output=True, env=environment, **options)


def header_of(path):
    data = path.read_bytes()
    (length,) = struct.unpack_from("<i", data)
    return json.loads(data[4:4 + length]), data[4 + length:]


@pytest.mark.parametrize("spec", FAMILIES, ids=str)
def test_every_family(spec, tmp_path):
    engine = tmp_path / "model.engine"
    done = build(model_path(spec), "-o", engine)
    if "nms" in spec.arch and done.returncode:  # TensorRT-RTX has no NonMaxSuppression
        assert "NonMaxSuppression" in done.stderr and not engine.exists()
        return
    assert done.returncode == 0, done.stderr
    model = onnx.load(model_path(spec))
    shape = [d.dim_value or -1 for d in model.graph.input[0].type.tensor_type.shape.dim]
    extents = ",".join(map(str, shape))
    assert f"input {model.graph.input[0].name}: float16 ({extents})" in done.stderr
    for output in model.graph.output:
        assert f"output {output.name}: " in done.stderr
    header, plan = header_of(engine)
    assert plan[:4] in (b"vtrt", b"ptrt") and header["engine"] == "tensorrt"
    entries = {p.key: p.value for p in model.metadata_props}
    assert set(entries) <= set(header)
    if "names" in entries:
        names = header["names"]
        names = names if isinstance(names, list) else list(names.values())
        assert names == list(spec.class_names)


def test_default_model(tmp_path):
    engine = tmp_path / "codes.engine"
    done = build(TESTS.parent / "models/codes-n.onnx", "-o", engine)
    assert done.returncode == 0, done.stderr
    header, _ = header_of(engine)
    assert list(header["names"].values()) == ["qr_code", "data_matrix", "aztec", "pdf417", "linear"]
    assert "float32 (1,25200,10)" in done.stderr  # decoded in float


def test_fp32(tmp_path):
    half, whole = tmp_path / "half.engine", tmp_path / "whole.engine"
    assert build(model_path(SMALL), "-o", half, "-q").returncode == 0
    done = build(model_path(SMALL), "-o", whole, "--precision", "fp32")
    assert done.returncode == 0 and "input images: float32 (1,3,64,64)" in done.stderr
    assert whole.stat().st_size > 1.5 * half.stat().st_size


def test_ranges(tmp_path):
    engine, model = tmp_path / "d.engine", model_path(
        Spec("v8n", (64, 64), 3, dynamic=("batch", "height", "width")))
    done = build(model, "-o", engine, "--batch", "1:2:4", "--height", "64:96:128", "--width", 96)
    assert done.returncode == 0, done.stderr
    assert "input images: float16 (-1,3,-1,-1)" in done.stderr
    for bad in ("4:2:1", "1:2", "0", "a", "1:2:3:4"):
        assert build(model, "-o", engine, "--batch", bad).returncode == 2
    done = build(model_path(SMALL), "-o", engine, "--batch", 2)
    assert done.returncode == 2 and "the model's is fixed at 1" in done.stderr


def test_refusals_leave_nothing(tmp_path):
    engine = tmp_path / "model.engine"
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 8, 8])
    unknown = helper.make_model(helper.make_graph(
        [helper.make_node("Mystery", ["images"], ["output0"], name="/model.7/Mystery")], "g",
        [picture], [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 3, 8, 8])]))
    onnx.save(unknown, tmp_path / "unknown.onnx")
    done = build(tmp_path / "unknown.onnx", "-o", engine, "--precision", "fp32")
    assert done.returncode == 4 and "Mystery" in done.stderr and "unknown.onnx" in done.stderr
    whole = pathlib.Path(model_path(SMALL)).read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[:len(whole) // 2])
    done = build(tmp_path / "cut.onnx", "-o", engine)
    assert done.returncode == 4 and "cut.onnx" in done.stderr
    done = build(tmp_path / "none.onnx", "-o", engine)
    assert done.returncode == 4 and "none.onnx" in done.stderr
    done = build(model_path(SMALL), "-o", tmp_path / "no" / "such" / "folder.engine")
    assert done.returncode == 1 and "folder.engine" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut.onnx", "unknown.onnx"]


def test_engine_is_no_model_to_build(tmp_path):
    engine = tmp_path / "a.engine"
    assert build(model_path(SMALL), "-o", engine).returncode == 0
    done = build(engine, "-o", tmp_path / "b.engine")
    assert done.returncode == 4 and "an engine already; give the ONNX file" in done.stderr


def test_interrupted_leaves_nothing(tmp_path):
    process = subprocess.Popen(
        [BUILD / "bin/saccade", "build", model_path(Spec("v8n")), "-o", tmp_path / "a.engine"],
        env={**os.environ, "SACCADE_TENSORRT": FOLDER}, stderr=subprocess.PIPE)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    if process.returncode != 0:  # a fast machine may have been done
        assert process.returncode == 130 and not list(tmp_path.iterdir())


def test_missing_library_is_named(tmp_path):
    done = build(model_path(SMALL), "-o", tmp_path / "a.engine", env={"SACCADE_TENSORRT": str(tmp_path)})
    if done.returncode == 0:
        pytest.skip("TensorRT is installed where the loader looks")
    assert done.returncode == 5 and "libnvinfer.so" in done.stderr and "SACCADE_TENSORRT" in done.stderr
    assert not list(tmp_path.iterdir())


def test_engine_without_a_gpu_says_so(tmp_path):
    engine = tmp_path / "a.engine"
    assert build(model_path(SMALL), "-o", engine).returncode == 0
    done = subprocess.run([BUILD / "bin/saccade", "inspect", engine], capture_output=True, text=True,
                          env={**os.environ, "SACCADE_TENSORRT": FOLDER})
    if done.returncode == 0:
        pytest.skip("there is a GPU")
    assert done.returncode in (4, 5) and "a.engine" in done.stderr
