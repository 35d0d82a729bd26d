# SPDX-License-Identifier: Apache-2.0
"""The command line and the examples with the CUDA engine, emulated on the processor: what they say
and that both feeds give the same boxes. Speed means nothing here."""
import importlib.util
import json
import pathlib
import subprocess
import sys

import cv2
import pytest
from conftest import BUILD, boxes, environment, picture, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLUGINS = BUILD / "lib" / "emulated"
pytestmark = pytest.mark.skipif(not (PLUGINS / "libsaccade-cuda.so").exists(),
                                reason="this build has no emulated CUDA plugin")


@pytest.fixture(scope="module")
def gpu(tmp_path_factory):
    """Settings under which the emulated plugin is the only one; kernels are not tuned."""
    return {"SACCADE_PLUGINS": str(PLUGINS), "SACCADE_TUNE_SECONDS": "0",
            "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Networks of a few kilobytes."""
    folder = tmp_path_factory.mktemp("tiny")
    subprocess.run([sys.executable, ROOT / "tests" / "cuda" / "models.py", folder], check=True)
    return {name: folder / f"tiny-{name}.onnx" for name in ("v5", "v8", "half", "unknown")}


def example(name, *args, env):
    return subprocess.run([BUILD / "bin" / f"example_{name}", *map(str, args)], text=True,
                          capture_output=True, env=environment(**env), timeout=300, check=False)


def test_devices(gpu):
    found = json.loads(run("devices", "--json", env=gpu).out)["devices"]
    cuda = [d for d in found if d["backend"] == "cuda"]
    assert [d["device"] for d in cuda] == ["cuda:0"] and cuda[0]["available"]
    assert "compute capability 9.0" in cuda[0]["details"] and "GiB" in cuda[0]["details"]
    assert not next(d for d in found if d["backend"] == "openvino")["available"]


def test_a_gpu_that_is_not_there(gpu, tiny, tmp_path):
    result = run("detect", tiny["v8"], picture(tmp_path / "a.png"), "--device", "cuda:7", env=gpu)
    assert result.code == 5 and "cuda:7" in result.err


def test_both_feeds_give_the_same_boxes(gpu, tiny, photos):
    found = [run("detect", tiny["v5"], *photos, "--imgsz", "64", "--batch", "2", "--device", "cuda",
                 "--feed", feed, "-q", env=gpu) for feed in ("resident", "staged", "auto")]
    assert all(r.code == 0 for r in found), found[0].err
    assert boxes(found[0]) == boxes(found[1]) == boxes(found[2])
    assert sum(map(len, boxes(found[0]))) > len(photos)
    assert all(line["ms"]["network"] > 0 for line in found[0].lines)


def test_feed_on_a_processor(model, photos):
    result = run("detect", model, photos[0], "--feed", "resident", "--device", "cpu")
    assert result.code == 4 and "feed resident" in result.err
    assert run("detect", model, photos[0], "--feed", "flying").code == 2


@pytest.mark.parametrize("kind", ["v8", "half"])
def test_examples(gpu, tiny, kind, tmp_path):
    path = picture(tmp_path / "a.png", 200, 150)
    expected = run("detect", tiny[kind], path, "--device", "cuda", "-q", env=gpu)
    assert expected.code == 0, expected.err
    lines = [f"{d['class_id']} {d['score']:.3f} " + " ".join(f"{v:.1f}" for v in d["box"])
             for d in boxes(expected)[0]]
    assert lines
    for name in ("staged", "resident"):
        done = example(name, tiny[kind], path, "cuda:0", env=gpu)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == lines


def test_inspect_shows_the_plan(gpu, tiny):
    text = run("inspect", tiny["v8"], "--device", "cuda", env=gpu).out.decode()
    assert "engine     cuda" in text and "kernel" in text and "roof" in text
    found = json.loads(run("inspect", tiny["v8"], "--device", "cuda", "--json", env=gpu).out)
    layers = found["layers"]
    assert len([layer for layer in layers if layer["kind"] == "conv"]) > 5
    assert all(layer["kernel"] and layer["shape"] and layer["bytes"] > 0 for layer in layers)
    assert all(layer["flop"] > 0 for layer in layers if layer["kind"] == "conv")
    assert found["raw_maps"] is True


def test_an_operator_that_it_does_not_have(gpu, tiny, tmp_path):
    result = run("detect", tiny["unknown"], picture(tmp_path / "a.png"), "--device", "cuda", env=gpu)
    assert result.code == 4 and "Erf" in result.err and "odd_one" in result.err


def bench(gpu, *args):
    return run("bench", *args, "--device", "cuda", "--count", "2", "--warmup", "1", "--sizes",
               "96x64,64x48", env=gpu)


def test_bench_json(gpu, tiny):
    result = bench(gpu, tiny["v5"], "--imgsz", "64", "--batches", "1,2", "--json")
    assert result.code == 0, result.err
    report = json.loads(result.out)
    rows = report["gpu"]
    feeds = ["staged", "resident", "resident, no copy"]
    assert [(r["batch"], r["feed"]) for r in rows] == [(b, feed) for b in (1, 2) for feed in feeds]
    for row in rows:
        whole = row["end_to_end_ms"]
        assert 0 < whole["min"] <= whole["p50"] <= whole["p99"] and whole["count"] == 2
        assert row["network_alone_ms"]["p50"] > 0 and row["frames_per_second"] > 0
        assert {"network", "boxes", "letterbox"} <= set(row["stages_ms"])
        assert ("upload" in row["stages_ms"]) or row["feed"] != "resident"
    assert rows[0]["boxes_a_frame"] == rows[1]["boxes_a_frame"]


def test_bench_table_and_chart(gpu, tiny, tmp_path):
    chart = tmp_path / "a.png"
    result = bench(gpu, tiny["v8"], "--feed", "resident", "--chart", chart)
    text = result.out.decode()
    assert result.code == 0, result.err
    assert "resident" in text and "network alone" in text and "\n    1  staged" not in text
    assert cv2.imread(str(chart)).shape[1] == 1840
    assert bench(gpu, tiny["v5"], "--imgsz", "64", "--batches", "1,x").code != 0


# --- the report of bench/gpu.py

@pytest.fixture(scope="module")
def reporter():
    spec = importlib.util.spec_from_file_location("gpu", ROOT / "bench" / "gpu.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_agreement(reporter):
    box = [10.0, 10.0, 30.0, 50.0, 0.9, 1]
    near, other = [11.0, 10.0, 30.0, 50.0, 0.8, 1], [10.0, 10.0, 30.0, 50.0, 0.9, 2]
    assert reporter.agreement([[box]], [[near]]) == 1.0
    assert reporter.agreement([[box]], [[other]]) == 0.0
    assert reporter.agreement([[box, other]], [[near]]) == pytest.approx(2 / 3)
    assert reporter.agreement([[]], [[]]) == 1.0


def test_report(reporter, gpu, tiny, tmp_path, monkeypatch):
    """Ours measured emulated, peers made up: tables, chart and JSON hold together."""
    name = "n-640-b1"
    row = json.loads(bench(gpu, tiny["v8"], "--json").out)
    row["boxes"] = {"staged": [[]], "resident": [[]]}
    times = {"p50": 4.0}
    peers = {"versions": {"torch": "2"}, "compile_mode": "x", "cases": {name: {
        "engines": {"eager": {"clock": times, "events": times}},
        "ways": {"numpy": {"engine": "graphed", "ms": {"p50": 9.0}, "boxes": [[]],
                           "stages_ms": {"letterbox": 5.0, "network": 4.0}}}}}}
    report = {"machine": {"date": "2000-01-01", "gpu": "NVIDIA Toy", "driver": "1", "memory": "1",
                          "commit": "abc", "saccade": "0"},
              "ours": {name: row}, "peers": peers, "kernels": {"check_a --bench": "1 µs"}}
    row["layers"] = [{"shape": "1x2", "kernel": "mma", "us": 9.0, "roof_us": 1.0}]
    monkeypatch.setattr(sys, "argv", ["gpu.py", str(BUILD), "--results", str(tmp_path)])
    stem = reporter.write_report(reporter.arguments(), report)
    figures = report["figures"]
    assert stem == tmp_path / "2000-01-01-toy"
    assert figures[0]["peers"]["numpy way"] == 9.0 and figures[0]["agree"]["staged, resident"] == 1
    text = (tmp_path / "2000-01-01-toy.md").read_text()
    assert "| n-640-b1 |" in text and "check_a --bench" in text and "| 1x2 | mma |" in text and "9.000" in text
    assert json.loads((tmp_path / "2000-01-01-toy.json").read_text())["figures"] == figures


def test_draw_chart(tmp_path):
    chart = {"title": "T", "lines": ["a", "b"], "parts": ["up", "run"], "bars": [
        {"name": f"bar {i}", "parts": [i, 2], "total": "x", "detail": "y"} for i in range(3)]}
    source, out = tmp_path / "c.json", tmp_path / "c.svg"
    source.write_text(json.dumps(chart))
    subprocess.run([BUILD / "bin" / "draw_chart", source, out], check=True)
    assert out.read_text().startswith("<?xml")
    source.write_text("{")
    assert subprocess.run([BUILD / "bin" / "draw_chart", source, out], check=False,
                          capture_output=True).returncode == 1
