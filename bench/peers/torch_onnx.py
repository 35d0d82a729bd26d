# SPDX-License-Identifier: Apache-2.0
"""An ONNX file as a PyTorch module, so that PyTorch runs the very network that we run: one call of
torch a node, Sigmoid·Mul as the silu that PyTorch models are written with, what depends on constants
alone computed once.

    module, inputs = load("yolov5s.onnx", torch.float16, "cuda")
    output = module(picture)                       # (1,3,640,640) → (1,25200,85)

  python torch_onnx.py MODEL.onnx [--device cpu]   # against ONNX Runtime
"""
import argparse
import operator

import numpy as np
import onnx
import torch
import torch.fx
from torch.nn import functional


class Unknown(NotImplementedError):
    """An operator or a form of it that this reader has no call for."""


def reshape(x, shape, allowzero=0):
    extents = [int(v) for v in shape]
    if not allowzero:
        extents = [x.shape[i] if v == 0 else v for i, v in enumerate(extents)]
    return torch.reshape(x, extents)


def pads_of(attributes, rank):
    pads = attributes.get("pads", [0] * 2 * rank)
    if attributes.get("auto_pad", "NOTSET") not in ("NOTSET", ""):
        raise Unknown("auto_pad")
    if pads[:rank] != pads[rank:]:
        raise Unknown("uneven padding")
    return pads[:rank]


