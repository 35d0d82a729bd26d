# SPDX-License-Identifier: Apache-2.0
"""saccade bench: its figures are there, plausible and of one piece."""
import json
import subprocess

import cv2
import pytest
from conftest import picture, run

QUICK = ["--time", "0.05", "--warmup", "1", "--sizes", "320x240,64x48"]
STAGES = ["open", "letterbox", "network", "boxes", "end_to_end"]


def bench(model, *args):
    return run("bench", model, *QUICK, *args)


def test_json(model):
    result = bench(model, "--json", "--precision", "fp32")
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert report["schema"] == 1 and report["engine"]["precision"] == "fp32"
    assert report["machine"]["cores"] >= 1 and report["machine"]["processor"]
    assert report["model"] | {"path": 0, "hash": 0} == {
        "path": 0, "hash": 0, "head": "v5", "classes": 5, "width": 160, "height": 160, "batch": 1,
        "raw_maps": True}
    digest = subprocess.run(["xxh128sum", str(model)], capture_output=True, check=False)
    if digest.returncode == 0:
        assert report["model"]["hash"] == digest.stdout.split()[0].decode()
    assert report["pictures"]["generated"] is True
    assert [320, 240] in report["pictures"]["sizes"] and [64, 48] in report["pictures"]["sizes"]
    latency = report["latency_ms"]
    assert list(latency) == [*STAGES, "network_alone"]
    for ms in latency.values():
        assert 0 <= ms["min"] <= ms["p50"] <= ms["p90"] <= ms["p99"] and ms["count"] >= 1
        assert ms["min"] <= ms["mean"] <= ms["p99"] * 1.0001 or ms["count"] > 50
    parts = sum(latency[stage]["mean"] for stage in STAGES[:4])
    assert parts <= latency["end_to_end"]["mean"] * 1.001
    assert list(report["pictures_per_second"]) == STAGES
    assert all(rate > 0 for rate in report["pictures_per_second"].values())


def test_count_and_only(model):
    report = json.loads(bench(model, "--json", "--count", "17", "--only", "latency").out)
    assert report["latency_ms"]["end_to_end"]["count"] == 17
    assert "pictures_per_second" not in report
    report = json.loads(bench(model, "--json", "--only", "rate", "--threads", "3").out)
    assert "latency_ms" not in report and report["threads"] == 3


def test_files(model, photos):
    result = bench(model, *photos, photos[0].parent / "missing.png", "--json")
    report = json.loads(result.out)
    assert report["pictures"]["generated"] is False and report["pictures"]["count"] == len(photos)
    assert "missing.png" in result.err


def test_table_and_charts(model, tmp_path):
    result = bench(model, "--chart", tmp_path / "a.png")
    assert result.code == 0, result.err
    text = result.out.decode()
    for word in ["end to end", "network alone", "p99", "pictures/s", "openvino", "hash", "machine"]:
        assert word in text
    chart = cv2.imread(str(tmp_path / "a.png"))
    assert chart.shape[1] == 1840 and len({tuple(p) for p in chart[::4, ::4].reshape(-1, 3)}) > 10
    assert bench(model, "--only", "latency", "--chart", tmp_path / "a.svg").code == 0
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")


def test_the_chart_replaces_no_picture(model, tmp_path):
    photo = picture(tmp_path / "a.png")
    before = photo.read_bytes()
    result = bench(model, tmp_path, "--chart", photo)
    assert result.code == 2 and "a.png" in result.err and photo.read_bytes() == before


def test_batch(dynamic_model):
    report = json.loads(bench(dynamic_model, "--batch", "3", "--json").out)
    assert report["model"]["batch"] == 3
    assert report["latency_ms"]["network"]["mean"] <= report["latency_ms"]["end_to_end"]["mean"]


@pytest.mark.parametrize("args, word", [
    (["--chart", "a.gif"], ".svg"), (["--sizes", "12"], "--sizes"), (["--sizes", "0x5"], "--sizes"),
    (["--time", "0"], "--time"), (["--count", "x"], "--count")])
def test_usage(model, args, word):
    result = run("bench", model, *args)
    assert result.code == 2 and word in result.err


def test_nothing_to_measure(model, tmp_path):
    result = run("bench", model, tmp_path / "none.jpg")
    assert result.code == 3 and "none.jpg" in result.err
    assert run("bench", tmp_path / "none.onnx").code == 4
    assert bench(model, "--chart", "/dev/null/a.png").code == 1
