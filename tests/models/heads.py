# SPDX-License-Identifier: Apache-2.0
"""From feature maps to raw output, as the families' exports have it in the graph. Each function
returns a list of outputs: (name, shape), a shape holding numbers and names.
"""

import numpy as np

from blocks import yolox_conv
from net import sigmoid

ANCHORS = {  # pixels, width and height, a level; published with yolov5 7.0
    3: [[10, 13, 16, 30, 33, 23], [30, 61, 62, 45, 59, 119], [116, 90, 156, 198, 373, 326]],
    4: [[19, 27, 44, 40, 38, 94], [96, 68, 86, 152, 180, 137],
        [140, 301, 303, 264, 238, 542], [436, 615, 739, 380, 925, 792]],
}
CONF = 0.25  # the default threshold, which `rate` of all rows shall pass
BINS = 16    # of the distribution over a box's four distances (v8 and later)


def logit(p):
    return np.log(p / (1 - p))


def priors(net, classes):
    """Some classes are more frequent than others."""
    return net.rng.standard_normal(classes).astype(np.float32)


def quantile_shift(best, rate):
    """What to add to logits so that `rate` of them pass CONF."""
    return logit(CONF) - np.quantile(best, 1 - rate)


def objectness_shift(objectness, best_class, rate):
    """What to add to objectness so that objectness × class passes CONF in `rate` of the rows."""
    low, high = -30.0, 30.0
    for _ in range(40):
        middle = (low + high) / 2
        passed = np.mean(sigmoid(objectness + middle) * sigmoid(best_class) > CONF)
        low, high = (middle, high) if passed < rate else (low, middle)
    return high


def axis_range(net, extent):
    """0, 1, … as a real vector, for an extent that only the running network knows."""
    scalars = [net.constant(np.array(v, np.int64)) for v in (0, 1)]
    numbers = net.node("Range", [scalars[0], net.squeeze(extent, 0), scalars[1]])
    kind = 10 if net.dtype == np.float16 else 1
    return net.node("Cast", [numbers], to=kind)


def grid(net, x, offset=0.0):
    """(1,ny*nx,2): x and y of each cell, row by row."""
    ny, nx = net.extent(x, 2), net.extent(x, 3)
    if net.static((2, 3)):
        gy, gx = np.mgrid[:ny, :nx]
        return net.real(np.stack([gx, gy], -1).reshape(1, -1, 2) + offset)
    rows = [net.constant(np.arange(e).astype(net.dtype)) if isinstance(e, int)
            else axis_range(net, e) for e in (ny, nx)]
    shape = net.shape_of([ny, nx, 1])
    gy = net.node("Expand", [net.reshape(rows[0], -1, 1, 1), shape])
    gx = net.node("Expand", [net.reshape(rows[1], 1, -1, 1), shape])
    cells = net.reshape(net.concat([gx, gy], 2), 1, -1, 2)
    return net.node("Add", [cells, net.real(offset)]) if offset else cells


def rows_of(net, levels, each=1):
    """Rows of the output: `each` a cell; "anchors" when only the running network knows."""
    if not net.static((2, 3)):
        return "anchors"
    return sum(each * net.extent(x, 2) * net.extent(x, 3) for x in levels)


def at_most(net, levels, count):
    """count, or fewer where there are fewer cells."""
    rows = rows_of(net, levels)
    return count if rows == "anchors" else min(count, rows)


def batch_of(net):
    return "batch" if net.dynamic[0] else net.shape[0]


def v5_logits(net, x, classes, rate, prior):
    out = 5 + classes
    spread = np.tile(np.r_[np.full(4, 0.8), 2.0, np.full(classes, 1.5)], 3).astype(np.float32)

    def shift(value):
        rows = value.reshape(-1, out, *value.shape[2:])
        best = (rows[:, 5:] + prior[:, None, None] + 1.0).max(1)
        more = objectness_shift(rows[:, 4], best, rate)
        return np.tile(np.r_[np.zeros(4), more, prior + 1.0], 3)

    return net.conv(x, 3 * out, act=None, spread=spread, shift=shift)


