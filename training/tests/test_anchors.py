# SPDX-License-Identifier: Apache-2.0
"""The anchors fit the generated boxes: nearly every one differs from some anchor by less than 4."""

import pytest
import torch

from codes import batch, scene
from codes.loss import RATIO
from codes.model import ANCHORS


@pytest.mark.parametrize(("shape", "final"), [("n", 640), ("n6", 1280)])
def test_best_possible_recall(bank, shape, final):
    draw, sides = scene.Draw("cpu", 2), []
    for canvas in batch.canvas_sizes(final)[0]:
        spec = scene.layout(bank, draw, 60, canvas, final)
        boxes, classes, _ = scene.labels(bank, spec, canvas)
        boxes, classes = batch.pack(boxes.flatten(1, 2) * (final / canvas), classes.flatten(1, 2))
        boxes = boxes[classes >= 0]
        sides.append(boxes[:, 2:] - boxes[:, :2])
    sides = torch.cat(sides)
    anchors = torch.tensor(ANCHORS[shape]).view(-1, 2)
    ratio = sides[:, None] / anchors
    fits = torch.maximum(ratio, 1 / ratio).amax(-1).amin(-1) < RATIO
    assert len(sides) > 200 and fits.float().mean() > 0.98
