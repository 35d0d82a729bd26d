# SPDX-License-Identifier: Apache-2.0
"""A small tracer: each call adds ONNX nodes and, with NumPy, computes their values for a few
calibration pictures. Convolutions get seeded He weights, scaled and shifted so that over these
pictures every channel has a fixed mean and deviation: what a trained and folded batch normalisation
does. Scores then follow what is in the picture, at any depth and size of picture. Two measures keep
pictures unlike the calibration's from dying out or exploding over sixty layers: weights sum to zero
over the input channels' means, and SiLU works around its steepest point, where it damps.
"""

import numpy as np
from onnx import helper, numpy_helper


# Of what goes into a SiLU. Its slope is greatest at 2.4, so deviations to either side shrink.
ACT_MEAN, ACT_DEVIATION = np.float32(2), 1.5


class Value:
    """A tensor of the graph: its name and its value (N,C,H,W) for the calibration pictures."""

    def __init__(self, name, value):
        self.name = name
        self.value = value

    @property
    def channels(self):
        return self.value.shape[1]


def calibration_pictures(count, size, seed):
    """(count,3,size,size), 0–1: noise of all scales with rectangles, disks and stripes on top, of
    different brightness, contrast, hue and sharpness; one in four has letterbox bars."""
    rng = np.random.default_rng(seed)
    return np.stack([calibration_picture(rng, size, number % 4 == 3) for number in range(count)])


