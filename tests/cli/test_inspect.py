# SPDX-License-Identifier: Apache-2.0
"""inspect and devices."""
import json
import re

import onnx
import pytest
from conftest import NAMES, Spec, model_path, run
from test_failures import network


def inspect(*args, code=0, **options):
    result = run("inspect", "--json", *args, **options)
    assert result.code == code, result.err
    return json.loads(result.out)


@pytest.mark.parametrize("arch,size,classes,rows,strides", [
    ("v5n", 160, 5, [1, 1575, 10], [8, 16, 32]),
    ("v5n6", 1280, 5, [1, 102000, 10], [8, 16, 32, 64]),
    ("v8n", 320, 80, [1, 84, 2100], [8, 16, 32]),
])
def test_json(arch, size, classes, rows, strides):
    path = model_path(Spec(arch, size=(size, size), classes=classes))
    found = inspect(path, "--precision", "fp32")
    first, last = found["bindings"][0], found["bindings"][-1]
    assert first["io"] == "input" and first["dtype"] == "float32" and first["index"] == 0
    assert first["shape"] == [1, 3, size, size]
    assert first["count"] == 3 * size * size and first["bytes"] == 12 * size * size
    assert last["io"] == "output" and last["shape"] == rows
    assert found["head"]["family"] == arch[:2] and found["head"]["classes"] == classes
    assert found["strides"] == strides and found["stride"] == strides[-1]
    assert len(found["names"]) == classes and found["precision"] == "fp32"
    assert found["declared"] == {"batch": 1, "width": size, "height": size}
    assert re.fullmatch("[0-9a-f]{32}", found["hash"])


def test_text(model):
    result = run("inspect", model, "--precision", "fp32")
    assert result.code == 0 and not result.err
    assert "read from  raw maps" in result.out.decode()
    text = result.out.decode()
    assert re.search(r"^0  images +in +float32 +\(1,3,160,160\) +76800 +307200$", text, re.M)
    assert re.search(r"^\d  output0? +out +float32 +\(1,1575,10\) +15750 +63000$", text, re.M)
    assert "classes    5: " + ", ".join(NAMES) in text
    assert "strides    8, 16, 32\n" in text and "engine     openvino" in text
    assert re.search(r"^head +v5, by \w+", text, re.M)


@pytest.mark.parametrize("axes,line", [
    (("batch",), "dynamic    batch (--batch)"),
    (("height", "width"), "dynamic    height (--imgsz), width (--imgsz)"),
])
def test_dynamic_extents_are_named(axes, line):
    path = model_path(Spec("v8n", size=(64, 64), classes=3, dynamic=axes))
    assert f"\n{line}\n" in run("inspect", path).out.decode()


def test_static_models_have_no_dynamic_extents(model):
    assert "dynamic" not in run("inspect", model).out.decode()


@pytest.mark.parametrize("shape,stride,strides", [
    ([1, 6, 84], "32", [8, 16, 32]),
    ([1, 6, 340], "32", [4, 8, 16, 32]),                   # P2
    ([1, 6, 84], None, [8, 16, 32]),                       # no metadata
    ([1, 3 * 20, 7], "32", [16, 32]),                      # tiny: two levels, three anchors
    ([1, 3 * 85, 7], "64", [8, 16, 32, 64]),               # P6
    ([1, 300, 6], "32", [32]),                             # end to end: the rows say nothing
])
def test_strides(tmp_path, shape, stride, strides):
    path = tmp_path / "a.onnx"
    path.write_bytes(network(shape, metadata={"stride": stride} if stride else {}))
    assert inspect(path)["strides"] == strides


def test_names_are_the_files_own(tmp_path):
    """Where OpenVINO drops an Identity, its port has both names."""
    loaded = onnx.load_from_string(network([1, 6, 84]))
    loaded.graph.node[-1].output[0] = "/a"
    for name in ("output0", "output1"):
        loaded.graph.node.append(onnx.helper.make_node("Identity", ["/a"], [name]))
    loaded.graph.output.append(onnx.helper.make_tensor_value_info("output1", 1, [1, 6, 84]))
    path = tmp_path / "a.onnx"
    path.write_bytes(loaded.SerializeToString())
    assert [b["name"] for b in inspect(path)["bindings"]] == ["images", "output0", "output1"]


def test_extent_of_zero_is_dynamic(tmp_path):
    loaded = onnx.load_from_string(network([1, 6, 84]))
    loaded.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 0
    path = tmp_path / "a.onnx"
    path.write_bytes(loaded.SerializeToString())
    assert inspect(path)["bindings"][0]["shape"] == [1, 3, 64, 64]


def test_dynamic(dynamic_model):
    found = inspect(dynamic_model)
    assert found["declared"] == {"batch": -1, "width": -1, "height": -1}
    assert found["bindings"][0]["shape"] == [1, 3, 640, 640]  # v5 metadata has no size
    found = inspect(dynamic_model, "--imgsz", "256x128", "--batch", "4")
    assert found["bindings"][0]["shape"] == [4, 3, 128, 256]


def test_default_model(model):
    assert inspect(env={"SACCADE_MODEL": str(model)})["model"] == str(model)


def test_bad_models(tmp_path):
    (tmp_path / "a.onnx").write_text("this is no network")
    for path in (tmp_path / "a.onnx", tmp_path / "missing.onnx"):
        result = run("inspect", path)
        assert result.code == 4 and path.name in result.err


def test_names_cannot_reach_the_terminal():
    path = model_path(Spec("v5n", size=(64, 64), classes=2, names=("a\033[31mb", "c\nd")))
    text = run("inspect", path).out.decode()
    assert "\033" not in text and "c?d" in text
    assert inspect(path)["names"] == ["a\033[31mb", "c\nd"]


def test_devices():
    result = run("devices")
    assert result.code == 0 and re.search(r"^cpu +openvino +ready", result.out.decode(), re.M)
    found = json.loads(run("devices", "--json").out)["devices"]
    cpu = [d for d in found if d["device"] == "cpu"]
    assert cpu and cpu[0]["available"] is True and "fp32" in cpu[0]["details"]


def test_devices_say_what_is_missing():
    result = run("devices", "--json", env={"SACCADE_PLUGINS": "/nowhere"})
    assert result.code == 0
    found = json.loads(result.out)["devices"]
    assert found and all(not d["available"] for d in found)
    assert any("/nowhere" in d["details"] for d in found)
