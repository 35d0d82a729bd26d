# SPDX-License-Identifier: Apache-2.0
"""Writes corpus/image: small pictures of every format and mode that src/image reads.
To add to it, run `python tests/fuzz/corpus_image.py` with the tests' virtual environment."""
import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import picture_files  # noqa: E402

rng = np.random.default_rng(1)


def noise(width, height, channels=3, top=256):
    return rng.integers(0, top, (height, width, channels)).astype(
        np.uint16 if top > 256 else np.uint8)


def saved(image, fmt, **options):
    out = io.BytesIO()
    image.save(out, fmt, **options)
    return out.getvalue()


def files():
    smooth = np.add.outer(np.arange(18) * 5, np.arange(21) * 3).astype(np.uint8)
    image = Image.fromarray(np.stack([smooth, smooth[::-1], smooth[:, ::-1]], -1))
    gray, palette = image.convert("L"), image.convert("P", palette=Image.Palette.ADAPTIVE, colors=8)
    exif = picture_files.exif(6)
    for name, options in {"plain": {}, "progressive": {"progressive": True},
                          "restarts": {"restart_marker_blocks": 1}, "444": {"subsampling": 0},
                          "oriented": {"exif": b"Exif\0\0" + exif}}.items():
        yield f"{name}.jpg", saved(image, "JPEG", quality=30, optimize=True, **options)
    yield "gray.jpg", saved(gray, "JPEG", quality=30)
    yield "inks.jpg", saved(image.convert("CMYK"), "JPEG", quality=30)
    for colour, depths in {0: (1, 16), 2: (8, 16), 3: (2, 8), 4: (8,), 6: (16,)}.items():
        for depth in depths:
            channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
            entries = noise(1 << depth, 1)[0] if colour == 3 else None
            yield f"{colour}-{depth}.png", picture_files.png(
                noise(5, 4, channels, 1 << depth), depth, colour, depth != 8, entries,
                after=[(b"eXIf", exif)])
    yield "lossy.webp", saved(image, "WEBP", quality=20, exif=exif)
    yield "lossless.webp", saved(palette, "WEBP", lossless=True)
    clear = image.copy()
    clear.putalpha(gray)
    yield "alpha.webp", saved(clear, "WEBP", quality=20)
    yield "frames.webp", saved(image, "WEBP", quality=20, save_all=True,
                               append_images=[image.rotate(180)])
    for mode in ("1", "L", "RGB"):
        yield f"{mode}.bmp", saved(image.convert(mode).crop((0, 0, 5, 4)), "BMP")
    yield "runs8.bmp", picture_files.bmp(4, 4, 8, bytes([2, 5, 0, 2, 1, 1, 0, 3, 6, 7, 8, 0, 0, 1]),
                                         compression=1, palette=bytes(64))
    yield "runs4.bmp", picture_files.bmp(5, 2, 4, bytes([5, 0x12, 0, 0, 0, 5, 1, 2, 3, 0, 0, 1]),
                                         compression=2, palette=bytes(range(64)))
    yield "565.bmp", picture_files.bmp(3, -2, 16, bytes(range(16)), compression=3,
                                       masks=(0xF800, 0x7E0, 0x1F))
    yield "old.bmp", picture_files.bmp(3, 2, 4, bytes(range(8)), header=12, palette=bytes(range(48)))
    yield "plain.gif", saved(palette, "GIF")
    yield "transparent.gif", saved(palette, "GIF", transparency=3, interlace=0)
    for mode, compression in {"1": "group4", "L": "packbits", "P": "tiff_lzw", "CMYK": "raw",
                              "RGB": "tiff_adobe_deflate", "YCbCr": "jpeg"}.items():
        yield f"{mode}.tif", saved(image.convert(mode), "TIFF", compression=compression)
    for planar in (False, True):
        yield f"tiles{planar:d}.tif", picture_files.tiff(
            noise(17, 5, 4, 65536), 16, planar=planar, tile=16, extra=2, big=planar, order=">",
            orientation=5)
    yield "gray.tif", picture_files.tiff(noise(17, 5, 2), photometric=0, extra=1)


if __name__ == "__main__":
    folder = HERE / "corpus" / "image"
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files():
        (folder / name).write_bytes(data)
