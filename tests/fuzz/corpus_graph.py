#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes corpus/graph: networks of a few kilobytes that together use every pass of the graph compiler.
    .venv/bin/python tests/fuzz/corpus_graph.py"""
import pathlib
import sys

import numpy as np
import onnx

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "models"))

import blocks
import heads
from net import Net


def v5(net, x, classes=1):
    x = heads.v5_logits(net, x, classes, 0.01, np.zeros(classes, np.float32))
    rows, _ = heads.v5_decode(net, x, 8, [[8, 8], [16, 8], [8, 16]], classes)
    net.concat([rows], 1)
    return [(net.name_output("output"), (1, "rows", 5 + classes))]


def v8(net, x):
    box, scores = net.conv(x, 64, act=None), net.conv(x, 2, act=None)
    flat = net.reshape(net.concat([box.name, scores.name], 1), 1, 66, -1)
    box, scores = net.split_names(flat, [64, 2], 1)
    near, far = net.split_names(heads.distances(net, box, 1), [2, 2], 1)
    centres, pixels = heads.cells(net, [x], [8])
    first, last = net.node("Sub", [centres, near]), net.node("Add", [centres, far])
    middle = net.node("Div", [net.node("Add", [first, last]), net.real(2)])
    boxes = net.concat([middle, net.node("Sub", [last, first])], 1)
    net.concat([net.node("Mul", [boxes, pixels]), net.node("Sigmoid", [scores])], 1)
    return [(net.name_output("output"), (1, 6, "places"))]


def c3(net, x):
    return blocks.c3(net, net.conv(net.conv(x, 8, 6, 2, pad=2), 8, 3, 2), 8, 1)


def c2f(net, x):
    return blocks.c2f(net, net.conv(x, 8, 3, 4), 16, 1, True)


def pyramid(net, x):
    x = net.conv(x, 8, 3, 4)
    y = net.conv(x, 8, 3, 2)
    return net.conv(net.cat([net.upsample(y), x]), 8)


def pools(net, x):
    return blocks.sppf(net, net.conv(x, 16, 4, 4, pad=0), 8)


def attention(net, x):
    x = net.conv(x, 8, 4, 4, pad=0)
    return net.add(x, blocks.attention(net, x))


def save(name, trunk, head, **options):
    net = Net((1, 3, 32, 32), calibration=32, **options)
    outputs = head(net, net.conv(trunk(net, net.image), 8, 3, 2))
    axes = ["batch" if net.dynamic[0] else 1, 3, *(["h", "w"] if net.dynamic[2] else [32, 32])]
    model = net.model([("images", net.dtype, axes)], [(n, net.dtype, s) for n, s in outputs], {})
    onnx.save(model, HERE / "corpus/graph" / f"{name}.onnx")


if __name__ == "__main__":
    (HERE / "corpus/graph").mkdir(parents=True, exist_ok=True)
    open_axes = {"dynamic": ("batch", "height", "width")}
    save("c3-v5", c3, v5)
    save("c3-v5-dynamic", c3, v5, **open_axes)
    save("c2f-v8", c2f, v8)
    save("c2f-v8-dynamic", c2f, v8, **open_axes)
    save("pyramid-v5-half", pyramid, v5, half=True)
    save("pools-v5", pools, v5, opset=13)
    save("attention-v5", attention, v5)
    (HERE / "corpus/graph/empty").write_bytes(b"")
    (HERE / "corpus/graph/text").write_bytes(b"not a network")