def calibration_picture(rng, size, bars):
    picture = np.zeros((size, size, 3), np.float32)
    steepness = 2.0 * rng.random()  # 0: white noise, 2: smooth
    for octave in range(1, int(np.log2(size)) + 1):
        cells = 2**octave
        noise = rng.random((cells, cells, 3), np.float32) - 0.5
        noise = np.kron(noise, np.ones((size // cells, size // cells, 1), np.float32))
        picture += noise * cells ** -(steepness / 2)
    picture = 0.5 + (picture - picture.mean()) / picture.std() * 0.2
    y, x = np.mgrid[:size, :size]
    for shape in range(20):
        cx, cy = rng.random(2) * size
        w, h = size * 2.0 ** -(1.5 + 3 * rng.random(2))
        inside = (np.abs(x - cx) < w) & (np.abs(y - cy) < h)
        if shape % 3 == 1:
            inside = ((x - cx) / w) ** 2 + ((y - cy) / h) ** 2 < 1
        elif shape % 3 == 2:
            inside &= (x // 3 + y // 5) % 2 == 0
        picture[inside] = rng.random(3, np.float32)
    contrast, tint = 0.15 + rng.random(), 0.5 + 0.5 * (rng.random(3, np.float32) - 0.5)
    picture = tint + (picture - 0.5) * contrast
    if bars:
        picture[: size // 6] = picture[-(size // 6) :] = 114 / 255
    return np.clip(picture, 0, 1).transpose(2, 0, 1).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


def convolve(x, weight, stride, pad, groups):
    """(N,C,H,W) with (O,C/groups,k,k): one matrix product, or for depthwise a sum over the taps."""
    if groups > 1 and weight.shape[1] > 1:
        pairs = zip(np.split(x, groups, 1), np.split(weight, groups))
        return np.concatenate([convolve(a, b, stride, pad, 1) for a, b in pairs], 1)
    count, channels, height, width = x.shape
    out_channels, _, kernel, _ = weight.shape
    if pad:
        x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    oh, ow = (height + 2 * pad - kernel) // stride + 1, (width + 2 * pad - kernel) // stride + 1
    x = x.transpose(1, 0, 2, 3)
    places = [(i, j, x[:, :, i : i + stride * oh : stride, j : j + stride * ow : stride])
              for i in range(kernel) for j in range(kernel)]
    if groups == 1:
        columns = np.empty((kernel * kernel, channels, count, oh, ow), np.float32)
        for column, (_, _, tap) in zip(columns, places):
            column[...] = tap
        flat = weight.transpose(0, 2, 3, 1).reshape(out_channels, -1)
        out = flat @ columns.reshape(kernel * kernel * channels, -1)
    else:
        times = out_channels // groups
        out = sum(np.repeat(tap, times, 0) * weight[:, :1, i, j, None, None]
                  for i, j, tap in places)
    return out.reshape(out_channels, count, oh, ow).transpose(1, 0, 2, 3)


class Net:
    """Grows a graph for pictures of (batch, channels, height, width); what is in `dynamic`
    ("batch", "height", "width") is left open. `half` stores weights as float16, as an export with
    half=True does. `scale`: the input's value of white."""

    def __init__(self, shape, dynamic=(), seed=0, opset=17, half=False, calibration=128, scale=1.0):
        self.rng = np.random.default_rng(seed)
        self.shape, self.opset = shape, opset
        self.dynamic = [axis in dynamic for axis in ("batch", "channels", "height", "width")]
        self.dtype = np.float16 if half else np.float32
        self.nodes, self.initializers = [], []
        self.count, self.calibration = 0, calibration
        pictures = calibration_pictures(8, calibration, seed) * np.float32(scale)
        pictures = np.concatenate([pictures] * -(-shape[1] // 3), 1)[:, : shape[1]]
        self.image = Value("images", pictures)

    # graph only

    def name(self, stem):
        self.count += 1
        return f"{stem}_{self.count}"

    def node(self, op, inputs, outputs=1, **attributes):
        """Adds a node; returns the name of its output, or a list of names."""
        names = [self.name(op.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=self.name(op), **attributes))
        return names[0] if outputs == 1 else names

    def name_output(self, name):
        """Gives the last node's output its public name."""
        self.nodes[-1].output[0] = name
        return name

    def real(self, array):
        """A constant of the network's own type."""
        return self.constant(np.asarray(array, self.dtype))

    def integers(self, *values):
        return self.constant(np.array(values, np.int64))

    def constant(self, array):
        name = self.name("const")
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def static(self, axes=(0, 2, 3)):
        return not any(self.dynamic[axis] for axis in axes)

    def extent(self, x, axis):
        """Extent of a feature map in the real network: a number, or the name of a (1,) tensor."""
        if axis == 1:
            return x.channels
        if self.dynamic[axis]:
            shape = self.node("Shape", [x.name])
            return self.node("Gather", [shape, self.integers(axis)], axis=0)
        whole = self.shape[axis]
        return whole if axis == 0 else x.value.shape[axis] * whole // self.calibration

    def shape_of(self, extents):
        """An int64 vector of numbers and names of (1,) tensors."""
        if not any(isinstance(e, str) for e in extents):
            return self.integers(*extents)
        return self.concat([e if isinstance(e, str) else self.integers(e) for e in extents], 0)

    def reshape(self, x, *extents):
        return self.node("Reshape", [x, self.shape_of(extents)])

    def concat(self, values, axis):
        return self.node("Concat", values, axis=axis)

    def slice(self, x, start, end, axis, step=1):
        parts = [self.integers(v) for v in (start, end, axis, step)]
        return self.node("Slice", [x, *parts])

    def unsqueeze(self, x, axis):
        if self.opset < 13:
            return self.node("Unsqueeze", [x], axes=[axis])
        return self.node("Unsqueeze", [x, self.integers(axis)])

    def squeeze(self, x, axis):
        if self.opset < 13:
            return self.node("Squeeze", [x], axes=[axis])
        return self.node("Squeeze", [x, self.integers(axis)])

    def reduce_max(self, x, axis, keep=0):
        if self.opset < 18:
            return self.node("ReduceMax", [x], axes=[axis], keepdims=keep)
        return self.node("ReduceMax", [x, self.integers(axis)], keepdims=keep)

    def split_names(self, x, sizes, axis):
        if self.opset < 13:
            return self.node("Split", [x], len(sizes), axis=axis, split=list(sizes))
        return self.node("Split", [x, self.integers(*sizes)], len(sizes), axis=axis)

    # graph and value

    def conv(self, x, out, kernel=1, stride=1, groups=1, act="silu", pad=None, spread=ACT_DEVIATION,
             shift=None):
        """Convolution with bias, then the activation ("silu" or None). `spread`: the deviation that
        the calibration pictures' outputs get, one or one a channel; `shift`: from these values to
        what to add to each channel."""
        pad = kernel // 2 if pad is None else pad
        shape = (out, x.channels // groups, kernel, kernel)
        gain = np.float32(np.prod(shape[1:]) ** -0.5)
        weight = self.rng.standard_normal(shape, np.float32) * gain
        if groups == 1:
            weight = without_mean(weight, x.value.mean((0, 2, 3)))
        value = convolve(x.value, weight, stride, pad, groups)
        scale, bias = normalisation(value, spread)
        weight *= scale[:, None, None, None]
        value = value * scale[None, :, None, None] + bias[None, :, None, None]
        if act:
            bias, value = bias + ACT_MEAN, value + ACT_MEAN
        if shift:
            more = np.rint(np.asarray(shift(value)) * 64).astype(np.float32) / 64
            bias, value = bias + more, value + more[None, :, None, None]
        return self.add_conv(x, weight, bias, value, stride, pad, groups, act)

    def add_conv(self, x, weight, bias, value, stride, pad, groups, act):
        inputs = [x.name, self.real(weight), self.real(bias)]
        kernel = weight.shape[2]
        name = self.node("Conv", inputs, kernel_shape=[kernel, kernel], strides=[stride, stride],
                         pads=[pad] * 4, group=groups, dilations=[1, 1])
        result = Value(name, value)
        return self.silu(result) if act == "silu" else result

    def silu(self, x):
        gate = self.node("Sigmoid", [x.name])
        return Value(self.node("Mul", [x.name, gate]), x.value * sigmoid(x.value))

    def add(self, a, b):
        return Value(self.node("Add", [a.name, b.name]), a.value + b.value)

    def cat(self, values):
        name = self.concat([v.name for v in values], 1)
        return Value(name, np.concatenate([v.value for v in values], 1))

    def split(self, x, sizes):
        names = self.split_names(x.name, sizes, 1)
        parts = np.split(x.value, np.cumsum(sizes)[:-1], 1)
        return [Value(n, p) for n, p in zip(names, parts)]

    def pool(self, x, kernel):
        """Max pooling, stride 1, same size."""
        pad = kernel // 2
        name = self.node("MaxPool", [x.name], kernel_shape=[kernel, kernel], pads=[pad] * 4,
                         strides=[1, 1])
        padded = np.pad(x.value, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=-np.inf)
        for axis in (2, 3):
            windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis)
            padded = windows.max(-1)
        return Value(name, padded)

    def upsample(self, x):
        scales = self.constant(np.array([1, 1, 2, 2], np.float32))
        region = self.constant(np.zeros(0, np.float32)) if self.opset < 13 else ""
        name = self.node("Resize", [x.name, region, scales], mode="nearest", nearest_mode="floor",
                         coordinate_transformation_mode="asymmetric")
        return Value(name, x.value.repeat(2, 2).repeat(2, 3))

    # the file

    def model(self, inputs, outputs, metadata):
        """inputs and outputs: (name, dtype, shape); a shape holds numbers and names."""
        def info(name, dtype, shape):
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
            return helper.make_tensor_value_info(name, kind, shape)

        graph = helper.make_graph(self.nodes, "main_graph", [info(*i) for i in inputs],
                                  [info(*o) for o in outputs], self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)],
                                  ir_version=8 if self.opset < 19 else 9,
                                  producer_name="saccade-test-models")
        for key, value in metadata.items():
            entry = model.metadata_props.add()
            entry.key, entry.value = key, str(value)
        return model


def without_mean(weight, mean):
    """(O,C,k,k) made orthogonal to the input channels' means, tap by tap: neither brightness nor
    the zeros around a feature map then reach the output."""
    along = np.einsum("ocij,c->oij", weight, mean) / (mean @ mean + np.float32(1e-6))
    return weight - along[:, None] * mean[:, None, None]


def normalisation(value, spread):
    """Scale and bias a channel, rounded so that a sum in another order gives the same model."""
    deviation = np.maximum(value.std((0, 2, 3)), 1e-3)
    scale = 2.0 ** (np.rint(np.log2(spread / deviation) * 64) / 64)
    bias = np.rint(-value.mean((0, 2, 3)) * scale * 256) / 256
    return scale.astype(np.float32), bias.astype(np.float32)
