# SPDX-License-Identifier: Apache-2.0
"""YOLOv5's loss, with fixed shapes throughout so that nothing waits for the GPU.

Published parts: boxes are matched to anchors whose sides differ by less than four times, and to
the cell of their centre and its two nearest neighbours; CIoU for boxes, binary cross-entropy for
objectness (whose target is the IoU) and classes; gains and level weights of YOLOv5. With a power
above 1 boxes that are nearly right count more than others, as in alpha-IoU (He et al., 2021).
"""

import math

import torch
import torch.nn.functional as F

from .constants import constant

RATIO = 4.0
BALANCE = {3: (4.0, 1.0, 0.4), 4: (4.0, 1.0, 0.25, 0.06)}
POOR = 0.3  # boxes that lie worse weigh no less than one of this IoU
OFFSETS = ((0, 0), (-1, 0), (0, -1), (1, 0), (0, 1))


def area(wh):
    """Products of pairs; prod's gradient would wait for the GPU."""
    return wh[..., 0] * wh[..., 1]


def ciou(a, b):
    """Complete IoU of boxes cx, cy, w, h (..., 4); Zheng et al., 2020."""
    low = torch.maximum(a[..., :2] - a[..., 2:] / 2, b[..., :2] - b[..., 2:] / 2)
    high = torch.minimum(a[..., :2] + a[..., 2:] / 2, b[..., :2] + b[..., 2:] / 2)
    inter = area((high - low).clamp(min=0))
    iou = inter / (area(a[..., 2:]) + area(b[..., 2:]) - inter + 1e-7)
    hull_low = torch.minimum(a[..., :2] - a[..., 2:] / 2, b[..., :2] - b[..., 2:] / 2)
    hull_high = torch.maximum(a[..., :2] + a[..., 2:] / 2, b[..., :2] + b[..., 2:] / 2)
    diagonal = ((hull_high - hull_low) ** 2).sum(-1) + 1e-7
    distance = ((a[..., :2] - b[..., :2]) ** 2).sum(-1)
    angle = torch.atan(a[..., 2] / (a[..., 3] + 1e-7)) - torch.atan(b[..., 2] / (b[..., 3] + 1e-7))
    v = 4 / math.pi ** 2 * angle ** 2
    with torch.no_grad():
        alpha = v / (v - iou + 1 + 1e-7)
    return iou - distance / diagonal - alpha * v


def match(boxes, valid, anchors, grid_h, grid_w):
    """Candidates of one level, shaped (B,M,3,5): mask, cell x and y; boxes (B,M,4) in cells."""
    ratio = boxes[:, :, None, 2:] / anchors  # (B,M,3,2)
    fits = torch.maximum(ratio, 1 / ratio.clamp(min=1e-6)).amax(-1) < RATIO
    x, y = boxes[..., 0], boxes[..., 1]
    near = torch.stack([torch.ones_like(valid), (x % 1 < 0.5) & (x > 1), (y % 1 < 0.5) & (y > 1),
                        (x % 1 >= 0.5) & (x < grid_w - 1), (y % 1 >= 0.5) & (y < grid_h - 1)], -1)
    mask = valid[:, :, None, None] & fits[..., None] & near[:, :, None]
    offset = constant(OFFSETS, boxes.device)
    cx = (x.long()[..., None] + offset[:, 0]).clamp(0, grid_w - 1)
    cy = (y.long()[..., None] + offset[:, 1]).clamp(0, grid_h - 1)
    return mask, cx[:, :, None].expand_as(mask), cy[:, :, None].expand_as(mask)


def level_loss(raw, anchors, boxes, classes, power=1.0):
    """Box, objectness and class loss of one level; anchors and boxes (cx,cy,w,h) in cells."""
    b, a, h, w, _ = raw.shape
    mask, cx, cy = match(boxes, classes >= 0, anchors, h, w)
    image = torch.arange(b, device=raw.device).view(b, 1, 1, 1)
    anchor = torch.arange(a, device=raw.device).view(1, 1, a, 1)
    index = ((image * a + anchor) * h + cy) * w + cx
    p = raw.reshape(-1, raw.shape[-1]).index_select(0, index.reshape(-1)).float().view(*mask.shape, -1)
    weight = mask.float() / mask.sum().clamp(min=1)
    target = torch.cat([boxes[:, :, None, None, :2] - torch.stack([cx, cy], -1),
                        boxes[:, :, None, None, 2:].expand(*mask.shape, 2)], -1)
    got = torch.cat([p[..., :2].sigmoid() * 2 - 0.5,
                     (p[..., 2:4].sigmoid() * 2) ** 2 * anchors.view(1, 1, a, 1, 2)], -1)
    iou = ciou(got, torch.where(mask[..., None], target, got.detach() + 1))
    steepness = power * iou.detach().clamp(min=POOR) ** (power - 1)  # of iou ** power
    box = ((1 - iou) * steepness * weight).sum()
    wanted = torch.zeros(b * a * h * w, device=raw.device)
    value = torch.where(mask, iou.detach().clamp(min=0), 0.0).reshape(-1)
    wanted = wanted.scatter_reduce(0, index.reshape(-1), value, "amax")
    obj = F.binary_cross_entropy_with_logits(raw[..., 4].reshape(-1).float(), wanted)
    kinds = torch.arange(p.shape[-1] - 5, device=raw.device)
    one_hot = (classes[..., None] == kinds).float()[:, :, None, None]
    cls = F.binary_cross_entropy_with_logits(p[..., 5:], one_hot.expand_as(p[..., 5:]), reduction="none")
    return box, obj, (cls.mean(-1) * weight).sum()


def loss(raws, model_anchors, strides, boxes, classes, size, gains=(1.0, 1.0, 1.0), shares=(1.0,) * 4,
         power=1.0):
    """Total and its three parts. boxes (B,M,4) x1,y1,x2,y2 in pixels, classes (B,M), -1 for none;
    gains: further weights of boxes, objectness and classes; shares: of each level's boxes and classes;
    power: as of alpha-IoU."""
    wh = (boxes[..., 2:] - boxes[..., :2]).clamp(min=1)
    centred = torch.cat([(boxes[..., :2] + boxes[..., 2:]) / 2, wh], -1)
    levels = len(raws)
    parts = [torch.zeros((), device=boxes.device) for _ in range(3)]
    for i, raw in enumerate(raws):
        box, obj, cls = level_loss(raw, model_anchors[i] / strides[i], centred / strides[i], classes,
                                   power)
        parts = [parts[0] + box * shares[i], parts[1] + obj * BALANCE[levels][i], parts[2] + cls * shares[i]]
    share = 3 / levels
    usual = (0.05 * share, 1.0 * (size / 640) ** 2 * share, 0.5 * raws[0].shape[-1] / 85 * share)
    total = sum(u * g * p for u, g, p in zip(usual, gains, parts, strict=True))
    return total, torch.stack([p.detach() for p in parts])
