# SPDX-License-Identifier: Apache-2.0
"""read_codes.py on boxes from JSON Lines, and on saccade's own where SACCADE names the program."""

import json
import os
import pathlib
import subprocess
import sys

import cv2
import numpy as np
import pytest
import zxingcpp

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = pathlib.Path(__file__).parents[1] / "read_codes.py"


def read_codes(lines):
    run = subprocess.run([sys.executable, SCRIPT, "-"], input=lines, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run


@pytest.fixture
def small_code(tmp_path):
    """A Data Matrix of two pixels a module in a page of noise, and its box."""
    code = zxingcpp.create_barcode("A SMALL ONE", zxingcpp.BarcodeFormat.DataMatrix)
    dark = np.array(code.to_image(scale=1, add_quiet_zones=False))
    page = np.random.default_rng(1).integers(0, 255, (400, 600), np.uint8)
    h, w = (2 * n for n in dark.shape)
    page[90:110 + h, 190:210 + w] = 255
    page[100:100 + h, 200:200 + w] = np.kron(dark, np.ones((2, 2), np.uint8))
    path = tmp_path / "page.png"
    cv2.imwrite(str(path), page)
    return path, [200, 100, 200 + w, 100 + h]


def line(path, *boxes):
    return json.dumps({"source": str(path), "detections": [{"box": list(b)} for b in boxes]}) + "\n"


def test_reads_what_the_box_holds(small_code):
    path, box = small_code
    assert "Data Matrix\tA SMALL ONE" in read_codes(line(path, box)).stdout


def test_goes_on_after_errors_and_files_that_are_no_pictures(small_code, tmp_path):
    path, box = small_code
    (tmp_path / "x.png").write_text("no picture")
    lines = '{"source": "gone.png", "error": "no such file"}\n' + line(tmp_path / "x.png") + line(path, box)
    run = read_codes(lines)
    assert "x.png" in run.stderr and run.stdout.splitlines()[-1].startswith("1 pictures: ")


@pytest.mark.skipif("SACCADE" not in os.environ, reason="SACCADE names no saccade program")
def test_reads_every_code_of_the_examples_from_saccades_boxes():
    found = subprocess.run([os.environ["SACCADE"], "detect", "--json", "-", ROOT / "models/codes-n6.onnx",
                            ROOT / "examples/pictures"], capture_output=True, text=True, check=True)
    text = read_codes(found.stdout).stdout
    for content in ("PARCEL 0640 1280 LETTERBOX", "SACCADE-640-1280", "Routing: pixels in, boxes out.",
                    "TICKET 8-16 SATURDAY 2100 ADMIT ONE", "4006381333931",
                    "https://example.org/night-of-open-eyes?from=poster"):
        assert content in text