def v5_decode(net, x, stride, anchors, classes):
    """(B,3·(5+nc),ny,nx) → (B,3·ny·nx,5+nc), and the (B,3,ny,nx,5+nc) map before it."""
    out, ny, nx = 5 + classes, net.extent(x, 2), net.extent(x, 3)
    batch = net.extent(x, 0)
    raw = net.node("Transpose", [net.reshape(x.name, batch, 3, out, ny, nx)], perm=[0, 1, 3, 4, 2])
    xy, wh, rest = net.split_names(net.node("Sigmoid", [raw]), [2, 2, classes + 1], 4)
    cells = net.reshape(grid(net, x, -0.5), 1, 1, ny, nx, 2)
    xy = net.node("Add", [net.node("Mul", [xy, net.real(2)]), cells])
    xy = net.node("Mul", [xy, net.real(stride)])
    wh = net.node("Pow", [net.node("Mul", [wh, net.real(2)]), net.real(2)])
    sizes = np.array(anchors, np.float32).reshape(1, 3, 1, 1, 2)
    wh = net.node("Mul", [wh, net.real(sizes)])
    return net.reshape(net.concat([xy, wh, rest], 4), batch, -1, out), raw


def v5(net, levels, strides, classes, rate=0.006, raw_maps=False):
    prior = priors(net, classes)
    decoded, maps = [], []
    for x, stride, anchors in zip(levels, strides, ANCHORS[len(levels)]):
        x = v5_logits(net, x, classes, rate, prior)
        rows, raw = v5_decode(net, x, stride, anchors, classes)
        decoded.append(rows)
        maps.append((raw, (batch_of(net), 3, net.extent(x, 2), net.extent(x, 3), 5 + classes)))
    net.concat(decoded, 1)
    first = net.name_output("output0" if not raw_maps else "output")
    outputs = [(first, (batch_of(net), rows_of(net, levels, 3), 5 + classes))]
    return outputs + (maps if raw_maps else [])


