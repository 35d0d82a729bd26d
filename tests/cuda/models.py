#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes networks of a few kilobytes for the tests of the CUDA engine, which also run emulated:
    .venv/bin/python tests/cuda/models.py FOLDER
tiny-v5.onnx (dynamic), tiny-v8.onnx (1,3,64,64), tiny-half.onnx (v5 in float16), and
tiny-unknown.onnx, whose operator the engine does not have."""
import pathlib
import sys

import numpy as np
import onnx
from onnx import helper

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "models"), str(HERE.parent / "fuzz")]

import blocks
import heads
from corpus_graph import v8
from net import Net

CLASSES = 3


def v5(net, x):
    """Two levels, strides 8 and 16; about one row in thirty above the default threshold."""
    rows = []
    for stride, anchors in ((8, [[8, 8], [16, 8], [8, 16]]), (16, [[24, 24], [32, 16], [16, 32]])):
        logits = heads.v5_logits(net, x, CLASSES, 0.03, np.zeros(CLASSES, np.float32))
        rows.append(heads.v5_decode(net, logits, stride, anchors, CLASSES)[0])
        if stride == 8:
            x = net.conv(x, 16, 3, 2)
    net.concat(rows, 1)
    return [(net.name_output("output"), (1, "rows", 5 + CLASSES))]


def trunk(net, x):
    x = net.conv(net.conv(x, 8, 6, 2, pad=2), 16, 3, 2)
    x = blocks.c3(net, x, 16, 1)
    return blocks.sppf(net, net.conv(x, 16, 3, 2), 16)


def save(path, head, size=64, output=None, **options):
    net = Net((1, 3, size, size), calibration=size, **options)
    outputs = head(net, trunk(net, net.image))
    open_size = ["h", "w"] if net.dynamic[2] else [size, size]
    axes = ["batch" if net.dynamic[0] else 1, 3, *open_size]
    names = {k: f"thing{k}" for k in range(CLASSES if head is v5 else 2)}
    metadata = {"stride": "16" if head is v5 else "8", "names": str(names), "task": "detect"}
    model = net.model([("images", net.dtype, axes)], [(n, net.dtype, s) for n, s in outputs],
                      metadata)
    onnx.save(model, path)
    return model


def spoil(model, path):
    """The same with one operator that the engine does not have."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    first = next(node for node in copy.graph.node if node.op_type == "Conv")
    erf = helper.make_node("Erf", [first.input[0]], ["odd"], name="odd_one")
    first.input[0] = "odd"
    copy.graph.node.insert(0, erf)
    onnx.save(copy, path)


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    save(folder / "tiny-v5.onnx", v5, dynamic=("batch", "height", "width"))
    static = save(folder / "tiny-v8.onnx", v8)
    save(folder / "tiny-half.onnx", v5, half=True)
    spoil(static, folder / "tiny-unknown.onnx")
