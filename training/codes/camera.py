# SPDX-License-Identifier: Apache-2.0
"""What light, lens, sensor and file format do to a picture: (B,3,C,C) float to the same, 0 to 1."""

import math

import torch

from .constants import constant

# ITU-T T.81, table K.1
LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99)


def sometimes(draw, p, value, otherwise=0.0):
    return torch.where(draw.chance(p, *value.shape), value, otherwise)


def coordinates(c, device):
    grid = (torch.arange(c, device=device) + 0.5) / c - 0.5
    return grid[None, None, :], grid[None, :, None]


def light(draw, picture):
    """Shadow of a straight edge, glare, vignette."""
    b, _, c, _ = picture.shape
    x, y = coordinates(c, picture.device)
    one = lambda low, high: draw.uniform(low, high, b, 1, 1)  # noqa: E731
    angle = one(0, 2 * math.pi)
    across = (x * angle.cos() + y * angle.sin() - one(-0.3, 0.3)) / torch.exp(one(-5, -1))
    shadow = 1 - sometimes(draw, 0.25, one(0.2, 0.7)) * torch.sigmoid(across)
    vignette = 1 - sometimes(draw, 0.25, one(0.2, 1.6)) * (x * x + y * y)
    picture = picture * (shadow * vignette)[:, None]
    r, s, turn = one(0.03, 0.3), one(0.2, 1), one(0, math.pi)
    dx, dy = x - one(-0.4, 0.4), y - one(-0.4, 0.4)
    u, v = dx * turn.cos() + dy * turn.sin(), (dy * turn.cos() - dx * turn.sin()) / s
    glare = sometimes(draw, 0.15, one(0.2, 0.9)) * torch.exp(-(u * u + v * v) / (r * r))
    return picture + glare[:, None]


def blur(draw, picture):
    """Gaussian, defocus disc and motion, multiplied together in the frequency domain."""
    b, _, c, _ = picture.shape
    device = picture.device
    fx = torch.fft.rfftfreq(c, device=device)[None, None, :]
    fy = torch.fft.fftfreq(c, device=device)[None, :, None]
    one = lambda low, high: draw.uniform(low, high, b, 1, 1)  # noqa: E731
    sigma = torch.where(draw.chance(0.12, b, 1, 1), one(0.8, 1 + 0.006 * c), torch.exp(one(-2, 0.3)))
    frequency = torch.hypot(fx, fy)
    transfer = torch.exp(-2 * (math.pi * sigma * frequency) ** 2)
    radius = sometimes(draw, 0.2, one(0.5, 1.5 + 0.005 * c), 1e-3)
    z = 2 * math.pi * radius * frequency
    transfer = transfer * torch.where(z > 1e-3, 2 * torch.special.bessel_j1(z) / z.clamp(min=1e-3), 1.0)
    length, angle = sometimes(draw, 0.2, one(1, 3 + 0.015 * c)), one(0, math.pi)
    transfer = transfer * torch.sinc(length * (fx * angle.cos() + fy * angle.sin()))
    return torch.fft.irfft2(torch.fft.rfft2(picture) * transfer[:, None], s=(c, c))


def sensor(draw, picture):
    """Exposure, contrast, white balance, noise, gray pictures."""
    b, _, c, _ = picture.shape
    one = lambda low, high, n=1: draw.uniform(low, high, b, n, 1, 1)  # noqa: E731
    noise = torch.exp(one(math.log(0.002), math.log(0.05)))
    noise = noise * (0.5 + picture.mean(1, keepdim=True).clamp(0, 1)).sqrt()
    gray = draw.chance(0.4, b, 1, 1, 1)
    grain = draw.normal(1, b, 3, c, c)
    picture = picture + noise * torch.where(gray, grain[:, :1], grain)
    picture = picture * one(0.85, 1.15, 3) * torch.exp(one(-0.35, 0.3))
    contrast = torch.where(draw.chance(0.7, b, 1, 1, 1), one(0.8, 1.15), one(0.4, 1))
    picture = (picture - 0.5) * contrast + 0.5 + draw.normal(0.06, b, 1, 1, 1)
    picture = picture.clamp(1e-4, 1) ** torch.exp(draw.normal(0.25, b, 1, 1, 1))
    luma = picture[:, 0:1] * 0.299 + picture[:, 1:2] * 0.587 + picture[:, 2:3] * 0.114
    return torch.where(gray, luma, picture)


def cosine_basis(device):
    k, n = torch.arange(8, device=device)[:, None], torch.arange(8, device=device)[None]
    basis = torch.cos((2 * n + 1) * k * math.pi / 16) / 2
    basis[0] /= math.sqrt(2)
    return basis


def compress(draw, picture):
    """JPEG-like loss: 8x8 cosine blocks, one quantiser for the three planes; half the pictures."""
    b, _, c, _ = picture.shape
    basis = cosine_basis(picture.device)
    table = constant(LUMINANCE, picture.device, torch.float32).view(8, 8)
    quality = sometimes(draw, 0.5, torch.exp(draw.uniform(math.log(0.1), math.log(2.5), b)), 0.004)
    step = (table / 255 * quality.view(-1, 1, 1, 1, 1, 1)).clamp(min=1e-4)
    blocks = picture.reshape(b, 3, c // 8, 8, c // 8, 8).permute(0, 1, 2, 4, 3, 5) - 0.5
    spectrum = basis @ blocks @ basis.T
    spectrum = torch.round(spectrum / step) * step
    blocks = basis.T @ spectrum @ basis + 0.5
    return blocks.permute(0, 1, 2, 4, 3, 5).reshape(b, 3, c, c)


def photograph(draw, picture):
    """picture (B,3,C,C), C a multiple of 8, as a camera would store it."""
    return compress(draw, sensor(draw, blur(draw, light(draw, picture)))).clamp(0, 1)