def v8_towers(net, levels, classes, rate, light):
    """Box distributions (64 channels) and class logits a level. light: depthwise class tower."""
    box_width = max(16, levels[0].channels // 4, 4 * BINS)
    class_width = max(levels[0].channels, min(classes, 100))
    prior = priors(net, classes)
    falling = np.tile(np.linspace(1, -1, BINS), 4)

    def shift(value):
        best = (value + prior[:, None, None]).max(1)
        return prior + quantile_shift(best, rate)

    for x in levels:
        box = net.conv(net.conv(x, box_width, 3), box_width, 3)
        box = net.conv(box, 4 * BINS, act=None, spread=1.2, shift=lambda value: falling)
        y = x
        for width in (class_width, class_width):
            if light:
                y = net.conv(net.conv(y, y.channels, 3, groups=y.channels), width)
            else:
                y = net.conv(y, width, 3)
        yield box, net.conv(y, classes, act=None, spread=1.5, shift=shift)


def cells(net, levels, strides):
    """(1,2,A) centres in cells and (1,A) strides in pixels."""
    grids = [grid(net, x, 0.5) for x in levels]
    centres = net.node("Transpose", [net.concat(grids, 1)], perm=[0, 2, 1])
    columns = []
    for x, stride, cell in zip(levels, strides, grids):
        if net.static((2, 3)):
            count = net.extent(x, 2) * net.extent(x, 3)
            columns.append(net.real(np.full((1, count), stride)))
        else:  # as many as there are cells
            ones = net.slice(cell, 0, 1, 2)
            zero = net.node("Mul", [net.squeeze(ones, 2), net.real(0)])
            columns.append(net.node("Add", [zero, net.real(stride)]))
    return centres, net.concat(columns, 1)


def distances(net, x, batch):
    """(B,64,A) distributions → (B,4,A) distances in cells: the mean of each softmax."""
    x = net.node("Transpose", [net.reshape(x, batch, 4, BINS, -1)], perm=[0, 2, 1, 3])
    x = net.node("Softmax", [x], axis=1) if net.opset >= 13 else softmax_old(net, x)
    bins = net.real(np.arange(BINS).reshape(1, BINS, 1, 1))
    x = net.node("Conv", [x, bins], kernel_shape=[1, 1])
    return net.reshape(x, batch, 4, -1)


def softmax_old(net, x):
    """Before opset 13 Softmax flattens all axes after its own: bring the axis to the end."""
    x = net.node("Softmax", [net.node("Transpose", [x], perm=[0, 3, 2, 1])], axis=3)
    return net.node("Transpose", [x], perm=[0, 3, 2, 1])


def v8_decode(net, levels, strides, classes, rate, light, corners=False):
    """Boxes (B,4,A) in pixels (centre and size, or corners) and scores (B,nc,A)."""
    batch = net.extent(levels[0], 0)
    towers = list(v8_towers(net, levels, classes, rate, light))
    flat = [net.reshape(net.cat(pair).name, batch, 4 * BINS + classes, -1) for pair in towers]
    box, scores = net.split_names(net.concat(flat, 2), [4 * BINS, classes], 1)
    near, far = net.split_names(distances(net, box, batch), [2, 2], 1)
    centres, pixels = cells(net, [pair[0] for pair in towers], strides)
    first, last = net.node("Sub", [centres, near]), net.node("Add", [centres, far])
    if not corners:
        middle = net.node("Div", [net.node("Add", [first, last]), net.real(2)])
        first, last = middle, net.node("Sub", [last, first])
    boxes = net.node("Mul", [net.concat([first, last], 1), pixels])
    return boxes, net.node("Sigmoid", [scores])


def v8(net, levels, strides, classes, rate=0.012, light=False):
    boxes, scores = v8_decode(net, levels, strides, classes, rate, light)
    net.concat([boxes, scores], 1)
    return [(net.name_output("output0"), (batch_of(net), 4 + classes, rows_of(net, levels)))]


def v6(net, levels, strides, classes, rate=0.008):
    """As meituan's YOLOv6 exports: one row a cell, decoded, objectness always 1."""
    boxes, scores = v8_decode(net, levels, strides, classes, rate, False)
    box_rows = net.node("Transpose", [boxes], perm=[0, 2, 1])
    ones = net.node("Add", [net.node("Mul", [net.slice(box_rows, 0, 1, 2), net.real(0)]),
                            net.real(1)])
    net.concat([box_rows, ones, net.node("Transpose", [scores], perm=[0, 2, 1])], 2)
    return [(net.name_output("outputs"), (batch_of(net), rows_of(net, levels), 5 + classes))]


def end2end(net, levels, strides, classes, rate=0.012, most=300, light=False):
    """As v10 and 26: the best `most` pairs of cell and class, without suppression."""
    boxes, scores = v8_decode(net, levels, strides, classes, rate, light, corners=True)
    boxes = net.node("Transpose", [boxes], perm=[0, 2, 1])
    scores = net.node("Transpose", [scores], perm=[0, 2, 1])
    best = net.reduce_max(scores, 2)
    most = at_most(net, levels, most)
    _, places = net.node("TopK", [best, net.integers(most)], 2, axis=1)
    places = net.unsqueeze(places, 2)
    chosen = [net.node("GatherElements", [values, tile(net, places, width)], axis=1)
              for values, width in ((boxes, 4), (scores, classes))]
    pairs = net.node("Flatten", [chosen[1]], axis=1)
    scores, at = net.node("TopK", [pairs, net.integers(most)], 2, axis=1)
    kind = 10 if net.dtype == np.float16 else 1
    class_id = net.node("Cast", [net.node("Mod", [at, net.integers(classes)])], to=kind)
    row = net.unsqueeze(net.node("Div", [at, net.integers(classes)]), 2)
    boxes = net.node("GatherElements", [chosen[0], tile(net, row, 4)], axis=1)
    net.concat([boxes, net.unsqueeze(scores, 2), net.unsqueeze(class_id, 2)], 2)
    return [(net.name_output("output0"), (batch_of(net), most, 6))]


def tile(net, x, width):
    return net.node("Tile", [x, net.integers(1, 1, width)])


def with_nms(net, levels, strides, classes, rate=0.012, most=300):
    """As an export with nms=True: non-maximum suppression in the graph, padded to `most` rows."""
    boxes, scores = v8_decode(net, levels, strides, classes, rate, False, corners=True)
    boxes = net.node("Transpose", [boxes], perm=[0, 2, 1])
    best = at_most(net, levels, 4 * most)
    pictures = [suppressed(net, boxes, scores, picture, best, most)
                for picture in range(net.shape[0])]
    net.concat(pictures, 0)
    return [(net.name_output("output0"), (net.shape[0], most, 6))]


def suppressed(net, boxes, scores, picture, candidates, most):
    """(1,most,6) of one picture."""
    boxes = net.slice(boxes, picture, picture + 1, 0)
    scores = net.slice(scores, picture, picture + 1, 0)
    best = net.squeeze(net.reduce_max(scores, 1), 0)
    class_id = net.squeeze(net.node("ArgMax", [scores], axis=1, keepdims=0), 0)
    best, order = net.node("TopK", [best, net.integers(candidates)], 2, axis=0)
    boxes = net.node("Gather", [net.squeeze(boxes, 0), order], axis=0)
    kind = 10 if net.dtype == np.float16 else 1
    class_id = net.node("Cast", [net.node("Gather", [class_id, order], axis=0)], to=kind)
    rows = net.concat([boxes, net.unsqueeze(best, 1), net.unsqueeze(class_id, 1)], 1)
    apart = net.node("Mul", [net.unsqueeze(class_id, 1), net.real(7680)])
    shifted = net.unsqueeze(net.node("Add", [boxes, apart]), 0)
    wide = [net.node("Cast", [v], to=1) for v in
            (shifted, net.unsqueeze(net.unsqueeze(best, 0), 0))]
    limits = [net.constant(np.array([v], np.float32)) for v in (0.45, CONF)]
    kept = net.node("NonMaxSuppression", [*wide, net.integers(most), *limits])
    kept = net.squeeze(net.slice(kept, 2, 3, 1), 1)
    rows = net.node("Gather", [rows, kept], axis=0)
    padded = net.node("Pad", [rows, net.integers(0, 0, most, 0)])
    return net.unsqueeze(net.slice(padded, 0, most, 0), 0)


def yolox(net, levels, strides, classes, decoded, depthwise, rate=0.006):
    """Rows of cx,cy,w,h,obj,cls…, in cells and as logarithms unless `decoded`."""
    width, prior = levels[0].channels, priors(net, classes)
    maps = []
    for x in levels:
        stem = net.conv(x, width)
        a, b = stem, stem
        for _ in range(2):
            a = yolox_conv(net, a, width, 3, 1, depthwise)
            b = yolox_conv(net, b, width, 3, 1, depthwise)
        labels = net.conv(a, classes, act=None, spread=1.5, shift=lambda v: prior + 1)
        best = (labels.value).max(1)
        box = net.conv(b, 4, act=None, spread=0.6, shift=lambda v: np.array([0.5, 0.5, 1, 1]))
        score = net.conv(b, 1, act=None, spread=2.0,
                         shift=lambda v: [objectness_shift(v[:, 0], best, rate)])
        parts = [box.name] + [net.node("Sigmoid", [v.name]) for v in (score, labels)]
        maps.append(net.reshape(net.concat(parts, 1), net.extent(x, 0), 5 + classes, -1))
    net.node("Transpose", [net.concat(maps, 2)], perm=[0, 2, 1])
    if decoded:
        yolox_decode(net, levels, strides, net.nodes[-1].output[0], classes)
    return [(net.name_output("output"), (batch_of(net), rows_of(net, levels), 5 + classes))]


def yolox_decode(net, levels, strides, rows, classes):
    grids = net.concat([grid(net, x) for x in levels], 1)
    _, pixels = cells(net, levels, strides)
    pixels = net.unsqueeze(pixels, 2)
    xy, wh, rest = net.split_names(rows, [2, 2, classes + 1], 2)
    xy = net.node("Mul", [net.node("Add", [xy, grids]), pixels])
    wh = net.node("Mul", [net.node("Exp", [wh]), pixels])
    net.concat([xy, wh, rest], 2)


def segment(net, levels, strides, classes, masks=32, rate=0.006):
    """As v8-seg: rows with mask coefficients, and mask prototypes at a quarter of the size."""
    boxes, scores = v8_decode(net, levels, strides, classes, rate, False)
    width = max(levels[0].channels // 4, masks)
    parts = []
    for x in levels:
        y = net.conv(net.conv(net.conv(x, width, 3), width, 3), masks, act=None)
        parts.append(net.reshape(y.name, net.extent(x, 0), masks, -1))
    net.concat([boxes, scores, net.concat(parts, 2)], 1)
    first = net.name_output("output0")
    y = net.conv(net.upsample(net.conv(levels[0], 64, 3)), 64, 3)
    y = net.conv(y, masks)
    net.nodes[-1].output[0] = "output1"
    batch = batch_of(net)
    return [(first, (batch, 4 + classes + masks, rows_of(net, levels))),
            ("output1", (batch, masks, net.extent(y, 2), net.extent(y, 3)))]


def classify(net, x, classes):
    x = net.conv(x, 1280)
    pooled = net.node("Flatten", [net.node("GlobalAveragePool", [x.name])], axis=1)
    weight = net.rng.standard_normal((1280, classes), np.float32) / 36
    net.node("Gemm", [pooled, net.real(weight), net.real(np.zeros(classes))])
    net.node("Softmax", [net.nodes[-1].output[0]], axis=1)
    return [(net.name_output("output0"), (batch_of(net), classes))]
