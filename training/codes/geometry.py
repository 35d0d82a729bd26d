# SPDX-License-Identifier: Apache-2.0
"""How a flat patch lies in a picture: waves, bending over a cylinder, turning, perspective."""

import math

import torch


class Warp:
    """Maps patch pixels to canvas pixels and back, in closed form; every field is (B,K,...)."""

    def __init__(self, size, matrix, bend, wave):
        self.size = size      # (B,K,2) w, h of the patch in its own pixels
        self.half = size.amax(-1) / 2
        self.matrix = matrix  # (B,K,3,3) from [-1,1] patch units to canvas pixels
        self.bend = bend      # (B,K,2) 0 flat .. <1 strongly bent, a direction each
        self.wave = wave      # (B,K,2,3) amplitude, frequency, phase of two shears
        self.inverted = None

    @classmethod
    def random(cls, draw, size, g, turns, tight):
        b, k = g.shape
        calm = torch.zeros(b, k, dtype=torch.bool, device=g.device)
        calm[:, 1] = tight
        angle = draw.normal(0.08, b, k)
        angle = torch.where(draw.chance(0.35, b, k), draw.uniform(-math.pi, math.pi, b, k), angle)
        angle = torch.where(draw.chance(0.15, b, k), 0.0, angle)
        angle = torch.where(calm, draw.normal(0.015, b, k) * draw.chance(0.3, b, k), angle)
        angle = angle + turns * (math.pi / 2)
        stretch = torch.exp(draw.normal(0.1, b, k) * ~calm)
        tilt = draw.normal(0.1, b, k, 2).clamp(-0.3, 0.3) * (draw.chance(0.6, b, k) & ~calm)[..., None]
        half = size.amax(-1) / 2 * g
        cos, sin, zero, one = angle.cos() * half, angle.sin() * half, torch.zeros_like(g), torch.ones_like(g)
        turn = torch.stack([cos * stretch, -sin / stretch, zero, sin * stretch, cos / stretch, zero,
                            tilt[..., 0], tilt[..., 1], one], -1).view(b, k, 3, 3)
        bend = draw.uniform(0.2, 0.97, b, k, 2) * (draw.chance(0.12, b, k, 2) & ~calm[..., None])
        wave = torch.stack([draw.uniform(0, 0.02, b, k, 2), draw.uniform(1, 9, b, k, 2),
                            draw.uniform(0, 6.3, b, k, 2)], -1)
        wave[..., 0] *= draw.chance(0.2, b, k, 1) & ~calm[..., None]
        return cls(size, turn, bend.clamp(min=1e-3), wave)

    def forward(self, points):
        """Patch pixels (B,K,P,2) to canvas pixels."""
        n = (points - self.size[:, :, None] / 2) / self.half[:, :, None, None]
        x, y = n.unbind(-1)
        (a0, f0, p0), (a1, f1, p1) = (self.wave[:, :, i, :, None].unbind(2) for i in (0, 1))
        y = y + a0 * torch.sin(f0 * x + p0)
        x = x + a1 * torch.sin(f1 * y + p1)
        cx, cy = self.bend[:, :, 0:1], self.bend[:, :, 1:2]
        x, y = torch.sin(x * torch.asin(cx)) / cx, torch.sin(y * torch.asin(cy)) / cy
        out = torch.einsum("bkij,bkpj->bkpi", self.matrix, torch.stack([x, y, torch.ones_like(x)], -1))
        return out[..., :2] / out[..., 2:].clamp(min=0.05)

    def extent(self):
        """Bounding box (B,K,4) of the patch, as the matrix now is."""
        edge = outline(torch.cat([torch.zeros_like(self.size), self.size], -1))
        points = self.forward(edge)
        return torch.cat([points.amin(2), points.amax(2)], -1)

    def centre(self, at):
        """Moves each patch to at (B,K,2) canvas pixels."""
        move = torch.eye(3, device=at.device).repeat(*at.shape[:2], 1, 1)
        move[..., :2, 2] = at
        self.matrix = move @ self.matrix
        self.inverted = torch.linalg.inv_ex(self.matrix).inverse  # inv waits for the GPU

    def layer(self, k):
        """What inverse needs of layer k."""
        return {"inverted": self.inverted[:, k], "bend": self.bend[:, k], "wave": self.wave[:, k],
                "half": self.half[:, k], "size": self.size[:, k]}


def inverse(layer, canvas):
    """Patch pixels u, v (B,C,C) of a layer under every canvas pixel."""
    size, half = layer["size"], layer["half"].view(-1, 1, 1)
    grid = torch.arange(canvas, device=size.device) + 0.5
    x, y = grid[None, None, :], grid[None, :, None]
    m = layer["inverted"].reshape(-1, 9, 1, 1)
    z = m[:, 6] * x + m[:, 7] * y + m[:, 8]
    behind = z < 1e-4
    z = torch.where(behind, 1.0, z)
    px, py = (m[:, 0] * x + m[:, 1] * y + m[:, 2]) / z, (m[:, 3] * x + m[:, 4] * y + m[:, 5]) / z
    px = torch.where(behind, 9.0, px)  # behind the camera: far outside the patch
    px, py = (unbend(v, layer["bend"][:, i].view(-1, 1, 1)) for i, v in enumerate((px, py)))
    (a0, f0, p0), (a1, f1, p1) = (layer["wave"][:, i, :, None, None].unbind(1) for i in (0, 1))
    px = px - a1 * torch.sin(f1 * py + p1)
    py = py - a0 * torch.sin(f0 * px + p0)
    return px * half + size[:, 0].view(-1, 1, 1) / 2, py * half + size[:, 1].view(-1, 1, 1) / 2


def unbend(m, c):
    """Inverse of sin(x asin c) / c; points beyond the cylinder's edge land far outside."""
    inside = (m * c).abs() < 1
    return torch.where(inside, torch.asin((m * c).clamp(-1, 1)) / torch.asin(c), m * 9)


def outline(boxes, steps=8):
    """Points (..., 4*steps, 2) around boxes (..., 4)."""
    t = torch.arange(steps, device=boxes.device) / steps
    zero, one = torch.zeros_like(t), torch.ones_like(t)
    x = torch.cat([t, one, 1 - t, zero])
    y = torch.cat([zero, t, one, 1 - t])
    low, side = boxes[..., None, :2], (boxes[..., 2:] - boxes[..., :2])[..., None, :]
    return low + side * torch.stack([x, y], -1)


def symbol_boxes(warp, boxes, content, canvas):
    """Boxes (B,K,M,4) of symbols clipped to the content, and the part of each that is left."""
    b, k, m = boxes.shape[:3]
    points = warp.forward(outline(boxes).flatten(2, 3)).view(b, k, m, -1, 2)
    full = torch.cat([points.amin(3), points.amax(3)], -1)
    low = ((canvas - content) / 2).view(b, 1, 1, 2)
    high = ((canvas + content) / 2).view(b, 1, 1, 2)
    clipped = torch.cat([full[..., :2].clamp(low, high), full[..., 2:].clamp(low, high)], -1)
    area = lambda t: (t[..., 2:] - t[..., :2]).prod(-1)  # noqa: E731
    return clipped, area(clipped) / area(full).clamp(min=1e-6)