class Reader:
    """Builds a torch.fx graph: constants are tensors here, everything else a node."""

    def __init__(self, model, dtype, device):
        self.dtype, self.device = dtype, device
        self.graph, self.values, self.root = torch.fx.Graph(), {}, torch.nn.Module()
        self.uses = {}
        for node in model.graph.node:
            for name in node.input:
                self.uses[name] = self.uses.get(name, 0) + 1
        for value in model.graph.output:
            self.uses[value.name] = self.uses.get(value.name, 0) + 1
        for tensor in model.graph.initializer:
            self.values[tensor.name] = torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())

    def constant(self, name):
        """What is known before the network runs; None where it is not."""
        value = self.values[name]
        return value if isinstance(value, torch.Tensor) else None

    def argument(self, name):
        """As an argument of a call: floating-point constants become buffers of the network's type."""
        value = self.values[name]
        if not isinstance(value, torch.Tensor):
            return value
        if value.is_floating_point():
            value = value.to(self.dtype)
        value = value.to(self.device)
        if value.ndim == 4:
            value = value.contiguous(memory_format=torch.channels_last)
        buffer = f"constant_{len(self.root._buffers)}"
        self.root.register_buffer(buffer, value)
        return self.graph.get_attr(buffer)

    def call(self, function, *args, **kwargs):
        return self.graph.call_function(function, args, kwargs)

    def list_of(self, node, index):
        """The integers of a constant input; None where it is left out."""
        if index >= len(node.input) or not node.input[index]:
            return None
        value = self.constant(node.input[index])
        if value is None:
            raise Unknown(f"{node.op_type} '{node.name}': input {index} must be constant")
        return [v.item() for v in value.reshape(-1)]

    def add(self, node):
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        attributes = {k: v.decode() if isinstance(v, bytes) else v for k, v in attributes.items()}
        handler = getattr(self, "op_" + node.op_type.lower(), None)
        if handler is None:
            raise Unknown(f"operator {node.op_type} of node '{node.name}'")
        result = handler(node, attributes)
        results = result if isinstance(result, list) else [result]
        for name, value in zip(node.output, results):
            self.values[name] = value

    def either(self, node, function, *extra):
        """Computed now where all inputs are constant, else a call."""
        constants = [self.constant(name) for name in node.input]
        if all(c is not None for c in constants):
            return function(*constants, *extra)
        return self.call(function, *[self.argument(name) for name in node.input], *extra)

    # --- operators

    def op_constant(self, _, attributes):
        value = attributes.get("value")
        if value is not None:
            return torch.from_numpy(onnx.numpy_helper.to_array(value).copy())
        return torch.tensor(next(iter(attributes.values())))

    def op_conv(self, node, attributes):
        pads = pads_of(attributes, 2)
        x, weight = self.argument(node.input[0]), self.argument(node.input[1])
        bias = self.argument(node.input[2]) if len(node.input) > 2 else None
        return self.call(functional.conv2d, x, weight, bias, tuple(attributes.get("strides", (1, 1))),
                         tuple(pads), tuple(attributes.get("dilations", (1, 1))),
                         attributes.get("group", 1))

    def op_convtranspose(self, node, attributes):
        pads = pads_of(attributes, 2)
        x, weight = self.argument(node.input[0]), self.argument(node.input[1])
        bias = self.argument(node.input[2]) if len(node.input) > 2 else None
        return self.call(functional.conv_transpose2d, x, weight, bias,
                         tuple(attributes.get("strides", (1, 1))), tuple(pads),
                         tuple(attributes.get("output_padding", (0, 0))),
                         attributes.get("group", 1))

    def op_mul(self, node, _):
        a, b = (self.values[name] for name in node.input)
        for x, gate, name in ((a, b, node.input[1]), (b, a, node.input[0])):
            if (isinstance(gate, torch.fx.Node) and gate.target is torch.sigmoid and
                    gate.args[0] is x and self.uses[name] == 1):
                return self.call(functional.silu, x)
        return self.either(node, operator.mul)

    def op_add(self, node, _):
        return self.either(node, operator.add)

    def op_sub(self, node, _):
        return self.either(node, operator.sub)

    def op_div(self, node, _):
        constants = [self.constant(name) for name in node.input]
        if all(c is not None and not c.is_floating_point() for c in constants):
            return torch.div(*constants, rounding_mode="trunc")
        return self.either(node, operator.truediv)

    def op_pow(self, node, _):
        exponent = self.constant(node.input[1])
        if exponent is not None and exponent.numel() == 1 and exponent.item() == 2:
            x = self.argument(node.input[0])
            return self.call(operator.mul, x, x)
        return self.either(node, operator.pow)

    def op_sigmoid(self, node, _):
        return self.either(node, torch.sigmoid)

    def op_exp(self, node, _):
        return self.either(node, torch.exp)

    def op_relu(self, node, _):
        return self.either(node, functional.relu)

    def op_leakyrelu(self, node, attributes):
        return self.either(node, functional.leaky_relu, attributes.get("alpha", 0.01))

    def op_identity(self, node, _):
        return self.values[node.input[0]]

    def op_softmax(self, node, attributes):
        return self.either(node, torch.softmax, attributes.get("axis", -1))

    def op_matmul(self, node, _):
        return self.either(node, torch.matmul)

    def op_concat(self, node, attributes):
        constants = [self.constant(name) for name in node.input]
        if all(c is not None for c in constants):
            return torch.cat(constants, attributes["axis"])
        return self.call(torch.cat, [self.argument(name) for name in node.input],
                         attributes["axis"])

    def op_split(self, node, attributes):
        axis = attributes.get("axis", 0)
        sizes = attributes.get("split") or self.list_of(node, 1)
        x, constant = self.argument(node.input[0]), self.constant(node.input[0])
        if sizes is None:
            if constant is not None:
                return list(torch.chunk(constant, len(node.output), axis))
            parts = self.call(torch.chunk, x, len(node.output), axis)
        elif constant is not None:
            return list(torch.split(constant, sizes, axis))
        else:
            parts = self.call(torch.split, x, sizes, axis)
        return [self.call(operator.getitem, parts, i) for i in range(len(node.output))]

    def op_slice(self, node, _):
        starts, ends = self.list_of(node, 1), self.list_of(node, 2)
        axes = self.list_of(node, 3) or list(range(len(starts)))
        steps = self.list_of(node, 4) or [1] * len(starts)
        if any(step < 1 for step in steps):
            raise Unknown("a slice backwards")
        value = self.values[node.input[0]]
        far = np.iinfo(np.int64).max
        for start, end, axis, step in zip(starts, ends, axes, steps):
            index = slice(start, None if end >= far // 2 else end, step)
            if isinstance(value, torch.Tensor):
                value = value[(slice(None),) * axis + (index,)]
            elif step == 1:
                length = None if index.stop is None else index.stop - start
                value = (self.call(torch.narrow, value, axis, start, length)
                         if length is not None and start >= 0 and length >= 0 else
                         self.call(operator.getitem, value, (slice(None),) * axis + (index,)))
            else:
                value = self.call(operator.getitem, value, (slice(None),) * axis + (index,))
        return value

    def op_reshape(self, node, attributes):
        shape = self.list_of(node, 1)
        constant = self.constant(node.input[0])
        if constant is not None:
            return reshape(constant, shape, attributes.get("allowzero", 0))
        return self.call(reshape, self.argument(node.input[0]), shape,
                         attributes.get("allowzero", 0))

    def op_transpose(self, node, attributes):
        return self.either(node, torch.permute, tuple(attributes["perm"]))

    def op_maxpool(self, node, attributes):
        if attributes.get("ceil_mode") or any(d != 1 for d in attributes.get("dilations", [1])):
            raise Unknown("MaxPool with ceil_mode or dilations")
        return self.either(node, functional.max_pool2d, tuple(attributes["kernel_shape"]),
                           tuple(attributes.get("strides", (1, 1))), tuple(pads_of(attributes, 2)))

    def op_resize(self, node, attributes):
        if attributes.get("mode", "nearest") != "nearest":
            raise Unknown("Resize other than nearest")
        scales = self.list_of(node, 2)
        if not scales or scales[:2] != [1, 1] or scales[2] != scales[3] or scales[2] % 1:
            raise Unknown("Resize by anything but a whole number")
        x = self.argument(node.input[0])
        return self.call(functional.interpolate, x, None, float(scales[2]), "nearest")

    def op_unsqueeze(self, node, attributes):
        value = self.values[node.input[0]]
        for axis in sorted(attributes.get("axes") or self.list_of(node, 1)):
            value = (value.unsqueeze(axis) if isinstance(value, torch.Tensor)
                     else self.call(torch.unsqueeze, value, axis))
        return value

    def op_squeeze(self, node, attributes):
        value = self.values[node.input[0]]
        for axis in sorted(attributes.get("axes") or self.list_of(node, 1), reverse=True):
            value = (value.squeeze(axis) if isinstance(value, torch.Tensor)
                     else self.call(torch.squeeze, value, axis))
        return value

    def op_cast(self, node, attributes):
        value = self.constant(node.input[0])
        kinds = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool,
                 10: torch.float16, 11: torch.float64}
        if value is not None:
            return value.to(kinds[attributes["to"]])
        return self.values[node.input[0]]  # the whole network is of one type


