# SPDX-License-Identifier: Apache-2.0
"""The graph compiler's plan, run by its plain C reference, against ONNX Runtime on the same file: the
raw maps that the head reads, and the rows that it makes of them."""
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "models"))

import blocks
import generate
import heads
from generate import Spec, model_path
from net import Net, Value

BUILD = pathlib.Path(os.environ.get("SACCADE_BUILD", TESTS.parent / "build/release"))
TOOL = BUILD / "bin/graph_tool"
MOST_ERROR = 1e-10  # normalised mean square error of a tensor, float against float


def tool(*arguments):
    return subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True)


def normalised_error(got, expected):
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    return np.mean((got - expected) ** 2) / np.mean((expected - expected.mean()) ** 2)


def in_float(model):
    """The same network with every half made a float, so that the runtime rounds as little as we."""
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT16:
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for info in [*model.graph.input, *model.graph.output]:
        info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == onnx.TensorProto.FLOAT16:
                attribute.i = onnx.TensorProto.FLOAT
    return model


def runtime(path, names, picture):
    """Values of the first output and of inner tensors."""
    model = in_float(onnx.load(path))
    first = model.graph.output[0].name
    for name in names:
        model.graph.output.append(helper.make_empty_tensor_value_info(name))
    session = onnxruntime.InferenceSession(model.SerializeToString(),
                                           providers=["CPUExecutionProvider"])
    return session.run([first, *names], {model.graph.input[0].name: picture})


def check(path, shape, folder, most=MOST_ERROR, white=1):
    picture = np.random.default_rng(list(shape)).random((shape[0], 3, *shape[1:]), np.float32)
    picture *= np.float32(white)
    picture.tofile(folder / "input.f32")
    done = tool("run", path, *shape, folder)
    assert done.returncode == 0, done.stderr
    raw = [line.split() for line in done.stdout.splitlines()]
    assert raw
    expected = runtime(path, [name for _, name, *_ in raw], picture)
    files = ["rows.f32"] + [f"raw{number}.f32" for number, *_ in raw]
    for file, values in zip(files, expected):
        got = np.fromfile(folder / file, np.float32).reshape(values.shape)
        assert normalised_error(got, values) <= most, file


ALL_AXES = ("batch", "height", "width")
FAMILIES = [Spec("v5n", (128, 192)), Spec("v5s", (128, 192), dynamic=ALL_AXES),
            Spec("v5s6", (128, 192), 5, dynamic=ALL_AXES), Spec("v8n", (128, 192)),
            Spec("11n", (128, 192)), Spec("11s", (128, 192), 1)]


@pytest.mark.parametrize("spec", [s for s in FAMILIES if s.arch in generate.ARCHS],
                         ids=lambda s: s.arch)
def test_families(spec, tmp_path):
    check(model_path(spec), (1, *spec.size), tmp_path)


@pytest.mark.parametrize("arch", [a for a in ["v5n", "v8n", "11n"] if a in generate.ARCHS])
@pytest.mark.parametrize("shape", [(1, 64, 64), (2, 96, 160), (3, 160, 96)])
def test_dynamic_shapes(arch, shape, tmp_path):
    check(model_path(Spec(arch, (128, 128), 5, dynamic=ALL_AXES)), shape, tmp_path)


@pytest.mark.parametrize("arch,more", [
    ("v5n", {"half": True}), ("v5n", {"opset": 13}), ("v5n", {"batch": 2}), ("v5n", {"classes": 83}),
    ("v8n", {"half": True}), ("v8n", {"opset": 18}), ("v8n", {"dynamic": ("batch",)}),
    ("v8n", {"classes": 64})], ids=str)
def test_exports(arch, more, tmp_path):
    spec = Spec(arch, (96, 96), **{"classes": 3, **more})
    check(model_path(spec), (spec.batch, 96, 96), tmp_path)


def test_raw_maps_beside_the_rows(tmp_path):
    check(model_path(Spec("v5n", (64, 64), 3, raw_maps=True)), (1, 64, 64), tmp_path)


def test_weights_behind_a_cast(tmp_path):
    """Weights stored in half, widened by the graph itself."""
    model = onnx.load(model_path(Spec("v5n", (96, 96), 4)))
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.ndim != 4:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + "_half"))
        casts.append(helper.make_node("Cast", [name + "_half"], [name], to=onnx.TensorProto.FLOAT))
    for node in reversed(casts):
        model.graph.node.insert(0, node)
    path = tmp_path / "half.onnx"
    onnx.save(model, path)
    check(path, (1, 96, 96), tmp_path)


