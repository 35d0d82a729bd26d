# SPDX-License-Identifier: Apache-2.0
"""The blocks and trunks of the YOLO families. Structure (widths, depths, kernels) as published in
the model files of yolov5 7.0, ultralytics 8.4 and YOLOX 0.3; all code is our own.

A trunk returns its feature maps, finest first, and their strides.
"""

import math

import numpy as np

from net import Value

SCALES = {  # depth, width, most channels (v8 and 11)
    "v5": {"n": (0.33, 0.25), "s": (0.33, 0.5), "m": (0.67, 0.75), "l": (1.0, 1.0)},
    "v8": {"n": (0.33, 0.25, 1024), "s": (0.33, 0.5, 1024), "m": (0.67, 0.75, 768)},
    "11": {"n": (0.5, 0.25, 1024), "s": (0.5, 0.5, 1024)},
    "yolox": {"nano": (0.33, 0.25), "tiny": (0.33, 0.375), "s": (0.33, 0.5)},
}


def scaled(family, size):
    """Functions from a nominal width to channels and from a nominal depth to repeats."""
    depth, width, *most = SCALES[family][size]
    most = most[0] if most else 10**6
    return (lambda c: math.ceil(min(c, most) * width / 8) * 8,
            lambda n: max(round(n * depth), 1) if n > 1 else n)


def bottleneck(net, x, out, shortcut, kernels=(1, 3), expand=1.0):
    y = net.conv(x, int(out * expand), kernels[0])
    y = net.conv(y, out, kernels[1])
    return net.add(x, y) if shortcut else y


