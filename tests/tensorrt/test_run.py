# SPDX-License-Identifier: Apache-2.0
"""Running engines, with a stand-in for TensorRT's runtime: here over the emulated CUDA engine; on a
machine with a GPU over the real one (SACCADE_STAND_IN=lib/stand-in SACCADE_TEST_PLUGINS=lib)."""
import json
import os
import pathlib
import struct
import subprocess
import sys

import cv2
import numpy as np
import onnx
import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "models"))

from generate import Spec, model_path

BUILD = pathlib.Path(os.environ.get("SACCADE_BUILD", TESTS.parent / "build/release"))
PLUGINS = BUILD / os.environ.get("SACCADE_TEST_PLUGINS", "lib/emulated")
STAND_IN = BUILD / os.environ.get("SACCADE_STAND_IN", "lib/stand-in_emulated")

pytestmark = pytest.mark.skipif(
    not (PLUGINS / "libsaccade-tensorrt.so").exists() or not STAND_IN.exists(),
    reason="no TensorRT plugin: its headers are not here (make tensorrt TENSORRT_ROOT=…)")
V5 = Spec("v5n", (64, 64), 3)
V8 = Spec("v8n", (64, 96), 5)
DYNAMIC = Spec("v5n", (64, 64), 3, dynamic=("batch", "height", "width"))


def run(*arguments, **env):
    needed = BUILD / "lib/needed"  # of a packed build
    if needed.exists():
        env.setdefault("LD_LIBRARY_PATH", f"{needed}:{os.environ.get('LD_LIBRARY_PATH', '')}")
    return subprocess.run([BUILD / "bin/saccade", *map(str, arguments)], capture_output=True, text=True,
                          env={**os.environ, "SACCADE_PLUGINS": str(PLUGINS),
                               "SACCADE_TENSORRT": str(STAND_IN), "SACCADE_CACHE": "",
                               "SACCADE_TUNE_SECONDS": "-1", **env})  # as the stand-in: same kernels


def write_engine(path, spec, least=None, best=None, most=None, version=1, header=True):
    """A plan of the stand-in, behind the header that ultralytics writes."""
    whole = pathlib.Path(model_path(spec)).read_bytes()
    shape = (spec.batch, 3, *spec.size)
    extents = [e for s in (least, best, most) for e in (s or shape)]
    plan = b"ptrt" + struct.pack("<I12q", version, *extents) + whole
    entries = {p.key: p.value for p in onnx.load(model_path(spec)).metadata_props}
    entries["names"] = dict(enumerate(spec.class_names))
    entries["stride"] = int(entries.get("stride", 32))
    text = json.dumps(entries).encode()
    path.write_bytes((struct.pack("<i", len(text)) + text if header else b"") + plan)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(3)
    for i, (width, height) in enumerate([(64, 64), (120, 80), (37, 53)]):
        cv2.imwrite(str(folder / f"{i}.png"), rng.integers(0, 256, (height, width, 3), np.uint8))
    return folder


def boxes(done):
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [[(d["class"], d["score"], d["box"]) for d in line["detections"]] for line in lines]


def assert_same(ours, theirs):
    """Each box has its twin; the last ranks may change where scores are nearly equal."""
    assert len(ours) == len(theirs) and sum(map(len, ours)) > 5
    assert all(abs(len(a) - len(b)) <= 2 for a, b in zip(ours, theirs))
    for picture, others in zip(ours, theirs):
        for name, score, box in picture[:15]:
            assert any(name == n and abs(score - s) < 2e-3 and np.abs(np.subtract(box, b)).max() < 0.5
                       for n, s, b in others), (name, score, box)


@pytest.mark.parametrize("spec", [V5, V8], ids=str)
@pytest.mark.parametrize("feed", ["staged", "resident"])
def test_boxes_are_those_of_the_cuda_engine(spec, feed, pictures, tmp_path):
    engine = write_engine(tmp_path / "m.engine", spec)
    options = ["--conf", "0.001", "--max-det", "20", "--feed", feed]
    ours = boxes(run("detect", engine, pictures, *options))
    theirs = boxes(run("detect", "--device", "cuda", model_path(spec), pictures, *options))
    assert_same(ours, theirs)


def test_feeds_agree(pictures, tmp_path):
    engine = write_engine(tmp_path / "m.engine", V5)
    staged, resident = (boxes(run("detect", engine, pictures, "--conf", "0.001", "--feed", feed))
                        for feed in ("staged", "resident"))
    assert staged == resident


