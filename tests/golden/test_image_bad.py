# SPDX-License-Identifier: Apache-2.0
"""Damaged, truncated and lying pictures: an error that says why, or the whole picture."""
import io
import os
import struct
import zlib

import numpy as np
import picture_files
import pictures
import pytest
import saccade
from PIL import Image
from test_image import bmp_rows, gif, noise, oriented, photo, run_lengths, saved


def samples_of_all_formats():
    image = Image.fromarray(photo(61, 47))
    palette = noise(256, 1, 4)[0]
    indices = noise(61, 47, 1)[..., 0] // 3 * 3
    return {
        "jpeg": saved(image, "JPEG"),
        "jpeg gray": saved(image.convert("L"), "JPEG"),
        "jpeg progressive": saved(image, "JPEG", progressive=True),
        "jpeg restarts": saved(image, "JPEG", restart_marker_blocks=2),
        "jpeg cmyk": saved(image.convert("CMYK"), "JPEG"),
        "jpeg oriented": oriented("JPEG", 6),
        "png": saved(image, "PNG"),
        "png interlaced": picture_files.png(noise(61, 47, 1, 16), 4, 3, True, noise(16, 1, 3)[0]),
        "png oriented": oriented("PNG", 5),
        "webp": saved(image, "WEBP"),
        "webp lossless": saved(image, "WEBP", lossless=True),
        "webp animated": saved(image, "WEBP", save_all=True,
                               append_images=[image.rotate(90), image.rotate(180)]),
        "bmp": saved(image, "BMP"),
        "bmp palette": saved(image.convert("P"), "BMP"),
        "bmp runs": picture_files.bmp(61, 47, 8, run_lengths(indices, 8), compression=1,
                                      palette=palette.tobytes()),
        "tiff": saved(image, "TIFF"),
        "tiff lzw": saved(image, "TIFF", compression="tiff_lzw"),
        "tiff jpeg": saved(image, "TIFF", compression="jpeg"),
        "tiff tiles": picture_files.tiff(np.asarray(image), tile=16, orientation=7),
        "tiff big": picture_files.tiff(noise(61, 47, 4, 65536), 16, extra=2, big=True, planar=True),
        "gif": saved(image.convert("P"), "GIF"),
        "gif canvas": gif((70, 50), (61, 47), (3, 2), indices, palette[:, :3], transparent=7),
    }


SAMPLES = samples_of_all_formats()
FAMILY = {"SAC_EIMAGE", "SAC_ELIMIT"}


def outcome(data):
    """The pixels, or the error; nothing else may happen."""
    try:
        return pictures.read(data, max_pixels=1 << 22), None
    except saccade.Error as error:
        assert error.name in FAMILY, error
        assert len(str(error)) > len(error.name) + 6, "an error without a reason"
        return None, error


