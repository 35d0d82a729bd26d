# SPDX-License-Identifier: Apache-2.0
"""Network, loss, export."""

import ast

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from codes import CLASSES, export
from codes.loss import ciou, level_loss, loss
from codes.model import Decoded, Yolo, stem_of_blocks
from codes.step import Step
from codes.train import Ema, hold, optimizer, stages


@pytest.mark.parametrize(("shape", "side", "rows"), [("n", 640, 25200), ("n6", 1280, 102000)])
def test_row_counts(shape, side, rows):
    net = Yolo(shape)
    assert sum(3 * (side // s) ** 2 for s in net.strides) == rows


def test_decoded_rows_are_level_anchor_y_x():
    net = Yolo("n").eval()
    with torch.no_grad():
        raws = net(x := torch.rand(1, 3, 64, 64))
        rows = Decoded(net)(x)
    raw = raws[1][0, 2, 1, 3].sigmoid()  # level 1, anchor 2, y 1, x 3; 4x4 cells
    row = rows[0, 3 * 64 + 2 * 16 + 1 * 4 + 3]
    assert torch.allclose(row[0], (raw[0] * 2 - 0.5 + 3) * 16, atol=1e-4)
    assert torch.allclose(row[1], (raw[1] * 2 - 0.5 + 1) * 16, atol=1e-4)
    assert torch.allclose(row[2:4], (raw[2:4] * 2) ** 2 * net.anchors[1, 2], atol=1e-3)


def test_the_stem_of_blocks_is_the_stem():
    torch.manual_seed(0)
    conv, x = Yolo("n").stem.conv, torch.rand(2, 3, 64, 96).to(memory_format=torch.channels_last)
    assert torch.allclose(conv(x), stem_of_blocks(conv.weight, x), atol=1e-5)


def waits(work):
    """Operators that read a value on the host: they wait for a GPU, and cannot be recorded."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        work()
    return {e.key for e in seen.key_averages()} & {"aten::_local_scalar_dense", "aten::nonzero"}


def test_nothing_in_a_step_waits_for_the_gpu():
    torch.manual_seed(0)
    net = Yolo("n6")
    learn = Step(net, net, 128, record=False, power=3.0)
    batch = torch.rand(1, 3, 128, 128), torch.tensor([[[32.0, 32, 96, 96]]]), torch.zeros(1, 1).long()
    learn(*batch)  # constants are copied once
    assert not waits(lambda: learn(*batch))
    x = torch.ones(2, 2, requires_grad=True)
    assert waits(lambda: x.prod(-1).sum().backward())  # it counts zeros


def test_ciou_of_equal_and_of_apart_boxes():
    a = torch.tensor([[10.0, 10, 4, 6]])
    assert torch.allclose(ciou(a, a), torch.ones(1), atol=1e-5)
    assert ciou(a, a + torch.tensor([100.0, 0, 0, 0])) < 0


@pytest.mark.parametrize(("gains", "more"), [((3.0, 1, 1), (2 * 0.05, 0, 0)),
                                             ((1.0, 1, 0.5), (0, 0, -0.25 * 10 / 85))])
def test_each_gain_weighs_one_loss_alone(gains, more):
    torch.manual_seed(0)
    net, boxes = Yolo("n"), torch.tensor([[[32.0, 32, 96, 96]]])
    with torch.no_grad():
        raws = net(torch.rand(1, 3, 128, 128))
        args = raws, net.anchors, net.strides, boxes, torch.zeros(1, 1, dtype=torch.long), 128
        (one, parts), (two, again) = loss(*args), loss(*args, gains)
    assert torch.equal(parts, again)
    assert torch.allclose(two - one, (torch.tensor(more) * parts).sum(), atol=1e-6)


@pytest.mark.parametrize(("side", "low", "high"), [(2.0, 2.9, 3.0), (6.0, 3 * 0.3 ** 2, 0.28)])
def test_a_power_weighs_nearly_right_boxes_more(side, low, high):
    raw, anchors = torch.zeros(1, 1, 5, 5, 10), torch.tensor([[2.0, 2.0]])
    raw[..., 2:4] = 0.005  # a box of about the anchor's size in the middle of the last cell
    boxes = torch.tensor([[[4.5, 4.5, side, side]]])
    plain, steep = (level_loss(raw, anchors, boxes, torch.zeros(1, 1, dtype=torch.long), p)[0]
                    for p in (1.0, 3.0))
    assert low - 1e-4 <= steep / plain <= high


def test_a_level_without_a_share_teaches_no_boxes():
    torch.manual_seed(0)
    net, boxes = Yolo("n"), torch.tensor([[[2.0, 2, 22, 24]]])  # matched on the finest level alone
    raws = net(torch.rand(1, 3, 64, 64))
    args = raws, net.anchors, net.strides, boxes, torch.zeros(1, 1, dtype=torch.long), 64
    assert (loss(*args)[1][[0, 2]] > 0).all()
    assert (loss(*args, shares=(0.0, 1, 1))[1][[0, 2]] == 0).all()


def test_a_small_network_learns_one_picture():
    torch.manual_seed(0)
    net = Yolo("n")
    opt, ema = optimizer(net, 3e-3, 0.0), Ema(net)
    x = torch.rand(2, 3, 128, 128) * 0.1
    x[0, :, 32:96, 32:96] = 1
    boxes = torch.tensor([[[32.0, 32, 96, 96]], [[0, 0, 0, 0]]])
    classes = torch.tensor([[2], [-1]])
    first = None
    for _ in range(40):
        total, _ = loss(net(x), net.anchors, net.strides, boxes, classes, 128)
        opt.zero_grad()
        total.backward()
        opt.step()
        ema.update(net)
        first = first or float(total.detach())
    assert float(total.detach()) < 0.4 * first


@pytest.mark.parametrize("half", [False, True])
def test_export_equals_the_network(tmp_path, half):
    torch.manual_seed(1)
    net = Yolo("n6").eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    x = torch.rand(1, 3, 128, 128)
    with torch.no_grad():
        want = Decoded(net)(x).numpy()
    model = export.build(net.fuse(), 128, half)
    onnx.save(model, tmp_path / "m.onnx")
    got = onnxruntime.InferenceSession(tmp_path / "m.onnx").run(None, {"images": x.numpy()})[0]
    assert got.shape == want.shape == (1, 3 * (16 * 16 + 8 * 8 + 4 * 4 + 2 * 2), 10)
    assert np.abs(got - want).max() < (1.0 if half else 1e-2)
    meta = {p.key: p.value for p in model.metadata_props}
    assert ast.literal_eval(meta["names"]) == dict(enumerate(CLASSES)) and meta["stride"] == "64"


def test_calibration_moves_the_threshold_to_a_quarter():
    net = Yolo("n")
    before = net.head[0].bias.data.view(3, -1)[0, 4].item()
    export.calibrate(net, 0.4)
    after = net.head[0].bias.data.view(3, -1)[0, 4].item()
    logit = lambda p: np.log(p / (1 - p))  # noqa: E731
    assert after - before == pytest.approx(logit(0.25) - logit(0.4), abs=1e-5)


def test_stages_share_the_time():
    assert stages(["640:128:3", "1280:32:1"]) == [(640, 128, 0.75), (1280, 32, 1.0)]


def test_held_stages_stay_as_they_are():
    torch.manual_seed(0)
    net, x = Yolo("n"), torch.rand(2, 3, 64, 64)
    hold(net, 1)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    opt = optimizer(net, 1e-2, 0.1)
    boxes, classes = torch.tensor([[[8.0, 8, 40, 40]]] * 2), torch.zeros(2, 1, dtype=torch.long)
    loss(net(x), net.anchors, net.strides, boxes, classes, 64)[0].backward()
    opt.step()
    same = {k for k, v in net.state_dict().items() if torch.equal(v, before[k])}
    held = {k for k in before if k.startswith(("stem.", "down.0.", "stage.0."))}
    assert held <= same
    assert not [k for k in before if k.startswith(("down.1.", "stage.1.", "head.")) and k in same]
