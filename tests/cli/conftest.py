# SPDX-License-Identifier: Apache-2.0
"""The command line under test, models and pictures for it."""
import json
import os
import pathlib
import subprocess
import sys

import cv2
import numpy as np
import pytest

BUILD = pathlib.Path(os.environ.get("SACCADE_BUILD", "build/release")).resolve()
os.environ["SACCADE_BUILD"] = str(BUILD)
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "models"))
from generate import Spec, model_path  # noqa: E402

PROGRAM = BUILD / "bin" / "saccade"
NAMES = ("qr_code", "data_matrix", "aztec", "pdf417", "linear")


class Result:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr.decode()

    @property
    def lines(self):
        return [json.loads(line) for line in self.out.decode().splitlines()]


def environment(**changes):
    return {**os.environ, "TBB_ENABLE_SANITIZERS": "1", **changes}


def run(*args, stdin=b"", env=None, cwd=None, timeout=300):
    done = subprocess.run([PROGRAM, *map(str, args)], input=stdin, capture_output=True,
                          env=environment(**(env or {})), cwd=cwd, timeout=timeout, check=False)
    return Result(done)


def detect(*args, **options):
    return run("detect", *args, **options)


def without_ms(line):
    """A line of output without its timings, which alone may differ from run to run."""
    return {key: value for key, value in line.items() if key != "ms"}


def boxes(result):
    return [line.get("detections") for line in result.lines]


def picture(path, width=160, height=120, seed=0, kind=None):
    """A picture of rectangles; the format is `kind`, or follows from the name."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), 90, np.uint8)
    for _ in range(12):
        x, y = rng.integers(0, width), rng.integers(0, height)
        w, h = rng.integers(4, max(5, width // 2)), rng.integers(4, max(5, height // 2))
        colour = [int(c) for c in rng.integers(0, 256, 3)]
        cv2.rectangle(image, (int(x), int(y)), (int(x + w), int(y + h)), colour, -1)
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(f".{kind}" if kind else path.suffix, image)
    assert done
    path.write_bytes(data.tobytes())
    return path


@pytest.fixture(scope="session")
def model():
    """Five classes, 160×160, fixed."""
    return model_path(Spec("v5n", size=(160, 160), classes=5, names=NAMES))


@pytest.fixture(scope="session")
def dynamic_model():
    return model_path(Spec("v5n", size=(160, 160), classes=5, names=NAMES,
                           dynamic=("batch", "height", "width")))


@pytest.fixture(scope="session")
def conf(model, tmp_path_factory):
    """A threshold that leaves each test picture some boxes, but not all: the weights are random."""
    path = picture(tmp_path_factory.mktemp("conf") / "a.png")
    result = detect(model, path, "--conf", "0.001", "--iou", "1", "--max-det", "30000", "-q")
    scores = sorted((d["score"] for d in boxes(result)[0]), reverse=True)
    assert len(scores) > 40
    return f"{scores[40]:.6f}"


@pytest.fixture
def photos(tmp_path):
    """Six pictures of different sizes and formats, by name."""
    sizes = [(160, 120), (90, 200), (333, 77), (64, 64), (1, 1), (161, 160)]
    formats = ["jpg", "png", "bmp", "webp", "png", "tif"]
    return [picture(tmp_path / "photos" / f"{i}.{ext}", *size, seed=i)
            for i, (size, ext) in enumerate(zip(sizes, formats))]
