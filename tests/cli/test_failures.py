# SPDX-License-Identifier: Apache-2.0
"""Bad inputs, bad models, outputs that cannot be written: each with its message and exit code, and
everything else done."""
import io
import json
import os
import shutil
import struct
import subprocess
import zlib

import numpy as np
import onnx
import pytest
from conftest import PROGRAM, Spec, detect, environment, model_path, picture, run
from onnx import TensorProto, helper
from PIL import Image


def png(width, height, body=b""):
    """A PNG whose header says what it likes."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body)) + \
        chunk(b"IEND", b"")


def truncated(kind):
    out = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(out, kind)
    return out.getvalue()[:len(out.getvalue()) // 2]


BAD_PICTURES = {
    "empty.jpg": b"",
    "text.png": b"this is no picture at all\n",
    "header.jpg": b"\xff\xd8\xff\xe0",
    "lying.png": png(60000, 60000),
    "zero.png": png(0, 10),
    "short.png": png(64, 64, b"\0" * 100),
    "truncated.png": truncated("PNG"),
    "truncated.webp": truncated("WEBP"),
    "truncated.tif": truncated("TIFF"),
    "truncated.bmp": truncated("BMP"),
    "truncated.gif": truncated("GIF"),
}


@pytest.fixture
def mixed(tmp_path):
    """Bad pictures with a good one before, between and after."""
    root = tmp_path / "mixed"
    picture(root / "a.png")
    for name, data in BAD_PICTURES.items():
        (root / name).write_bytes(data)
    shutil.copy(root / "a.png", root / "m.png")
    shutil.copy(root / "a.png", root / "z.png")
    return root


@pytest.mark.parametrize("batch", ["1", "4"])
def test_bad_pictures(dynamic_model, mixed, batch):
    result = detect(dynamic_model, mixed, mixed / "missing.jpg", "--batch", batch, "--imgsz", "64")
    assert result.code == 3
    lines = {os.path.basename(line["source"]): line for line in result.lines}
    assert [line["source"] for line in result.lines] == \
        sorted(str(p) for p in mixed.iterdir()) + [str(mixed / "missing.jpg")]
    for name, line in lines.items():
        if name in ("a.png", "m.png", "z.png"):
            assert "detections" in line
            continue
        assert set(line) == {"schema", "source", "error"}
        assert line["error"].startswith(line["source"] + ": ")
        assert f"saccade: {line['error']}\n" in result.err
    assert lines["a.png"]["detections"] == lines["z.png"]["detections"]
    assert "limit" in lines["lying.png"]["error"]
    assert "No such file" in lines["missing.jpg"]["error"]
    assert f"3 pictures (and {len(BAD_PICTURES) + 1} unreadable)" in result.err


def test_all_outputs_survive_bad_pictures(model, mixed, tmp_path):
    out = tmp_path / "out"
    result = detect(model, mixed, "--save", out / "save", "--txt", out / "txt",
                    "--coco", out / "coco.json", "--csv", out / "a.csv", "--crops", out / "crops")
    assert result.code == 3 and not result.out
    assert sorted(p.stem for p in (out / "save").iterdir()) == ["a", "m", "z"]
    assert sorted(p.stem for p in (out / "txt").iterdir()) == ["a", "m", "z"]
    json.loads((out / "coco.json").read_text())


def test_directory_errors(model, photos, tmp_path):
    through_a_file = photos[0] / "sub.jpg"
    result = detect(model, through_a_file, photos[1])
    assert result.code == 3 and "Not a directory" in result.err
    assert "detections" in result.lines[1]


def as_nobody(*args):
    """As a user without rights, where we are root."""
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 \
        else []
    return subprocess.run([*prefix, PROGRAM, *map(str, args)], capture_output=True, check=False,
                          env=environment(XDG_CACHE_HOME="/nonexistent"))


def reachable(tmp_path):
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and len(folder.parts) > 2:
            folder.chmod(0o755)


@pytest.mark.skipif(os.getuid() == 0 and not shutil.which("setpriv"), reason="no setpriv")
def test_unreadable_paths(model, tmp_path):
    own = shutil.copy(model, tmp_path / "m.onnx")
    reachable(tmp_path)
    root = tmp_path / "d"
    picture(root / "a.png")
    shutil.copy(root / "a.png", root / "b.png")
    (root / "sub").mkdir()
    (root / "a.png").chmod(0)
    (root / "sub").chmod(0)
    done = as_nobody("detect", own, "-r", root, "--no-cache")
    assert done.returncode == 3, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [("error" in line) for line in lines] == [True, False, True]
    assert done.stderr.count(b"Permission denied") == 2
    (root / "a.png").chmod(0o644)
    (root / "sub").chmod(0o755)
    done = as_nobody("detect", own, root, "--no-cache", "--save", root / "out")
    assert done.returncode == 1 and b"Permission denied" in done.stderr
    os.chmod(own, 0)
    done = as_nobody("detect", own, root, "--no-cache")
    assert done.returncode == 4 and b"Permission denied" in done.stderr


# --- outputs

@pytest.mark.parametrize("option", ["--json", "--coco", "--csv"])
def test_full_device(model, photos, option):
    result = detect(model, *photos, option, "/dev/full")
    assert result.code == 1 and "saccade: /dev/full: " in result.err
    assert result.err.count("No space left") == 1


def test_full_stdout(model, photos):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PROGRAM, "detect", model, photos[0]], stdout=full,
                              stderr=subprocess.PIPE, env=environment(), check=False)
    assert done.returncode == 1 and b"No space left" in done.stderr


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    root = tmp_path / "disk"
    root.mkdir()
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", root],
                                          capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a small file system here")
    yield root
    subprocess.run(["umount", root], check=True)


def test_full_disk_leaves_whole_files(model, small_disk, tmp_path):
    root = tmp_path / "photos"
    for i in range(40):
        picture(root / f"{i:02d}.png", 400, 300, seed=i)
    result = detect(model, root, "--save", small_disk / "out", "--image-format", "png",
                    "--json", tmp_path / "out.jsonl")
    assert result.code == 1 and "No space left on device" in result.err
    written = sorted((small_disk / "out").iterdir())
    assert 0 < len(written) < 40
    for path in written:
        assert path.suffix == ".png"
        Image.open(path).load()
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["source"] for line in lines] == \
        [str(root / f"{i:02d}.png") for i in range(len(lines))]


@pytest.mark.parametrize("option", ["--save", "--txt", "--crops"])
def test_folder_that_cannot_be_made(model, photos, option):
    result = detect(model, photos[0], option, photos[1] / "out")
    assert result.code == 1 and str(photos[1]) in result.err and not result.out


@pytest.mark.parametrize("option", ["--json", "--coco", "--csv"])
def test_file_that_cannot_be_made(model, photos, tmp_path, option):
    made = tmp_path / "new" / "folder" / "a"
    assert detect(model, photos[0], option, made).code == 0 and made.stat().st_size
    result = detect(model, photos[0], option, photos[0] / "a")
    assert result.code == 1 and str(photos[0]) in result.err and not result.out
    result = detect(model, photos[0], option, tmp_path)
    assert result.code == 1 and str(tmp_path) in result.err


# --- models

def network(output_shape, channels=3, metadata=None, input_type=TensorProto.FLOAT, batch=1,
            output_type=TensorProto.FLOAT):
    """A network that ignores its picture and gives zeros."""
    zeros = helper.make_node("Constant", [], ["zeros"], value=helper.make_tensor(
        "v", TensorProto.FLOAT, output_shape, np.zeros(output_shape, np.float32).ravel()))
    cast = helper.make_node("Cast", ["images"], ["f"], to=TensorProto.FLOAT)
    total = helper.make_node("ReduceSum", ["f"], ["sum"], keepdims=0)
    add = helper.make_node("Add", ["zeros", "sum"], ["added"])
    last = helper.make_node("Cast", ["added"], ["output0"], to=output_type)
    graph = helper.make_graph(
        [zeros, cast, total, add, last], "g",
        [helper.make_tensor_value_info("images", input_type, [batch, channels, 64, 64])],
        [helper.make_tensor_value_info("output0", output_type, output_shape)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    for key, value in (metadata or {}).items():
        model.metadata_props.append(onnx.StringStringEntryProto(key=key, value=value))
    return model.SerializeToString()


CODES = {"names": "{0: 'a', 1: 'b'}", "stride": "32"}
BAD_MODELS = {
    "empty": b"",
    "text": b"this is no network\n",
    "picture": png(8, 8),
    "truncated": None,  # half of a real one
    "classification": network([1, 1000], metadata={**CODES, "task": "classify"}),
    "classification without metadata": network([1, 1000]),
    "segmentation": network([1, 38, 84], metadata={**CODES, "task": "segment"}),
    "batch of a hundred thousand": network([1, 6, 84], metadata=CODES, batch=100000),
    "one channel": network([1, 6, 84], channels=1, metadata={**CODES, "task": "detect"}),
    "names are no literal": network([1, 6, 84], metadata={"names": "{0: 'a', 1:", "stride": "32"}),
    "output of integers": network([1, 6, 84], metadata=CODES, output_type=TensorProto.INT64),
    "no known output": network([1, 3, 5, 7], metadata=CODES),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_bad_models(model, name, photos, tmp_path):
    data = BAD_MODELS[name]
    path = tmp_path / "bad.onnx"
    path.write_bytes(model.read_bytes()[:-100000] if data is None else data)
    result = detect(path, photos[0], "--precision", "fp32")
    assert result.code == 4, result.err
    assert "bad.onnx: " in result.err and not result.out
    assert len(result.err.splitlines()) == 1 and len(result.err) > 40
    result = run("inspect", path)
    assert result.code == 4 and "bad.onnx: " in result.err


def test_missing_model(photos):
    result = detect("missing.onnx", photos[0])
    assert result.code == 4 and "missing.onnx: No such file" in result.err.replace("cannot be opened: ", "")


def test_model_may_fail_before_outputs_are_made(photos, tmp_path):
    result = detect("missing.onnx", photos[0], "--save", tmp_path / "out")
    assert result.code == 4 and not (tmp_path / "out").exists()


def test_classes_without_names_get_some(photos):
    path = model_path(Spec("v8n", size=(64, 64), classes=3, metadata=False))
    result = detect(path, photos[0], "--conf", "0", "--max-det", "5")
    assert result.code == 0, result.err
    found = json.loads(result.out)["detections"]
    assert found and all(d["class"] == f"class{d['class_id']}" for d in found)


@pytest.mark.parametrize("names", ["{0: 'a'}", "{0: 'a', 1: 'b', 2: 'c'}"])
def test_names_of_another_model(photos, tmp_path, names):
    path = tmp_path / "bad.onnx"
    path.write_bytes(network([1, 6, 84], metadata={"names": names, "stride": "32"}))
    result = detect(path, photos[0])
    assert result.code == 4 and "2 classes" in result.err and "`names`" in result.err


def test_no_file_is_left_half_written(model, photos, tmp_path):
    """An output file appears under its name only when it is whole."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "old.csv").write_text("old\n")
    done = detect(model, *photos, "--csv", out / "old.csv", "--coco", out / "new.json")
    assert done.code == 0
    assert sorted(p.name for p in out.iterdir()) == ["new.json", "old.csv"]
    assert "old" not in (out / "old.csv").read_text()
