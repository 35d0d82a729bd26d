# SPDX-License-Identifier: Apache-2.0
"""The programs in examples/: the same boxes as the command line's."""
import pathlib
import re
import subprocess

import pytest
from conftest import BUILD, detect, environment

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "codes-n.onnx"
PICTURES = sorted((ROOT / "examples" / "pictures").glob("*.jpg"))


def example(name, *args):
    return subprocess.run([BUILD / "bin" / f"example_{name}", *map(str, args)], text=True,
                          capture_output=True, env=environment(), timeout=300, check=False)


def boxes_of(result):
    """What detect found, as the examples print it."""
    return [f"{d['class_id']} {d['score']:.3f} " + " ".join(f"{v:.1f}" for v in d["box"])
            for line in result.lines for d in line["detections"]]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda p: p.stem)
def test_detect(picture):
    done = example("detect", MODEL, picture)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == boxes_of(detect(MODEL, picture, "-q"))


@pytest.mark.parametrize("name", ["staged", "resident"])
@pytest.mark.parametrize("picture", PICTURES, ids=lambda p: p.stem)
def test_steps_on_the_engines_own_calls(name, picture):
    """The engine by itself runs the whole network, as detect does with --keep-head."""
    done = example(name, MODEL, picture, "cpu")
    assert done.returncode == 0, done.stderr
    expected = boxes_of(detect(MODEL, picture, "-q", "--keep-head", "--device", "cpu"))
    assert expected and done.stdout.splitlines() == expected
    assert re.search(r"^input images: float32,? ", done.stderr)


@pytest.mark.parametrize("name, count", [("boxes", 1), ("engine", 1), ("detect", 2), ("staged", 2),
                                         ("resident", 2)])
def test_failures_are_told(name, count, tmp_path):
    assert example(name).returncode == 2
    done = example(name, *[tmp_path / "missing.onnx"] * count)
    assert done.returncode == 1 and "missing.onnx" in done.stderr


def test_boxes_and_engine():
    done = example("boxes", MODEL)
    assert done.returncode == 0 and "boxes of" in done.stdout, done.stderr
    done = example("engine", MODEL)
    assert done.returncode == 0 and "last output starts with" in done.stdout, done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.c")), ids=lambda p: p.stem)
def test_short(path):
    assert len(path.read_text().splitlines()) <= 80