def test_nodes_in_any_order(tmp_path):
    """Converters to half append their casts at the end."""
    model = onnx.load(model_path(Spec("v5n", (64, 64), 3)))
    model.graph.node.append(helper.make_node("Cast", ["images"], ["widened"], to=1))
    for node in model.graph.node[:-1]:
        node.input[:] = ["widened" if name == "images" else name for name in node.input]
    path = tmp_path / "appended.onnx"
    onnx.save(model, path)
    check(path, (1, 64, 64), tmp_path)


@pytest.mark.parametrize("number", [1.0, 0.5])
def test_scale_on_the_queries(number, tmp_path):
    """ultralytics 8.4 scales queries, earlier versions the product; here both."""
    model = onnx.load(model_path(Spec("11n", (128, 192))))
    model.graph.initializer.append(numpy_helper.from_array(np.float32(number), "number"))
    for index, node in enumerate(model.graph.node):
        if node.op_type == "MatMul":
            break
    turn = next(n for n in model.graph.node if n.output[0] == node.input[0])
    model.graph.node.insert(index - 1, helper.make_node("Mul", [turn.input[0], "number"], ["scaled"]))
    turn.input[0] = "scaled"
    path = tmp_path / "scaled.onnx"
    onnx.save(model, path)
    check(path, (1, 128, 192), tmp_path)


def test_default_models(tmp_path):
    paths = sorted((TESTS.parent / "models").glob("*.onnx"))
    if not paths:
        pytest.skip("no default model in this tree")
    for path in paths:
        _, _, *size = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
        height, width = (d.dim_value or whole for d, whole in zip(size, (192, 160)))
        check(path, (1, height, width), tmp_path)


# Networks that the families do not contain, over a v5 or v8 head

def relu(net, x):
    return Value(net.node("Relu", [x.name]), np.maximum(x.value, 0))


def leaky(net, x):
    return Value(net.node("LeakyRelu", [x.name], alpha=0.1), np.where(x.value > 0, x.value, x.value / 10))


def gate(net, x):
    return Value(net.node("Sigmoid", [x.name]), 1 / (1 + np.exp(-x.value)))


def activations(net, x):
    x = relu(net, net.conv(x, 16, 3, 2, act=None))
    x = leaky(net, net.conv(x, 24, 3, 2, act=None))
    x = gate(net, net.conv(x, 16, 1, act=None))
    a = relu(net, x)  # after no convolution
    return net.conv(net.add(a, leaky(net, a)), 32, 3, 2)


def odd_channels(net, x):
    """Parts that do not start at multiples of 8 are copied."""
    x = net.conv(x, 20, 3, 2)
    a, b = net.conv(x, 12, 3, 2), net.conv(x, 13, 3, 2)
    return net.conv(net.cat([a, b, a]), 32, 3, 2)


def shared_parts(net, x):
    """A tensor in two concatenations, and twice in one."""
    x = net.conv(x, 16, 3, 4)
    a, b = net.conv(x, 8), net.conv(x, 16, 3)
    both = net.cat([a, b, a])
    return net.conv(net.cat([both, net.conv(both, 8), a]), 32, 3, 2)


def sliced_split(net, x):
    """A split written as two slices, as exports of dynamic shapes do."""
    x = net.conv(net.conv(x, 16, 3, 4), 32)
    parts = [Value(net.slice(x.name, at, at + 16, 1), x.value[:, at:at + 16]) for at in (0, 16)]
    y = net.add(parts[1], net.conv(parts[1], 16, 3))
    return net.conv(net.cat([*parts, y]), 32, 3, 2)


def plain_upsample(net, x):
    """The upsampled map meets a 3×3 convolution, which does not commute with it."""
    x = net.conv(x, 16, 3, 4)
    up = net.upsample(net.conv(x, 16, 3, 2))
    return net.conv(net.cat([up, x]), 32, 3, 2)


def two_readers_of_upsample(net, x):
    x = net.conv(x, 16, 3, 4)
    up = net.upsample(net.conv(x, 16, 3, 2))
    both = net.cat([x, up, net.conv(x, 8)])
    a, b = net.conv(both, 16), net.conv(both, 24, act=None)
    return net.conv(net.cat([a, relu(net, b), up]), 32, 3, 2)