def load(path, dtype=torch.float16, device="cuda"):
    """The module in eval mode, its one input's shape, and its first output's shape (None: open)."""
    model = onnx.load(path)
    reader = Reader(model, dtype, device)
    inputs = [v for v in model.graph.input if v.name not in reader.values]
    if len(inputs) != 1:
        raise Unknown(f"{len(inputs)} inputs")
    reader.values[inputs[0].name] = reader.graph.placeholder("x")
    for node in model.graph.node:
        reader.add(node)
    reader.graph.output(reader.argument(model.graph.output[0].name))
    module = torch.fx.GraphModule(reader.root, reader.graph).eval().requires_grad_(False)
    module.graph.eliminate_dead_code()
    module.recompile()
    shape = [d.dim_value or None for d in inputs[0].type.tensor_type.shape.dim]
    return module, shape


def error_against_onnxruntime(path, device, dtype):
    """Normalised mean square error of the output, as the CUDA engine's own proof has it."""
    import onnxruntime
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    module, shape = load(path, dtype, device)
    shape = [n or 1 for n in shape]
    x = np.random.default_rng(1).random(shape, np.float32)
    expected = session.run(None, {session.get_inputs()[0].name: x})[0].astype(np.float64)
    with torch.inference_mode():
        found = module(torch.from_numpy(x).to(device, dtype)).float().cpu().numpy()
    return float(((found - expected) ** 2).mean() / (expected ** 2).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--fp32", action="store_true")
    args = parser.parse_args()
    for path in args.models:
        dtype = torch.float32 if args.fp32 else torch.float16
        print(f"{error_against_onnxruntime(path, args.device, dtype):.3e}  {path}")


if __name__ == "__main__":
    main()