@pytest.mark.parametrize("name", SAMPLES)
def test_truncated_pictures_are_refused_or_whole(name):
    data = SAMPLES[name]
    whole = pictures.read(data)
    cuts = sorted({*range(0, min(len(data), 64)), *range(0, len(data), max(len(data) // 150, 1)),
                   *range(len(data) - 20, len(data))})
    refused = 0
    for cut in cuts:
        pixels, error = outcome(data[:cut])
        refused += error is not None
        if error is None:
            assert np.array_equal(pixels, whole), f"{cut} of {len(data)} bytes gave other pixels"
    assert refused > len(cuts) * 0.8


@pytest.mark.parametrize("name", SAMPLES)
def test_flipped_bits_do_no_harm(name):
    data = SAMPLES[name]
    rng = np.random.default_rng(len(data))
    for _ in range(300):
        spoilt = bytearray(data)
        near = rng.random() < 0.5  # headers are short: half of the flips go there
        for at in rng.integers(0, min(len(data), 200) if near else len(data), rng.integers(1, 4)):
            spoilt[at] ^= 1 << rng.integers(8)
        outcome(bytes(spoilt))


@pytest.mark.parametrize("name", SAMPLES)
def test_shuffled_pieces_do_no_harm(name):
    data = SAMPLES[name]
    rng = np.random.default_rng(len(data))
    for _ in range(100):
        a, b, size = rng.integers(0, len(data), 3)
        piece = data[a:a + size % 64]
        outcome(data[:b] + piece + data[b + (size % 2) * len(piece):])


def wide(width, height, name):
    """A small file whose header claims width × height."""
    data = bytearray(SAMPLES[name])
    if name == "jpeg":
        at = data.index(b"\xff\xc0")
        data[at + 5:at + 9] = struct.pack(">HH", height, width)
    elif name == "png":
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    elif name == "bmp":
        data[18:26] = struct.pack("<ii", width, height)
    elif name == "webp lossless":
        at = data.index(b"VP8L") + 9
        data[at:at + 4] = struct.pack("<I", (width - 1) | (height - 1) << 14)
    elif name == "gif":
        data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


@pytest.mark.parametrize("name", ["jpeg", "png", "bmp", "gif"])
def test_a_header_of_60000_x_60000(name):
    with pytest.raises(saccade.Error) as caught:
        pictures.read(wide(60000, 60000, name))
    assert caught.value.name == "SAC_ELIMIT"
    for words in ("60000 x 60000", "268435456", "max_pixels"):
        assert words in str(caught.value)


def test_a_tiff_header_of_60000_x_60000():
    data = picture_files.tiff(noise(61, 47)).replace(
        struct.pack("<HHIHH", 256, 3, 1, 61, 0), struct.pack("<HHII", 256, 4, 1, 60000)).replace(
        struct.pack("<HHIHH", 257, 3, 1, 47, 0), struct.pack("<HHII", 257, 4, 1, 60000))
    with pytest.raises(saccade.Error, match="60000 x 60000"):
        pictures.read(data)


@pytest.mark.parametrize("name", ["jpeg", "png", "bmp", "webp lossless"])
def test_a_header_that_claims_more_than_there_is(name):
    pixels, error = outcome(wide(2000, 2000, name))
    assert error is not None and error.name == "SAC_EIMAGE"


@pytest.mark.parametrize("name", ["png", "bmp"])
@pytest.mark.parametrize("size", [(0, 10), (10, 0), (0, 0), (2**31 - 1, 2**31 - 1)])
def test_sizes_of_nothing_and_of_everything(name, size):
    assert outcome(wide(*size, name))[1] is not None


def test_the_limit_is_exact():
    data = SAMPLES["png"]
    assert pictures.read(data, max_pixels=61 * 47).shape == (47, 61, 3)
    with pytest.raises(saccade.Error, match="61 x 47 pixels are above the limit of 2866"):
        pictures.read(data, max_pixels=61 * 47 - 1)


def test_a_png_whose_text_inflates_to_much():
    bomb = zlib.compress(b"\0" * (200 << 20), 9)
    data = picture_files.png(photo(8, 8), 8, 2, before=[(b"zTXt", b"Comment\0\0" + bomb),
                                                        (b"iCCP", b"profile\0\0" + bomb)])
    outcome(data)


def test_a_png_with_too_few_and_too_many_rows():
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    for rows in (0, 1, 7, 9, 100):
        pixels = zlib.compress((b"\0" + b"\1" * 24) * rows)
        data = b"\x89PNG\r\n\x1a\n" + b"".join(
            picture_files.png_chunk(name, content)
            for name, content in [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")])
        assert (outcome(data)[1] is None) == (rows >= 8)


def test_a_jpeg_of_a_thousand_scans():
    data = saved(Image.fromarray(photo(64, 64)), "JPEG", progressive=True)
    scans = [i for i in range(len(data) - 1) if data[i:i + 2] == b"\xff\xda"]
    last = data[scans[-1]:-2]
    _, error = outcome(data[:-2] + last * 1000 + b"\xff\xd9")
    assert error is not None


def test_a_gif_without_frames():
    data = gif((5, 5), (5, 5), (0, 0), np.zeros((5, 5), int), noise(256, 1, 3)[0])
    with pytest.raises(saccade.Error, match="GIF: holds no frame"):
        pictures.read(data[:13 + 768] + b";")


@pytest.mark.parametrize("data,words", [
    (b"", "empty"), (b"\xff", "not a JPEG"), (b"hello, world", "not a JPEG"),
    (b"%PDF-1.7", "not a JPEG"), (b"\xff\xd8\xff", "JPEG: "), (b"\x89PNG\r\n\x1a\n", "PNG: "),
    (b"BM", "BMP: truncated"), (b"GIF89a", "GIF: truncated"), (b"II*\0", "TIFF: "),
    (b"RIFF\0\0\0\0WEBP", "WebP: ")])
def test_starts_of_pictures(data, words):
    with pytest.raises(saccade.Error, match=words) as caught:
        pictures.read(data)
    assert caught.value.name == "SAC_EIMAGE"


def test_messages_of_damaged_pictures():
    data = saved(Image.fromarray(photo(640, 480)), "JPEG")
    words = r"JPEG: truncated: pixels are missing from row \d+ of 480"
    with pytest.raises(saccade.Error, match=words):
        pictures.read(data[:len(data) // 2])
    with pytest.raises(saccade.Error, match="PNG: truncated"):
        pictures.read(SAMPLES["png"][:2000])


def test_files(tmp_path):
    good = tmp_path / "good.png"
    good.write_bytes(SAMPLES["png"])
    assert pictures.open_file(good).shape == (47, 61, 3)
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "bad.jpg").write_bytes(SAMPLES["jpeg"][:900])
    for name, code, words in [
            ("missing.jpg", "SAC_EIO", "cannot be opened: No such file"),
            ("folder.jpg", "SAC_EIO", "is a directory"),
            ("pipe.jpg", "SAC_EIO", "is not a regular file"),
            ("empty.jpg", "SAC_EIMAGE", "empty"), ("text.jpg", "SAC_EIMAGE", "not a JPEG"),
            ("good.png/x.jpg", "SAC_EIO", "Not a directory"),
            ("bad.jpg", "SAC_EIMAGE", "JPEG: truncated")]:
        path = tmp_path / name
        with pytest.raises(saccade.Error) as caught:
            pictures.open_file(path)
        assert caught.value.name == code
        assert f"{path}: " in str(caught.value) and words in str(caught.value)


def test_an_enormous_file_that_is_no_picture(tmp_path):
    path = tmp_path / "video.jpg"
    with open(path, "wb") as file:
        file.truncate(1 << 40)  # sparse
    with pytest.raises(saccade.Error, match="not a JPEG"):
        pictures.open_file(path)
    with open(path, "r+b") as file:
        file.write(b"\xff\xd8\xff")
    with pytest.raises(saccade.Error, match="above the limit") as caught:
        pictures.open_file(path)
    assert caught.value.name == "SAC_ELIMIT"
