# SPDX-License-Identifier: Apache-2.0
"""Flat printed things, drawn on the CPU: bare symbols, labels with symbols, things without any.

A patch is (SIZE, SIZE) uint8, of which (height, width) is used: bits 0-6 are ink (0 paper, 127 ink),
bit 7 chooses the second ink. The scene generator gives paper and inks their colours.
"""

import dataclasses
import multiprocessing

import cv2
import numpy as np
from PIL import Image, ImageDraw

from . import CLASSES
from .symbols import symbol
from .textures import TEST, TRAIN, blobs, logo, random_font, scribble, text_lines, texture, words

SIZE = 512
MAX_SYMBOLS = 4
BARE, LABEL, TEXTURE = 0, 1, 2
PRINT = (text_lines, text_lines, text_lines, logo, scribble)
LINEAR = CLASSES.index("linear")


@dataclasses.dataclass
class Patch:
    pixels: np.ndarray
    width: int
    height: int
    kind: int
    symbols: list  # (class, x0, y0, x1, y1, modules along the longer side), pixels of the patch


def wear(rng, ink):
    """Print and wear: ink spread, round modules, scratches, worn-off spots."""
    kind = rng.random()
    if kind < 0.12:
        ink = cv2.dilate(ink, np.ones((2, 2), np.uint8))
    elif kind < 0.24:
        ink = cv2.erode(ink, np.ones((2, 2), np.uint8))
    if rng.random() < 0.15:
        h, w = ink.shape
        for _ in range(int(rng.integers(1, 5))):
            a, b = rng.uniform(0, [w, h]), rng.uniform(0, [w, h])
            cv2.line(ink, a.astype(int).tolist(), b.astype(int).tolist(), int(rng.choice([0, 255])),
                     int(rng.integers(1, 4)))
    if rng.random() < 0.12:
        h, w = ink.shape
        worn = blobs(rng, h, w)
        ink = np.where(worn > 200, ink // 3, ink)
    return ink


def enlarge(rng, dark, w, h):
    """Modules as pixels, crisp, or as round dots."""
    cell = min(w / dark.shape[1], h / dark.shape[0])
    if cell >= 5 and min(dark.shape) > 9 and dark.shape[0] < 60 and rng.random() < 0.08:
        n = int(cell)
        dot = np.zeros((n, n), np.uint8)
        cv2.circle(dot, (n // 2, n // 2), n // 2, 255, -1)
        big = np.kron(dark.astype(np.uint8), dot)
        return cv2.resize(big, (w, h), interpolation=cv2.INTER_AREA)
    n = max(int(np.ceil(cell)), 1)
    big = np.kron(dark.astype(np.uint8) * 255, np.ones((n, n), np.uint8))
    return cv2.resize(big, (w, h), interpolation=cv2.INTER_AREA)


def paste_symbol(rng, ink, class_id, box):
    """Draws a symbol into box (x, y, w, h) of ink, keeping its shape; its place, or None: no room."""
    dark = symbol(rng, class_id)
    x, y, w, h = box
    scale = min(w / dark.shape[1], h / dark.shape[0])
    if scale < 1:
        return None
    w, h = int(dark.shape[1] * scale), int(dark.shape[0] * scale)
    picture = enlarge(rng, dark, w, h)
    if class_id == CLASSES.index("qr_code") and rng.random() < 0.08:  # a logo in the middle
        side = max(int(w * rng.uniform(0.12, 0.3)), 6)
        at = (w - side) // 2
        picture[at:at + side, at:at + side] = 0
        picture[at + 2:at + side - 2, at + 2:at + side - 2] = logo(rng, side - 4, side - 4)
    ink[y:y + h, x:x + w] = wear(rng, picture)
    return class_id, x, y, x + w, y + h, max(dark.shape)


def readable_text(rng, ink, place):
    """The digits under (or over) a linear code, sometimes set into its lower edge."""
    _, x0, y0, x1, y1, _ = place
    size = max(int((x1 - x0) * rng.uniform(0.05, 0.14)), 7)
    picture = Image.fromarray(ink)
    draw, face = ImageDraw.Draw(picture), random_font(rng, size)
    content = words(rng, int(rng.integers(1, 3)), True) if rng.random() < 0.4 else " ".join(
        "".join(rng.choice(list("0123456789"), 6)) for _ in range(2))
    above = rng.random() < 0.15
    y = y0 - size - 3 if above else y1 + int(rng.integers(0, 5))
    draw.text((x0 + int(rng.integers(-size, size)), y), content, 255, face)
    return np.array(picture)


def bare_patch(rng, class_id):
    """One symbol with a quiet zone, which may be missing."""
    dark_room = SIZE - 8
    size = int(rng.integers(200, dark_room))
    ink = np.zeros((SIZE, SIZE), np.uint8)
    margin = int(size * rng.choice([0.0, 0.02, rng.uniform(0, 0.2)]))
    margin = min(margin, (SIZE - size) // 2)
    place = None
    while place is None:
        ink[:] = 0
        place = paste_symbol(rng, ink, class_id, (margin, margin, size, size))
    bottom = margin
    if class_id == LINEAR and rng.random() < 0.6 and place[4] + margin + 80 < SIZE:
        ink = readable_text(rng, ink, place)
        bottom = max(margin, int((place[3] - place[1]) * 0.16))
    w, h = place[3] + margin, min(place[4] + bottom, SIZE)
    return ink, np.zeros_like(ink, bool), w, h, [place]


def label_patch(rng, with_symbols=True):
    """A label, page or package side: text, rules, panels and up to four symbols."""
    aspect = np.exp(rng.uniform(-0.9, 0.9))
    w, h = int(SIZE * min(1, aspect)), int(SIZE * min(1, 1 / aspect))
    ink, accent = np.zeros((SIZE, SIZE), np.uint8), np.zeros((SIZE, SIZE), bool)
    for _ in range(int(rng.integers(2, 7))):
        x, y = int(rng.integers(-20, w - 20)), int(rng.integers(-20, h - 20))
        a, b = int(rng.integers(40, max(w, 60))), int(rng.integers(20, max(h // 2, 40)))
        x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + a, w), min(y + b, h)
        piece = texture(rng, y1 - y0, x1 - x0, PRINT)
        ink[y0:y1, x0:x1] = 255 - piece if rng.random() < 0.2 else piece
        accent[y0:y1, x0:x1] = rng.random() < 0.3
    if rng.random() < 0.3:
        cv2.rectangle(ink, (4, 4), (w - 5, h - 5), 255, int(rng.integers(1, 8)))
    places = []
    for _ in range(int(rng.choice([1, 1, 1, 2, 2, 3, 4])) if with_symbols else 0):
        ink = add_symbol(rng, ink, accent, w, h, places)
    return ink, accent, w, h, places


def add_symbol(rng, ink, accent, w, h, places):
    """Puts one more symbol on a label, on a cleared patch of paper, clear of the others."""
    class_id = int(rng.integers(len(CLASSES)))
    side = int(rng.uniform(0.25, 0.75) * min(w, h))
    x, y = int(rng.integers(0, w - side + 1)), int(rng.integers(0, h - side + 1))
    dark = np.zeros((SIZE, SIZE), np.uint8)
    place = paste_symbol(rng, dark, class_id, (x, y, side, side))
    if place is None:
        return ink
    quiet = int(side * rng.uniform(0.02, 0.12))
    x0, y0, x1, y1 = (max(place[1] - quiet, 0), max(place[2] - quiet, 0),
                      min(place[3] + quiet, w), min(place[4] + quiet, h))
    if any(x0 < p[3] + 8 and p[1] - 8 < x1 and y0 < p[4] + 8 and p[2] - 8 < y1 for p in places):
        return ink
    ink[y0:y1, x0:x1] = dark[y0:y1, x0:x1]
    accent[y0:y1, x0:x1] = False
    places.append(place)
    if class_id == LINEAR and rng.random() < 0.6 and place[4] + 30 < h:
        low, high = place[4], min(place[4] + 30, h)
        if not any(p is not place and p[2] < high and low < p[4] for p in places):
            ink[low:high, x0:x1] = 0
            ink = readable_text(rng, ink, place)
    return ink


def texture_patch(rng, kinds):
    if rng.random() < 0.25:
        return label_patch(rng, with_symbols=False)
    ink = texture(rng, SIZE, SIZE, kinds)
    accent = np.zeros_like(ink, bool)
    if rng.random() < 0.3:
        accent = texture(rng, SIZE, SIZE, kinds) > 127
    return ink, accent, SIZE, SIZE, []


def patch(seed, kinds):
    """The patch of a seed: about half bare symbols, a quarter labels, a quarter textures."""
    rng = np.random.default_rng(seed)
    share = rng.random()
    if share < 0.5:
        kind, drawn = BARE, bare_patch(rng, int(rng.integers(len(CLASSES))))
    elif share < 0.75:
        kind, drawn = LABEL, label_patch(rng)
    else:
        kind, drawn = TEXTURE, texture_patch(rng, kinds)
    ink, accent, w, h, places = drawn
    return Patch((ink >> 1) | (accent.astype(np.uint8) << 7), w, h, kind, places)


def patch_of(job):
    seed, test = job
    cv2.setNumThreads(1)
    return patch(seed, TEST if test else TRAIN)


def render(count, seed, test=False, processes=None):
    """count patches in parallel: dict of arrays pixels (N,SIZE,SIZE) u8, size (N,2) w and h,
    kind (N), classes (N,MAX_SYMBOLS) with -1 for none, boxes (N,MAX_SYMBOLS,4), modules."""
    out = {"pixels": np.zeros((count, SIZE, SIZE), np.uint8), "size": np.zeros((count, 2), np.float32),
           "kind": np.zeros(count, np.int64), "classes": np.full((count, MAX_SYMBOLS), -1, np.int64),
           "boxes": np.zeros((count, MAX_SYMBOLS, 4), np.float32),
           "modules": np.ones((count, MAX_SYMBOLS), np.float32)}
    with multiprocessing.get_context("forkserver").Pool(processes) as pool:
        jobs = ((seed * 10_000_019 + i, test) for i in range(count))
        for i, p in enumerate(pool.imap(patch_of, jobs, chunksize=32)):
            out["pixels"][i], out["size"][i], out["kind"][i] = p.pixels, (p.width, p.height), p.kind
            for k, place in enumerate(p.symbols):
                out["classes"][i, k], out["modules"][i, k] = place[0], place[5]
                out["boxes"][i, k] = place[1:5]
    return out
