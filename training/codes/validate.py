# SPDX-License-Identifier: Apache-2.0
"""mAP while training, on scenes of the trainer's own patches that it never learns from.

The figure shows how a run goes; it is no test: the backgrounds and symbols are those of training.
"""

import numpy as np
import torch
import torch.distributed as dist

from . import CLASSES, batch
from .metrics import coco_map, rows_to_boxes
from .model import decode

CANVASES = (0.1, 0.1875, 0.25, 0.375, 0.5, 0.75, 1.0)  # the test set's, as shares of the input


def whole(canvas):
    return round(canvas / 16) * 16


class Validation:
    """count scenes a process, drawn once; every process measures its own, all get the figure."""

    def __init__(self, bank, draw, compose, final, count):
        self.pictures = torch.zeros(count, 3, final, final, dtype=torch.uint8, device=bank.device)
        self.truth, made = [], 0
        while len(self.truth) < count:
            canvas = whole(CANVASES[made % len(CANVASES)] * final)
            made += 1
            picture, boxes, classes, content, good = batch.scenes(bank, draw, 4, canvas, final, compose)
            picture, boxes = batch.enlarge(picture, boxes, content, final)
            for i in good.nonzero()[:count - len(self.truth), 0].tolist():
                self.pictures[len(self.truth)] = (picture[i] * 255 + 0.5).byte()
                there = classes[i] >= 0
                self.truth.append((boxes[i][there].cpu().numpy(), classes[i][there].cpu().numpy()))

    @torch.no_grad()
    def found(self, net, some):
        """Boxes, scores and classes of each of the pictures in a slice."""
        picture = self.pictures[some].to(torch.float32, memory_format=torch.channels_last) / 255
        with torch.autocast(picture.device.type, torch.bfloat16):
            raws = net(picture)
        rows = torch.cat([decode(r.float(), net.anchors[i], s)
                          for i, (r, s) in enumerate(zip(raws, net.strides, strict=True))], 1)
        return [rows_to_boxes(r[r[:, 4] > 0.01].cpu().numpy(), 0.01, 0.6) for r in rows]

    def measure(self, net, world=1):
        """mAP50-95, mAP50 and mAP75 of net, in eval mode, over the scenes of all processes."""
        results = []
        for at in range(0, len(self.truth), 8):
            found = self.found(net, slice(at, at + 8))
            results += [(*f, *t) for f, t in zip(found, self.truth[at:at + 8], strict=True)]
        if world > 1:
            parts = [None] * world
            dist.all_gather_object(parts, results)
            results = sum(parts, [])
        table = coco_map(results, len(CLASSES))
        mean = lambda t: round(float(np.nanmean(t)), 4) if np.isfinite(t).any() else 0.0  # noqa: E731
        return {"mAP50-95": mean(table), "mAP50": mean(table[:, 0]), "mAP75": mean(table[:, 5])}
