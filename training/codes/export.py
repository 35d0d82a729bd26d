# SPDX-License-Identifier: Apache-2.0
"""Writes a trained network as ONNX: python -m codes.export ema.pt model.onnx.

Weights can be stored in half precision (--half), each followed by a Cast: the graph itself runs in
fp32, so that every engine takes it, at half the size.
"""

import argparse
import datetime
import json
import math
import pathlib

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from . import CLASSES
from .model import Decoded, Yolo

SIZE = {"n": 640, "n6": 1280}
OPSET = 13


def load(path):
    """The averaged network of a checkpoint, batch norms folded, in fp32."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    net = Yolo(saved["shape"])
    net.load_state_dict({k: v.float() if v.dtype.is_floating_point else v
                         for k, v in saved["ema"].items()})
    return net.eval().fuse()


def chosen_threshold(figures):
    """One threshold for every precision."""
    return sum(f["best_threshold"] for f in figures.values()) / len(figures)


def calibrate(net, threshold, usual=0.25):
    """Shifts objectness so that a sure class at score threshold comes out as usual."""
    shift = math.log(usual / (1 - usual)) - math.log(threshold / (1 - threshold))
    for head in net.head:
        head.bias.data.view(3, -1)[:, 4] += shift
    return net


class Graph:
    """Collects nodes and weights of an ONNX graph."""

    def __init__(self, half):
        self.nodes, self.weights, self.half = [], [], half

    def add(self, kind, inputs, outputs=1, **attributes):
        names = [f"{kind.lower()}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=names[0], **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, name, value):
        if name not in {w.name for w in self.weights}:
            self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weight(self, name, tensor):
        value = tensor.detach().numpy()
        if not self.half:
            return self.constant(name, value)
        return self.add("Cast", [self.constant(name, value.astype(np.float16))], to=TensorProto.FLOAT)

    def plain_conv(self, name, conv, x):
        inputs = [x, self.weight(name + ".weight", conv.weight), self.weight(name + ".bias", conv.bias)]
        return self.add("Conv", inputs, kernel_shape=conv.kernel_size, strides=conv.stride,
                        pads=list(conv.padding) * 2, dilations=[1, 1], group=1)

    def conv(self, name, block, x):
        y = self.plain_conv(name, block.conv, x)
        return self.add("Mul", [y, self.add("Sigmoid", [y])])

    def c3(self, name, block, x):
        y = self.conv(name + ".through", block.through, x)
        for i, b in enumerate(block.blocks):
            z = self.conv(f"{name}.{i}.second", b.second, self.conv(f"{name}.{i}.first", b.first, y))
            y = self.add("Add", [y, z]) if b.shortcut else z
        around = self.conv(name + ".around", block.around, x)
        return self.conv(name + ".join", block.join, self.add("Concat", [y, around], axis=1))

    def sppf(self, name, block, x):
        parts = [self.conv(name + ".first", block.first, x)]
        for _ in range(3):
            parts.append(self.add("MaxPool", [parts[-1]], kernel_shape=[5, 5], strides=[1, 1],
                                  pads=[2, 2, 2, 2]))
        return self.conv(name + ".join", block.join, self.add("Concat", parts, axis=1))

    def upsample(self, x):
        scale = self.constant("upsample.scale", np.array([1, 1, 2, 2], np.float32))
        return self.add("Resize", [x, "", scale], mode="nearest", nearest_mode="floor",
                        coordinate_transformation_mode="asymmetric")

    def features(self, net, x):
        x, kept = self.conv("stem", net.stem, x), []
        for i, (down, stage) in enumerate(zip(net.down, net.stage, strict=True)):
            x = self.c3(f"stage{i}", stage, self.conv(f"down{i}", down, x))
            kept.append(x)
        x = self.sppf("sppf", net.sppf, x)
        kept, side = kept[1:-1], []
        for i, (lateral, join) in enumerate(zip(net.lateral, net.top_down, strict=True)):
            side.append(self.conv(f"lateral{i}", lateral, x))
            x = self.c3(f"top_down{i}", join,
                        self.add("Concat", [self.upsample(side[-1]), kept.pop()], axis=1))
        out = [x]
        for i, (climb, join) in enumerate(zip(net.climb, net.bottom_up, strict=True)):
            x = self.conv(f"climb{i}", climb, x)
            x = self.c3(f"bottom_up{i}", join, self.add("Concat", [x, side.pop()], axis=1))
            out.append(x)
        return out

    def decode(self, net, level, x, side):
        """Raw head values to rows of cx, cy, w, h, obj, classes."""
        n, stride, cells = 5 + net.classes, net.strides[level], side // net.strides[level]
        ints = lambda *v: np.array(v, np.int64)  # noqa: E731
        split = self.constant(f"split.{level}", ints(1, 3, n, cells, cells))
        y = self.add("Reshape", [x, split])
        y = self.add("Sigmoid", [self.add("Transpose", [y], perm=[0, 1, 3, 4, 2])])
        widths = self.constant("split.widths", ints(2, 2, n - 4))
        xy, wh, rest = self.add("Split", [y, widths], 3, axis=4)
        gx, gy = np.meshgrid(np.arange(cells), np.arange(cells))
        grid = (np.stack([gx, gy], -1)[None, None] - 0.5).astype(np.float32)
        two = self.constant("two", np.array(2, np.float32))
        xy = self.add("Add", [self.add("Mul", [xy, two]), self.constant(f"grid.{level}", grid)])
        xy = self.add("Mul", [xy, self.constant(f"stride.{level}", np.array(stride, np.float32))])
        wh = self.add("Pow", [self.add("Mul", [wh, two]), two])
        anchors = net.anchors[level].numpy().reshape(1, 3, 1, 1, 2)
        wh = self.add("Mul", [wh, self.constant(f"anchors.{level}", anchors)])
        y = self.add("Concat", [xy, wh, rest], axis=4)
        return self.add("Reshape", [y, self.constant(f"rows.{level}", ints(1, 3 * cells * cells, n))])


def build(net, side, half):
    """The fused network as an ONNX model for a (1,3,side,side) input in 0..1, RGB."""
    graph = Graph(half)
    rows = [graph.decode(net, i, graph.plain_conv(f"head{i}", head, y), side)
            for i, (head, y) in enumerate(zip(net.head, graph.features(net, "images"), strict=True))]
    graph.nodes.append(helper.make_node("Concat", rows, ["output0"], name="output0", axis=1))
    count = sum(3 * (side // s) ** 2 for s in net.strides)
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, side, side])
    output = helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, count, 5 + net.classes])
    body = helper.make_graph(graph.nodes, "codes-" + net.shape, [image], [output], graph.weights)
    model = helper.make_model(body, producer_name="saccade training",
                              opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 8
    metadata = {"description": f"saccade codes-{net.shape}: machine-readable codes in photographs",
                "license": "Apache-2.0", "date": datetime.date.today().isoformat(), "task": "detect",
                "stride": str(max(net.strides)), "batch": "1", "channels": "3",
                "imgsz": str([side, side]), "names": str(dict(enumerate(CLASSES)))}
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("checkpoint")
    p.add_argument("out")
    p.add_argument("--half", action="store_true", help="store weights in fp16, compute in fp32")
    p.add_argument("--size", type=int, help="side of the square input; default 640 or 1280 by shape")
    p.add_argument("--threshold", type=float, default=0.25,
                   help="best score threshold on generated data; it becomes the usual 0.25")
    p.add_argument("--figures", help="written by codes.agree: the threshold is the mean of its best ones")
    args = p.parse_args()
    if args.figures:
        args.threshold = chosen_threshold(json.loads(pathlib.Path(args.figures).read_text()))
        print(f"threshold {args.threshold:.3f}")
    net = calibrate(load(args.checkpoint), args.threshold)
    onnx.save(build(net, args.size or SIZE[net.shape], args.half), args.out)
    check(net, args.out, args.size or SIZE[net.shape])


def check(net, path, side):
    """The file run by ONNX Runtime must equal the network run by PyTorch."""
    import onnxruntime
    x = torch.rand(1, 3, side, side)
    with torch.no_grad():
        want = Decoded(net)(x).numpy()
    got = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(
        None, {"images": x.numpy()})[0]
    worst = np.abs(got - want).max(axis=(0, 1))
    print(f"{path}: {got.shape}, largest difference to PyTorch: box {worst[:4].max():.3g} px, "
          f"scores {worst[4:].max():.3g}")
    if worst[4:].max() > 0.02:
        raise SystemExit("the exported model differs from the trained one")


if __name__ == "__main__":
    main()