@pytest.mark.parametrize("feed", ["staged", "resident"])
def test_dynamic(feed, pictures, tmp_path):
    engine = write_engine(tmp_path / "d.engine", DYNAMIC, (1, 3, 32, 32), (2, 3, 64, 64),
                          (3, 3, 96, 96))
    plain = boxes(run("detect", write_engine(tmp_path / "m.engine", V5), pictures, "--conf", "0.001"))
    for options in (["--imgsz", "64"], ["--imgsz", "64", "--batch", "3"]):
        got = boxes(run("detect", engine, pictures, "--conf", "0.001", "--feed", feed, *options))
        assert_same(got, plain)
    done = run("detect", engine, pictures, "--imgsz", "128")
    assert done.returncode != 0 and "outside of the profile" in done.stderr


def test_inspect_lists_bindings(tmp_path):
    shown = run("inspect", write_engine(tmp_path / "m.engine", V5))
    assert shown.returncode == 0, shown.stderr
    assert "(1,3,64,64)" in shown.stdout and "12288" in shown.stdout and "images" in shown.stdout
    assert "(1,252,8)" in shown.stdout and "TensorRT 11" in shown.stdout
    described = json.loads(run("inspect", "--json", tmp_path / "m.engine").stdout)
    assert described["engine"] == "tensorrt"


def test_bare_plan_has_made_up_names(pictures, tmp_path):
    engine = write_engine(tmp_path / "bare.engine", V5, header=False)
    found = boxes(run("detect", engine, pictures, "--conf", "0.001"))
    assert {d[0] for p in found for d in p} <= {"class0", "class1", "class2"}


def test_refusals(pictures, tmp_path):
    whole = write_engine(tmp_path / "whole.engine", V5).read_bytes()
    cut = tmp_path / "cut.engine"
    cut.write_bytes(whole[:-1000])
    done = run("detect", cut, pictures)
    assert done.returncode == 4 and "cut.engine" in done.stderr
    other = write_engine(tmp_path / "other.engine", V5, version=7)
    done = run("detect", other, pictures)
    assert done.returncode == 4 and "Version tag does not match" in done.stderr
    assert "saccade build" not in done.stderr
    (tmp_path / "other.onnx").write_bytes(pathlib.Path(model_path(V5)).read_bytes())
    done = run("detect", other, pictures)
    assert f"saccade build {tmp_path / 'other.onnx'} -o {other}" in done.stderr
    done = run("detect", "--backend", "tensorrt", model_path(V5), pictures)
    assert done.returncode == 4 and "saccade build" in done.stderr
    done = run("detect", "--precision", "fp16", tmp_path / "whole.engine", pictures)
    assert done.returncode == 4 and "precision is fixed" in done.stderr
    done = run("detect", "--backend", "cuda", tmp_path / "whole.engine", pictures)
    assert done.returncode == 4 and "a TensorRT engine" in done.stderr
    done = run("detect", "--device", "cuda:9", tmp_path / "whole.engine", pictures)
    assert done.returncode == 5 and "cuda:9" in done.stderr


def test_devices_name_the_version():
    done = run("devices")
    assert "TensorRT 11." in done.stdout


EMULATED = pytest.mark.skipif("emulated" not in str(PLUGINS), reason="a GPU is what it is")


@EMULATED
@pytest.mark.parametrize("gpu, served", [("9.0", False), ("10.3", False), ("8.6", True), ("8.9", True)])
def test_rtx_runs_only_where_it_can(gpu, served, pictures, tmp_path):
    """TensorRT-RTX is told by its libraries' names."""
    stand_in, = STAND_IN.glob("libnvinfer.so.*")
    (tmp_path / "libtensorrt_rtx.so.1").symlink_to(stand_in.resolve())
    env = {"SACCADE_TENSORRT": str(tmp_path), "SACCADE_EMULATOR_GPU": gpu}
    devices = [line for line in run("devices", **env).stdout.splitlines() if "TensorRT-RTX 11." in line]
    assert len(devices) == 1 and ("ready" if served else "missing") in devices[0]
    done = run("detect", write_engine(tmp_path / "v5.engine", V5), pictures, "--conf", "0.001", **env)
    assert done.returncode == (0 if served else 5)
    if not served:
        assert f"does not run on GPUs of compute capability {gpu}" in done.stderr
        assert "--backend cuda" in done.stderr
