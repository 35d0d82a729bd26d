# SPDX-License-Identifier: Apache-2.0
"""A model that ends in four outputs as TensorRT's EfficientNMS has them: how many, boxes, scores,
classes. Only the threshold and the way back to source pixels are left."""
import json
import os
import pathlib
import subprocess

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

BUILD = pathlib.Path(os.environ.get("SACCADE_BUILD", "build/release"))
BOXES = np.array([[8, 16, 40, 48], [0, 8, 64, 56], [1, 9, 2, 10], [5, 5, 6, 6]], np.float32)
SCORES = np.array([0.9, 0.5, 0.2, 0.8], np.float32)
CLASSES = np.array([1, 0, 1, 1], np.int32)
COUNT = 3  # the fourth place is left over from somewhere else


def constant(name, values):
    return numpy_helper.from_array(values[None], name)


def model(path, order):
    """Outputs that do not depend on the picture but in form: boxes + 0 · mean(picture)."""
    nodes = [helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
             helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
             helper.make_node("Add", ["b", "nothing"], ["boxes"]),
             helper.make_node("Add", ["s", "nothing"], ["scores"]),
             helper.make_node("Identity", ["c"], ["classes"]),
             helper.make_node("Identity", ["n"], ["num_dets"])]
    outputs = {"num_dets": (TensorProto.INT32, [1, 1]), "boxes": (TensorProto.FLOAT, [1, 4, 4]),
               "scores": (TensorProto.FLOAT, [1, 4]), "classes": (TensorProto.INT32, [1, 4])}
    graph = helper.make_graph(
        nodes, "four", [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info(name, *outputs[name]) for name in order],
        [constant("b", BOXES), constant("s", SCORES), constant("c", CLASSES),
         constant("n", np.array([COUNT], np.int32)),
         numpy_helper.from_array(np.zeros(1, np.float32), "zero")])
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(whole, {"names": "{0: 'a', 1: 'b'}", "stride": "32"})
    onnx.save(whole, path)


@pytest.mark.parametrize("order", [("num_dets", "boxes", "scores", "classes"),
                                   ("classes", "scores", "num_dets", "boxes")])
def test_four_outputs(order, tmp_path):
    model(tmp_path / "four.onnx", order)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((96, 128, 3), np.uint8))
    done = subprocess.run([BUILD / "bin/saccade", "detect", tmp_path / "four.onnx",
                           tmp_path / "a.png"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["detections"]
    assert [(d["class"], round(d["score"], 6)) for d in found] == [("b", 0.9), ("a", 0.5)]
    # 128 × 96 lies in 64 × 64 at half its size, eight pixels from the top
    assert found[0]["box"] == [16, 16, 80, 80] and found[1]["box"] == [0, 0, 128, 96]
    shown = subprocess.run([BUILD / "bin/saccade", "inspect", tmp_path / "four.onnx"],
                           capture_output=True, text=True)
    assert "efficient-nms" in shown.stdout