def c3(net, x, out, repeats, shortcut=True, kernels=(1, 3)):
    a = net.conv(x, out // 2)
    for _ in range(repeats):
        a = bottleneck(net, a, out // 2, shortcut, kernels)
    return net.conv(net.cat([a, net.conv(x, out // 2)]), out)


def c2f(net, x, out, repeats, shortcut):
    parts = net.split(net.conv(x, out), [out // 2, out // 2])
    for _ in range(repeats):
        parts.append(bottleneck(net, parts[-1], out // 2, shortcut, (3, 3)))
    return net.conv(net.cat(parts), out)


def c3k2(net, x, out, repeats, deep, expand=0.5):
    """A C2f whose inner block is a C3 of 3×3 kernels (`deep`) or a narrow bottleneck."""
    inner = int(out * expand)
    parts = net.split(net.conv(x, 2 * inner), [inner, inner])
    for _ in range(repeats):
        parts.append(c3(net, parts[-1], inner, 2, True, (3, 3)) if deep else
                     bottleneck(net, parts[-1], inner, True, (3, 3), 0.5))
    return net.conv(net.cat(parts), out)


def sppf(net, x, out):
    parts = [net.conv(x, x.channels // 2)]
    for _ in range(3):
        parts.append(net.pool(parts[-1], 5))
    return net.conv(net.cat(parts), out)


def attention(net, x):
    """Self-attention over all places: heads of 64 channels, keys of 32."""
    channels, places = x.channels, x.value.shape[2:]
    heads = max(channels // 64, 1)
    each = channels // heads
    key = each // 2
    qkv = net.conv(x, channels + 2 * heads * key, act=None)
    q, k, v, value = split_heads(net, qkv, heads, key, each)
    weights = net.node("MatMul", [net.node("Transpose", [q], perm=[0, 1, 3, 2]), k])
    weights = net.node("Mul", [weights, net.real(key**-0.5)])
    weights = net.node("Softmax", [weights], axis=-1)
    mixed = net.node("MatMul", [v, net.node("Transpose", [weights], perm=[0, 1, 3, 2])])
    shape = [net.extent(x, 0), channels, net.extent(x, 2), net.extent(x, 3)]
    mixed = Value(net.reshape(mixed, *shape), value["mixed"].reshape(-1, channels, *places))
    v_map = Value(net.reshape(v, *shape), value["v"].reshape(-1, channels, *places))
    position = net.conv(v_map, channels, 3, groups=channels, act=None)
    return net.conv(net.add(mixed, position), channels, act=None)


def split_heads(net, qkv, heads, key, each):
    flat = net.reshape(qkv.name, net.extent(qkv, 0), heads, 2 * key + each, -1)
    q, k, v = net.split_names(flat, [key, key, each], 2)
    values = qkv.value.reshape(len(qkv.value), heads, 2 * key + each, -1)
    vq, vk, vv = np.split(values, [key, 2 * key], 2)
    weights = np.exp(np.clip(vq.transpose(0, 1, 3, 2) @ vk * key**-0.5, -60, 60))
    weights /= weights.sum(-1, keepdims=True)
    return q, k, v, {"mixed": vv @ weights.transpose(0, 1, 3, 2), "v": vv}


def c2psa(net, x, repeats):
    half = x.channels // 2
    a, b = net.split(net.conv(x, 2 * half), [half, half])
    for _ in range(repeats):
        b = net.add(b, attention(net, b))
        b = net.add(b, net.conv(net.conv(b, 2 * half), half, act=None))
    return net.conv(net.cat([a, b]), x.channels)


def pyramid(net, levels, join, lateral=None, shrink=None):
    """The path down and up again. levels: coarsest last. lateral(x, level): convolution before a
    step to a finer level (v5, YOLOX). join(x, level): the block after each concatenation.
    shrink(x): the step to a coarser level."""
    shrink = shrink or (lambda x: net.conv(x, x.channels, 3, 2))
    x, kept = levels[-1], []
    for level in range(len(levels) - 2, -1, -1):
        if lateral:
            x = lateral(x, level)
        kept.append(x)
        x = join(net.cat([net.upsample(x), levels[level]]), level)
    outputs = [x]
    for level in range(1, len(levels)):
        x = shrink(x)
        x = join(net.cat([x, kept.pop()]), level)
        outputs.append(x)
    return outputs


def v5_trunk(net, image, size, p6):
    c, d = scaled("v5", size)
    widths = [128, 256, 512] + ([768, 1024] if p6 else [1024])
    repeats = [3, 6, 9, 3, 3]
    x = net.conv(image, c(64), 6, 2, pad=2)
    levels = []
    for width, repeat in zip(widths, repeats):
        x = c3(net, net.conv(x, c(width), 3, 2), c(width), d(repeat))
        levels.append(x)
    levels[-1] = sppf(net, x, c(widths[-1]))
    levels, widths = levels[1:], widths[1:]
    outputs = pyramid(net, levels,
                      lambda x, level: c3(net, x, c(widths[level]), d(3), False),
                      lambda x, level: net.conv(x, c(widths[level])))
    return outputs, [8, 16, 32, 64][: len(outputs)]


def v8_backbone(net, image, size):
    """Feature maps at strides 4 to 32, before pooling."""
    c, d = scaled("v8", size)
    x = net.conv(image, c(64), 3, 2)
    levels = []
    for width, repeat in zip((128, 256, 512, 1024), (3, 6, 6, 3)):
        x = c2f(net, net.conv(x, c(width), 3, 2), c(width), d(repeat), True)
        levels.append(x)
    return levels


def v8_trunk(net, image, size):
    c, d = scaled("v8", size)
    levels = v8_backbone(net, image, size)
    levels[-1] = sppf(net, levels[-1], c(1024))
    widths = (256, 512, 1024)
    return pyramid(net, levels[1:],
                   lambda x, level: c2f(net, x, c(widths[level]), d(3), False)), [8, 16, 32]


def v11_trunk(net, image, size):
    c, d = scaled("11", size)
    x = net.conv(image, c(64), 3, 2)
    x = net.conv(x, c(128), 3, 2)
    levels = []
    plan = ((128, 256, False, 0.25), (256, 512, False, 0.25), (512, 512, True, 0.5),
            (1024, 1024, True, 0.5))
    for number, (down, out, deep, expand) in enumerate(plan):
        if number:
            x = net.conv(x, c(down), 3, 2)
        x = c3k2(net, x, c(out), d(2), deep, expand)
        levels.append(x)
    levels[-1] = c2psa(net, sppf(net, x, c(1024)), d(2))
    widths = (256, 512, 1024)
    return pyramid(net, levels[1:],
                   lambda x, level: c3k2(net, x, c(widths[level]), d(2), level == 2)), [8, 16, 32]


def yolox_conv(net, x, out, kernel, stride, depthwise):
    if not depthwise:
        return net.conv(x, out, kernel, stride)
    return net.conv(net.conv(x, x.channels, kernel, stride, groups=x.channels), out)


def csp(net, x, out, repeats, shortcut, depthwise):
    a, b = net.conv(x, out // 2), net.conv(x, out // 2)
    for _ in range(repeats):
        y = yolox_conv(net, net.conv(a, out // 2), out // 2, 3, 1, depthwise)
        a = net.add(a, y) if shortcut else y
    return net.conv(net.cat([a, b]), out)


def focus(net, image):
    """Every second pixel of every second row, four times, into 12 channels."""
    parts = []
    for x, y in ((0, 0), (0, 1), (1, 0), (1, 1)):
        rows = net.slice(image.name, y, 2**31, 2, 2)
        parts.append(Value(net.slice(rows, x, 2**31, 3, 2), image.value[:, :, y::2, x::2]))
    return net.cat(parts)


def yolox_trunk(net, image, size):
    c, d = scaled("yolox", size)
    depthwise = size == "nano"
    x = net.conv(focus(net, image), c(64), 3)
    levels = []
    for width, repeat in ((128, 3), (256, 9), (512, 9), (1024, 3)):
        x = yolox_conv(net, x, c(width), 3, 2, depthwise)
        if width == 1024:
            y = net.conv(x, c(512))
            x = net.conv(net.cat([y] + [net.pool(y, k) for k in (5, 9, 13)]), c(1024))
        x = csp(net, x, c(width), d(repeat), width != 1024, depthwise)
        levels.append(x)
    widths = (256, 512, 1024)
    return pyramid(net, levels[1:],
                   lambda x, level: csp(net, x, c(widths[level]), d(3), False, depthwise),
                   lambda x, level: net.conv(x, c(widths[level])),
                   lambda x: yolox_conv(net, x, x.channels, 3, 2, depthwise)), [8, 16, 32]
