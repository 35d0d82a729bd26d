# SPDX-License-Identifier: Apache-2.0
"""Pictures without a code that look a little like one: (h, w) uint8 ink, 0 paper, 255 ink."""

import functools
import pathlib
import string

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONTS = sorted(p for p in (pathlib.Path(matplotlib.get_data_path()) / "fonts/ttf").glob("*.ttf")
               if p.name.startswith(("DejaVuSans", "DejaVuSerif", "STIXGeneral", "cmr", "cmss", "cmtt",
                                     "cmb")))


@functools.cache
def font(index, size):
    return ImageFont.truetype(str(FONTS[index]), size)


def random_font(rng, size):
    return font(int(rng.integers(len(FONTS))), max(int(size), 6))


def words(rng, n, upper=False):
    letters = string.ascii_uppercase + string.digits if upper else string.ascii_lowercase
    out = ["".join(rng.choice(list(letters), int(rng.integers(1, 10)))) for _ in range(n)]
    return " ".join(out)


def text_lines(rng, h, w):
    """A page, column or headline of text."""
    picture = Image.new("L", (w, h))
    draw = ImageDraw.Draw(picture)
    size = int(np.exp(rng.uniform(np.log(8), np.log(70))))
    face, y = random_font(rng, size), int(rng.integers(-5, 10))
    upper, left = rng.random() < 0.4, int(rng.integers(-20, 20))
    while y < h:
        draw.text((left, y), words(rng, 2 + 2 * w // (size * 5), upper), 255, face)
        y += int(size * rng.uniform(1.0, 1.5))
    return np.array(picture)


def grid_of_cells(rng, h, w):
    """Tiles, keys or lamps: random brightness in a regular grid, round or square, with gaps."""
    cell = int(rng.integers(6, 60))
    cx, cy = cell, int(cell * rng.choice([1, 1, 1, 0.5, 1.6]))
    cy = max(cy, 4)
    gx, gy = w // cx + 2, h // cy + 2
    levels = rng.choice([2, 3, 8])
    values = rng.integers(0, levels, (gy, gx)) * 255 // (levels - 1)
    if rng.random() < 0.4:
        values[:] = 255
    tile = np.zeros((cy, cx), np.uint8)
    gap = rng.uniform(0, 0.35)
    if rng.random() < 0.5:
        axes = (max(int(cx * (1 - gap) / 2), 1), max(int(cy * (1 - gap) / 2), 1))
        cv2.ellipse(tile, (cx // 2, cy // 2), axes, 0, 0, 360, 255, -1)
    else:
        tile[int(cy * gap / 2):cy - int(cy * gap / 2), int(cx * gap / 2):cx - int(cx * gap / 2)] = 255
    out = np.kron(values.astype(np.float32) / 255, tile.astype(np.float32))
    if rng.random() < 0.4:  # letters on the keys
        picture = Image.fromarray(out.astype(np.uint8))
        draw, face = ImageDraw.Draw(picture), random_font(rng, cell // 2)
        for y in range(0, h, cy):
            for x in range(0, w, cx):
                draw.text((x + cx // 4, y + cy // 4), str(rng.choice(list(string.ascii_uppercase))),
                          int(rng.choice([0, 128])), face)
        out = np.array(picture)
    return out[:h, :w].astype(np.uint8)


def brick_rows(rng, h, w):
    """Rows of dashes shifted against each other: brickwork, woven and knitted stuff."""
    row, dash = int(rng.integers(4, 50)), int(rng.integers(6, 100))
    y, x = np.mgrid[:h, :w]
    shift = (y // row) * rng.choice([dash // 2, dash // 3, 7])
    gap = rng.uniform(0.08, 0.5)
    inside = ((x + shift) % dash > dash * gap) & (y % row > row * rng.uniform(0.08, 0.4))
    return (inside * 255).astype(np.uint8)


def stripes(rng, h, w):
    """A fence, blinds, corduroy or ruled paper: bars all alike, or slowly changing."""
    period = np.exp(rng.uniform(np.log(4), np.log(80)))
    x = np.arange(w) + rng.uniform(0, 40) * np.sin(np.arange(w) / rng.uniform(60, 400))
    wave = np.sin(2 * np.pi * x / period) + rng.uniform(-0.6, 0.6)
    bar = np.clip(wave * (8 if rng.random() < 0.5 else 0.7) + 0.5, 0, 1)
    return np.repeat((bar * 255).astype(np.uint8)[None], h, 0)


def blobs(rng, h, w):
    """Thresholded noise: stone, camouflage, cracks."""
    scale = np.exp(rng.uniform(np.log(2), np.log(40)))
    small = rng.standard_normal((int(h / scale) + 3, int(w / scale) + 3)).astype(np.float32)
    noise = cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.4:
        noise = 1 - np.abs(noise) * rng.uniform(2, 5)
    gain = rng.choice([0.5, 3, 20])
    return (np.clip(noise * gain + 0.5, 0, 1) * 255).astype(np.uint8)


def weave(rng, h, w):
    """Cloth, mesh and halftone: two waves across each other."""
    p, q, tilt = np.exp(rng.uniform(np.log(3), np.log(40), 2)).tolist() + [rng.uniform(-0.5, 0.5)]
    y, x = np.mgrid[:h, :w].astype(np.float32)
    wave = np.sin(2 * np.pi * (x + tilt * y) / p) * np.sin(2 * np.pi * (y - tilt * x) / q)
    return (np.clip(wave * rng.uniform(0.5, 6) + rng.uniform(0.2, 0.8), 0, 1) * 255).astype(np.uint8)


def scribble(rng, h, w):
    """Handwriting, drawings, maps: thin random curves and boxes."""
    out = np.zeros((h, w), np.uint8)
    for _ in range(int(rng.integers(3, 40))):
        at = rng.uniform(0, [w, h])
        steps = rng.normal(0, rng.uniform(3, 30), (int(rng.integers(3, 40)), 2))
        points = (at + np.cumsum(steps, 0)).astype(np.int32)
        cv2.polylines(out, [points], False, 255, int(rng.integers(1, 4)), cv2.LINE_AA)
    return out


def logo(rng, h, w):
    """Big plain shapes and a word, as on packaging."""
    out = np.zeros((h, w), np.uint8)
    for _ in range(int(rng.integers(1, 7))):
        x, y = int(rng.integers(w)), int(rng.integers(h))
        a, b = int(rng.integers(2, w // 2 + 3)), int(rng.integers(2, h // 2 + 3))
        ink = int(rng.choice([0, 120, 255]))
        if rng.random() < 0.5:
            cv2.ellipse(out, (x, y), (a, b), float(rng.uniform(0, 180)), 0, 360, ink,
                        int(rng.choice([-1, 3, 12])))
        else:
            cv2.rectangle(out, (x, y), (x + a, y + b), ink, int(rng.choice([-1, 3, 12])))
    picture = Image.fromarray(out)
    ImageDraw.Draw(picture).text((int(rng.integers(w // 2 + 1)), int(rng.integers(h))),
                                 words(rng, 2, True), 255, random_font(rng, rng.uniform(20, 150)))
    return np.array(picture)


def rings(rng, h, w):
    """Concentric squares or circles without an Aztec code around them; targets, records."""
    y, x = np.mgrid[:h, :w].astype(np.float32)
    dx, dy = np.abs(x - rng.uniform(0, w)), np.abs(y - rng.uniform(0, h))
    r = np.maximum(dx, dy) if rng.random() < 0.5 else np.hypot(dx, dy)
    return ((r // np.exp(rng.uniform(np.log(5), np.log(60))) % 2) * 255).astype(np.uint8)


TRAIN = (text_lines, text_lines, text_lines, grid_of_cells, grid_of_cells, brick_rows, stripes, blobs,
         weave, scribble, logo, logo)
TEST = TRAIN + (rings, rings)


def texture(rng, h, w, kinds=TRAIN):
    return kinds[int(rng.integers(len(kinds)))](rng, h, w)
