# SPDX-License-Identifier: Apache-2.0
"""Opened pictures against Pillow and OpenCV: every format, mode and orientation."""
import io

import cv2
import numpy as np
import picture_files
import pictures
import pytest
from PIL import Image, ImageOps

SIZES = [(1, 1), (2, 3), (17, 9), (64, 48), (133, 101)]
INKS = [0, 1, 2, 127, 254, 255]


def noise(width, height, channels=3, top=256, seed=0):
    rng = np.random.default_rng([seed, width, height])
    return rng.integers(0, top, (height, width, channels)).astype(np.uint16 if top > 256 else
                                                                  np.uint8)


def photo(width, height, channels=3, seed=0):
    """Smooth with some noise, so that lossy formats have something to do."""
    coarse = noise(max(width // 16, 2), max(height // 16, 2), channels, seed=seed)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    smooth = smooth.reshape(height, width, channels)
    return (smooth // 2 + noise(width, height, channels, 100, seed) // 4 + 30).astype(np.uint8)


def saved(image, fmt, **options):
    out = io.BytesIO()
    image.save(out, fmt, **options)
    return out.getvalue()


def pillow(data):
    """As Pillow opens it: turned upright, BGR."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    return np.asarray(image.convert("RGB"))[:, :, ::-1]


def opencv(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def same(got, expected, most=0):
    assert got.shape == expected.shape
    difference = np.abs(got.astype(int) - expected.astype(int)).max()
    assert difference <= most, f"differs by up to {difference}"


# JPEG

@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("options", [
    {}, {"subsampling": "4:4:4"}, {"subsampling": "4:2:2"}, {"subsampling": "4:2:0", "quality": 30},
    {"progressive": True}, {"progressive": True, "subsampling": "4:4:4"}, {"optimize": True},
    {"restart_marker_blocks": 3}, {"quality": 100}], ids=str)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpeg_equals_opencv(size, options, mode):
    data = saved(Image.fromarray(photo(*size)).convert(mode), "JPEG", **options)
    same(pictures.read(data), opencv(data))
    same(pictures.read(data), pillow(data))


@pytest.mark.parametrize("rgb", [False, True], ids=["YCbCr", "RGB"])
def test_jpeg_stored_as_rgb(rgb):
    data = saved(Image.fromarray(photo(40, 30)), "JPEG", keep_rgb=rgb)
    same(pictures.read(data), opencv(data))


@pytest.mark.parametrize("ycck", [False, True])
def test_jpeg_of_inks(ycck):
    inks = photo(61, 43, 4, seed=3)
    data = saved(Image.fromarray(inks, "CMYK"), "JPEG", quality=98, subsampling="4:4:4")
    at = data.index(b"Adobe")
    assert data[at + 11] == 0
    if ycck:  # the same numbers, now to be understood as luma, chroma and black
        data = data[:at + 11] + b"\x02" + data[at + 12:]
    same(pictures.read(data), pillow(data))


def test_inks_become_light():
    """All pairs of ink and black, exactly as Pillow has them."""
    grid = np.stack(np.meshgrid(range(256), range(256)), -1)
    inks = np.concatenate([grid[..., :1]] * 3 + [grid[..., 1:]], -1).astype(np.uint8)
    data = saved(Image.fromarray(inks, "CMYK"), "TIFF")
    same(pictures.read(data), pillow(data), 1)  # libtiff rounds down


def test_trailing_bytes_and_a_missing_end_marker_do_no_harm():
    data = saved(Image.fromarray(photo(64, 48)), "JPEG")
    assert data.endswith(b"\xff\xd9")
    for other in (data + b"\0" * 1000, data + data, data[:-2]):
        same(pictures.read(other), opencv(data))


# PNG

DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("colour,depth", [(k, d) for k, ds in DEPTHS.items() for d in ds])
def test_png(size, interlaced, colour, depth):
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    samples = noise(*size, channels, 1 << depth, seed=depth)
    palette = noise(1 << depth, 1)[0] if colour == 3 else None
    data = picture_files.png(samples, depth, colour, interlaced, palette)
    if colour == 3:
        expected = palette[samples[..., 0]]
    elif depth == 16:
        expected = (samples >> 8)[..., :3]
    else:
        expected = (samples * (255 // ((1 << depth) - 1)))[..., :3]
    if colour in (0, 4):
        expected = np.repeat(expected[..., :1], 3, -1)
    got = pictures.read(data)
    same(got, expected[..., ::-1].astype(np.uint8))
    if depth < 16 or colour in (2, 6):
        same(got, opencv(data))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LA", "RGBA"])
def test_png_as_pillow_writes_it(mode):
    data = saved(Image.fromarray(photo(70, 50)).convert(mode), "PNG")
    same(pictures.read(data), pillow(data))


def test_png_transparent_colour_is_kept():
    samples = noise(20, 10, 1, 16)
    palette = noise(16, 1, 3)[0]
    data = picture_files.png(samples, 4, 3, palette=palette, before=[(b"tRNS", bytes(range(16)))])
    same(pictures.read(data), palette[samples[..., 0]][..., ::-1])


def test_png_of_many_pieces():
    """Checksums of what is not needed may be wrong; those of the pixels may not."""
    samples = photo(40, 30)
    data = picture_files.png(samples, 8, 2, before=[(b"tEXt", b"Comment\0words")])
    spoilt = data.replace(b"words", b"swords"[:5])
    same(pictures.read(spoilt), samples[..., ::-1])


# WebP

@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"quality": 40, "method": 6}], ids=str)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webp(size, options, mode):
    data = saved(Image.fromarray(photo(*size, len(mode)), mode), "WEBP", exact=True, **options)
    same(pictures.read(data), pillow(data))
    if mode == "RGB":
        same(pictures.read(data), opencv(data))


def test_webp_animation_gives_its_first_frame():
    frames = [Image.fromarray(photo(60, 40, seed=i)) for i in range(3)]
    data = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    same(pictures.read(data), np.asarray(frames[0])[..., ::-1])


# BMP

@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_bmp_as_pillow_writes_it(size, mode):
    image = Image.fromarray(photo(*size)).convert(mode)
    data = saved(image, "BMP")
    same(pictures.read(data), np.asarray(image.convert("RGB"))[..., ::-1])
    if mode != "RGBA":
        same(pictures.read(data), opencv(data))


def bmp_rows(samples, bits):
    rows = picture_files.pack_rows(samples, bits)
    return [row + b"\0" * (-len(row) % 4) for row in rows]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("header,top_down", [(12, False)] + [
    (header, top_down) for header in (40, 64, 108, 124) for top_down in (False, True)])
def test_bmp_palettes(size, bits, header, top_down):
    samples = noise(*size, 1, 1 << bits)
    palette = noise(1 << bits, 1, 3)[0]
    entries = palette if header == 12 else np.pad(palette, ((0, 0), (0, 1)))
    rows = bmp_rows(samples, bits)
    data = b"".join(rows if top_down else rows[::-1])
    height = -size[1] if top_down else size[1]
    file = picture_files.bmp(size[0], height, bits, data, header, palette=entries.tobytes(), gap=6)
    same(pictures.read(file), palette[samples[..., 0]])


MASKS = {  # bits, masks red green blue: as GIMP, Photoshop and cameras write them
    "555": (16, 0x7C00, 0x3E0, 0x1F), "565": (16, 0xF800, 0x7E0, 0x1F),
    "444": (16, 0xF00, 0xF0, 0xF),
    "888": (32, 0xFF0000, 0xFF00, 0xFF), "bgr": (32, 0xFF, 0xFF00, 0xFF0000),
    "high": (32, 0xFF000000, 0xFF0000, 0xFF00), "10": (32, 0x3FF00000, 0xFFC00, 0x3FF)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("header", [40, 56, 108])
def test_bmp_bit_fields(size, name, header):
    bits, *masks = MASKS[name]
    values = noise(*size, bits // 8, seed=7).view(f"<u{bits // 8}")[..., 0].astype(np.uint64)
    data = b"".join(bmp_rows(values.astype(f"<u{bits // 8}").view(np.uint8).reshape(
        size[1], size[0], bits // 8), 8)[::-1])
    file = picture_files.bmp(*size, bits, data, header, 3, masks=masks)
    channels = []
    for mask in reversed(masks):
        shift = (mask & -mask).bit_length() - 1
        top = mask >> shift
        value = (values & mask) >> shift
        channels.append(value >> 2 if top > 255 else np.floor(value * 255 / top + 0.5))
    same(pictures.read(file), np.stack(channels, -1).astype(np.uint8))


def test_bmp_of_16_bits_without_masks():
    values = noise(30, 20, 2, seed=9)
    file = picture_files.bmp(30, 20, 16, values[::-1].tobytes())
    same(pictures.read(file), pillow(file), 1)  # Pillow rounds down


def run_lengths(samples, bits):
    """Rows of indices with every kind of code: runs, literal stretches, jumps, ends."""
    out = b""
    for row in samples[::-1]:
        at = 0
        while at < len(row):
            left = len(row) - at
            run = 1
            while run < min(left, 255) and row[at + run] == row[at]:
                run += 1
            if run > 1 or left < 4:
                index = int(row[at])
                out += bytes([run, index if bits == 8 else index * 17])
                at += run
                continue
            literal = row[at:at + min(left, 9)]
            packed = picture_files.pack_rows(literal.reshape(1, -1, 1), bits)[0]
            out += bytes([0, len(literal)]) + packed + b"\0" * (len(packed) % 2)
            at += len(literal)
        out += b"\0\0"
    return out + b"\0\1"


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (300, 40)])
def test_bmp_run_lengths(bits, size):
    samples = noise(*size, 1, 1 << bits)[..., 0]
    samples[:, size[0] // 2:] = samples[:, size[0] // 2:size[0] // 2 + 1]
    palette = noise(1 << bits, 1, 4)[0]
    data = run_lengths(samples, bits)
    file = picture_files.bmp(*size, bits, data, compression=3 - bits // 4,
                             palette=palette.tobytes())
    same(pictures.read(file), palette[samples][..., :3])


def test_bmp_run_lengths_may_jump_and_end_early():
    palette = noise(256, 1, 4)[0]
    # 2 pixels of 5; on by 1 right and 2 up; one pixel of 6; end of the picture
    file = picture_files.bmp(4, 4, 8, bytes([2, 5, 0, 2, 1, 2, 1, 6, 0, 1]), compression=1,
                             palette=palette.tobytes())
    indices = np.zeros((4, 4), int)
    indices[3, :2] = 5
    indices[1, 3] = 6
    same(pictures.read(file), palette[indices][..., :3])


# TIFF

@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK"])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiff_as_pillow_writes_it(mode, compression):
    image = Image.fromarray(photo(133, 101)).convert(mode)
    data = saved(image, "TIFF", compression=compression)
    same(pictures.read(data), pillow(data), mode == "CMYK")  # libtiff rounds inks down


def test_tiff_with_other_compressions():
    image = Image.fromarray(photo(128, 96))
    data = saved(image.convert("1"), "TIFF", compression="group4")
    same(pictures.read(data), pillow(data))
    data = saved(image, "TIFF", compression="jpeg", quality=90)
    same(pictures.read(data), pillow(data), 1)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("layout", [{}, {"tile": 32}, {"tile": 16}, {"rows_per_strip": 7}], ids=str)
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_tiff_layouts(big, order, planar, layout, depth, channels):
    samples = noise(75, 50, channels, 1 << depth)
    data = picture_files.tiff(samples, depth, 1 if channels < 3 else 2, planar, big=big,
                              order=order, extra=None if channels % 2 else 2, **layout)
    expected = (samples >> (depth - 8)).astype(np.uint8)[..., :3]
    if channels < 3:
        expected = np.repeat(expected[..., :1], 3, -1)
    same(pictures.read(data), expected[..., ::-1])


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_tiff_palettes_and_inverted_grays(depth):
    samples = noise(45, 30, 1, 1 << depth)
    palette = noise(1 << depth, 1, 3, 65536)[0]
    data = picture_files.tiff(samples, depth, 3, palette=palette)
    same(pictures.read(data), (palette >> 8)[samples[..., 0]][..., ::-1].astype(np.uint8))
    data = picture_files.tiff(samples, depth, 0)
    gray = 255 - samples * (255 // ((1 << depth) - 1))
    same(pictures.read(data), np.repeat(gray, 3, -1).astype(np.uint8))


def test_tiff_gives_its_first_page():
    pages = [Image.fromarray(photo(30, 20, seed=i)) for i in range(3)]
    data = saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    same(pictures.read(data), np.asarray(pages[0])[..., ::-1])


@pytest.mark.parametrize("ext", [".tiff", ".png"])
def test_16_bits_as_opencv_writes_them(ext):
    samples = noise(75, 50, 3, 65536)
    data = cv2.imencode(ext, samples)[1].tobytes()
    same(pictures.read(data), (samples >> 8).astype(np.uint8))


# GIF

@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interlace", [False, True])
@pytest.mark.parametrize("mode", ["P", "L", "1"])
def test_gif(size, interlace, mode):
    image = Image.fromarray(photo(*size)).convert(mode)
    data = saved(image, "GIF", interlace=interlace)
    same(pictures.read(data), pillow(data))


def gif(canvas, frame, offset, indices, palette, background=0, transparent=None):
    """A GIF whose pixels stand uncompressed: codes of 9 bits with a clear before they grow."""
    def word(*values):
        return b"".join(int(v).to_bytes(2, "little") for v in values)
    codes = []
    for i, index in enumerate(indices.reshape(-1)):
        codes += [256] * (i % 200 == 0) + [int(index)]
    bits = "".join(f"{code:09b}"[::-1] for code in codes + [257])
    packed = bytes(int(bits[i:i + 8][::-1], 2) for i in range(0, len(bits), 8))
    blocks = b"".join(bytes([len(packed[i:i + 255])]) + packed[i:i + 255]
                      for i in range(0, len(packed), 255))
    control = b"" if transparent is None else b"!\xf9\x04\x01\0\0" + bytes([transparent]) + b"\0"
    return (b"GIF89a" + word(*canvas) + bytes([0xF7, background, 0]) + palette.tobytes() + control
            + b"," + word(*offset, *frame) + b"\0\x08" + blocks + b"\0;")


def test_gif_frame_on_its_canvas():
    palette, indices = noise(256, 1, 3)[0], noise(9, 7, 1)[..., 0]
    data = gif((20, 15), (9, 7), (4, 3), indices, palette, background=11, transparent=77)
    expected = np.full((15, 20), 11)
    expected[3:10, 4:13] = np.where(indices == 77, 11, indices)
    indices[0, 0] = 77
    data = gif((20, 15), (9, 7), (4, 3), indices, palette, background=11, transparent=77)
    expected[3, 4] = 11
    same(pictures.read(data), palette[expected][..., ::-1])


def test_gif_frame_beyond_its_canvas_enlarges_it():
    palette, indices = noise(256, 1, 3)[0], noise(9, 7, 1)[..., 0]
    data = gif((5, 5), (9, 7), (1, 2), indices, palette, background=3)
    expected = np.full((9, 10), 3)
    expected[2:, 1:] = indices
    same(pictures.read(data), palette[expected][..., ::-1])


# Orientation

def oriented(fmt, orientation, order="<"):
    image = Image.fromarray(photo(37, 21, seed=1))
    block = picture_files.exif(orientation, order)
    if fmt == "TIFF":
        return picture_files.tiff(np.asarray(image), orientation=orientation, order=order)
    if fmt == "JPEG":
        return saved(image, fmt, exif=b"Exif\0\0" + block)
    if fmt == "PNG after":
        return picture_files.png(np.asarray(image), 8, 2, after=[(b"eXIf", block)])
    if fmt == "PNG":
        return picture_files.png(np.asarray(image), 8, 2, before=[(b"eXIf", block)])
    return saved(image, fmt, exif=block, lossless=True)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "PNG after", "WEBP", "TIFF"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation(orientation, fmt, order):
    data, plain = oriented(fmt, orientation, order), oriented(fmt, 1, order)
    expected = np.asarray(Image.open(io.BytesIO(plain)).convert("RGB"))[..., ::-1]
    turns = {2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
             5: lambda a: a.swapaxes(0, 1), 6: lambda a: a.swapaxes(0, 1)[:, ::-1],
             7: lambda a: a[::-1, ::-1].swapaxes(0, 1), 8: lambda a: a.swapaxes(0, 1)[::-1]}
    same(pictures.read(data), turns.get(orientation, lambda a: a)(expected))
    same(pictures.read(data), pillow(data))
    same(pictures.read(data, raw_orientation=True), expected)


@pytest.mark.parametrize("orientation", [0, 9, 255, 65535])
@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
def test_orientation_that_does_not_exist_is_ignored(orientation, fmt):
    same(pictures.read(oriented(fmt, orientation)), pictures.read(oriented(fmt, 1)))


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (200, 1), (64, 64), (65, 129), (300, 7)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_all_sizes(size, orientation):
    samples = noise(*size)
    data = picture_files.png(samples, 8, 2, before=[(b"eXIf", picture_files.exif(orientation))])
    same(pictures.read(data), pillow(data))
