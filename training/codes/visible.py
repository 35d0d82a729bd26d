# SPDX-License-Identifier: Apache-2.0
"""Which codes can be seen in a finished picture: a rule by measured contrast, visible part and size.

A symbol is looked at in TILES x TILES tiles of its own. In each tile the picture's brightness is held
against the symbol's drawn ink. The tile is seen if it lies in the picture, the brightness follows
the ink (correlation) and swings by enough (contrast). What blur, noise, glare, shadow, an occluder or
the picture's edge takes away is thus measured in the pixels, whatever took it.
"""

import torch
import torch.nn.functional as F

from .constants import constant
from .scene import fetch

LUMA = (0.299, 0.587, 0.114)
TILES, POINTS = 4, 8     # tiles a side, points a side of a tile
CONTRAST = 0.03          # least swing between dark and light, of full brightness
CORRELATION = 0.4        # least correlation of brightness and ink
SHARE = 0.5              # least part of the symbol's pattern, and of its box, that is seen
LONG, SHORT = 16.0, 6.0  # least sides of the box, pixels of the network's input


def grid_points(boxes):
    """(...,4) to (..., TILES*POINTS, TILES*POINTS, 2), the same grid over every box."""
    n = TILES * POINTS
    t = (torch.arange(n, device=boxes.device) + 0.5) / n
    at = torch.stack(torch.meshgrid(t, t, indexing="xy"), -1)
    low, side = boxes[..., None, None, :2], (boxes[..., 2:] - boxes[..., :2])[..., None, None, :]
    return low + side * at


def tiled(x):
    """(..., TILES*POINTS, TILES*POINTS) to (..., TILES*TILES, POINTS*POINTS)."""
    x = x.unflatten(-2, (TILES, POINTS)).unflatten(-1, (TILES, POINTS))
    return x.transpose(-3, -2).flatten(-2).flatten(-3, -2)


def follow(ink, light, inside):
    """Per tile: energy of the ink, swing of the light with it, their correlation, part inside."""
    count = inside.sum(-1, keepdim=True).clamp(min=1)
    ink = (ink - (ink * inside).sum(-1, keepdim=True) / count) * inside
    light = (light - (light * inside).sum(-1, keepdim=True) / count) * inside
    energy = ink.square().sum(-1)
    common = (ink * light).sum(-1).abs() / energy.sqrt().clamp(min=1e-4)
    swing = 2 * common / count[..., 0].sqrt()
    correlation = common / light.square().sum(-1).sqrt().clamp(min=1e-4)
    return energy, swing, correlation, inside.mean(-1)


def seen_share(bank, spec, picture):
    """Part (B,K,M) of every symbol's pattern that can be seen in picture (B,3,C,C)."""
    ids, c = spec["ids"], picture.shape[-1]
    b, k = ids.shape
    m, n = bank.boxes.shape[1], TILES * POINTS
    points = grid_points(bank.boxes[ids])
    at = spec["warp"].forward(points.flatten(2, 4)).view(b, k * m * n, n, 2)
    luma = (picture * constant(LUMA, picture.device).view(3, 1, 1)).sum(1, keepdim=True)
    light = F.grid_sample(luma, at * (2 / c) - 1, align_corners=False)
    inside = ((at - c / 2).abs() < spec["content"].view(b, 1, 1, 2) / 2).all(-1)
    flat = points.view(b * k, m * n, n, 2)
    ink, _ = fetch(bank.atlas, ids.flatten(), spec["level"].flatten(), flat[..., 0], flat[..., 1])
    parts = (tiled(x.view(b, k, m, n, n).float()) for x in (ink, light, inside))
    energy, swing, correlation, part = follow(*parts)
    seen = (swing >= CONTRAST) & (correlation >= CORRELATION)
    whole = (energy / part.clamp(min=1e-3)).clamp(max=POINTS * POINTS)  # of a tile half outside, too
    return (energy * seen).sum(-1) / whole.sum(-1).clamp(min=1e-4)


def countable(bank, spec, picture, boxes, shown, grow):
    """Which symbols (B,K,M) meet the rule; grow is the network's pixels a canvas pixel."""
    side = (boxes[..., 2:] - boxes[..., :2]) * grow
    large = (side.amax(-1) >= LONG) & (side.amin(-1) >= SHORT)
    return large & (shown >= SHARE) & (seen_share(bank, spec, picture) >= SHARE)