def pools(net, x):
    """Parallel pools of 5, 9 and 13; a pool with a stride; a depthwise convolution with one."""
    x = net.conv(x, 16, 3, 2)
    x = net.cat([x] + [net.pool(x, k) for k in (5, 9, 13)])
    name = net.node("MaxPool", [x.name], kernel_shape=[2, 2], strides=[2, 2])
    value = x.value.reshape(*x.value.shape[:2], x.value.shape[2] // 2, 2, -1, 2).max((3, 5))
    x = Value(name, value)
    return net.conv(net.conv(x, 64, 5, 2, groups=64), 32)


def averages(net, x):
    """Average pools (v9), one with padding that counts; groups of several channels."""
    x = net.conv(x, 16, 3, 2)
    name = net.node("AveragePool", [x.name], kernel_shape=[2, 2], strides=[1, 1])
    v = x.value
    x = Value(name, (v[:, :, :-1, :-1] + v[:, :, 1:, :-1] + v[:, :, :-1, 1:] + v[:, :, 1:, 1:]) / 4)
    x = net.conv(net.conv(x, 24, 3, 2, groups=4), 48, 3, groups=24)
    name = net.node("AveragePool", [x.name], kernel_shape=[3, 3], strides=[2, 2],
                    pads=[1, 1, 1, 1], count_include_pad=1)
    v = np.pad(x.value, ((0, 0), (0, 0), (1, 1), (1, 1)))
    rows = sum(v[:, :, k:k + 15:2] for k in range(3))
    return net.conv(Value(name, sum(rows[:, :, :, k:k + 15:2] for k in range(3)) / 9), 32)


def areas(net, x):
    """v12's attention: by stripes of the map, two heads, channels last on the way, and no scale on the
    product but on the queries."""
    x = net.conv(net.conv(x, 16, 3, 4), 64, 3, 2)
    _, _, h, w = x.value.shape
    heads, stripes, each = 2, 4, 32
    qkv = net.conv(x, 3 * heads * each, act=None)
    flat = net.node("Transpose", [net.reshape(qkv.name, 1, 3 * heads * each, -1)], perm=[0, 2, 1])
    split = net.reshape(flat, stripes, h * w // stripes, heads, 3 * each)
    split = net.node("Transpose", [split], perm=[0, 2, 3, 1])
    q, k, v = net.split_names(split, [each] * 3, 2)
    q = net.node("Transpose", [net.node("Mul", [q, net.real(each**-0.5)])], perm=[0, 1, 3, 2])
    weights = net.node("Softmax", [net.node("MatMul", [q, k])], axis=-1)
    mixed = net.node("MatMul", [v, net.node("Transpose", [weights], perm=[0, 1, 3, 2])])
    maps = []
    for part in (mixed, v):
        part = net.reshape(net.node("Transpose", [part], perm=[0, 3, 1, 2]), 1, h, w, heads * each)
        maps.append(net.node("Transpose", [part], perm=[0, 3, 1, 2]))
    values = qkv.value.reshape(-1, heads, 3, each, stripes, h * w // stripes)
    vq, vk, vv = (values[:, :, part] for part in range(3))
    logits = np.einsum("nhcsi,nhcsj->nhsij", vq, vk) * each**-0.5
    soft = np.exp(logits - logits.max(-1, keepdims=True))
    soft /= soft.sum(-1, keepdims=True)
    shape = (-1, heads * each, h, w)
    mixed = Value(maps[0], np.einsum("nhsij,nhcsj->nhcsi", soft, vv).reshape(shape))
    position = net.conv(Value(maps[1], vv.reshape(shape)), heads * each, 7, groups=heads * each, act=None)
    return net.conv(net.add(mixed, position), 32)


def stem_without_padding(net, x):
    x = net.conv(x, 16, 2, 2, pad=0)
    return net.conv(net.conv(x, 16, 5, 2), 32, 7, 2)


def unfolded_stem(net, x):
    """Stride 1 over the picture, and a second reader of it."""
    return net.conv(net.cat([net.conv(x, 16, 3, 8), net.conv(net.conv(x, 8, 3), 16, 3, 8)]), 32)


TRUNKS = [activations, areas, averages, odd_channels, shared_parts, sliced_split, plain_upsample,
          two_readers_of_upsample, pools, stem_without_padding, unfolded_stem]


def save_net(trunk, head, folder, size=64, **options):
    """A network of one or two levels of stride 8 (and 16)."""
    net = Net((1, 3, size, size), calibration=size, **options)
    first = trunk(net, net.image)
    levels = [first, net.conv(first, 32, 3, 2)]
    outputs = head(net, levels)
    path = folder / "net.onnx"
    onnx.save(net.model([("images", net.dtype, (1, 3, size, size))],
                        [(n, net.dtype, s) for n, s in outputs], {}), path)
    return path


def v8_head(net, levels):
    return heads.v8(net, levels, [8, 16], 3)


@pytest.mark.parametrize("trunk", TRUNKS, ids=lambda t: t.__name__)
def test_other_networks(trunk, tmp_path):
    check(save_net(trunk, v8_head, tmp_path), (1, 64, 64), tmp_path)


# Decode tails as other versions of the exporters write them

def separate_towers(net, levels):
    """All distances in one tensor, all scores in another (ultralytics 8.4)."""
    towers = list(heads.v8_towers(net, levels, 5, 0.01, True))
    box, scores = (net.concat([net.reshape(pair[part].name, 1, channels, -1) for pair in towers], 2)
                   for part, channels in ((0, 64), (1, 5)))
    near, far = net.split_names(heads.distances(net, box, 1), [2, 2], 1)
    centres, pixels = heads.cells(net, [pair[0] for pair in towers], [8, 16])
    first, last = net.node("Sub", [centres, near]), net.node("Add", [centres, far])
    middle = net.node("Div", [net.node("Add", [first, last]), net.real(2)])
    boxes = net.concat([middle, net.node("Sub", [last, first])], 1)
    net.concat([net.node("Mul", [boxes, pixels]), net.node("Sigmoid", [scores])], 1)
    return [(net.name_output("output0"), (1, 9, 80))]


def v5_by_slices(net, levels):
    """y[..., 0:2]·2 - 0.5 + grid: slices instead of splits (yolov5 6, v7)."""
    rows = []
    for x, stride, anchors in zip(levels, (8, 16), heads.ANCHORS[3]):
        x = heads.v5_logits(net, x, 2, 0.01, heads.priors(net, 2))
        ny, nx = x.value.shape[2:]
        y = net.node("Transpose", [net.reshape(x.name, 1, 3, 7, ny, nx)], perm=[0, 1, 3, 4, 2])
        y = net.node("Sigmoid", [y])
        xy, wh, rest = (net.slice(y, a, b, 4) for a, b in ((0, 2), (2, 4), (4, 2**31)))
        xy = net.node("Sub", [net.node("Mul", [xy, net.real(2)]), net.real(0.5)])
        cells = net.reshape(heads.grid(net, x), 1, 1, ny, nx, 2)
        xy = net.node("Mul", [net.node("Add", [xy, cells]), net.real(stride)])
        wh = net.node("Mul", [wh, net.real(2)])
        wh = net.node("Mul", [net.node("Mul", [wh, wh]),
                              net.real(np.reshape(anchors, (1, 3, 1, 1, 2)))])
        rows.append(net.reshape(net.concat([xy, wh, rest], 4), 1, -1, 7))
    net.concat(rows, 1)
    return [(net.name_output("output0"), (1, 240, 7))]


@pytest.mark.parametrize("head", [v5_by_slices, separate_towers], ids=lambda t: t.__name__)
def test_other_tails(head, tmp_path):
    check(save_net(plain_upsample, head, tmp_path), (1, 64, 64), tmp_path)


def wrong_stride(net, levels):
    """Looks like v8 but stretches its second level: must not be taken for it."""
    return heads.v8(net, levels, [8, 24], 3)


def test_a_tail_that_differs_is_run_as_it_is(tmp_path):
    path = save_net(plain_upsample, wrong_stride, tmp_path)
    assert "head other, on the processor" in tool("plan", path, 1, 64, 64).stdout
    check(path, (1, 64, 64), tmp_path)


@pytest.mark.parametrize("arch", ["v10n-e2e", "26n-e2e"])
def test_end_to_end(arch, tmp_path):
    path = model_path(Spec(arch, (128, 128), 5))
    assert "the best of them end to end" in tool("plan", path, 1, 128, 128).stdout
    check(path, (1, 128, 128), tmp_path)


@pytest.mark.parametrize("arch,white", [("v6n", 1), ("yolox-nano", 255), ("yolox-nano-decoded", 255)])
def test_other_families(arch, white, tmp_path):
    """Heads that no kernel knows: the trunk as ever, the tail in plain C."""
    path = model_path(Spec(arch, (128, 128), 5))
    assert "head other" in tool("plan", path, 1, 128, 128).stdout
    check(path, (1, 128, 128), tmp_path, white=white)


def test_tails_that_cannot_run_are_refused(tmp_path):
    """NonMaxSuppression in the file."""
    done = tool("plan", model_path(Spec("v8n-nms", (128, 128), 5)), 1, 128, 128)
    assert done.returncode == 1 and "has no operator" in done.stderr and "--device cpu" in done.stderr


def tanh(net, x):
    return net.conv(Value(net.node("Tanh", [net.conv(x, 16, 3, 4).name]),
                          np.zeros((1, 16, 16, 16), np.float32)), 32, 3, 2)


def test_unknown_operator_is_named(tmp_path):
    done = tool("plan", save_net(tanh, v8_head, tmp_path), 1, 64, 64)
    assert done.returncode == 1
    assert re.search(r"node Tanh_\d+: the CUDA engine has no operator Tanh; .*--device cpu", done.stderr)


def test_open_size_is_asked_for():
    done = tool("plan", model_path(Spec("v5n", (128, 128), 5, dynamic=ALL_AXES)), 0, 0, 0)
    assert done.returncode == 1 and "axis 2 is open" in done.stderr


def test_fixed_size_is_kept():
    done = tool("plan", model_path(Spec("v5n", (64, 64), 1)), 1, 96, 64)
    assert done.returncode == 1 and "fixed at 64, not 96" in done.stderr


# Pairs: a 1x1 convolution over the results of the one before it

def pairs(path, height, width, element=2):
    """First and second layer of each pair; * where nobody else reads the first one's results."""
    done = tool("plan", path, 1, height, width, element)
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^ *\d+ +(\d+) .*, then (\d+)( only)?  ", done.stdout, re.M)
    return " ".join(f"{a}>{b}{'*' if only else ''}" for a, b, only in found)


@pytest.mark.parametrize("spec,expected", [
    (FAMILIES[1], "1>2* 2>3 4>5* 6>7* 7>8 9>10 11>12* 13>14* 14>15 16>17 18>19 20>21* 22>23* 23>24 "
                  "25>26*"),
    (FAMILIES[3], "1>2* 4>5* 6>7* 11>12* 13>14* 18>19* 20>21* 23>24* 24>25* 27>28 31>32* 32>33 "
                  "36>37* 38>39* 41>42* 43>44* 46>47* 51>57* 52>58* 53>59* 54>60* 55>61* 56>62*"),
    (FAMILIES[4], "1>2* 4>5* 6>7* 9>10* 11>12* 17>18* 18>19* 20>21*")], ids=["v5s", "v8n", "11n"])
def test_pairs(spec, expected):
    assert pairs(model_path(spec), *spec.size).startswith(expected)
    assert not pairs(model_path(spec), *spec.size, 4)


def beside(net, x):
    """What lies beside is first, last, made in the same step, or not there yet."""
    x = net.conv(x, 16, 3, 4)
    a = net.conv(x, 16, 3)
    x = net.conv(net.cat([a, net.conv(a, 16, 3)]), 16)
    a = net.conv(x, 16, 3)
    x = net.conv(net.cat([net.conv(a, 16, 3), a]), 16)
    x = net.conv(net.cat([net.conv(x, 16, 3), net.conv(x, 16, 5)]), 16)
    return net.conv(net.conv(x, 16, 3), 32, 3, 2)


def test_what_lies_beside(tmp_path):
    path = save_net(beside, v8_head, tmp_path)
    assert pairs(path, 64, 64).startswith("2>3* 5>6* 15>")
    check(path, (1, 64, 64), tmp_path)


# Totals

@pytest.mark.parametrize("spec,size,gflop,most_layers", [
    (FAMILIES[1], 640, 16.4, 55), (FAMILIES[2], 1280, 64.6, 72)], ids=["v5s", "v5s6"])
def test_totals(spec, size, gflop, most_layers):
    done = tool("plan", model_path(spec), 1, size, size, 2)
    assert done.returncode == 0, done.stderr
    layers = int(re.search(r"(\d+) layers", done.stdout)[1])
    planned, network = map(float, re.search(r"([\d.]+) GFLOP, ([\d.]+) as", done.stdout).groups())
    assert network == pytest.approx(gflop, rel=0.01)
    assert planned < network  # what was upsampled is computed at a quarter of the area
    assert layers <= most_layers
    for kind in ("copy", "upsample", "add"):
        assert f" {kind} " not in done.stdout
