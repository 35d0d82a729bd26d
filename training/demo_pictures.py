#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes examples/pictures: labels and posters with codes of our own, put into photographs.

The photographs come with scikit-image: coffee (Rachel Michetti, CC0), brick (CC0Textures Bricks25,
CC0), gravel (CC0Textures Gravel04, CC0). The contents of the codes are this project's.

    python demo_pictures.py ../examples/pictures
"""
import pathlib
import sys

import cv2
import numpy as np
import skimage.data
import zxingcpp
from PIL import Image, ImageDraw, ImageFont

FONTS = "/usr/share/fonts/truetype/dejavu/DejaVuSans{}.ttf"


def font(size, bold=False):
    return ImageFont.truetype(FONTS.format("-Bold" if bold else ""), size)


def symbol(content, kind, module, height=None):
    """One code, black on white, `module` pixels a module; linear ones of the height given."""
    code = zxingcpp.create_barcode(content, getattr(zxingcpp.BarcodeFormat, kind))
    bitmap = np.array(code.to_image(scale=1, add_quiet_zones=False))
    if height:
        bitmap = np.repeat(bitmap[bitmap.shape[0] // 2][None], height // module, 0)
    return Image.fromarray(np.kron(bitmap, np.ones((module, module), np.uint8)))


def sheet(width, height, paper=(250, 249, 244)):
    page = Image.new("RGB", (width, height), paper)
    return page, ImageDraw.Draw(page)


def parcel_label():
    page, draw = sheet(900, 1200)
    draw.rectangle((20, 20, 880, 1180), outline=(0, 0, 0), width=6)
    draw.text((60, 50), "PRIORITY PARCEL", font=font(64, True), fill=(0, 0, 0))
    for i, line in enumerate(("To: The Reader", "12 Anchor Lane", "Stride 640  Gridtown")):
        draw.text((60, 160 + 60 * i), line, font=font(44), fill=(20, 20, 20))
    page.paste(symbol("PARCEL 0640 1280 LETTERBOX", "DataMatrix", 10), (620, 150))
    draw.line((20, 380, 880, 380), fill=(0, 0, 0), width=4)
    page.paste(symbol("SACCADE-640-1280", "Code128", 3, 201), (90, 430))
    draw.text((90, 640), "SACCADE-640-1280", font=font(32), fill=(0, 0, 0))
    draw.line((20, 710, 880, 710), fill=(0, 0, 0), width=4)
    page.paste(symbol("Routing: pixels in, boxes out. Weight 1.4 kg. Handle with care.", "PDF417", 3),
               (90, 760))
    draw.text((60, 1040), "FRAGILE", font=font(90, True), fill=(150, 20, 20))
    return np.array(page)


def poster():
    page, draw = sheet(900, 1250, (244, 196, 48))
    draw.text((60, 60), "NIGHT OF", font=font(120, True), fill=(30, 30, 60))
    draw.text((60, 190), "OPEN EYES", font=font(120, True), fill=(30, 30, 60))
    draw.text((64, 340), "short films about looking", font=font(46), fill=(30, 30, 60))
    draw.rectangle((180, 450, 720, 990), fill=(255, 255, 255))
    code = symbol("https://example.org/night-of-open-eyes?from=poster", "QRCode", 14)
    page.paste(code, (450 - code.width // 2, 720 - code.height // 2))
    draw.text((64, 1060), "Saturday 21:00, the old brickworks", font=font(42), fill=(30, 30, 60))
    return np.array(page)


def ticket():
    page, draw = sheet(1000, 440, (236, 242, 248))
    draw.text((40, 40), "ADMIT ONE", font=font(72, True), fill=(20, 60, 110))
    draw.text((40, 140), "Row 8  Seat 16", font=font(46), fill=(20, 20, 20))
    draw.text((40, 210), "Platform 3, 07:40", font=font(46), fill=(20, 20, 20))
    draw.text((40, 350), "keep this part", font=font(30), fill=(90, 90, 90))
    code = symbol("TICKET 8-16 SATURDAY 2100 ADMIT ONE", "Aztec", 12)
    page.paste(code, (660, 220 - code.height // 2))
    return np.array(page)


def tag():
    page, draw = sheet(560, 320)
    page.paste(symbol("4006381333931", "EAN13", 4, 180), (90, 50))
    draw.text((100, 240), "4 006381 333931", font=font(38), fill=(0, 0, 0))
    return np.array(page)


def put(picture, page, corners, shade=0.9):
    """Lays the page into the picture at four corners (x,y), with a soft shadow below it."""
    h, w = page.shape[:2]
    source = np.float32([[0, 0], [w, 0], [w, h], [0, h]])
    warp = cv2.getPerspectiveTransform(source, np.float32(corners))
    size = picture.shape[1::-1]
    laid = cv2.warpPerspective(page, warp, size, flags=cv2.INTER_AREA).astype(np.float32)
    mask = cv2.warpPerspective(np.ones((h, w), np.float32), warp, size, flags=cv2.INTER_AREA)
    shadow = cv2.GaussianBlur(np.roll(mask, (12, 8), (0, 1)), (0, 0), 12)[..., None]
    picture *= 1 - 0.45 * shadow * (1 - mask[..., None])
    picture += mask[..., None] * (laid * shade - picture)


def light(picture, rng, x, y):
    """A lamp at (x,y) of the picture, a lens, a sensor."""
    h, w = picture.shape[:2]
    gy, gx = np.mgrid[:h, :w].astype(np.float32)
    far = np.hypot(gx / w - x, gy / h - y)
    picture = picture * (1.12 - 0.45 * far)[..., None] + 6
    picture = cv2.GaussianBlur(picture, (0, 0), 0.8)
    return (picture + rng.normal(0, 3, picture.shape)).clip(0, 255).astype(np.uint8)


def ground(name, width, height, tiles=1):
    picture = getattr(skimage.data, name)()
    picture = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, 2)
    more = (0, (tiles - 1) * picture.shape[0])
    picture = np.pad(picture, (more, more, (0, 0)), "symmetric")
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)


def table(rng):
    picture = ground("coffee", 1500, 1000)
    put(picture, ticket(), [(900, 660), (1390, 560), (1450, 770), (950, 890)])
    put(picture, tag(), [(90, 780), (330, 820), (300, 960), (60, 915)])
    return light(picture, rng, 0.3, 0.2)


def wall(rng):
    picture = np.rot90(ground("brick", 1200, 1600, 2)) * np.float32([1.0, 0.72, 0.62])
    put(picture, poster(), [(560, 130), (1080, 190), (1060, 950), (540, 960)])
    put(picture, ticket(), [(1220, 560), (1470, 585), (1468, 700), (1216, 680)], 0.85)
    return light(picture, rng, 0.6, 0.1)


def ramp(rng):
    picture = ground("gravel", 1920, 1440, 2)
    box = np.float32([171, 132, 92]) + rng.normal(0, 5, (900, 1300, 1)).astype(np.float32)
    box += 7 * np.sin(np.arange(900) / 3)[:, None, None]
    put(picture, box, [(330, 240), (1520, 170), (1640, 1180), (260, 1260)], 1)
    put(picture, parcel_label(), [(640, 330), (1190, 300), (1230, 1040), (610, 1080)])
    put(picture, tag(), [(1330, 900), (1500, 880), (1515, 990), (1340, 1005)])
    return light(picture, rng, 0.4, 0.3)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for seed, scene in enumerate((table, wall, ramp)):
        picture = scene(np.random.default_rng(seed))
        cv2.imwrite(str(folder / f"{scene.__name__}.jpg"), picture[..., ::-1],
                    [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
